"""Balanced MSE: the likelihood of a batch's targets under a balanced law, not the training law.

Ren et al., "Balanced MSE for Imbalanced Visual Regression" (CVPR 2022), and its repository
jiawei-ren/BalancedMSE: the batch-based Monte-Carlo variant, BMC.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from imbreg_jax.remedies.registry import register
from imbreg_jax.study.fields import CODE, DIAL, field, one_of, positive
from imbreg_jax.training.remedy import Batch, Remedy


def batch_losses(predictions: jax.Array, targets: jax.Array, noise: jax.Array | float) -> jax.Array:
    """BMC (the paper's equation 9) of each image, times 2 noise**2 as the repository has it.

    Args:
      predictions: [B].
      targets: [B].
      noise: the standard deviation of a target about its prediction, in the target's unit.

    Returns:
      [B]: 2 noise**2 times the cross entropy of -(prediction_i - target_j)**2 / (2 noise**2) over
      j, label i. It is 0 for a batch of one image, which says nothing of the law.
    """
    scale = 2.0 * noise**2
    logits = -((predictions[:, None] - targets[None, :]) ** 2) / scale
    found = jax.nn.logsumexp(logits, axis=1) - jnp.diagonal(logits)
    # The repository takes the factor's own gradient out; here noise is no weight and has none.
    return scale * found


def batch_loss(predictions: jax.Array, targets: jax.Array, noise: jax.Array | float) -> jax.Array:
    """The mean [] of `batch_losses`."""
    return jnp.mean(batch_losses(predictions, targets, noise))


@register
@dataclasses.dataclass(frozen=True)
class BalancedMSE(Remedy):
    """Balanced MSE in the place of the objective; an image's weight holds for its own term."""

    variant: str = field('bmc', one_of('bmc'), 'which form of the loss', CODE)
    noise: float = field(
        1.0, positive(1e6), 'standard deviation of a target about its prediction', DIAL
    )

    name = 'balanced_mse'

    def loss(self, batch: Batch) -> jax.Array:
        """The weighted mean over images and views."""
        losses = jnp.stack(
            [
                batch_losses(self.predict(outputs), batch.targets, batch.dials['noise'])
                for outputs in batch.outputs
            ]
        )
        return jnp.mean(batch.weights * losses)
