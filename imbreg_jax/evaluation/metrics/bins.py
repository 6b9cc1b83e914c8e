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
    rows = errors.reshape(-1, errors.shape[-1])
    bins = np.broadcast_to(strata['bin'], errors.shape).reshape(rows.shape)
    # Every row's bins are its own, so that one count counts them all.
    places = (bins + BINS * np.arange(len(rows))[:, None]).ravel()
    counts, sums = (
        np.bincount(places, weights, BINS * len(rows)).reshape(*errors.shape[:-1], BINS)
        for weights in (None, rows.ravel())
    )
    return sums / np.maximum(counts, 1), counts > 0


def _balanced(errors: np.ndarray, strata: Mapping) -> np.ndarray:
    return mean(*_of_bins(errors, strata))
