"""Noise about the generating value, and where its middle lies."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from imbreg_jax.data.task import Task, register
from imbreg_jax.data.tasks.scaled_noise import pixel_quantile
from imbreg_jax.data.views import PERMUTATION

# How far to either side an image's noise is skewed; at 1 its order would be lost.
MOST_SKEW = 0.9


def shifted_noise(generating: jax.Array, noise: jax.Array, nuisance: jax.Array) -> jax.Array:
    """Images of noise plus their generating value: no other trait of them tells it."""
    del nuisance
    return (noise + generating[..., None, None])[..., None]


def skewed_noise(generating: jax.Array, noise: jax.Array, nuisance: jax.Array) -> jax.Array:
    """Images of skewed noise plus their generating value, which is its median but not its mean.

    Noise z becomes z + skew (sqrt(1 + z**2) - 1), a smooth increasing function that is 0 at 0: it
    leaves the median of a symmetric law where it is, and moves its mean by a random part of the
    skew. In symmetric noise the median would be another name for the mean.

    Args:
      generating: [..., b].
      noise: [b, H, W].
      nuisance: [b, 1], the skew from -`MOST_SKEW` to `MOST_SKEW`.
    """
    skew = _skew(nuisance[:, 0])[:, None, None]
    skewed = noise + skew * (jnp.sqrt(1 + noise * noise) - 1)
    return shifted_noise(generating, skewed, nuisance)


def pixel_mean(images: jax.Array) -> jax.Array:
    """Mean of the pixels of images [..., H, W, 1] -> [...]."""
    return images.mean((-3, -2, -1))


def pixel_median(images: jax.Array) -> jax.Array:
    """Median of the pixels of images [..., H, W, 1] -> [...]."""
    return pixel_quantile(images, 0.5)


def mean_floor(generating: jax.Array, pixels: int) -> jax.Array:
    """The Cramér-Rao bound for the mean of normal draws of standard deviation 1."""
    return 0 * generating + pixels**-0.5


def median_floor(generating: jax.Array, pixels: int) -> jax.Array:
    """The Cramér-Rao bound for the median of skewed normal noise whose skew is unknown.

    Averaged over skews. An image's own median, which knows nothing of that law either, has
    asymptotically the standard deviation sqrt(pi / (2 pixels)).
    """
    noise, weights = np.polynomial.hermite_e.hermegauss(64)
    skew = _skew((np.arange(64) + 0.5) / 64)[:, None]
    root = np.sqrt(1 + noise**2)
    slope = 1 + skew * noise / root
    # Of the log density of a pixel, by the median and by the skew.
    common = (noise + skew / root**3 / slope) / slope
    by_median, by_skew = common, common * (root - 1) - noise / root / slope
    weights = weights / weights.sum()
    cross = (by_median * by_skew) @ weights
    information = by_median**2 @ weights - cross**2 / (by_skew**2 @ weights)
    return 0 * generating + np.sqrt(np.mean(1 / information) / pixels)


def _skew(uniform: Any) -> Any:
    return MOST_SKEW * (2 * uniform - 1)


MEAN = register(
    Task(
        name='mean',
        meaning='the mean of pixels of noise about it',
        unit='standard deviations of the noise',
        synthesize=shifted_noise,
        measure=pixel_mean,
        degree=1,
        floor=mean_floor,
        shift=1,
        symmetry='a constant',
        keeps=(PERMUTATION,),
    )
)
MEDIAN = register(
    Task(
        name='median',
        meaning='the median of pixels of noise about it that is skewed at random',
        unit='standard deviations of the noise',
        synthesize=skewed_noise,
        measure=pixel_median,
        degree=1,
        nuisance=1,
        floor=median_floor,
        shift=1,
        symmetry='a constant',
        keeps=(PERMUTATION,),
    )
)
