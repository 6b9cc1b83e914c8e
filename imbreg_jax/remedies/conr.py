"""ConR: images that are predicted alike but have other targets are pushed apart in features.

Keramati et al., "ConR: Contrastive Regularizer for Deep Imbalanced Regression" (ICLR 2024), and its
repository BorealisAI/ConR (agedb-dir/loss.py). To an image of a batch those are positive whose
targets lie within a window of its own, its other view among them; negative are those whose targets
do not but whose predictions do. Positives are drawn near in the directions of their features,
negatives pushed away the more, the rarer the image is (its weight) and the further their targets
lie.

The variant 'published' is what the code does:
  - The temperature is .07, whatever is asked for.
  - The denominator has 1 for each image that is not positive, the image itself among them.
  - Weights count twice: in the push, and in the mean over images.
  - An image without positives makes the loss nan; here its other view is always there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from imbreg_jax.data import views
from imbreg_jax.remedies import shapes, similarity
from imbreg_jax.remedies.registry import register
from imbreg_jax.study.fields import CODE, DIAL, field, number, one_of, positive
from imbreg_jax.training.remedy import Batch, Remedy

PUBLISHED_TEMPERATURE = 0.07


def batch_losses(
    features: jax.Array,
    targets: jax.Array,
    predictions: jax.Array,
    weights: jax.Array,
    window: jax.Array | float,
    push: jax.Array | float,
    temperature: jax.Array | float,
    variant: str = 'paper',
) -> jax.Array:
    """The contrast of each image with the others.

    Args:
      features: [n, F], of all views.
      targets: [n].
      predictions: [n]; they have no gradient.
      weights: [n], how strongly an image pushes.
      window: [] within which two targets, or two predictions, are alike, in their unit.
      push: [] by which the logarithm of a push grows with the distance of two targets, per unit.
      temperature: [] that cosines are divided by.
      variant: 'paper' or 'published'; see the module.

    Returns:
      [n], 0 for an image without negatives. One without positives has 0 ('paper') or nan.
    """
    shapes.refuse_other_images(features, targets=targets, predictions=predictions, weights=weights)
    distance = jnp.abs(targets[:, None] - targets[None, :])
    alike = distance <= window
    others = ~jnp.eye(len(targets), dtype=bool)
    predicted = lax.stop_gradient(predictions)
    near = jnp.abs(predicted[:, None] - predicted[None, :]) <= window
    positives, negatives = alike & others, ~alike & near
    published = variant == 'published'
    logits = similarity.cosines(features) / (PUBLISHED_TEMPERATURE if published else temperature)
    pushed = logits + jnp.log(weights)[:, None] + push * distance
    terms = jnp.concatenate(
        [
            jnp.where(positives, logits, 0.0 if published else -jnp.inf),
            jnp.where(negatives, pushed, -jnp.inf),
        ],
        axis=1,
    )
    known = negatives.any(1)
    if not published:
        known &= positives.any(1)
        # A row of nothing would have a nan for its gradient.
        terms = jnp.where(known[:, None], terms, 0.0)
    count = positives.sum(1)
    mean = jnp.where(positives, logits, 0.0).sum(1) / (count if published else count.clip(1))
    # As in the code, nan times 0 stays nan there.
    found = jax.nn.logsumexp(terms, axis=1) - mean
    return found * known if published else jnp.where(known, found, 0.0)


def batch_loss(
    features: jax.Array,
    targets: jax.Array,
    predictions: jax.Array,
    weights: jax.Array,
    window: jax.Array | float,
    push: jax.Array | float,
    temperature: jax.Array | float,
    variant: str = 'paper',
) -> jax.Array:
    """The mean [] of `batch_losses`, of which each has its weight if 'published'."""
    found = batch_losses(
        features, targets, predictions, weights, window, push, temperature, variant
    )
    return jnp.mean(weights * found if variant == 'published' else found)


@register
@dataclasses.dataclass(frozen=True)
class ConR(Remedy):
    """The contrastive regulariser, beside the objective; see the module.

    An image's weight is that of a remedy beside it, as in `conr + inverse`. Its views are the image
    and one with pixels moved as the task allows; each view has its own prediction, and the
    objective is the mean over both.

    The published values are for ages, of which there are a hundred: a window of 1 and a push of
    .01 a year. By default they are the same parts of a range of ten. The strength is the published
    one: by features of a network that has learnt, the penalty's gradient is a quarter of the
    squared error's.
    """

    strength: float = field(4.0, positive(1e9), 'factor on the penalty', DIAL)
    window: float = field(0.1, positive(1e6), 'within which targets are alike', DIAL)
    push: float = field(0.1, number(0.0, 1e3), 'growth of a push with distance, per unit', DIAL)
    temperature: float = field(0.2, positive(1e3), 'that cosines are divided by', DIAL)
    variant: str = field(
        'paper', one_of('paper', 'published'), "the method, or what its authors' code does", CODE
    )

    name = 'conr'
    views = 2
    moves_pixels = True

    def augment(self, images: jax.Array, key: jax.Array, keeps: Sequence[str]) -> jax.Array:
        """The images, and the images with their pixels moved."""
        return views.pair(images, key, keeps)

    def penalty(self, batch: Batch) -> jax.Array:
        """Over all views of all images."""
        count = len(batch.outputs)
        predictions = jnp.concatenate([batch.predict(outputs) for outputs in batch.outputs])
        return batch.dials['strength'] * batch_loss(
            batch.features.reshape(len(predictions), -1),
            jnp.tile(batch.targets, count),
            predictions,
            jnp.tile(batch.weights, count),
            window=batch.dials['window'],
            push=batch.dials['push'],
            temperature=batch.dials['temperature'],
            variant=self.variant,
        )
