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

import numpy as np

from imbreg_jax.remedies import resampling


def resampled(
    relevance: np.ndarray, generator: np.random.Generator, over: float = 0.5, under: float = 0.5
) -> np.ndarray:
    """The set that the package makes, of whatever size.

    Args:
      relevance: [N] in [0, 1], of the training targets.
      generator: of the draws.
      over: images added, as a share of N.
      under: draws of what is taken out, as a share of N.

    Returns:
      [M] int: which images, those that are left of the originals first.

    Raises:
      ValueError: with a sentence, where all targets are relevant or none is.
    """
    relevance = np.asarray(relevance, np.float64)
    count = len(relevance)
    added = generator.choice(count, int(over * count), p=_shares(relevance, 'relevant'))
    out = generator.choice(count, int(under * count), p=_shares(1.0 - relevance, 'normal'))
    return np.concatenate([np.setdiff1d(np.arange(count), out), added])


def _shares(weights: np.ndarray, kind: str) -> np.ndarray:
    total = np.nan_to_num(weights).sum()
    if not total > 0:
        raise ValueError(
            f'no training target is {kind} at all: a box plot of them draws none beyond its '
            'whiskers, as of a uniform law, or relevance is that everywhere; give points of '
            'relevance by hand'
        )
    return weights / total


def indices(
    relevance: np.ndarray, generator: np.random.Generator, over: float = 0.5, under: float = 0.5
) -> np.ndarray:
    """[N] int32: a training set of as many images; see `resampled`."""
    found = resampled(relevance, generator, over, under)
    return resampling.repeated(found, len(relevance), generator).astype(np.int32)
