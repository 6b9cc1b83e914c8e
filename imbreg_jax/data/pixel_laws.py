"""Laws of the noise in a pixel, all of mean 0 and standard deviation 1; each is one entry."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class PixelLaw:
    """A law of the noise.

    Attributes:
      name: what the config calls it.
      draw: (key, shape) to independent float32 draws.
    """

    name: str
    draw: Callable[[jax.Array, tuple[int, ...]], jax.Array]


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


PIXEL_LAWS: dict[str, PixelLaw] = {
    law.name: law for law in (PixelLaw('normal', normal), PixelLaw('student_t', student_t))
}
