"""Bins of targets, which weights, resampling and feature statistics count in."""

import numpy as np


def edges(targets: np.ndarray, bins: int) -> np.ndarray:
    """[bins + 1] evenly spaced edges from the least to the greatest target [N]."""
    low, high = float(np.min(targets)), float(np.max(targets))
    return np.linspace(low, high if high > low else low + 1.0, bins + 1)


def places(targets: np.ndarray, at: np.ndarray) -> np.ndarray:
    """[N] int32: the bin of each target; the outer bins take what lies beyond them."""
    return np.clip(np.searchsorted(at, targets, side='right') - 1, 0, len(at) - 2).astype(np.int32)
