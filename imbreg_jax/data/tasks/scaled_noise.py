"""Noise of the generating size, and statistics of it that scale with it.

The paper's task (section 3.1): a pixel is the generating value times a standard normal draw, and
the target is the standard deviation of the image's own pixels,
std = sqrt(mean((pixel - mean(pixel))**2)). For the other statistics noise is scaled so that they
lie about the generating value, whatever the law of a pixel. From 52x52 normal pixels they scatter
about it by 1.4 (std) to 2.6 % (ninth decile, variance), but a maximum by 9 %, and by 16 and 35 %
from Laplace's and Student's t law, whose maxima follow a law of targets that much less closely.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import integrate

from imbreg_jax.data.order_statistics import quantile
from imbreg_jax.data.task import Budget, Task, register
from imbreg_jax.data.views import PERMUTATION


def scaled_noise(generating: jax.Array, noise: jax.Array, nuisance: jax.Array) -> jax.Array:
    """Images of noise times their generating value."""
    del nuisance
    return (generating[..., None, None] * noise)[..., None]


def root_scaled_noise(generating: jax.Array, noise: jax.Array, nuisance: jax.Array) -> jax.Array:
    """Images of noise times the root of their generating value, which is their variance."""
    return scaled_noise(jnp.sqrt(generating), noise, nuisance)


def pixel_variance(images: jax.Array, ddof: jax.Array | float = 0) -> jax.Array:
    """Variance of the pixels of images [..., H, W, 1] -> [...].

    In two passes: in float32 the one-pass formula loses half the digits.
    """
    pixels = images[..., 0]
    count = pixels.shape[-1] * pixels.shape[-2]
    centred = pixels - pixels.mean((-2, -1), keepdims=True)
    return (centred * centred).sum((-2, -1)) / (count - ddof)


def pixel_std(images: jax.Array, ddof: jax.Array | float = 0) -> jax.Array:
    """Standard deviation of the pixels of images [..., H, W, 1] -> [...]."""
    return jnp.sqrt(pixel_variance(images, ddof))


def pixel_mean_absolute_deviation(images: jax.Array) -> jax.Array:
    """Mean distance of the pixels of images [..., H, W, 1] from their mean -> [...]."""
    pixels = images[..., 0]
    return jnp.abs(pixels - pixels.mean((-2, -1), keepdims=True)).mean((-2, -1))


def pixel_quantile(images: jax.Array, share: float) -> jax.Array:
    """Quantile of the pixels of images [..., H, W, 1] -> [...]."""
    return quantile(images.reshape(*images.shape[:-3], -1), share)


def pixel_interquartile_range(images: jax.Array) -> jax.Array:
    """From the lower to the upper quartile of the pixels of images [..., H, W, 1] -> [...]."""
    return pixel_quantile(images, 0.75) - pixel_quantile(images, 0.25)


def pixel_ninth_decile(images: jax.Array) -> jax.Array:
    """What 90 % of the pixels of images [..., H, W, 1] lie below -> [...]."""
    return pixel_quantile(images, 0.9)


def pixel_maximum(images: jax.Array) -> jax.Array:
    """The greatest of the pixels of images [..., H, W, 1] -> [...]."""
    return images.max((-3, -2, -1))


def expected_absolute(law: Any, pixels: int) -> float:
    """The mean distance from 0 of a law that is symmetric about it."""
    del pixels
    return 2 * law.expect(lambda pixel: pixel, lb=0)


def expected_interquartile_range(law: Any, pixels: int) -> float:
    """From the lower to the upper quartile of a law."""
    del pixels
    return law.ppf(0.75) - law.ppf(0.25)


def expected_ninth_decile(law: Any, pixels: int) -> float:
    """What a draw lies below with probability 0.9."""
    del pixels
    return law.ppf(0.9)


def expected_maximum(law: Any, pixels: int) -> float:
    """The mean of the greatest of so many draws: the quantile at u**(1 / pixels), u uniform."""
    return integrate.quad(lambda u: law.isf(-np.expm1(np.log(u) / pixels)), 0, 1)[0]


def std_floor(generating: jax.Array, pixels: int) -> jax.Array:
    """The Cramér-Rao bound for a normal law's standard deviation: sigma / sqrt(2 pixels).

    And for every fixed multiple of it.
    """
    return generating / (2 * pixels) ** 0.5


def variance_floor(generating: jax.Array, pixels: int) -> jax.Array:
    """The Cramér-Rao bound for a normal law's variance: variance sqrt(2 / pixels)."""
    return generating * (2 / pixels) ** 0.5


STD = register(
    Task(
        name='std',
        meaning='the standard deviation of pixels of scaled noise',
        unit='pixel intensity',
        synthesize=scaled_noise,
        measure=pixel_std,
        degree=1,
        floor=std_floor,
        shift=0,
        symmetry='a factor',
        keeps=(PERMUTATION,),
        quantity='standard deviation',
        # The paper's.
        budget=Budget(5e-7, epochs=15, train_size=50_000, schedule='constant', dropout=True),
    )
)
VARIANCE = register(
    Task(
        name='variance',
        meaning='the variance of pixels of scaled noise',
        unit='squared pixel intensity',
        synthesize=root_scaled_noise,
        measure=pixel_variance,
        degree=2,
        floor=variance_floor,
        shift=0,
        symmetry='a factor',
        keeps=(PERMUTATION,),
    )
)
MEAN_ABSOLUTE_DEVIATION = register(
    Task(
        name='mean_absolute_deviation',
        meaning='the mean distance from their mean of pixels of scaled noise',
        unit='pixel intensity',
        synthesize=scaled_noise,
        measure=pixel_mean_absolute_deviation,
        degree=1,
        floor=std_floor,
        shift=0,
        symmetry='a factor',
        keeps=(PERMUTATION,),
        quantity='mean absolute deviation',
        expected=expected_absolute,
    )
)
INTERQUARTILE_RANGE = register(
    Task(
        name='interquartile_range',
        meaning='from the lower to the upper quartile of pixels of scaled noise',
        unit='pixel intensity',
        synthesize=scaled_noise,
        measure=pixel_interquartile_range,
        degree=1,
        floor=std_floor,
        shift=0,
        symmetry='a factor',
        keeps=(PERMUTATION,),
        quantity='interquartile range',
        expected=expected_interquartile_range,
    )
)
NINTH_DECILE = register(
    Task(
        name='ninth_decile',
        meaning='the quantile at 90 % of pixels of scaled noise',
        unit='pixel intensity',
        synthesize=scaled_noise,
        measure=pixel_ninth_decile,
        degree=1,
        floor=std_floor,
        shift=1,
        symmetry='a factor',
        keeps=(PERMUTATION,),
        quantity='ninth decile',
        expected=expected_ninth_decile,
    )
)
MAXIMUM = register(
    Task(
        name='maximum',
        meaning='the greatest of pixels of scaled noise',
        unit='pixel intensity',
        synthesize=scaled_noise,
        measure=pixel_maximum,
        degree=1,
        floor=std_floor,
        shift=1,
        symmetry='a factor',
        keeps=(PERMUTATION,),
        expected=expected_maximum,
    )
)
