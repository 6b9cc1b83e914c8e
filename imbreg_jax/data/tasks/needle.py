"""A bar over noise, at a random place; its angle is the target."""

import jax
import jax.numpy as jnp

from imbreg_jax.data import template
from imbreg_jax.data.task import Budget, Task, register

# In standard deviations of the noise.
CONTRAST = 3.0
# Standard deviations of the bar's Gaussian profile along and across it, in pixels.
LENGTH, WIDTH = 6.0, 1.5
# A half turn has so many units: from 10 on to 1 two are left, in which no target lies.
UNITS = 11


def bar(generating: jax.Array, noise: jax.Array, nuisance: jax.Array) -> jax.Array:
    """Bars turned from the horizontal, downwards, by the generating share of a half turn.

    Args:
      generating: [..., b], in `UNITS` of a half turn.
      noise: [b, H, W].
      nuisance: [b, 2], the place from top to bottom and from left to right.
    """
    height, width = noise.shape[-2:]
    row = template.place(2 * LENGTH, height, nuisance[:, 0])
    column = template.place(2 * LENGTH, width, nuisance[:, 1])
    down, right = template.offsets(noise, row, column)
    angle = (jnp.pi / UNITS) * generating[..., None, None]
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    along = right * (cosine / LENGTH) + down * (sine / LENGTH)
    across = down * (cosine / WIDTH) - right * (sine / WIDTH)
    profile = jnp.exp(-(along**2 + across**2) / 2)
    return (noise + CONTRAST * profile)[..., None]


NEEDLE_ANGLE = register(
    Task(
        name='needle_angle',
        meaning='the angle of a bar over noise, at a random place',
        unit='elevenths of a half turn',
        synthesize=bar,
        domain=(0.0, float(UNITS)),
        nuisance=2,
        floor=template.floor(bar, 2),
        symmetry='rotation',
        # A flip would take the angle from half a turn.
        keeps=('half_turn',),
        quantity='angle',
        drawn=True,
        # Two standard deviations of its length to both sides of the centre.
        least_image_size=int(4 * LENGTH) + 1,
        budget=Budget(epochs=5, train_size=20_000),
    )
)
