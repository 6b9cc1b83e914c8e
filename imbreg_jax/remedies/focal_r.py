"""Focal-R: images count the more, the further their predictions are off.

Yang et al., "Delving into Deep Imbalanced Regression" (ICML 2021), section 4, and its repository
YyzHarry/imbalanced-regression, weighted_focal_l1_loss and weighted_focal_mse_loss. The paper prints
the factor as sigmoid(beta |e|)**gamma, which begins at a half, and says that it maps errors to
[0, 1]: that is (2 sigmoid(beta |e|) - 1)**gamma = tanh(beta |e| / 2)**gamma, as the repository has
it and its authors explain in their issue 16. Its other choice, tanh(beta |e|), is that of twice the
beta.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from imbreg_jax.remedies import shapes
from imbreg_jax.remedies.own_loss import OwnLoss
from imbreg_jax.remedies.registry import register
from imbreg_jax.study.fields import CODE, DIAL, field, number, one_of, positive
from imbreg_jax.training.remedy import Batch


def losses(
    predictions: jax.Array,
    targets: jax.Array,
    beta: jax.Array | float = 0.2,
    gamma: jax.Array | float = 1.0,
    power: int = 2,
) -> jax.Array:
    """Focal-R of each image.

    Args:
      predictions: [B].
      targets: [B].
      beta: of one over the target's unit; an error of 2 / beta has three quarters of its loss.
      gamma: power of the factor; 0 for the loss without it.
      power: of the error: 1 for its absolute value, 2 for its square.

    Returns:
      [B]: |e|**power (2 sigmoid(beta |e|) - 1)**gamma. Where a prediction is its target, loss and
      gradient are 0.
    """
    shapes.refuse_unlike(predictions=predictions, targets=targets)
    error = jnp.abs(predictions - targets)
    # A power's slope at 0 may be infinite, and 0 times that is no number. What is no number is off.
    off = error != 0
    error = jnp.where(off, error, 1.0)
    factor = jnp.tanh(beta * error / 2) ** gamma
    return jnp.where(off, error**power * factor, 0.0)


@register
@dataclasses.dataclass(frozen=True)
class FocalR(OwnLoss):
    """Focal-R in the place of the objective; see `losses`.

    The published beta is .2, for ages, whose range is ten times [1, 10]; so it is 2 here, and an
    error of 1 has three quarters of its loss. With .2 the factor would be proportional to any error
    that occurs, and the loss a cube.
    """

    beta: float = field(2.0, positive(1e6), "of one over the target's unit", DIAL)
    gamma: float = field(1.0, number(0.0, 10.0), 'power of the factor', DIAL)
    power: int = field(2, one_of(1, 2), 'of the error: absolute or squared', CODE)

    name = 'focal_r'

    def losses(self, outputs: jax.Array, batch: Batch) -> jax.Array:
        """See the module."""
        beta, gamma = batch.dials['beta'], batch.dials['gamma']
        return losses(self.predict(outputs), batch.targets, beta, gamma, self.power)
