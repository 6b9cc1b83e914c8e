"""The noise of a split's images, as a function of key and index: it needs neither disk nor memory.

It may also be kept on a device, and so may what is made of it, bit for bit the same: see `apart`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from imbreg_jax.data import pixel_laws, threefry

# Images drawn at once when a whole split is walked through: enough to keep a
# device busy, small enough (5 MB at 52x52) to stay out of the memory plan.
WALK_BATCH = 500

# The index of no image: a split has at most 10**8.
_BEYOND_IMAGES = 2**31

# (key, shape) -> draws of mean 0 and standard deviation 1; see `pixel_laws`.
Draw = Callable[[jax.Array, tuple[int, ...]], jax.Array]


def noise(
    key: jax.Array,
    indices: jax.Array,
    size: int,
    root: jax.Array | None = None,
    draw: Draw = pixel_laws.normal,
) -> jax.Array:
    """The noise of the images with these indices.

    Args:
      key: the split's key (scalar).
      indices: [n] int32, which images.
      size: height and width in pixels.
      root: any key that all runs of a program share; see `apart`.
      draw: the law of a pixel.

    Returns:
      [n, size, size] float32; image i depends on (key, i) only.
    """
    whole = threefry.written_out(key)

    def draw_one(index):
        return draw(jax.random.fold_in(whole, index), (size, size))

    return apart(jax.vmap(draw_one), key if root is None else root, indices)


def apart(function: Callable[..., jax.Array], root: jax.Array, *given: jax.Array) -> jax.Array:
    """`function(*given)` as a computation of its own, whose values are the same in every program.

    Fused with its user or with what makes its arguments it may round differently from one program
    to the next. Accelerators keep the barriers; XLA:CPU drops them before it fuses and fuses
    nothing into or out of a branch, so there it is one, of a condition that always holds and that
    no compiler can foresee.

    Args:
      function: of arrays to an array.
      root: any key that all runs of a program share, as `vmap` makes a selection of a branch that
        each run takes for itself; no value depends on it.
      *given: its arguments.
    """

    def made(*given):
        return function(*lax.optimization_barrier(given))

    def nothing(*given):
        shape = jax.eval_shape(function, *given)
        return jnp.zeros(shape.shape, shape.dtype)

    bits = jax.random.key_data(root).ravel()[0]
    return lax.optimization_barrier(lax.cond((bits | 1) != 0, made, nothing, *given))


def nuisance(key: jax.Array, indices: jax.Array, count: int) -> jax.Array:
    """[n, count] uniforms in [0, 1) of the images with these indices, independent of their noise.

    A law may split an image's key, whose parts are its key with 0, 1 and so on folded in; so these
    come from a key that no image has.

    Args:
      key: the split's key (scalar).
      indices: [n] int32, which images.
      count: how many an image has.
    """

    def draw_one(index):
        return jax.random.uniform(jax.random.fold_in(own, index), (count,))

    own = jax.random.fold_in(key, _BEYOND_IMAGES)
    return jax.vmap(draw_one)(indices)


def walk(count: int, visit: Callable[[jax.Array], Any], batch: int = 0) -> Any:
    """Maps `visit` over the images 0 … count-1 of a split, a batch at a time.

    Args:
      count: how many images.
      visit: indices [b] int32 -> tree of [b, ...].
      batch: images at a time; 0 for `WALK_BATCH`.  A last batch that is not full is filled up
        with the last image again, whose further values are dropped.

    Returns:
      A tree of [count, ...] arrays.
    """
    batch = min(batch or WALK_BATCH, count)
    batches = -(-count // batch)
    indices = jnp.minimum(jnp.arange(batches * batch, dtype=jnp.int32), count - 1)
    out = lax.map(visit, indices.reshape(batches, batch))
    return jax.tree.map(lambda a: a.reshape(batches * batch, *a.shape[2:])[:count], out)
