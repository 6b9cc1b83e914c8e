"""Laws of the noise in a pixel, all of mean 0 and standard deviation 1; each is one entry."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from scipy import stats


@dataclasses.dataclass(frozen=True)
class PixelLaw:
    """A law of the noise.

    Attributes:
      name: what the config calls it.
      draw: (key, shape) to independent float32 draws.
      distribution: the same law as scipy has it, frozen.
    """

    name: str
    draw: Callable[[jax.Array, tuple[int, ...]], jax.Array]
    distribution: Any


def normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Standard normal draws, the paper's (section 3.1)."""
    return jax.random.normal(key, shape, jnp.float32)


# The least whole number of degrees of freedom under which measured standard deviations have a
# variance: it takes a fourth moment.
STUDENT_DEGREES = 5


def student_t(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Student's t with 5 degrees of freedom, divided by its standard deviation.

    Of two uniforms by Bailey's polar method (Mathematics of Computation 62, 1994):
    t = sqrt(n (u**(-2/n) - 1)) cos(2 pi v); n / (n - 2) is its variance.
    """
    first, second = jax.random.split(key)
    # 1 - u lies in (0, 1], where the power is finite.
    radius = (1.0 - jax.random.uniform(first, shape)) ** (-2.0 / STUDENT_DEGREES) - 1.0
    turn = 2.0 * jnp.pi * jax.random.uniform(second, shape)
    return jnp.sqrt((STUDENT_DEGREES - 2) * radius) * jnp.cos(turn)


def laplace(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Laplace's law: tails of an exponential on both sides."""
    return jax.random.laplace(key, shape, jnp.float32) / 2**0.5


def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The uniform law of standard deviation 1, which has no tails: from -sqrt(3) to sqrt(3)."""
    return jax.random.uniform(key, shape, jnp.float32, -(3**0.5), 3**0.5)


PIXEL_LAWS: dict[str, PixelLaw] = {
    law.name: law
    for law in (
        PixelLaw('normal', normal, stats.norm()),
        PixelLaw(
            'student_t',
            student_t,
            stats.t(STUDENT_DEGREES, scale=(1 - 2 / STUDENT_DEGREES) ** 0.5),
        ),
        PixelLaw('laplace', laplace, stats.laplace(scale=0.5**0.5)),
        PixelLaw('uniform', uniform, stats.uniform(-(3**0.5), 2 * 3**0.5)),
    )
}
