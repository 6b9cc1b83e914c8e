"""Metrics of predictions, each once, in float64 on the host.

`mape` is the paper's "percentage loss" with the absolute value that its baseline implies;
`mpe` is the formula as printed (section 3.4), signed, and so shows bias.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

# (predictions [..., n], targets [..., n], strata {name: [..., n] bool}) -> values [...].
Compute = Callable[[np.ndarray, np.ndarray, Mapping[str, np.ndarray]], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
      name: in results.csv.
      label: in tables and figures.
      unit: of its values.
      better: which way is better: 'less', 'more', or 'zero' for a signed one.
      compute: of float64 predictions and targets [..., n], and masks of targets; nan where a
        stratum is empty.
    """

    name: str
    label: str
    unit: str
    better: str
    compute: Compute


METRICS: dict[str, Metric] = {}


def register(*, label: str, unit: str, better: str) -> Callable[[Compute], Compute]:
    """Makes a function a metric under its own name, as a decorator; see `Metric`.

    Raises:
      ValueError: `better` is none of less, more and zero.
    """
    if better not in ('less', 'more', 'zero'):
        raise ValueError(f"better = {better!r}: it must be 'less', 'more' or 'zero'")

    def add(compute: Compute) -> Compute:
        name = compute.__name__
        METRICS[name] = Metric(name, label, unit, better, compute)
        return compute

    return add


def mean(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The mean [...] of those values [..., n] that a mask chooses; nan where it chooses none."""
    mask = np.broadcast_to(mask, values.shape)
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(mask, values, 0.0).sum(-1) / mask.sum(-1)


@register(label='MSE', unit='unit squared', better='less')
def mse(predictions: np.ndarray, targets: np.ndarray, _: Mapping) -> np.ndarray:
    """Mean squared error."""
    return np.mean((predictions - targets) ** 2, axis=-1)


@register(label='MAPE', unit='% of the target', better='less')
def mape(predictions: np.ndarray, targets: np.ndarray, _: Mapping) -> np.ndarray:
    """Mean absolute percentage error."""
    return 100.0 * np.mean(np.abs(_relative(predictions, targets)), axis=-1)


@register(label='MPE', unit='% of the target', better='zero')
def mpe(predictions: np.ndarray, targets: np.ndarray, _: Mapping) -> np.ndarray:
    """Mean percentage error, signed."""
    return 100.0 * np.mean(_relative(predictions, targets), axis=-1)


@register(label='MAE', unit='unit', better='less')
def mae(predictions: np.ndarray, targets: np.ndarray, _: Mapping) -> np.ndarray:
    """Mean absolute error."""
    return np.mean(np.abs(predictions - targets), axis=-1)


def _relative(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    with np.errstate(divide='ignore', invalid='ignore'):
        return (predictions - targets) / targets


def metrics(
    predictions: np.ndarray,
    targets: np.ndarray,
    strata: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Every metric, over the last axis.

    Args:
      predictions: [..., n].
      targets: [..., n], in the same unit.
      strata: masks [..., n] of targets, see `strata`; without them training had all targets.

    Returns:
      Values [...] by the metrics' names. Not finite where predictions are not, or where a target is
      0 (`mape`, `mpe`).
    """
    targets = np.asarray(targets, np.float64)
    predictions = np.asarray(predictions, np.float64)
    if strata is None:
        strata = {'seen': np.ones(targets.shape, bool), 'unseen': np.zeros(targets.shape, bool)}
    return {name: metric.compute(predictions, targets, strata) for name, metric in METRICS.items()}
