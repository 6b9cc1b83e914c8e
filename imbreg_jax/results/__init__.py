"""Results: the files of a workdir, written whole or not at all, and its checkpoints."""
