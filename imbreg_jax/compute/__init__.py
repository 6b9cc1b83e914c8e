"""What a study computes on: limits, JAX's settings, and whether it sums right."""
