"""A soft blob over noise; its place from left to right is the target."""

import jax
import jax.numpy as jnp

from imbreg_jax.data import template
from imbreg_jax.data.task import Budget, Task, register

# In standard deviations of the noise.
CONTRAST = 3.0
# Standard deviation of the blob, in pixels.
RADIUS = 2.0
# From the first column to the last there are so many units.
UNITS = 11


def blob(generating: jax.Array, noise: jax.Array, nuisance: jax.Array) -> jax.Array:
    """Blobs at the generating share of the width.

    Args:
      generating: [..., b], in `UNITS` of the width.
      noise: [b, H, W].
      nuisance: [b, 1], the place from top to bottom.
    """
    height, width = noise.shape[-2:]
    row = template.place(2 * RADIUS, height, nuisance[:, 0])
    down, right = template.offsets(noise, row, generating * ((width - 1) / UNITS))
    # A blob is the product of its profiles.
    rows = CONTRAST * jnp.exp(-(down**2) / (2 * RADIUS**2))
    columns = jnp.exp(-(right**2) / (2 * RADIUS**2))
    return (noise + rows * columns)[..., None]


POSITION = register(
    Task(
        name='position',
        meaning='the place from left to right of a soft blob over noise',
        unit='elevenths of the width',
        synthesize=blob,
        domain=(0.0, float(UNITS)),
        nuisance=1,
        floor=template.floor(blob, 1),
        symmetry='translation',
        keeps=('top_bottom',),
        drawn=True,
        # At 1 and 10 the blob is its radius away from the edge.
        least_image_size=int(UNITS * RADIUS) + 1,
        budget=Budget(epochs=5, train_size=20_000),
    )
)
