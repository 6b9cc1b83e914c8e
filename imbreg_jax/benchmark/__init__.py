"""How fast we train, how fast this machine could, and how fast PyTorch does."""
