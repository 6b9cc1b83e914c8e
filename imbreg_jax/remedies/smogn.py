"""SMOGN: rare targets occur again, mixed with a near neighbour or, where it is far, with noise.

Branco, Torgo and Ribeiro, "SMOGN: a pre-processing approach for imbalanced regression" (LIDTA
2017), and its package UBL (paobranco/UBL, SMOGNRegress), which is followed here. A seed and one of
its k nearest neighbours in its group are mixed as in `smoter` where they are nearer to each other
than half the median distance of the seed to its group; else the seed's pixels and its target get
Gaussian noise of `perturbation` standard deviations, or of that half distance if it is less.

Where the package differs from its documents or from here:

- Its argument `pert` is read nowhere: 0.02 is written into the code.
- The half distance, in the features' unit, is taken for a number of standard deviations. It is
  so here too, and of no effect: distances of images are far above 0.02.
- A pixel's noise is in standard deviations of that pixel over the group, here of its own image;
  see `gaussian_noise` for why, and for where it matters.
- Of a group with no more than k images it reads memory that is not there; here it is refused.

**A second opinion.** themis, another package (tidymodels/themis, commit 074391e, step_smogn), makes
of the same relevance the same groups, of even sizes to rounding, each of whose images is a seed as
often as any other or once more, and of the same draws the same mixtures and noise on targets. What
it does otherwise than UBL:

- Near is less than half the median distance of a seed to its k neighbours, not to all of its group.
  Of k + 2 images or more that is never further, so that it mixes fewer, and its noise, where that
  half distance is less than `perturbation`, is no more. Here it is as in UBL.
- Whiskers are relevant where no target lies beyond them, too: of evenly spread targets those at
  both ends are rare, and of skewed ones also those at the near end. Here it is as in UBL, where
  there none is relevant, and evenly spread targets are refused.
- Relevance has a slope at its first and last point, and goes on in a line beyond them; by two
  points it is a line, which passes a half where ours does. Here these ends are level as in UBL.
- Relevance is cut to [0, 1], where UBL lets it pass them. Here it never leaves them.
- `perturbation` is what is asked for, as here.
- Of a group with no more than k images all others are neighbours; here it is refused.

**How often images are mixed.** Two images of p pixels of noise of sizes a and b lie
sqrt(p (a**2 + b**2)) apart, to a few percent. With m the median size of its group, a seed of size a
has a neighbour of size b within reach if a**2 + b**2 < (a**2 + m**2) / 4: only where the median is
more than sqrt(3) times its own size. Measured among the rare images of 10,000 of the law
exponential(1, 2), threshold 0.5, k = 5: of `std` 0.00 of the pairs of seed and neighbour, and as
much of the five other sizes of noise that were tried; of `mean` 0.18. Among 4,000 of the drawn
tasks `disc_radius` (10,000), `grating_period`, `needle_angle`, `blob_count` 0.00, whose pixels have
noise too: the nearest of their images are at 0.64 to 0.95 of the median distance; and of
`signal_to_noise`, whose largest targets are images of a large constant, 0.90. So here it is
resampling with 2 % of noise, nearly `random_over`. By the distance of targets all are mixed.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from imbreg_jax.remedies import neighbours as neighbours_lib
from imbreg_jax.remedies import resampling, smoter
from imbreg_jax.remedies.neighbours import Nearest
from imbreg_jax.remedies.registry import register
from imbreg_jax.remedies.resampling import GOALS, Groups, Recipe
from imbreg_jax.study.fields import TABLE, field, positive


def near(found: Nearest, seed: np.ndarray, pick: np.ndarray) -> np.ndarray:
    """[c] bool: whether seeds [c] are mixed with the neighbours [c] that were picked."""
    return found.distances[seed, pick] < found.median[seed] / 2.0


def recipe(
    targets: np.ndarray,
    images: Any,
    groups: Groups,
    goals: np.ndarray,
    generator: np.random.Generator,
    k: int = 5,
    perturbation: float = 0.02,
) -> Recipe:
    """A training set of groups of wanted sizes, small ones filled up as the module says.

    Args:
      targets: [N].
      images: [N, ...], or whatever gives them for indices; see `smoter.recipe`.
      groups: of alike targets.
      goals: [G] int, wanted of each.
      generator: of all draws.
      k: neighbours.
      perturbation: noise at most, in standard deviations of a group's targets and of an image's
        pixels.

    Returns:
      As `smoter.recipe`, with `noise` [M] in standard deviations of an image's pixels.

    Raises:
      ValueError: with a sentence, where a group that grows has no more than k images.
    """

    def make(members: np.ndarray, count: int) -> Recipe:
        found = neighbours_lib.nearest(images[members], k)
        seed = smoter.seeds(len(members), count, generator)
        pick = generator.integers(k, size=count)
        way = generator.uniform(size=count)
        mixed = smoter.interpolated(targets, members, found, seed, pick, way)
        noise = np.minimum(perturbation, found.median[seed] / 2.0)
        spread = resampling.spread(targets[members])
        noisy = resampling.noisy(targets, members[seed], noise, spread, generator)
        mixes = near(found, seed, pick)
        return {name: np.where(mixes, mixed[name], noisy[name]) for name in mixed}

    targets = np.asarray(targets, np.float64)
    return resampling.filled(targets, groups, goals, generator, make)


@register
@dataclasses.dataclass(frozen=True)
class Smogn(smoter.Synthetic):
    """Mixtures of near rare images, and noisy copies of others; see the module."""

    perturbation: float = field(
        0.02, positive(10.0), 'noise at most, in standard deviations', TABLE
    )

    name = 'smogn'

    def made(
        self, targets: np.ndarray, near: Any, groups: Groups, generator: np.random.Generator
    ) -> Recipe:
        """See `recipe`."""
        goals = GOALS[self.goal](groups)
        return recipe(targets, near, groups, goals, generator, self.k, self.perturbation)
