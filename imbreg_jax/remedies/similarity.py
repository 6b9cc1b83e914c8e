"""How alike features are, for what looks at pairs of images."""

import jax
import jax.numpy as jnp


def cosines(features: jax.Array) -> jax.Array:
    """[n, n]: the cosine of the angle between features [n, F].

    Features that are all 0 have no direction: they are at right angles to all, and no gradient
    moves them.
    """
    squares = (features * features).sum(-1, keepdims=True)
    known = squares > 0
    directions = jnp.where(known, features * jax.lax.rsqrt(jnp.where(known, squares, 1.0)), 0.0)
    return directions @ directions.T


def distances(features: jax.Array) -> jax.Array:
    """[n, n]: how far features [n, F] lie from each other.

    Features in one place do not move each other. The distance has no gradient there, and it is
    common: dead units, and each one's distance to itself.
    """
    # Of differences: what products of features give of near ones is rounding.
    differences = features[:, None] - features[None, :]
    squares = (differences * differences).sum(-1)
    apart = squares > 0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, squares, 1.0)), 0.0)
