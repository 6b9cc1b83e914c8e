"""Rebagg: networks trained on resamples of other shares of rare images, whose mean is taken.

Branco, Torgo and Ribeiro, "REBAGG: REsampled BAGGing for imbalanced regression" (LIDTA 2018), and
its code (paobranco/UBL, ReBaggRegress; that of the paper's experiments, paobranco/REBAGG, calls
it). Each member has a training set of its own, of the same size: rare and normal images drawn with
replacement, half of each ("balance"), or in a share that each member draws from `SHARES`
("variation"). Rare are all bumps of relevance above the threshold, together.

With `synthetic` ("SMT") rare images are kept as they are, each once, and what is wanted beyond them
is mixtures as in `smoter`; of a share that is less than what there is, a part of them without
replacement. Neighbours are sought among all rare images, so that mixtures may be of one from the
low end and one from the high. There the code measures features by their ranges, here images by
their pixels; and where its sizes come out an image short by rounding, here they do not.

The code's default is variation with mixtures. Here mixtures are to be asked for: on images of noise
their published targets are wrong (see `smoter`), and each member seeks neighbours.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from imbreg_jax.remedies import neighbours as neighbours_lib
from imbreg_jax.remedies import resampling, smoter
from imbreg_jax.remedies.registry import register
from imbreg_jax.remedies.resampling import ByBumps, Groups, Recipe
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import SWITCH, TABLE, field, integer, one_of
from imbreg_jax.training.remedy import Images

# Shares of rare images among which members draw.
SHARES = (1 / 3, 2 / 5, 1 / 2, 3 / 5, 2 / 3)


def drawn(rare: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """A bootstrap sample with a given share of rare images.

    Args:
      rare: [N] bool, of every image.
      share: of rare images in the sample.
      generator: of the draws, with replacement.

    Returns:
      [N] int32: which images, rare ones first.
    """
    count = round(share * len(rare))
    parts = (np.flatnonzero(rare), count), (np.flatnonzero(~rare), len(rare) - count)
    return np.concatenate([generator.choice(*part) for part in parts]).astype(np.int32)


def mixed(
    targets: np.ndarray,
    images: Any,
    rare: np.ndarray,
    share: float,
    generator: np.random.Generator,
    k: int = 5,
) -> Recipe:
    """A sample whose rare images are those there are, and mixtures of them.

    Args:
      targets: [N].
      images: [N, ...], or whatever gives them for indices; see `smoter.recipe`.
      rare: [N] bool.
      share: of rare images, mixtures among them, in the sample.
      generator: of all draws.
      k: neighbours.

    Returns:
      The recipe [N], rare images first; see `resampling.mixed`.

    Raises:
      ValueError: with a sentence, where mixtures are wanted of no more than k images.
    """
    count = round(share * len(rare))
    groups = Groups(rare.astype(int), np.array([False, True]))
    first = smoter.recipe(targets, images, groups, np.array([0, count]), generator, k)
    normal = generator.choice(np.flatnonzero(~rare), len(rare) - count)
    second = resampling.plain(targets, normal)
    return {name: np.concatenate([first[name], second[name]]) for name in first}


@register
@dataclasses.dataclass(frozen=True)
class Rebagg(ByBumps):
    """Members on resamples of balanced or varied shares of rare images; see the module.

    Attributes:
      size: members; the authors' experiments have 10 and 40.
    """

    size: int = field(10, integer(2, 1000), 'networks whose predictions are averaged', TABLE)
    variation: bool = field(True, SWITCH, 'whether members differ in their rare share', TABLE)
    synthetic: bool = field(False, SWITCH, 'whether further rare images are mixtures', TABLE)
    k: int = field(5, integer(1, 1000), 'neighbours, of mixtures', TABLE)
    neighbours: str = field(
        'image', one_of('image', 'target'), 'by whose distance images are neighbours', TABLE
    )
    relabel: bool = field(False, SWITCH, 'whether targets of mixtures are measured', TABLE)

    name = 'rebagg'
    resamples = True

    @property
    def members(self) -> int:  # type: ignore[override]
        """Networks of the ensemble."""
        return self.size

    @property
    def recipe(self) -> str:  # type: ignore[override]
        """What a training image is made of."""
        return 'mix' if self.synthetic else 'index'

    @property
    def sees_images(self) -> bool:  # type: ignore[override]
        """Where neighbours or targets are of images."""
        return self.synthetic and (self.relabel or self.neighbours == 'image')

    @property
    def relabels(self) -> bool:  # type: ignore[override]
        """Whether targets of mixtures are measured."""
        return self.synthetic and self.relabel

    def check_targets(self, targets: np.ndarray) -> None:
        """Refuses training targets of which too few are rare."""
        groups = self.groups(targets)
        count = groups.counts[groups.rare].sum()
        most = max(SHARES) if self.variation else 0.5
        if self.synthetic and round(most * len(targets)) > count:
            neighbours_lib.require(count, self.k)

    def tables(
        self,
        targets: np.ndarray,
        law: Distribution,
        generator: np.random.Generator,
        images: Images | None = None,
    ) -> dict[str, np.ndarray]:
        """A member's training set; the generator is the member's own."""
        del law
        groups = self.groups(targets)
        rare = groups.rare[groups.places]
        share = generator.choice(SHARES) if self.variation else 0.5
        if not self.synthetic:
            return {'first': drawn(rare, share, generator)}
        near = neighbours_lib.space(self.name, self.neighbours, targets, images)
        targets = np.asarray(targets, np.float64)
        made = mixed(targets, near, rare, share, generator, self.k)
        return resampling.relabelled(made, images) if self.relabel else made
