"""Means of errors.

`mape` is the paper's "percentage loss" with the absolute value that its baseline implies;
`mpe` is the formula as printed (section 3.4), signed, and so shows bias.
"""

from collections.abc import Mapping

import numpy as np

from imbreg_jax.evaluation.metrics.metric import register


@register(label='MSE', unit='unit squared', better='less', compared=True)
def mse(predictions: np.ndarray, targets: np.ndarray, _: Mapping) -> np.ndarray:
    """Mean squared error."""
    return np.mean((predictions - targets) ** 2, axis=-1)


@register(label='MAPE', unit='% of the target', better='less', compared=True)
def mape(predictions: np.ndarray, targets: np.ndarray, _: Mapping) -> np.ndarray:
    """Mean absolute percentage error."""
    return 100.0 * np.mean(np.abs(_relative(predictions, targets)), axis=-1)


@register(label='MPE', unit='% of the target', better='zero', compared=True)
def mpe(predictions: np.ndarray, targets: np.ndarray, _: Mapping) -> np.ndarray:
    """Mean percentage error, signed."""
    return 100.0 * np.mean(_relative(predictions, targets), axis=-1)


@register(label='MAE', unit='unit', better='less', compared=True)
def mae(predictions: np.ndarray, targets: np.ndarray, _: Mapping) -> np.ndarray:
    """Mean absolute error."""
    return np.mean(np.abs(predictions - targets), axis=-1)


@register(label='RMSE', unit='unit', better='less')
def rmse(predictions: np.ndarray, targets: np.ndarray, strata: Mapping) -> np.ndarray:
    """Root of the mean squared error."""
    return np.sqrt(mse(predictions, targets, strata))


@register(label='geometric mean of |error|', unit='unit', better='less')
def geometric_mean_error(predictions: np.ndarray, targets: np.ndarray, _: Mapping) -> np.ndarray:
    """Geometric mean of absolute errors; 0 where one of them is."""
    with np.errstate(divide='ignore'):
        return np.exp(np.mean(np.log(np.abs(predictions - targets)), axis=-1))


def _relative(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    with np.errstate(divide='ignore', invalid='ignore'):
        return (predictions - targets) / targets
