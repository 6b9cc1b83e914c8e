"""Introduction of Gaussian noise: rare targets occur again with noise, frequent ones less often.

Branco et al., "Pre-processing approaches for imbalanced distributions in regression"
(Neurocomputing 2019), and its package UBL (paobranco/UBL, GaussNoiseRegress). Here rare and
frequent are bins of targets, and the training set keeps its size: each bin that has an image gets
the same number of them. A copy's target moves by noise of `perturbation` times the standard
deviation of its bin's targets, and each of its pixels by noise of `perturbation` times that of its
own image's.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from imbreg_jax.remedies import bins as bins_lib
from imbreg_jax.remedies.registry import register
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import TABLE, field, integer, positive
from imbreg_jax.training.remedy import Remedy


def recipe(
    targets: np.ndarray, generator: np.random.Generator, bins: int = 20, perturbation: float = 0.1
) -> dict[str, np.ndarray]:
    """A training set of the same size in which all bins have the same number of images.

    Args:
      targets: [N] training targets.
      generator: of which images are left out or copied, and of noise on targets.
      bins: evenly spaced from the least to the greatest target.
      perturbation: noise, in standard deviations of a bin's targets and of an image's pixels.

    Returns:
      `first` [N] int32, which image; `noise` [N] float32, in standard deviations of its pixels, 0
      for an image as it is; `target` [N] float32.
    """
    targets = np.asarray(targets, np.float64)
    places = bins_lib.places(targets, bins)
    occupied = np.unique(places)
    # Shares of N that differ by at most one image.
    wanted = np.diff(np.round(np.linspace(0, len(targets), len(occupied) + 1)).astype(int))
    first, noise, target = [], [], []
    for place, count in zip(occupied, wanted, strict=True):
        members = np.flatnonzero(places == place)
        kept = generator.permutation(members)[:count]
        copies = generator.choice(members, count - len(kept))
        moved = generator.normal(0.0, perturbation * targets[members].std(), len(copies))
        first += [kept, copies]
        noise += [np.zeros(len(kept)), np.full(len(copies), perturbation)]
        target += [targets[kept], targets[copies] + moved]
    return {
        'first': np.concatenate(first).astype(np.int32),
        'noise': np.concatenate(noise).astype(np.float32),
        'target': np.concatenate(target).astype(np.float32),
    }


@register
@dataclasses.dataclass(frozen=True)
class GaussianNoise(Remedy):
    """Resampling to balance, copies with noise; see `recipe`."""

    bins: int = field(20, integer(2, 10_000), 'bins of targets, evenly spaced', TABLE)
    perturbation: float = field(0.1, positive(10.0), 'noise, in standard deviations', TABLE)

    name = 'gaussian_noise'
    recipe = 'noise'

    def tables(
        self, targets: np.ndarray, law: Distribution, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """What each training image is made of."""
        del law
        return recipe(targets, generator, self.bins, self.perturbation)
