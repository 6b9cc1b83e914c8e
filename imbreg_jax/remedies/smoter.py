"""SMOTE for regression: further images of rare targets are mixtures of two of them.

Torgo et al., "SMOTE for regression" (EPIA 2013), and its package UBL (paobranco/UBL, SmoteRegress),
after Chawla et al. (JAIR 2002). A new image lies on the line between a rare one, the seed, and one
of its k nearest neighbours in the same group, at a place drawn uniformly, and so does its target:
"weighted by inverse distance" is that. Each image of a group is a seed as often as any other or
once more. Frequent groups are left with a part of their images.

**What a mixture's target is.** Pixels of two images of noise are independent. Mixed with weights
w and 1 - w, noise of standard deviations a and b has not w a + (1 - w) b but
sqrt(w**2 a**2 + (1 - w)**2 b**2), of two alike at worst 1 / sqrt(2) of theirs and 0.81 in the mean:
the method's labels are wrong where targets are not linear in pixels. With `relabel` the target is
measured on the new image's own pixels; groups are then no longer of as many images as was wanted,
since mixtures of rare noise are not as rare.

**Neighbours.** By the distance of pixels, as published, or of targets: between images of
independent noise the distance says nothing but their size, and those of least size are neighbours
of all.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from imbreg_jax.remedies import neighbours as neighbours_lib
from imbreg_jax.remedies import resampling
from imbreg_jax.remedies.neighbours import Nearest
from imbreg_jax.remedies.registry import register
from imbreg_jax.remedies.resampling import GOALS, ByBumps, Groups, Recipe
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import SWITCH, TABLE, field, integer, one_of
from imbreg_jax.training.remedy import Images


def seeds(members: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """[count] int: which of so many images are seeds, each as often as any other or once more."""
    return resampling.repeated(np.arange(members), count, generator)


def interpolated(
    targets: np.ndarray,
    members: np.ndarray,
    found: Nearest,
    seed: np.ndarray,
    pick: np.ndarray,
    way: np.ndarray,
) -> Recipe:
    """Mixtures of seeds with their neighbours.

    Args:
      targets: [N] of the training set.
      members: [n] int, the images of a group.
      found: their neighbours among each other.
      seed: [c] int, places of the seeds in the group.
      pick: [c] int, which of a seed's neighbours, from 0.
      way: [c] in [0, 1], from the seed to its neighbour.

    Returns:
      The recipe [c]; see `resampling.mixed`.
    """
    other = found.places[seed, pick]
    return resampling.mixed(targets, members[seed], members[other], 1.0 - way)


def recipe(
    targets: np.ndarray,
    images: Any,
    groups: Groups,
    goals: np.ndarray,
    generator: np.random.Generator,
    k: int = 5,
) -> Recipe:
    """A training set of groups of wanted sizes, small ones filled up with mixtures.

    Args:
      targets: [N].
      images: [N, ...], or whatever gives images [n, ...] for indices [n]; their distances make
        neighbours. Only those of groups that grow are asked for.
      groups: of alike targets.
      goals: [G] int, wanted of each.
      generator: of which are left out, and of seeds, neighbours and shares.
      k: neighbours.

    Returns:
      `first`, `second` [M] int32, `share` of the first, `noise` (0) and `target` [M] float32, M
      the sum of the goals. An image as it is has a share of 1.

    Raises:
      ValueError: with a sentence, where a group that grows has no more than k images.
    """

    def make(members: np.ndarray, count: int) -> Recipe:
        found = neighbours_lib.nearest(images[members], k)
        seed = seeds(len(members), count, generator)
        pick = generator.integers(k, size=count)
        return interpolated(targets, members, found, seed, pick, generator.uniform(size=count))

    targets = np.asarray(targets, np.float64)
    return resampling.filled(targets, groups, goals, generator, make)


@dataclasses.dataclass(frozen=True)
class Synthetic(ByBumps):
    """A remedy that makes new images of rare ones and their neighbours."""

    goal: str = field('balance', one_of(*GOALS), 'how many images each bump has', TABLE)
    k: int = field(5, integer(1, 1000), 'neighbours', TABLE)
    neighbours: str = field(
        'image', one_of('image', 'target'), 'by whose distance images are neighbours', TABLE
    )
    relabel: bool = field(False, SWITCH, 'whether targets of new images are measured', TABLE)

    recipe = 'mix'

    @property
    def sees_images(self) -> bool:  # type: ignore[override]
        """Where neighbours or targets are of images."""
        return self.relabel or self.neighbours == 'image'

    @property
    def relabels(self) -> bool:  # type: ignore[override]
        """Whether targets of new images are measured."""
        return self.relabel

    def check_targets(self, targets: np.ndarray) -> None:
        """Refuses training targets of which too few are rare."""
        groups = self.groups(targets)
        growing = GOALS[self.goal](groups) > groups.counts
        for count in groups.counts[growing]:
            neighbours_lib.require(count, self.k)

    def made(
        self, targets: np.ndarray, near: Any, groups: Groups, generator: np.random.Generator
    ) -> Recipe:
        """The recipe [N], by neighbours in whatever `near` [N, ...] has of each image."""
        raise NotImplementedError

    def tables(
        self,
        targets: np.ndarray,
        law: Distribution,
        generator: np.random.Generator,
        images: Images | None = None,
    ) -> dict[str, np.ndarray]:
        """What each training image is made of."""
        del law
        near = neighbours_lib.space(self.name, self.neighbours, targets, images)
        found = self.made(targets, near, self.groups(targets), generator)
        return resampling.relabelled(found, images) if self.relabel else found


@register
@dataclasses.dataclass(frozen=True)
class Smoter(Synthetic):
    """Mixtures of rare images in the place of frequent ones; see the module."""

    name = 'smoter'

    def made(
        self, targets: np.ndarray, near: Any, groups: Groups, generator: np.random.Generator
    ) -> Recipe:
        """See `recipe`."""
        return recipe(targets, near, groups, GOALS[self.goal](groups), generator, self.k)
