"""Bins of targets, which weights, resampling and feature statistics count in."""

import numpy as np
from numpy.typing import ArrayLike

from imbreg_jax.study.arrays import checked_targets


def places(targets: ArrayLike, bins: int) -> np.ndarray:
    """[N] int32: the bin of each target [N], of so many from the least to the greatest.

    Bins are evenly spaced. Where all targets are equal they lie in the first.

    Raises:
      ValueError: targets that are not one finite number an image.
    """
    targets = checked_targets(targets)
    low, high = float(targets.min()), float(targets.max())
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    return np.clip(np.searchsorted(edges, targets, side='right') - 1, 0, bins - 1).astype(np.int32)
