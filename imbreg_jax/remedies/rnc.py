"""Rank-N-Contrast: distances of features in the order of distances of targets, then a regressor.

Zha et al., "Rank-N-Contrast: Learning Continuous Representations for Regression" (NeurIPS 2023),
and its repository kaiwenzha/Rank-N-Contrast (loss.py). In the first part of training the encoder
learns from two views of each image by contrast alone: of those images whose targets are as far as
image j's from image i's, or further, j is to be the nearest to i. In the second part the encoder
stays as it is, and the last layer learns by the objective, with the weights of a remedy beside it
if there are any: `rnc + inverse`.

There the parts are two trainings, of 400 epochs and 100, and the second has a tenth of the first's
learning rate, the mean absolute error and neither second views nor dropout; here they divide the
epochs of one, of which all but the layers that learn is the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from imbreg_jax.data import views
from imbreg_jax.remedies import shapes, similarity
from imbreg_jax.remedies.registry import register
from imbreg_jax.remedies.rrt import LEAST_EPOCHS, two_parts
from imbreg_jax.study.fields import DIAL, TABLE, field, number, positive
from imbreg_jax.training.remedy import Batch, Remedy, Schedule


def batch_loss(
    features: jax.Array, targets: jax.Array, temperature: jax.Array | float
) -> jax.Array:
    """The contrast of all views of a batch.

    Args:
      features: [n, F], of all views.
      targets: [n].
      temperature: [] that distances of features are divided by.

    Returns:
      []: over all ordered pairs i, j the mean of -log(e**s_ij / sum over k of e**s_ik), where s is
      the distance times -1 / temperature and k are the images other than i whose targets are as
      far from i's as j's is, or further.
    """
    shapes.refuse_other_images(features, targets=targets)
    others = ~jnp.eye(len(targets), dtype=bool)
    logits = -similarity.distances(features) / temperature
    away = jnp.abs(targets[:, None] - targets[None, :])
    # [i, j, k]. For j = i all others are as far, or further.
    ranked = (away[:, None, :] >= away[:, :, None]) & others[:, None, :]
    spread = jnp.broadcast_to(logits[:, None, :], ranked.shape)
    found = jax.nn.logsumexp(spread, axis=2, where=ranked) - logits
    return jnp.where(others, found, 0.0).sum() / (len(targets) * (len(targets) - 1))


@register
@dataclasses.dataclass(frozen=True)
class RnC(Remedy):
    """Rank-N-Contrast; see the module.

    Views are the image and one with pixels moved as the task allows, in both parts of training.
    The temperature is the published one: distances of features have no scale but what they learn.
    """

    temperature: float = field(2.0, positive(1e6), 'that distances are divided by', DIAL)
    share: float = field(
        0.5, number(0.0, 1.0, open_low=True, open_high=True),
        'of the epochs in which the encoder learns', TABLE,
    )  # fmt: skip
    rate: float = field(
        1.0, positive(1e9), 'factor on the learning rate of the last layer after that', TABLE
    )

    name = 'rnc'
    views = 2
    moves_pixels = True
    least_epochs = LEAST_EPOCHS

    def schedule(self, epochs: int, layers: list[str]) -> Schedule:
        """What holds in which epoch."""
        return two_parts(epochs, layers, self.share, self.rate)

    def held(self, images: int) -> int:
        """What each pair of images is held against, and its gradient."""
        return 2 * images**3

    def augment(self, images: jax.Array, key: jax.Array, keeps: Sequence[str]) -> jax.Array:
        """The images, and the images with their pixels moved."""
        return views.pair(images, key, keeps)

    def loss(self, batch: Batch) -> jax.Array:
        """The contrast, and in the second part, in which weights hold, the objective."""
        count, images, _ = batch.features.shape
        contrast = batch_loss(
            batch.features.reshape(count * images, -1),
            jnp.tile(batch.targets, count),
            batch.dials['temperature'],
        )
        return jnp.where(batch.weighted, super().loss(batch), contrast)
