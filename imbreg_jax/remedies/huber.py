"""Huber's loss: the square of small errors, and the line that continues it for large ones.

Huber, "Robust estimation of a location parameter" (Annals of Mathematical Statistics 1964), twice
his, so that with a large delta it is the squared error of no remedy. It is a control: large targets
have large errors, and squares make the most of those. The repository of Yang et al. (ICML 2021),
YyzHarry/imbalanced-regression, has it over 2 delta (weighted_huber_loss, its beta being delta),
which is the same to an optimiser that does not see a loss's scale.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from imbreg_jax.remedies import shapes
from imbreg_jax.remedies.own_loss import OwnLoss
from imbreg_jax.remedies.registry import register
from imbreg_jax.study.fields import DIAL, field, positive
from imbreg_jax.training.remedy import Batch


def losses(predictions: jax.Array, targets: jax.Array, delta: jax.Array | float = 1.0) -> jax.Array:
    """Twice Huber's loss of each image.

    Args:
      predictions: [B].
      targets: [B].
      delta: the error, in the target's unit, from which on the loss is a line.

    Returns:
      [B]: e**2 where |e| <= delta, else delta (2 |e| - delta).
    """
    shapes.refuse_unlike(predictions=predictions, targets=targets)
    error = jnp.abs(predictions - targets)
    small = jnp.minimum(error, delta)
    return small * (2 * error - small)


@register
@dataclasses.dataclass(frozen=True)
class Huber(OwnLoss):
    """Huber's loss in the place of the objective; see `losses`.

    Networks that have learnt err by some .2 of targets in [1, 10]; with a delta of .3 the largest
    errors are of the line, as those of rare targets are. With 1 it would end as the squared error.
    """

    delta: float = field(
        0.3, positive(1e6), "error from which on the loss is a line, in the target's unit", DIAL
    )

    name = 'huber'

    def losses(self, outputs: jax.Array, batch: Batch) -> jax.Array:
        """See the module."""
        return losses(self.predict(outputs), batch.targets, batch.dials['delta'])
