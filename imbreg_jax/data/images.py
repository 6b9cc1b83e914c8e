"""The images of a split, as a function of key and index, so that they need neither disk nor memory.

A split's noise may also be kept on the device: `noise_table` computes the same
values bit for bit.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

# Images drawn at once when a whole split is walked through: enough to keep a
# device busy, small enough (5 MB at 52x52) to stay out of the memory plan.
WALK_BATCH = 500

# indices [n] int32 -> noise images [n, size, size].
NoiseOf = Callable[[jax.Array], jax.Array]


def noise(
    key: jax.Array, indices: jax.Array, size: int, root: jax.Array | None = None
) -> jax.Array:
    """Standard normal noise of the images with these indices.

    Args:
      key: the split's key (scalar).
      indices: [n] int32, which images.
      size: height and width in pixels.
      root: any key that all runs of a program share; no value depends on it, and without it the
        promise of `noise_table` does not hold under `vmap` over runs on CPU.

    Returns:
      [n, size, size] float32; image i depends on (key, i) only.
    """

    def draw(index):
        return jax.random.normal(jax.random.fold_in(key, index), (size, size), jnp.float32)

    def draw_all(indices):
        return jax.vmap(draw)(lax.optimization_barrier(indices))

    # Drawing must stay a computation of its own: fused with its user it may round differently from
    # one program to the next. Accelerators keep the barriers; XLA:CPU drops them before it fuses
    # and fuses nothing into or out of a branch, so there it is one, of a condition that always
    # holds and that no compiler can foresee. Of a key that all runs share, as `vmap` makes a
    # selection of a branch that each run takes for itself.
    bits = jax.random.key_data(key if root is None else root).ravel()[0]
    nothing = lambda i: jnp.zeros((*i.shape, size, size), jnp.float32)  # noqa: E731
    return lax.optimization_barrier(lax.cond((bits | 1) != 0, draw_all, nothing, indices))


def walk(
    count: int, noise_of: NoiseOf, visit: Callable[..., Any], *per_image: jax.Array, batch: int = 0
) -> Any:
    """Maps `visit` over the images 0 … count-1 of a split, a batch at a time.

    Args:
      count: how many images.
      noise_of: the noise images of some indices.
      visit: (noise [b, size, size], *per_image [b, ...]) -> tree of [b, ...].
      *per_image: arrays [count, ...] handed to `visit` along with the noise.
      batch: images at a time; 0 for `WALK_BATCH`.  A last batch that is not full is filled up
        with images beyond `count`, whose values are dropped.

    Returns:
      A tree of [count, ...] arrays.
    """
    batch = min(batch or WALK_BATCH, count)
    batches = -(-count // batch)
    padding = batches * batch - count

    def split(a):
        a = jnp.pad(a, [(0, padding)] + [(0, 0)] * (a.ndim - 1), mode='edge')
        return a.reshape(batches, batch, *a.shape[1:])

    inputs = jax.tree.map(split, (jnp.arange(count, dtype=jnp.int32), *per_image))
    out = lax.map(lambda x: visit(noise_of(x[0]), *x[1:]), inputs)
    return jax.tree.map(lambda a: a.reshape(batches * batch, *a.shape[2:])[:count], out)


def noise_table(key: jax.Array, count: int, size: int, root: jax.Array | None = None) -> jax.Array:
    """[count, size, size] float32: all noise images of a split, to keep on the device."""
    return walk(count, lambda i: noise(key, i, size, root), lambda batch: batch)
