"""What tasks of a form over white noise share: where a form lies, and how much it tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Draws of an image's nuisance over which a bound is averaged.
_DRAWS = 32


def place(edge: jax.Array | float, side: int, uniform: jax.Array) -> jax.Array:
    """Where along a side a form's centre lies: `edge` pixels or more from its ends if it can.

    Args:
      edge: what the form reaches to each side of its centre, in pixels.
      side: pixels.
      uniform: in [0, 1).
    """
    edge = jnp.minimum(edge, (side - 1) / 2)
    return edge + uniform * (side - 1 - 2 * edge)


def offsets(noise: jax.Array, row: jax.Array, column: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How far pixels of `noise` [b, H, W] lie below [..., H, 1] and right [..., 1, W] of centres.

    Args:
      noise: whose shape the images have.
      row: [...], the centres from top to bottom.
      column: [...], from left to right.
    """
    height, width = noise.shape[-2:]
    rows = jnp.arange(height, dtype=jnp.float32)[:, None]
    columns = jnp.arange(width, dtype=jnp.float32)
    return rows - row[..., None, None], columns - column[..., None, None]


def floor(
    synthesize: Callable[[jax.Array, jax.Array, jax.Array], jax.Array], nuisance: int
) -> Callable[[Any, int], np.ndarray]:
    """The Cramér-Rao bound for the generating value of a form that noise is added to.

    In white normal noise of standard deviation 1 the Fisher information is that of the form's
    derivatives, by its generating value and by its nuisances, which an estimate does not know
    either. The bound on the variance is averaged over images that differ in their nuisance.

    Args:
      synthesize: a task's, which adds the noise to a form.
      nuisance: how many uniforms an image has.

    Returns:
      (generating [...], pixels of a square image) to the bound [...] on the standard deviation.
    """

    def bound(generating: Any, pixels: int) -> np.ndarray:
        flat = jnp.zeros((1, *2 * (round(pixels**0.5),)), jnp.float32)

        def form(parameters):
            return synthesize(parameters[:1], flat, parameters[None, 1:]).ravel()

        derivatives = jax.jit(jax.jacfwd(form))
        draws = np.random.default_rng(0).uniform(size=(_DRAWS, nuisance))

        def variance(value):
            given = [np.float32([value, *draw]) for draw in draws]
            return np.mean([_variance(np.asarray(derivatives(g), np.float64)) for g in given])

        return np.sqrt(np.vectorize(variance, otypes=[float])(generating))

    return bound


def _variance(derivatives: np.ndarray) -> float:
    """The bound on the variance of the first parameter, of a form's derivatives [pixels, 1 + k].

    Infinite where the others can do all that the first does, to the rounding of float32.
    """
    information = derivatives.T @ derivatives
    own, cross, others = information[0, 0], information[0, 1:], information[1:, 1:]
    # Of full rank but for nuisances that change nothing, as the place of a disc without room.
    left = own - cross @ np.linalg.pinv(others, hermitian=True) @ cross
    return 1 / left if left > 1e-6 * own else np.inf
