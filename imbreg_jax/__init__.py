"""A controlled laboratory for imbalanced regression, in JAX."""

__version__ = '0.1.0'
