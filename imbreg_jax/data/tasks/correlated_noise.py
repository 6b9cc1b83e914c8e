"""Blurred noise of constant variance; how far it is blurred is the target.

Blurred with a Gaussian of width w, noise correlates with itself at distance d by
exp(-d**2 / (4 w**2)): its correlation length is w times the root of 2.
"""

import jax
import jax.numpy as jnp

from imbreg_jax.data.task import Budget, Task, register
from imbreg_jax.data.views import FLIPS

# Pixels of blur width in a unit of the target.
PIXELS = 0.5
# The standard deviation of what is not blurred. Without it the least bit of a pixel would tell.
GRAIN = 0.2


def correlated_noise(generating: jax.Array, noise: jax.Array, nuisance: jax.Array) -> jax.Array:
    """Noise of standard deviation 1, filtered to the spectrum of blurred noise and grain.

    An image goes on at its opposite side, so that no pixel is nearer to an edge than others.

    Args:
      generating: [..., b], the blur width in `PIXELS`.
      noise: [b, H, W].
      nuisance: [b, 0].
    """
    del nuisance
    height, width = noise.shape[-2:]
    # A real image has half a spectrum.
    amplitude = jnp.sqrt(_spectrum(generating, height, width)[..., : width // 2 + 1])
    return jnp.fft.irfft2(amplitude * jnp.fft.rfft2(noise), (height, width))[..., None]


def _spectrum(generating: jax.Array, height: int, width: int) -> jax.Array:
    """The power [..., H, W] at each frequency, 1 on average."""
    extent = (2 * jnp.pi * PIXELS * generating[..., None]) ** 2
    rows = jnp.exp(-extent * jnp.fft.fftfreq(height) ** 2)[..., :, None]
    columns = jnp.exp(-extent * jnp.fft.fftfreq(width) ** 2)[..., None, :]
    blurred = rows * columns / (rows * columns).mean((-2, -1), keepdims=True)
    return (1 - GRAIN**2) * blurred + GRAIN**2


def blur_floor(generating: jax.Array, pixels: int) -> jax.Array:
    """The Cramér-Rao bound for the blur width of normal noise, in `PIXELS`, of square images.

    The frequencies of noise that goes on at its opposite side are independent, so their
    information adds up: half the square of each one's logarithmic derivative.
    """
    side = round(pixels**0.5)

    def logarithm(values):
        return jnp.log(_spectrum(values, side, side))

    values = jnp.asarray(generating, jnp.float32)
    _, derivative = jax.jvp(logarithm, (values,), (jnp.ones_like(values),))
    return (derivative**2).sum((-2, -1)) ** -0.5 * 2**0.5


CORRELATION_LENGTH = register(
    Task(
        name='correlation_length',
        meaning='the width of the blur of noise of constant variance',
        unit='half pixels',
        synthesize=correlated_noise,
        floor=blur_floor,
        symmetry='dilation',
        keeps=tuple(FLIPS),
        quantity='blur width',
        drawn=True,
        # Four times the greatest width.
        least_image_size=20,
        budget=Budget(epochs=5, train_size=20_000),
    )
)
