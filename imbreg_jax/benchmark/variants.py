"""How much slower other networks and tasks train than the paper's, in turn with it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from imbreg_jax.benchmark import ours

# What tables call it -> fields. The paper's network folds its pools into its convolutions, which
# these cannot; and drawn tasks have more to make of an image than noise.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    'ReLU before the pool': {'model.order': 'relu_pool'},
    'max pooling': {'model.pool': 'max'},
    'dropout of elements': {'model.conv_dropout': 'element'},
    'GELU': {'model.activation': 'gelu'},
    'layer normalisation': {'model.normalization': 'layer'},
    'batch normalisation': {'model.normalization': 'batch'},
    'disc_radius': {'task.name': 'disc_radius'},
    'needle_angle': {'task.name': 'needle_angle', 'evaluation.dense_high': 10.5},
    'grating_period': {'task.name': 'grating_period'},
}


class Beside(NamedTuple):
    """One variant beside the paper's network and task, round by round.

    Attributes:
      rates: its images a second.
      usual: those of the paper's, timed right before each.
    """

    rates: list[float]
    usual: list[float]

    @property
    def ratios(self) -> list[float]:
        """How many times as long it takes, by round."""
        return [usual / rate for usual, rate in zip(self.usual, self.rates, strict=True)]


def measure(
    runs: int, train_size: int, precision: str, rounds: int, seconds: float
) -> dict[str, Beside]:
    """Times each of `VARIANTS` beside the paper's network and task.

    Args:
      runs: how many train at once.
      train_size: images in the training set.
      precision: of matrix products.
      rounds: timed rounds of each.
      seconds: about how long a round lasts.
    """
    usual = ours.Training(ours.study_of(runs, train_size, precision))
    found = {}
    for name, fields in VARIANTS.items():
        variant = ours.Training(ours.study_of(runs, train_size, precision, fields))
        beside = Beside([], [])
        for _ in range(rounds):
            beside.usual.append(usual.rate(seconds))
            beside.rates.append(variant.rate(seconds))
        found[name] = beside
        variant.release()
    return found
