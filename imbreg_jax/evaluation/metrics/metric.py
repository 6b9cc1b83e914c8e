"""What a metric is, and those that there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping

import numpy as np

# (predictions [..., n], targets [..., n], strata {name: [..., n]}) -> values [...].
Compute = Callable[[np.ndarray, np.ndarray, Mapping[str, np.ndarray]], np.ndarray]

# What an epoch's row has of the validation images, which know no strata.
EVERY_EPOCH = ('mse', 'mape', 'mpe', 'mae')


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
      name: in results.csv.
      label: in tables and figures.
      unit: of its values.
      better: which way is better: 'less', 'more', or towards 'zero' or 'one'.
      compute: of float64 predictions and targets [..., n], and what `strata` says of the test
        images; nan where a stratum is empty.
      compared: whether conditions are compared in it. Each metric that is adds families of tests,
        and with them errors to expect, so few are.
    """

    name: str
    label: str
    unit: str
    better: str
    compute: Compute
    compared: bool = False


METRICS: dict[str, Metric] = {}


def register(
    *, label: str, unit: str, better: str, compared: bool = False
) -> Callable[[Compute], Compute]:
    """Makes a function a metric under its own name, as a decorator; see `Metric`.

    Raises:
      ValueError: `better` is none of less, more, zero and one.
    """
    if better not in ('less', 'more', 'zero', 'one'):
        raise ValueError(f"better = {better!r}: it must be 'less', 'more', 'zero' or 'one'")

    def add(compute: Compute) -> Compute:
        name = compute.__name__
        METRICS[name] = Metric(name, label, unit, better, compute, compared)
        return compute

    return add


def mean(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The mean [...] of those values [..., n] that a mask chooses; nan where it chooses none."""
    mask = np.broadcast_to(mask, values.shape)
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(mask, values, 0.0).sum(-1) / mask.sum(-1)


def metrics(
    predictions: np.ndarray,
    targets: np.ndarray,
    strata: Mapping[str, np.ndarray] | None = None,
    names: Collection[str] | None = None,
) -> dict[str, np.ndarray]:
    """Every metric, over the last axis.

    Args:
      predictions: [..., n].
      targets: [..., n], in the same unit.
      strata: what `strata` says of the images, [..., n] each; without it only `EVERY_EPOCH`.
      names: of the metrics that are wanted; None for all.

    Returns:
      Values [...] by the metrics' names. Not finite where predictions are not, where a stratum is
      empty, or where a target is 0 (`mape`, `mpe`).
    """
    targets = np.asarray(targets, np.float64)
    predictions = np.asarray(predictions, np.float64)
    return {
        name: METRICS[name].compute(predictions, targets, strata or {})
        for name in (EVERY_EPOCH if strata is None else METRICS)
        if names is None or name in names
    }
