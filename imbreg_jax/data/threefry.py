"""Threefry-2x32 as JAX has it, bit for bit, with its rounds written out.

To XLA:CPU JAX gives the rounds as a loop, each turn of which goes through memory; written out they
are one pass over what is drawn, together with what is made of the bits. It is for keys of which
much is drawn; those of dropout gain nothing by it. Salmon and others, *Parallel random numbers: as
easy as 1, 2, 3* (2011), section 4.2; tests hold it against JAX's own.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import random as extended

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)
# What is not written out.
_JAX = extended.threefry_prng_impl


def _hash(key: jax.Array, high: jax.Array, low: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The two words [...] uint32 of a key [2] and counters [...] uint32, of twenty rounds."""
    words = key[0], key[1], key[0] ^ key[1] ^ _PARITY
    first, second = high + words[0], low + words[1]
    for group in range(5):
        for turn in _ROTATIONS[group % 2]:
            first = first + second
            turned = (second << np.uint32(turn)) | (second >> np.uint32(32 - turn))
            second = first ^ turned
        first = first + words[(group + 1) % 3]
        second = second + words[(group + 2) % 3] + np.uint32(group + 1)
    return first, second


def _random_bits(key: jax.Array, width: int, shape: tuple[int, ...]) -> jax.Array:
    count = int(np.prod(shape))
    # Of other widths little is drawn, and beyond 32 bits a counter has a high word.
    if width != 32 or count > 2**32:
        return _JAX.random_bits(key, width, shape)
    low = lax.iota(jnp.uint32, count).reshape(shape)
    first, second = _hash(key, jnp.zeros_like(low), low)
    return first ^ second


def _fold_in(key: jax.Array, data: jax.Array | int) -> jax.Array:
    low = jnp.asarray(data, jnp.uint32)
    return jnp.stack(_hash(key, jnp.zeros_like(low), low))


_IMPL = extended.define_prng_impl(
    key_shape=_JAX.key_shape,
    seed=_JAX.seed,
    split=_JAX.split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name='threefry2x32, written out',
    tag='fry',
)


def written_out(key: jax.Array) -> jax.Array:
    """The same Threefry key, of which `jax.random` draws the same with its rounds written out."""
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=_IMPL)
