"""A soft disc over noise; its radius is the target."""

import jax
import jax.numpy as jnp

from imbreg_jax.data.task import Task, register

# In standard deviations of the noise.
CONTRAST = 2.0
# Pixels over which the edge falls from 73 to 27 % of the disc's height.
SOFTNESS = 1.0


def soft_disc(generating: jax.Array, noise: jax.Array, nuisance: jax.Array) -> jax.Array:
    """Discs of the generating radius, in pixels, each at a random place.

    A disc that fits lies wholly within its image; one that does not has its centre in the middle.

    Args:
      generating: [..., b].
      noise: [b, H, W].
      nuisance: [b, 2], the place from top to bottom and from left to right.
    """
    height, width = noise.shape[-2:]
    radius = generating[..., None, None]
    row = _within(generating, height, nuisance[:, 0])[..., None, None]
    column = _within(generating, width, nuisance[:, 1])[..., None, None]
    rows = jnp.arange(height, dtype=jnp.float32)[:, None]
    columns = jnp.arange(width, dtype=jnp.float32)
    distance = jnp.sqrt((rows - row) ** 2 + (columns - column) ** 2)
    disc = jax.nn.sigmoid((radius - distance) * (2 / SOFTNESS))
    return (noise + CONTRAST * disc)[..., None]


def _within(radius: jax.Array, side: int, uniform: jax.Array) -> jax.Array:
    """The centre along a side, so that a disc of this radius lies within it if it can."""
    edge = jnp.minimum(radius, (side - 1) / 2)
    return edge + uniform * (side - 1 - 2 * edge)


DISC_RADIUS = register(
    Task(
        name='disc_radius',
        meaning='the radius of a soft disc over noise, at a random place',
        unit='pixels',
        synthesize=soft_disc,
        nuisance=2,
    )
)
