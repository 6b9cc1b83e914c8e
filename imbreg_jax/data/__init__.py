"""Data: random keys, the images of a split, and the statistic that is their target."""
