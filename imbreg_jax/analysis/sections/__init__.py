"""The views of a study, one a file; `registry` says which there are and in which order."""
