"""A sinusoid over noise; its period is the target."""

import jax
import jax.numpy as jnp

from imbreg_jax.data import template
from imbreg_jax.data.task import Budget, Task, register
from imbreg_jax.data.views import FLIPS

# In standard deviations of the noise.
AMPLITUDE = 2.0
# Pixels in a unit of the target, so that a target of 1 is sampled more often than twice a period.
PIXELS = 3.0


def sinusoid(generating: jax.Array, noise: jax.Array, nuisance: jax.Array) -> jax.Array:
    """Sinusoids of the generating period, in `PIXELS`, of random direction and phase.

    Args:
      generating: [..., b].
      noise: [b, H, W].
      nuisance: [b, 2], the direction as a share of half a turn, and the phase of a whole one.
    """
    height, width = noise.shape[-2:]
    angle = jnp.pi * nuisance[:, 0, None, None]
    phase = 2 * jnp.pi * nuisance[:, 1, None, None]
    rows = jnp.arange(height, dtype=jnp.float32)[:, None]
    columns = jnp.arange(width, dtype=jnp.float32)
    turn = 2 * jnp.pi / (PIXELS * generating[..., None, None])
    down = turn * jnp.sin(angle) * rows + phase
    right = turn * jnp.cos(angle) * columns
    # The sine of their sum, which takes one of each row and column and none of a pixel.
    wave = jnp.sin(down) * jnp.cos(right) + jnp.cos(down) * jnp.sin(right)
    return (noise + AMPLITUDE * wave)[..., None]


GRATING_PERIOD = register(
    Task(
        name='grating_period',
        meaning='the period of a sinusoid over noise, of random direction and phase',
        unit='3 pixels',
        synthesize=sinusoid,
        nuisance=2,
        floor=template.floor(sinusoid, 2),
        symmetry='dilation',
        keeps=tuple(FLIPS),
        quantity='period',
        drawn=True,
        # Half the longest period.
        least_image_size=int(10 * PIXELS / 2),
        budget=Budget(epochs=5, train_size=20_000),
    )
)
