"""WERCS: weighted relevance-based combination of over- and under-sampling, without a threshold.

Branco et al., "Pre-processing approaches for imbalanced distributions in regression"
(Neurocomputing 2019), and its package UBL (paobranco/UBL, WERCSRegress). To the images are added
`over` times as many, drawn with replacement with the relevance phi of their targets as weights; and
`under` times as many are drawn with replacement with weights 1 - phi and taken out, each once
however often it was drawn. Here the set that this makes is brought to the size of the one it is
made from: a part of it if it is larger, repeated if it is smaller.

The package takes out what it drew by position, so that of an image's occurrences only the original
goes; and it fails where no target has a relevance of 1, since R reads "all but none" as none. Given
a threshold, it draws from bumps of relevance, from normal ones with weights phi too, by which what
is least normal stays; that form is not here.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from imbreg_jax.remedies import resampling
from imbreg_jax.remedies.registry import register
from imbreg_jax.remedies.resampling import ByRelevance
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import TABLE, field, number, positive


def resampled(
    phi: np.ndarray, generator: np.random.Generator, over: float = 0.5, under: float = 0.5
) -> np.ndarray:
    """The set that the package makes, of whatever size.

    Args:
      phi: [N] in [0, 1], the relevance of the training targets.
      generator: of the draws.
      over: images added, as a share of N.
      under: draws of what is taken out, as a share of N.

    Returns:
      [M] int: which images, those that are left of the originals first.

    Raises:
      ValueError: with a sentence, where all targets are relevant or none is.
    """
    phi = np.asarray(phi, np.float64)
    count = len(phi)
    more, less = shares(phi)
    added = generator.choice(count, int(over * count), p=more)
    out = generator.choice(count, int(under * count), p=less)
    return np.concatenate([np.setdiff1d(np.arange(count), out), added])


def shares(phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [N] of being added, and of being taken out, by relevance [N].

    Raises:
      ValueError: with a sentence, where all targets are wholly relevant or none is at all.
    """
    for weights, kind in ((phi, 'relevant'), (1.0 - phi, 'normal')):
        if not np.nan_to_num(weights).sum() > 0:
            raise ValueError(
                f'no training target is {kind} at all; give control points of relevance by hand'
            )
    return phi / phi.sum(), (1.0 - phi) / (1.0 - phi).sum()


def indices(
    phi: np.ndarray, generator: np.random.Generator, over: float = 0.5, under: float = 0.5
) -> np.ndarray:
    """[N] int32: a training set of as many images; see `resampled`."""
    found = resampled(phi, generator, over, under)
    return resampling.repeated(found, len(phi), generator).astype(np.int32)


@register
@dataclasses.dataclass(frozen=True)
class Wercs(ByRelevance):
    """Over- and under-sampling weighted by relevance; see the module."""

    over: float = field(0.5, positive(100.0), 'images added, as a share of all', TABLE)
    under: float = field(0.5, number(0.0, 1.0), 'draws of images taken out, as a share', TABLE)

    name = 'wercs'
    resamples = True

    def check_targets(self, targets: np.ndarray) -> None:
        """Refuses training targets that are all wholly relevant or not at all."""
        shares(self.relevance(targets))

    def tables(
        self, targets: np.ndarray, law: Distribution, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Which image [N] takes the place of each."""
        del law
        return {'first': indices(self.relevance(targets), generator, self.over, self.under)}
