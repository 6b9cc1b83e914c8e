"""Metrics of predictions, in float64 on the host.

`mape` is the paper's "percentage loss" with the absolute value that its baseline implies;
`mpe` is the formula as printed (section 3.4), signed, and so shows bias.
"""

import numpy as np

METRICS = ('mse', 'mape', 'mpe', 'mae')


def metrics(predictions: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    """Errors over the last axis.

    Args:
      predictions: [..., n].
      targets: [..., n], in the same unit.

    Returns:
      `mse` (unit squared), `mape` and `mpe` (percent of the true target), `mae` (unit), [...].
      Not finite where predictions are not, or where a target is 0 (`mape`, `mpe`).
    """
    targets = np.asarray(targets, np.float64)
    error = np.asarray(predictions, np.float64) - targets
    with np.errstate(divide='ignore', invalid='ignore'):
        relative = error / targets
    return {
        'mse': np.mean(error**2, axis=-1),
        'mape': 100.0 * np.mean(np.abs(relative), axis=-1),
        'mpe': 100.0 * np.mean(relative, axis=-1),
        'mae': np.mean(np.abs(error), axis=-1),
    }
