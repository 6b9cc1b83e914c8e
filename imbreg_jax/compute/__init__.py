"""What a study computes on: the limits of this process, JAX's settings, and whether it sums right."""
