"""Other views of an image, with its pixels moved in a way that keeps its target exactly.

Which ways do, a task says: `Task.keeps`.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

PERMUTATION = 'permutation'
# Of images [..., H, W, channels]. With the image as it is they are a group, as are it and any one.
FLIPS: dict[str, Callable[[jax.Array], jax.Array]] = {
    'left_right': lambda images: images[..., :, ::-1, :],
    'top_bottom': lambda images: images[..., ::-1, :, :],
    'half_turn': lambda images: images[..., ::-1, ::-1, :],
}
WAYS = (PERMUTATION, *FLIPS)


def moved(images: jax.Array, key: jax.Array, keeps: Sequence[str]) -> jax.Array:
    """Images [B, H, W, channels] with their pixels moved.

    Args:
      images: [B, H, W, channels].
      key: of how.
      keeps: some of `WAYS`. Of flips each image is turned by one that is drawn for it. With
        permutation pixels are put in an order that is drawn for the batch, one sort instead of B.
    """
    batch, height, width, channels = images.shape
    if PERMUTATION in keeps:
        order = jax.random.permutation(key, height * width)
        return images.reshape(batch, -1, channels)[:, order].reshape(images.shape)
    drawn = jax.random.randint(key, (batch, 1, 1, 1), 0, len(keeps))
    found = images
    for place, way in enumerate(keeps):
        found = jnp.where(drawn == place, FLIPS[way](images), found)
    return found


def pair(images: jax.Array, key: jax.Array, keeps: Sequence[str]) -> jax.Array:
    """[2, B, H, W, channels]: images as they are, and moved; see `moved`."""
    return jnp.stack([images, moved(images, key, keeps)])
