"""Training: objectives, the plan of a study on its devices, and the compiled training program."""
