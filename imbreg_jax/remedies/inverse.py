"""Weights that fall with how often targets like an image's occur.

Inverse and square-root-inverse reweighting as in Yang et al., "Delving into Deep Imbalanced
Regression" (ICML 2021), and its repository YyzHarry/imbalanced-regression: counts of targets in
bins, clipped (or their root taken), inverted, and brought to mean 1.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from imbreg_jax.remedies import bins as bins_lib
from imbreg_jax.remedies.registry import register
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import TABLE, field, integer, number, one_of
from imbreg_jax.training.remedy import Remedy

# What the repository clips counts to; its data sets have about 12,000 images.
PUBLISHED_LOW, PUBLISHED_HIGH = 5, 1000


def weights(
    targets: np.ndarray,
    bins: int = 20,
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
      low: where power is 1, a bin counts at least as this share of the images …
      high: … and at most as this one.
      variant: 'paper', or 'published' for the repository's absolute limits of 5 and 1000 images.

    Returns:
      [N] float64, of mean 1.
    """
    targets = np.asarray(targets, np.float64)
    places = bins_lib.places(targets, bins)
    counts = np.bincount(places, minlength=bins).astype(np.float64)
    if power == 1.0:
        limits = (low * len(targets), high * len(targets))
        counts = np.clip(
            counts, *((PUBLISHED_LOW, PUBLISHED_HIGH) if variant == 'published' else limits)
        )
    found = counts[places] ** -power
    return found / found.mean()


@register
@dataclasses.dataclass(frozen=True)
class Inverse(Remedy):
    """Inverse (or, with power 0.5, square-root-inverse) weights; see `weights`."""

    bins: int = field(20, integer(2, 10_000), 'bins of targets, evenly spaced', TABLE)
    power: float = field(1.0, number(0.0, 1.0, open_low=True), 'power of the count', TABLE)
    low: float = field(0.0004, number(0.0, 1.0, open_low=True), 'least share of a bin', TABLE)
    high: float = field(0.08, number(0.0, 1.0, open_low=True), 'greatest share of a bin', TABLE)
    variant: str = field('paper', one_of('paper', 'published'), 'limits of the counts', TABLE)

    name = 'inverse'

    def __post_init__(self) -> None:
        """Refuses limits that cross.

        Raises:
          ValueError: with a sentence.
        """
        if not self.low < self.high:
            raise ValueError(
                f'inverse has low = {self.low}; it must be below its high, {self.high}'
            )

    def tables(
        self, targets: np.ndarray, law: Distribution, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """The weights [N]."""
        del law, generator
        found = weights(targets, self.bins, self.power, self.low, self.high, self.variant)
        return {'weights': found}
