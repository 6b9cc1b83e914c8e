"""A soft disc over noise; its radius is the target."""

import jax
import jax.numpy as jnp

from imbreg_jax.data import template
from imbreg_jax.data.task import Budget, Task, register
from imbreg_jax.data.views import FLIPS

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
    row = template.place(generating, height, nuisance[:, 0])
    column = template.place(generating, width, nuisance[:, 1])
    down, right = template.offsets(noise, row, column)
    # At 0 a root has no derivative.
    distance = jnp.sqrt(jnp.maximum(down**2 + right**2, 1e-12))
    disc = jax.nn.sigmoid((generating[..., None, None] - distance) * (2 / SOFTNESS))
    return (noise + CONTRAST * disc)[..., None]


DISC_RADIUS = register(
    Task(
        name='disc_radius',
        meaning='the radius of a soft disc over noise, at a random place',
        unit='pixels',
        synthesize=soft_disc,
        nuisance=2,
        floor=template.floor(soft_disc, 2),
        symmetry='dilation',
        keeps=tuple(FLIPS),
        quantity='radius',
        drawn=True,
        # The greatest radius to both sides of the centre.
        least_image_size=2 * 10 + 1,
        budget=Budget(epochs=5, train_size=20_000),
    )
)
