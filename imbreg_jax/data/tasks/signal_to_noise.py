"""A constant over noise, both times a random gain; how many times the noise it is, is the target.

With the gain neither the mean nor the standard deviation of an image tells the target alone.
"""

import jax

from imbreg_jax.data.task import Budget, Task, register
from imbreg_jax.data.tasks.scaled_noise import pixel_std
from imbreg_jax.data.tasks.shifted_noise import pixel_mean
from imbreg_jax.data.views import PERMUTATION

# The gain lies between its inverse and this.
MOST_GAIN = 2.0


def amplified(generating: jax.Array, noise: jax.Array, nuisance: jax.Array) -> jax.Array:
    """Noise plus the generating value, times a gain.

    Args:
      generating: [..., b].
      noise: [b, H, W].
      nuisance: [b, 1], the gain on a logarithmic scale.
    """
    gain = MOST_GAIN ** (2 * nuisance[:, 0, None, None] - 1)
    return (gain * (noise + generating[..., None, None]))[..., None]


def pixel_ratio(images: jax.Array) -> jax.Array:
    """Mean over standard deviation of the pixels of images [..., H, W, 1] -> [...]."""
    return pixel_mean(images) / pixel_std(images)


def ratio_floor(generating: jax.Array, pixels: int) -> jax.Array:
    """The Cramér-Rao bound for mean / std of a normal law, neither known."""
    return ((1 + generating**2 / 2) / pixels) ** 0.5


SIGNAL_TO_NOISE = register(
    Task(
        name='signal_to_noise',
        meaning='the mean over the standard deviation of pixels, of random gain',
        unit='ratio',
        synthesize=amplified,
        measure=pixel_ratio,
        degree=0,
        nuisance=1,
        floor=ratio_floor,
        keeps=(PERMUTATION,),
        quantity='signal to noise',
        budget=Budget(1e-3, epochs=5, train_size=20_000),
    )
)
