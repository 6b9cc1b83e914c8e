"""Weights that fall with how often targets like an image's occur.

Inverse and square-root-inverse reweighting as in Yang et al., "Delving into Deep Imbalanced
Regression" (ICML 2021), and its repository YyzHarry/imbalanced-regression (agedb-dir/datasets.py):
counts of targets in bins, clipped (or their root taken), inverted, and brought to mean 1.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from imbreg_jax.remedies import bins as bins_lib
from imbreg_jax.remedies.registry import refuse, register
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import TABLE, field, integer, number, one_of
from imbreg_jax.training.remedy import Remedy

# What the repository clips counts to. Its ages have 12,208 images in about a hundred bins
# (AgeDB-DIR), of which the defaults of `low`, `high` and `bins` are the same shares.
PUBLISHED_LOW, PUBLISHED_HIGH = 5, 1000
# Bins that `low` and `high` are shares for. Of fewer bins each holds as much more: limits that do
# not grow with them would make all weights of twenty bins the same.
BINS = 100


def weights(
    targets: ArrayLike,
    bins: int = BINS,
    power: float = 1.0,
    low: float = 0.0004,
    high: float = 0.08,
    variant: str = 'paper',
) -> np.ndarray:
    """Weights of images by the counts of their targets' bins.

    Args:
      targets: [N] training targets.
      bins: evenly spaced from the least to the greatest target.
      power: of the count that weights fall with: 1 for inverse, 0.5 for square-root-inverse.
      low: where power is 1, a bin of 100 counts at least as this share of the images …
      high: … and at most as this one; a bin of fewer as one that is as much greater.
      variant: 'paper', or 'published' for the repository's absolute limits of 5 and 1000 images.

    Returns:
      [N] float64, of mean 1.

    Raises:
      ValueError: with a sentence, for targets that are not one finite number an image, and for
        parameters that are none.
    """
    refuse(Inverse, bins=bins, power=power, low=low, high=high, variant=variant)
    places = bins_lib.places(targets, bins)
    counts = np.bincount(places, minlength=bins)
    return inverted(tempered(counts, power, low, high, variant), places)


def tempered(counts: np.ndarray, power: float, low: float, high: float, variant: str) -> np.ndarray:
    """What weights are the inverse of: counts within limits where power is 1, else their power.

    Args:
      counts: [bins] of images.
      power: see `weights`.
      low: see there.
      high: see there.
      variant: see there.

    Returns:
      [bins] float64; integers where a variant's limits and counts are.
    """
    if power != 1.0:
        return counts**power
    if variant == 'published':
        return np.clip(counts, PUBLISHED_LOW, PUBLISHED_HIGH)
    total, more = counts.sum(), BINS / len(counts)
    return np.clip(counts, low * more * total, high * more * total)


def inverted(counts: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Weights [N], of mean 1, by tempered counts [bins] in images' bins [N]."""
    found = 1.0 / counts[places]
    return found / found.mean()


@register
@dataclasses.dataclass(frozen=True)
class Inverse(Remedy):
    """Inverse (or, with power 0.5, square-root-inverse) weights; see `weights`."""

    bins: int = field(BINS, integer(2, 10_000), 'bins of targets, evenly spaced', TABLE)
    power: float = field(1.0, number(0.0, 1.0, open_low=True), 'power of the count', TABLE)
    low: float = field(
        0.0004, number(0.0, 1.0, open_low=True), 'least share of a bin, of 100 bins', TABLE
    )
    high: float = field(
        0.08, number(0.0, 1.0, open_low=True), 'greatest share of a bin, of 100 bins', TABLE
    )
    variant: str = field('paper', one_of('paper', 'published'), 'limits of the counts', TABLE)

    name = 'inverse'

    def __post_init__(self) -> None:
        """Refuses limits that cross.

        Raises:
          ValueError: with a sentence.
        """
        refuse_crossed_limits(self.name, self.low, self.high)

    def tables(
        self, targets: np.ndarray, law: Distribution, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """The weights [N]."""
        del law, generator
        found = weights(targets, self.bins, self.power, self.low, self.high, self.variant)
        return {'weights': found}


def refuse_crossed_limits(name: str, low: float, high: float) -> None:
    """Refuses limits of counts that cross.

    Raises:
      ValueError: with a sentence.
    """
    if not low < high:
        raise ValueError(f'{name} has low = {low}; it must be below its high, {high}')
