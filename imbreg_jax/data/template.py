"""What tasks of a form over white noise share: where a form lies, and how much it tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Draws of an image's nuisance over which information is averaged.
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
    either. What they leave is averaged over images that differ in their nuisance: a bound that is a
    little low, where an average of bounds would be that of the few images that tell least.

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

        def deviation(value):
            given = [np.array([value, *draw], np.float32) for draw in draws]
            left = [_left(np.asarray(derivatives(one), np.float64)) for one in given]
            return np.mean(left) ** -0.5 if any(left) else np.inf

        return np.vectorize(deviation, otypes=[float])(generating)

    return bound


def _left(derivatives: np.ndarray) -> float:
    """The information about the first parameter, of a form's derivatives [pixels, 1 + k].

    It is 0 where the others can do all that the first does, to the rounding of float32.
    """
    information = derivatives.T @ derivatives
    own, cross, others = information[0, 0], information[0, 1:], information[1:, 1:]
    # Of full rank but for nuisances that change nothing, as the place of a disc without room.
    left = own - cross @ np.linalg.pinv(others, hermitian=True) @ cross
    return left if left > 1e-6 * own else 0.0
