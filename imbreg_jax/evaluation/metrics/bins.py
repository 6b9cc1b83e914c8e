"""Errors in bins of the test law's range, each of which counts as much as any other.

An image's bin is that of its generating value, see `strata.BINS`; one without images counts for
nothing.
"""

from collections.abc import Mapping

import numpy as np

from imbreg_jax.evaluation.metrics.metric import mean, register
from imbreg_jax.evaluation.strata import BINS


@register(label='bin-balanced MSE', unit='unit squared', better='less', compared=True)
def bin_balanced_mse(predictions: np.ndarray, targets: np.ndarray, strata: Mapping) -> np.ndarray:
    """The mean over bins of their MSE."""
    return _balanced((predictions - targets) ** 2, strata)


@register(label='bin-balanced MAE', unit='unit', better='less')
def bin_balanced_mae(predictions: np.ndarray, targets: np.ndarray, strata: Mapping) -> np.ndarray:
    """The mean over bins of their MAE."""
    return _balanced(np.abs(predictions - targets), strata)


@register(label='MSE of the worst bin', unit='unit squared', better='less')
def worst_bin_mse(predictions: np.ndarray, targets: np.ndarray, strata: Mapping) -> np.ndarray:
    """The largest MSE of a bin."""
    values, held = _of_bins((predictions - targets) ** 2, strata)
    return np.where(held, values, -np.inf).max(-1)


def _of_bins(errors: np.ndarray, strata: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Of errors [..., n]: means [..., bins], and which bins have any."""
    masks = [np.broadcast_to(strata['bin'] == i, errors.shape) for i in range(BINS)]
    values = np.stack([mean(errors, mask) for mask in masks], axis=-1)
    return values, np.stack([mask.any(-1) for mask in masks], axis=-1)


def _balanced(errors: np.ndarray, strata: Mapping) -> np.ndarray:
    return mean(*_of_bins(errors, strata))
