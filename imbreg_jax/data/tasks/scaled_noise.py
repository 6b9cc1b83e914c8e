"""Noise of the generating standard deviation, and statistics of it.

The paper's task (section 3.1): a pixel is the generating value times a standard normal draw, and
the target is the standard deviation of the image's own pixels,
std = sqrt(mean((pixel - mean(pixel))**2)).
"""

import jax
import jax.numpy as jnp

from imbreg_jax.data.task import Task, register


def scaled_noise(generating: jax.Array, noise: jax.Array, nuisance: jax.Array) -> jax.Array:
    """Images of noise times their generating value."""
    del nuisance
    return (generating[..., None, None] * noise)[..., None]


def pixel_std(images: jax.Array, ddof: jax.Array | float = 0) -> jax.Array:
    """Standard deviation of the pixels of images [..., H, W, 1] -> [...].

    In two passes: in float32 the one-pass formula loses half the digits.
    """
    pixels = images[..., 0]
    count = pixels.shape[-1] * pixels.shape[-2]
    centred = pixels - pixels.mean((-2, -1), keepdims=True)
    return jnp.sqrt((centred * centred).sum((-2, -1)) / (count - ddof))


def std_floor(generating: jax.Array, pixels: int) -> jax.Array:
    """The Cramér-Rao bound for a normal law's standard deviation: sigma / sqrt(2 pixels)."""
    return generating / (2 * pixels) ** 0.5


STD = register(
    Task(
        name='std',
        meaning='the standard deviation of pixels of scaled noise',
        unit='pixel intensity',
        synthesize=scaled_noise,
        measure=pixel_std,
        degree=1,
        floor=std_floor,
    )
)
