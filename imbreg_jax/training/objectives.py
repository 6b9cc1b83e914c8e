"""Objectives: what training minimises, with a weight per image.

An objective maps predictions and targets [B] to a loss per image [B]; the
training loss is the mean of weight times that.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Objective = Callable[[jax.Array, jax.Array], jax.Array]


def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """(prediction - target)**2, whose mean is the paper's MSE (section 3.4)."""
    error = predictions - targets
    return error * error


def mean_loss(
    objective: Objective, predictions: jax.Array, targets: jax.Array, weights: jax.Array | None
) -> jax.Array:
    """The mean over a batch [B] of weight times loss; no weights count as ones."""
    losses = objective(predictions, targets)
    return jnp.mean(losses if weights is None else weights * losses)


OBJECTIVES: dict[str, Objective] = {'mse': squared_error}
