"""Objectives: the loss of an image, of which training minimises the weighted mean over a batch."""

from collections.abc import Callable

import jax

# (predictions [B], targets [B]) -> losses [B].
Objective = Callable[[jax.Array, jax.Array], jax.Array]


def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """(prediction - target)**2, whose mean is the paper's MSE (section 3.4)."""
    error = predictions - targets
    return error * error


def relative_squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """((prediction - target) / target)**2, to which errors of one percentage are one."""
    error = (predictions - targets) / targets
    return error * error


OBJECTIVES: dict[str, Objective] = {'mse': squared_error, 'relative_mse': relative_squared_error}
