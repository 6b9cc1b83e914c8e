"""How predictions go with targets.

Where predictions are all alike they go with nothing: all but `r2` are nan.
"""

from collections.abc import Mapping

import numpy as np
from scipy import stats

from imbreg_jax.evaluation.metrics.metric import register


@register(label='R²', unit='1', better='more')
def r2(predictions: np.ndarray, targets: np.ndarray, _: Mapping) -> np.ndarray:
    """The share of the targets' variance that is explained; below 0 for less than their mean is."""
    spread = np.mean(_centred(targets) ** 2, axis=-1)
    return 1.0 - _ratio(np.mean((predictions - targets) ** 2, axis=-1), spread)


@register(label='Spearman correlation', unit='1', better='more')
def spearman(predictions: np.ndarray, targets: np.ndarray, _: Mapping) -> np.ndarray:
    """The correlation of ranks; equal ones share the mean of theirs."""
    one, other = (_centred(stats.rankdata(v, axis=-1)) for v in (predictions, targets))
    size = np.sqrt(np.mean(one**2, axis=-1) * np.mean(other**2, axis=-1))
    return _ratio(np.mean(one * other, axis=-1), size)


@register(label='calibration slope', unit='1', better='one')
def calibration_slope(predictions: np.ndarray, targets: np.ndarray, _: Mapping) -> np.ndarray:
    """The slope of the line that fits targets over predictions best in squares.

    Above 1 where predictions are drawn together, below it where they are spread too wide.
    """
    centred = _centred(predictions)
    return _ratio(np.mean(centred * _centred(targets), axis=-1), np.mean(centred**2, axis=-1))


@register(label='calibration intercept', unit='unit', better='zero')
def calibration_intercept(
    predictions: np.ndarray, targets: np.ndarray, strata: Mapping
) -> np.ndarray:
    """That line's target at a prediction of 0."""
    slope = calibration_slope(predictions, targets, strata)
    return np.mean(targets, axis=-1) - slope * np.mean(predictions, axis=-1)


def calibration_factor(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The factor on predictions [..., n] that fits targets [..., n] best in squares."""
    predictions = np.asarray(predictions, np.float64)
    targets = np.asarray(targets, np.float64)
    with np.errstate(divide='ignore', invalid='ignore'):
        return (predictions * targets).sum(-1) / (predictions**2).sum(-1)


def _centred(values: np.ndarray) -> np.ndarray:
    # Exactly 0 for values that are all alike, whose mean may be off by a rounding.
    first = values[..., :1]
    with np.errstate(invalid='ignore', over='ignore'):  # Of a network that diverged.
        return values - first - np.mean(values - first, axis=-1, keepdims=True)


def _ratio(value: np.ndarray, size: np.ndarray) -> np.ndarray:
    """A ratio, nan where it is one to 0."""
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(size == 0, np.nan, value / size)
