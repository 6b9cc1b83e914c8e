"""Every random key of a study, derived from (seed, repeat, purpose, index) alone.

No key depends on the condition, so conditions are paired: the same initial
network, noise images, shuffles and dropout masks.  No key depends on how many
steps ran before, so a resumed run repeats an uninterrupted one.  Keys are
Threefry only: under `vmap` the `rbg` kinds draw a whole batch from the first key.
"""

import enum

import jax
import jax.numpy as jnp
import numpy as np

# Uniforms are (k + 1/2) / 2**23 with a 23-bit k: 0 and 1 never occur, so every
# inverse CDF is finite.
UNIFORM_BITS = 23


class Purpose(enum.IntEnum):
    """What a key is for.  The numbers are part of the format: never reuse one."""

    INITIALIZATION = 0
    TRAIN_TARGETS = 1
    TRAIN_IMAGES = 2
    VALIDATION_TARGETS = 3
    VALIDATION_IMAGES = 4
    TEST_TARGETS = 5
    TEST_IMAGES = 6
    SHUFFLE = 7
    DROPOUT = 8
    RANDOM_GUESS = 9
    DENSE_IMAGES = 10
    MOMENT_MASKS = 11
    RESAMPLING = 12
    RECIPE_NOISE = 13
    FOLD_MASKS = 14
    REDRAWN_LAYERS = 15
    VIEWS = 16
    VARIATIONS = 17
    FEATURES = 18
    SELECTION_TARGETS = 19
    SELECTION_IMAGES = 20


def root_key(seed: int) -> jax.Array:
    """The study's one root key (scalar Threefry key)."""
    return jax.random.key(seed, impl='threefry2x32')


def purpose_key(root: jax.Array, repeat: jax.Array | int, purpose: Purpose) -> jax.Array:
    """The key of one purpose of one repeat; fold an index in for its parts."""
    return jax.random.fold_in(jax.random.fold_in(root, repeat), int(purpose))


def member_key(
    root: jax.Array, repeat: jax.Array | int, member: jax.Array | int, purpose: Purpose
) -> jax.Array:
    """The key of one purpose of the training of one member of an ensemble.

    The first member's is that of its repeat, so that it is trained as a single network is.
    """
    key = purpose_key(root, repeat, purpose)
    return jnp.where(jnp.asarray(member) > 0, jax.random.fold_in(key, member), key)


def uniforms(seed: int, repeat: int, purpose: Purpose, count: int) -> np.ndarray:
    """[count] float64 uniforms in (0, 1): (k + 1/2)/2**23, for the inverse CDF on the host."""
    bits = _uniform_bits(purpose_key(root_key(seed), repeat, purpose), count)
    return (np.asarray(bits).astype(np.float64) + 0.5) / 2**UNIFORM_BITS


@jax.jit(static_argnums=1)
def _uniform_bits(key: jax.Array, count: int) -> jax.Array:
    return jax.random.bits(key, (count,), jnp.uint32) >> (32 - UNIFORM_BITS)
