"""Kernels over neighbouring bins of targets, which smooth counts and statistics of features.

Yang et al., "Delving into Deep Imbalanced Regression" (ICML 2021), and its repository
YyzHarry/imbalanced-regression (agedb-dir/utils.py and fds.py). The repository's Gaussian kernel is
a Gaussian filter's answer to a 1 among as many bins as the kernel has, and so is folded back at its
ends: of size 5 and sigma 2 it is (.858, .946, 1, .946, .858) and not (.607, .882, 1, .882, .607).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

KERNELS = ('gaussian', 'triangular', 'laplace')


def taps(
    kernel: str = 'gaussian', size: int = 5, sigma: float = 2.0, variant: str = 'paper'
) -> np.ndarray:
    """The weights [size] that a bin's neighbours have beside it, 1 for its own.

    Args:
      kernel: 'gaussian', exp(-d**2 / 2 sigma**2) at a distance of d bins; 'laplace',
        exp(-d / sigma); 'triangular', which falls to 0 one bin beyond the kernel.
      size: an odd number of bins.
      sigma: in bins.
      variant: 'paper', or 'published' for the repository's Gaussian kernel.
    """
    distances = np.abs(np.arange(size) - size // 2)
    if kernel == 'triangular':
        # Thirds as SciPy's window rounds them: on that depends what the repository drops.
        return (size // 2 + 1 - distances) / (size // 2 + 1)
    if kernel == 'laplace':
        return np.exp(-distances / sigma)
    if variant == 'published':
        found = ndimage.gaussian_filter1d((distances == 0).astype(np.float64), sigma)
        return found / found.max()
    return np.exp(-0.5 * (distances / sigma) ** 2)


def shares(size: int, sigma: float, variant: str = 'paper') -> np.ndarray:
    """The Gaussian `taps` [size], of sum 1."""
    found = taps('gaussian', size, sigma, variant)
    return found / found.sum()


def refuse_size(name: str, size: int, bins: int | None = None) -> None:
    """Refuses a kernel without a middle, or one that so many bins cannot be reflected for.

    Raises:
      ValueError: with a sentence on the remedy of that name.
    """
    if bins is None and size % 2 == 0:
        raise ValueError(f'{name} has size = {size}; it must be odd')
    if bins is not None and (size % 2 == 0 or size // 2 >= bins):
        raise ValueError(
            f'{name} has size = {size}; it must be odd and less than twice its bins, {bins}'
        )


def reflected(values: jax.Array, weights: np.ndarray) -> jax.Array:
    """Weighted sums over neighbouring bins, of which those beyond the ends are reflections.

    Args:
      values: [bins, F].
      weights: [size] of a bin and its neighbours.

    Returns:
      [bins, F].
    """
    half = len(weights) // 2
    padded = jnp.pad(values, ((half, half), (0, 0)), mode='reflect')
    return sum(weight * padded[i : i + len(values)] for i, weight in enumerate(weights))
