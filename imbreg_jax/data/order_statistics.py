"""Order statistics of many values each, exactly and without sorting.

XLA sorts rows one comparison at a time: on one CPU core 550 µs for the 2,704 pixels of an image,
more than the network takes to train on it. Bisection of the 2**32 float32 numbers counts the values
below the middle 32 times, in wide instructions and in the same time whatever the rank: 43 µs.
"""

import jax
import jax.numpy as jnp
from jax import lax


def order_statistic(values: jax.Array, rank: int) -> jax.Array:
    """The value [...] of finite float32 values [..., n] that `rank` of them precede in order."""
    # Those bits as integers order as the numbers do, once those of negative ones are turned round.
    numbers = _turned(lax.bitcast_convert_type(values, jnp.int32))

    def halve(_, bounds):
        low, high = bounds
        # Their mean, rounded down, where their sum would overflow.
        middle = (low & high) + ((low ^ high) >> 1)
        below = (numbers <= middle[..., None]).sum(-1) > rank
        return jnp.where(below, low, middle + 1), jnp.where(below, middle, high)

    # Of the values' own type, so that under a mapped axis both ends of the loop are mapped alike.
    bounds = jnp.full_like(numbers[..., 0], -(2**31)), jnp.full_like(numbers[..., 0], 2**31 - 1)
    _, found = lax.fori_loop(0, 32, halve, bounds)
    return lax.bitcast_convert_type(_turned(found), jnp.float32)


def quantile(values: jax.Array, share: float) -> jax.Array:
    """The quantile [...] of finite float32 values [..., n], as numpy has it by default.

    Between the two values next to it, it is interpolated by its place, share * (n - 1).
    """
    place = share * (values.shape[-1] - 1)
    rank = int(place)
    lower = order_statistic(values, rank)
    if place == rank:
        return lower
    # The next in order: the same again where the values up to it are more.
    above = jnp.where(values > lower[..., None], values, jnp.inf).min(-1)
    more = (values <= lower[..., None]).sum(-1) > rank + 1
    return lower + (place - rank) * (jnp.where(more, lower, above) - lower)


def _turned(bits: jax.Array) -> jax.Array:
    return jnp.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
