"""Regression of the target's logarithm: errors count by their ratio, not by their size.

A control: to (log prediction - log target)**2 an error of 10 % is one at every target, where the
squared error sees it a hundred times at 10 what it is at 1. The network's output is the logarithm,
and the prediction its exponential, which is positive, as targets must be (and are, where percentage
errors are taken of them). Outputs lie about 0 at the start, so that
predictions lie about 1, and not about 0 as they do elsewhere: the training set's mean logarithm is
for the last bias to learn.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from imbreg_jax.remedies import shapes
from imbreg_jax.remedies.own_loss import OwnLoss
from imbreg_jax.remedies.registry import register
from imbreg_jax.training.remedy import Batch


def losses(logarithms: jax.Array, targets: jax.Array) -> jax.Array:
    """(logarithm - log target)**2 of each image, [B], of predicted logarithms and targets [B]."""
    shapes.refuse_unlike(logarithms=logarithms, targets=targets)
    error = logarithms - jnp.log(targets)
    return error * error


@register
@dataclasses.dataclass(frozen=True)
class LogTarget(OwnLoss):
    """Squared error of logarithms in the place of the objective; see the module."""

    name = 'log_target'
    logarithms = True

    def losses(self, outputs: jax.Array, batch: Batch) -> jax.Array:
        """See the module."""
        return losses(outputs[:, 0], batch.targets)

    def predict(self, outputs: jax.Array) -> jax.Array:
        """The exponential [B] of the outputs [B, 1]."""
        return jnp.exp(outputs[:, 0])
