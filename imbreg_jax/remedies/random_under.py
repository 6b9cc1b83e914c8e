"""Random under-sampling: frequent targets occur less often.

Branco et al., "Pre-processing approaches for imbalanced distributions in regression"
(Neurocomputing 2019), and its package UBL (paobranco/UBL, RandUnderRegress), which keeps all rare
images and as many normal ones, drawn without replacement. Here the training set keeps its size: it
has every kept image as often as any other or once more. So it is as balanced as one of
`random_over`, and poorer: with a share r of rare images it has 2 r N distinct ones, each about
1 / (2 r) times, an epoch passes over them that many times, and most of what the training set knew
of normal targets is gone.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from imbreg_jax.remedies import resampling
from imbreg_jax.remedies.registry import register
from imbreg_jax.remedies.resampling import ByGroups, Groups
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import TABLE, field, number


def kept(groups: Groups, share: float = 0.5) -> np.ndarray:
    """How many images of each group are kept.

    Args:
      groups: by relevance.
      share: of rare images among those kept, all of which are; the groups of normal targets have
        even parts of the rest, and at most the images they have.

    Returns:
      [G] int; of fewer than N.
    """
    counts, rare = groups.counts, groups.rare
    normal = counts[rare].sum() * (1.0 - share) / share / (~rare).sum()
    return np.where(rare, counts, np.minimum(counts, np.maximum(1, np.floor(normal)))).astype(int)


def kept_of_bins(groups: Groups, most: float = 0.1) -> np.ndarray:
    """How many images of each group are kept, where every group is cut to the same number.

    Args:
      groups: by bins.
      most: images that a group keeps at most, as a share of an even one; 0 for as many as the
        smallest group has. Groups that have fewer keep them all.

    Returns:
      [G] int.
    """
    counts = groups.counts
    limit = max(counts.min(), int(most * counts.mean()))
    return np.minimum(counts, limit)


def indices(groups: Groups, left: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A training set of as many images, of which so many of each group are distinct.

    Args:
      groups: of the images.
      left: [G] int, how many of each group are kept; see `kept`.
      generator: of which are.

    Returns:
      [N] int32: which images.
    """
    parts = []
    for group, goal in enumerate(resampling.split(left, len(groups.places))):
        distinct = generator.permutation(groups.members(group))[: left[group]]
        parts.append(resampling.repeated(distinct, goal, generator))
    return np.concatenate(parts).astype(np.int32)


@register
@dataclasses.dataclass(frozen=True)
class RandomUnder(ByGroups):
    """Random under-sampling, of bins to a number each or of normal images to a share.

    Bins keep a tenth of an even share at most, since the smallest has next to nothing: of 10,000
    targets of N(5.5, 1) some 2, so that 20 bins cut to that have some 40 distinct images, where a
    tenth leaves some 780. The greater it is, the more bins have fewer, and are rare still.
    """

    share: float = field(
        0.5, number(0.0, 1.0, open_low=True, open_high=True),
        'share of rare images, by relevance', TABLE,
    )  # fmt: skip
    most: float = field(
        0.1, number(0.0, 1.0), 'images that a bin keeps at most, in even shares', TABLE
    )

    name = 'random_under'
    resamples = True

    def tables(
        self, targets: np.ndarray, law: Distribution, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Which image [N] takes the place of each."""
        del law
        groups = self.groups(targets)
        if self.by == 'bins':
            left = kept_of_bins(groups, self.most)
        else:
            left = kept(groups, self.share)
        return {'first': indices(groups, left, generator)}
