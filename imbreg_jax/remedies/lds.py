"""Label distribution smoothing: weights by how often targets about an image's occur.

Yang et al., "Delving into Deep Imbalanced Regression" (ICML 2021), section 3.1, and its repository
YyzHarry/imbalanced-regression (agedb-dir/datasets.py and utils.py): counts of targets in bins are
smoothed over neighbouring bins, and weights are the inverse of them or of their root.

The repository does otherwise than the paper says, in four ways. It takes the root, or clips, before
it smooths. Clipped counts are integers, and so are what it smooths of them: fractions are dropped.
Its Gaussian kernel is a Gaussian filter's answer to a 1 among as many bins as
the kernel has, and so is folded back at its ends: of size 5 and sigma 2 it is (.858, .946, 1, .946,
.858) and not (.607, .882, 1, .882, .607). And beyond the first and last bin it counts no images, so
that outer bins seem rare even on uniform targets: by default they weigh up to 1.64 times as much as
inner ones.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from imbreg_jax.remedies import bins as bins_lib
from imbreg_jax.remedies import kernels
from imbreg_jax.remedies.inverse import inverted, refuse_crossed_limits, tempered
from imbreg_jax.remedies.registry import refuse, register
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import TABLE, field, integer, number, one_of, positive
from imbreg_jax.training.remedy import Remedy


def smoothed(counts: np.ndarray, weights: np.ndarray, variant: str = 'paper') -> np.ndarray:
    """Counts over neighbouring bins.

    Args:
      counts: [bins].
      weights: [size] of a bin and its neighbours.
      variant: 'paper' for the mean by those weights of the neighbours that there are; 'published'
        for the sum, where beyond the ends there are bins without images.

    Returns:
      [bins] float64; published, of integers integers.
    """
    if variant == 'published':
        return ndimage.convolve1d(counts, weights, mode='constant')
    total = ndimage.convolve1d(counts.astype(np.float64), weights, mode='constant')
    return total / ndimage.convolve1d(np.ones(len(counts)), weights, mode='constant')


def weights(
    targets: ArrayLike,
    bins: int = 100,
    kernel: str = 'gaussian',
    size: int = 5,
    sigma: float = 2.0,
    power: float = 0.5,
    low: float = 0.0004,
    high: float = 0.08,
    variant: str = 'paper',
) -> np.ndarray:
    """Weights of images by the smoothed counts of their targets' bins.

    Args:
      targets: [N] training targets.
      bins: evenly spaced from the least to the greatest target.
      kernel: see `kernels.taps`.
      size: of the kernel, an odd number of bins.
      sigma: of the kernel, in bins.
      power: of the count that weights fall with: 1 for inverse, 0.5 for square-root-inverse.
      low: where power is 1, a bin of 100 counts at least as this share of the images …
      high: … and at most as this one; a bin of fewer as one that is as much greater.
      variant: 'paper', or 'published' for what the repository does otherwise, see above.

    Returns:
      [N] float64, of mean 1.

    Raises:
      ValueError: with a sentence, for targets that are not one finite number an image, and for
        parameters that are none.
    """
    refuse(
        LDS, bins=bins, kernel=kernel, size=size, sigma=sigma, power=power, low=low, high=high,
        variant=variant,
    )  # fmt: skip
    places = bins_lib.places(targets, bins)
    counts = np.bincount(places, minlength=bins)
    return weights_of_bins(counts, places, kernel, size, sigma, power, low, high, variant)


def weights_of_bins(
    counts: np.ndarray,
    places: np.ndarray,
    kernel: str,
    size: int,
    sigma: float,
    power: float,
    low: float,
    high: float,
    variant: str,
) -> np.ndarray:
    """The same of counts [bins] and of images' bins [N], where one has bins of one's own."""
    neighbours = kernels.taps(kernel, size, sigma, variant)
    if variant == 'published':
        found = smoothed(tempered(counts, power, low, high, variant), neighbours, variant)
    else:
        found = tempered(smoothed(counts, neighbours), power, low, high, variant)
    return inverted(found, places)


@register
@dataclasses.dataclass(frozen=True)
class LDS(Remedy):
    """Inverse weights of smoothed counts; see `weights`.

    The defaults are the paper's for ages, and 100 bins are as many as those have, so that five of
    them are the same share of a range of targets.
    """

    bins: int = field(100, integer(2, 10_000), 'bins of targets, evenly spaced', TABLE)
    kernel: str = field('gaussian', one_of(*kernels.KERNELS), 'how neighbouring bins count', TABLE)
    size: int = field(5, integer(1, 9_999), 'bins that count, an odd number', TABLE)
    sigma: float = field(2.0, positive(1e4), 'width of the kernel, in bins', TABLE)
    power: float = field(0.5, number(0.0, 1.0, open_low=True), 'power of the count', TABLE)
    low: float = field(
        0.0004, number(0.0, 1.0, open_low=True), 'least share of a bin, of 100 bins', TABLE
    )
    high: float = field(
        0.08, number(0.0, 1.0, open_low=True), 'greatest share of a bin, of 100 bins', TABLE
    )
    variant: str = field('paper', one_of('paper', 'published'), 'kernel, ends and order', TABLE)

    name = 'lds'

    def __post_init__(self) -> None:
        """Refuses limits that cross, and a kernel without a middle.

        Raises:
          ValueError: with a sentence.
        """
        kernels.refuse_size(self.name, self.size)
        refuse_crossed_limits(self.name, self.low, self.high)

    def tables(
        self, targets: np.ndarray, law: Distribution, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """The weights [N]."""
        del law, generator
        return {
            'weights': weights(
                targets,
                self.bins,
                self.kernel,
                self.size,
                self.sigma,
                self.power,
                self.low,
                self.high,
                self.variant,
            )
        }
