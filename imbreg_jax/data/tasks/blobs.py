"""Blobs over noise, at random places; their number is the target.

Targets follow a continuous law, so the last blob is a fraction of the others in height. An expected
number, of which an image had a random whole one, would leave an error of its root in every image,
whatever a network had learnt.
"""

import jax
import jax.numpy as jnp
from jax import lax

from imbreg_jax.data import template
from imbreg_jax.data.task import Budget, Task, register
from imbreg_jax.data.views import FLIPS

# Height of an image's blobs, in standard deviations of the noise: drawn for each image, or the
# mean of its pixels would tell their number.
LEAST_CONTRAST, MOST_CONTRAST = 3.0, 6.0
# Standard deviation of a blob, in pixels.
RADIUS = 1.5
MOST = 21


def blobs(generating: jax.Array, noise: jax.Array, nuisance: jax.Array) -> jax.Array:
    """As many blobs as the generating value says, the last of them a fraction.

    Args:
      generating: [..., b].
      noise: [b, H, W].
      nuisance: [b, 1 + 2 `MOST`], the contrast on a logarithmic scale, and the places of blobs from
        top to bottom, then from left to right.
    """
    height, width = noise.shape[-2:]
    contrast = LEAST_CONTRAST * (MOST_CONTRAST / LEAST_CONTRAST) ** nuisance[:, :1]
    row = template.place(2 * RADIUS, height, nuisance[:, 1 : 1 + MOST])
    column = template.place(2 * RADIUS, width, nuisance[:, 1 + MOST :])
    down, right = template.offsets(noise, row, column)
    left = generating[..., None] - jnp.arange(MOST)
    # Not clipped, whose derivative at a whole number would be neither blob's.
    shares = jnp.where((left >= 0) & (left < 1), left, left >= 1)
    rows = (contrast * shares)[..., None] * _profile(down[..., 0])
    columns = _profile(right[..., 0, :])
    # A blob is the product of its profiles, so that their sum is one of matrices.
    drawn = jnp.einsum('...bkh,bkw->...bhw', rows, columns, precision=lax.Precision.HIGHEST)
    return (noise + drawn)[..., None]


def _profile(offset: jax.Array) -> jax.Array:
    return jnp.exp(-((offset / RADIUS) ** 2) / 2)


BLOB_COUNT = register(
    Task(
        name='blob_count',
        meaning='the number of blobs over noise, the last of them a fraction, at random places',
        unit='blobs',
        synthesize=blobs,
        domain=(0.0, float(MOST)),
        nuisance=1 + 2 * MOST,
        floor=template.floor(blobs, 1 + 2 * MOST),
        keeps=tuple(FLIPS),
        quantity='number',
        drawn=True,
        # Twice what ten blobs take, each of four radii by four.
        least_image_size=27,
        budget=Budget(epochs=5, train_size=20_000),
    )
)
