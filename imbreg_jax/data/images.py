"""The images of a split, as a function of key and index, so that they need neither disk nor memory.

A split's noise may also be kept on the device: `noise_table` computes the same
values bit for bit.
"""

import jax
import jax.numpy as jnp
from jax import lax

# Images drawn at once when a whole split is walked through: enough to keep a
# device busy, small enough (11 MB at 52x52) to stay out of the memory plan.
WALK_BATCH = 1000


def noise(key: jax.Array, indices: jax.Array, size: int) -> jax.Array:
    """Standard normal noise of the images with these indices.

    Args:
      key: the split's key (scalar).
      indices: [n] int32, which images.
      size: height and width in pixels.

    Returns:
      [n, size, size] float32; image i depends on (key, i) only.
    """
    draw = lambda i: jax.random.normal(jax.random.fold_in(key, i), (size, size), jnp.float32)
    # The barriers keep the generator a computation of its own: fused with its user
    # it may round differently from one program to the next.
    return lax.optimization_barrier(jax.vmap(draw)(lax.optimization_barrier(indices)))


def walk(key: jax.Array, count: int, size: int, visit, *per_image: jax.Array):
    """Maps `visit(noise [b, size, size], *per_image [b, ...]) -> [b, ...]` over a whole split.

    Args:
      key: the split's key.
      count: images in the split.
      size: height and width in pixels.
      visit: what to compute from a batch of noise images.
      *per_image: arrays [count, ...] handed to `visit` along with the noise.

    Returns:
      A tree of [count, ...] arrays.
    """
    batch = min(WALK_BATCH, count)
    batches = -(-count // batch)
    padding = batches * batch - count
    split = lambda a: jnp.pad(a, [(0, padding)] + [(0, 0)] * (a.ndim - 1)).reshape(
        batches, batch, *a.shape[1:]
    )
    inputs = jax.tree.map(split, (jnp.arange(count, dtype=jnp.int32), *per_image))
    out = lax.map(lambda x: visit(noise(key, x[0], size), *x[1:]), inputs)
    return jax.tree.map(lambda a: a.reshape(batches * batch, *a.shape[2:])[:count], out)


def noise_table(key: jax.Array, count: int, size: int) -> jax.Array:
    """[count, size, size] float32: all noise images of a split, to keep on the device."""
    return walk(key, count, size, lambda batch: batch)
