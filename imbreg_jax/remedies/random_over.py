"""Random over-sampling: rare targets occur again as they are.

Branco et al., "Pre-processing approaches for imbalanced distributions in regression"
(Neurocomputing 2019), and its package UBL (paobranco/UBL, RandOverRegress), which adds copies of
rare images, drawn with replacement, to a set that keeps all others. Here the set keeps its size,
so that it has the shares that theirs would have: of groups that grow every image and copies, of
those that shrink a part, each image at most once. With half of the images rare, about half of the
normal ones are left, all distinct; `random_under` has the same shares from as many distinct normal
images as there are rare ones.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from imbreg_jax.remedies import resampling
from imbreg_jax.remedies.registry import register
from imbreg_jax.remedies.resampling import ByGroups, Groups
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import TABLE, field, number, one_of


def goals(groups: Groups, share: float = 0.5, variant: str = 'paper') -> np.ndarray:
    """How many images of each group.

    Args:
      groups: by relevance.
      share: of rare images; the groups of rare targets have even parts of it, and the groups of
        normal ones keep their proportions.
      variant: 'paper', or 'published' for the package's "balance": to each rare group's images are
        added an even part of as many as there are normal ones, so that rare images are more than
        half. `share` says nothing there.

    Returns:
      [G] int, of sum N.
    """
    counts, rare = groups.counts, groups.rare
    normal = counts[~rare].sum()
    if variant == 'published':
        amounts = np.where(rare, counts + normal / rare.sum(), counts)
    else:
        amounts = np.where(rare, share / rare.sum(), (1.0 - share) * counts / normal)
    return resampling.split(amounts, len(groups.places))


def indices(groups: Groups, wanted: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A training set with so many images of each group.

    Args:
      groups: of the images.
      wanted: [G] int, such as `goals` or `resampling.balanced` give.
      generator: of what is left out and copied.

    Returns:
      [sum of wanted] int32: which images; of a group that grows every image occurs, and copies are
      drawn with replacement.
    """
    parts = []
    for group, count in enumerate(wanted):
        members = groups.members(group)
        parts.append(generator.permutation(members)[:count])
        parts.append(generator.choice(members, max(0, count - len(members))))
    return np.concatenate(parts).astype(np.int32)


@register
@dataclasses.dataclass(frozen=True)
class RandomOver(ByGroups):
    """Random over-sampling, of bins to the same number each or of rare images to a share."""

    share: float = field(
        0.5, number(0.0, 1.0, open_low=True, open_high=True),
        'share of rare images, by relevance', TABLE,
    )  # fmt: skip
    variant: str = field(
        'paper', one_of('paper', 'published'), 'how many copies, by relevance', TABLE
    )

    name = 'random_over'
    resamples = True

    def tables(
        self, targets: np.ndarray, law: Distribution, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Which image [N] takes the place of each."""
        del law
        groups = self.groups(targets)
        if self.by == 'bins':
            wanted = resampling.balanced(groups)
        else:
            wanted = goals(groups, self.share, self.variant)
        return {'first': indices(groups, wanted, generator)}
