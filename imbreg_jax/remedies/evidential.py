"""Evidential regression with weights on the evidence: the predictor of VIR, without its encoder.

Wang and Wang, "Variational Imbalanced Regression: Fair Uncertainty Quantification via Probabilistic
Smoothing" (NeurIPS 2023), and its repository Wang-ML-Lab/variational-imbalanced-regression
(loss.py, evidential_deep_learning.py). The network says for each image a location, how many
observations that is worth, and a scale: a normal law whose mean and variance have a
normal-inverse-gamma law. In training the observations are multiplied by the image's weight, so that
a rare target is believed more: `evidential + inverse(power=0.5)`. The loss is the likelihood, with
a penalty on evidence where the location is wrong.

With VIR's encoder, whose features are laws themselves, sampled in training and decoded to the
image, it is `vir`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from imbreg_jax.remedies import shapes
from imbreg_jax.remedies.own_loss import refuse_objective
from imbreg_jax.remedies.registry import register
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import DIAL, field, number, positive
from imbreg_jax.training.remedy import Batch, Remedy

# Observations that every image has, so that the variance of a location is finite, and half of
# those that the variance has before any, as in the repository.
LEAST_OBSERVATIONS, PRIOR_ALPHA = 2.0, 0.3
# Of no observations there is no likelihood: the least weight of an image.
LEAST_WEIGHT = 1e-6
# Of an output of some -104 or less log(1 + e**x) is 0 in float32, and of no scale there is no
# likelihood. A likelihood's slope in the location is at most (alpha + 1/2) / sqrt(2 beta), of which
# Adam takes the square: with this least scale it is finite for alpha up to 10,000.
LEAST_BETA = 1e-30


class Law(NamedTuple):
    """A normal-inverse-gamma law of the mean and variance of a target.

    Attributes:
      location: [...], of the mean.
      observations: [...] > 0, that the mean is worth.
      alpha, beta: [...] > 0, shape and scale of the variance's inverse gamma law; a weight of 0.7
        or more leaves alpha above 1, and beta is `LEAST_BETA` at least.
    """

    location: jax.Array
    observations: jax.Array
    alpha: jax.Array
    beta: jax.Array


def law(
    outputs: jax.Array, weights: jax.Array | float = 1.0, sharpness: jax.Array | float = 1.0
) -> Law:
    """What the outputs of a network say.

    Args:
      outputs: [..., 3], any numbers: location, observations, scale.
      weights: [...] on the observations; `LEAST_WEIGHT` at least.
      sharpness: [] of the bend of log(1 + e**x) that keeps the last two positive.
    """
    location, count, scale = jnp.moveaxis(outputs, -1, 0)
    shapes.refuse_untrailing(location, weights=weights)
    weights = jnp.maximum(weights, LEAST_WEIGHT)
    observations = weights * (jax.nn.softplus(sharpness * count) / sharpness + LEAST_OBSERVATIONS)
    beta = jnp.maximum(jax.nn.softplus(sharpness * scale) / sharpness, LEAST_BETA)
    return Law(location, observations, PRIOR_ALPHA + observations / 2, beta)


def likelihoods(found: Law, targets: jax.Array) -> jax.Array:
    """[...]: negative logarithms of the likelihood of targets [...], Student's t."""
    shapes.refuse_untrailing(found.location, targets=targets)
    spread = 2 * found.beta * (1 + found.observations)
    return (
        0.5 * jnp.log(jnp.pi / found.observations)
        - found.alpha * jnp.log(spread)
        + (found.alpha + 0.5)
        * jnp.log(found.observations * (targets - found.location) ** 2 + spread)
        + gammaln(found.alpha)
        - gammaln(found.alpha + 0.5)
    )


def batch_losses(found: Law, targets: jax.Array, strength: jax.Array | float) -> jax.Array:
    """[...]: `likelihoods` and, times strength, the error times the evidence for it."""
    evidence = 2 * found.observations + found.alpha
    return likelihoods(found, targets) + strength * jnp.abs(targets - found.location) * evidence


def variance(found: Law) -> jax.Array:
    """[...]: how uncertain the mean is, in the target's unit squared.

    It is infinite where alpha is 1 or less, as weights in training below 0.7 may leave it: of what
    a network has learnt it is asked without weights.
    """
    known = found.alpha > 1
    more = jnp.where(known, found.alpha - 1, 1.0)
    return jnp.where(known, found.beta / (found.observations * more), jnp.inf)


@register
@dataclasses.dataclass(frozen=True)
class Evidential(Remedy):
    """Evidential regression, in the place of the objective; see the module.

    The published sharpness is .1, for ages, of whose range it is a tenth. By default it is the same
    part of a range of ten.
    """

    strength: float = field(0.01, number(0.0, 1e6), 'factor on evidence where errors are', DIAL)
    sharpness: float = field(
        1.0, positive(1e6), 'of the bend that keeps scales positive, per unit', DIAL
    )

    name = 'evidential'
    outputs = 3
    predicts_first = True

    def check(self, fields: Mapping[str, Any], task: Any, law: Distribution) -> None:
        """Refuses another objective than the default, which would be of no effect."""
        super().check(fields, task, law)
        refuse_objective(self.name, fields)

    def loss(self, batch: Batch) -> jax.Array:
        """The mean over images and views; a weight is on an image's observations."""
        found = law(batch.outputs, batch.weights, batch.dials['sharpness'])
        return jnp.mean(batch_losses(found, batch.targets, batch.dials['strength']))

    def predict(self, outputs: jax.Array) -> jax.Array:
        """The locations [B]."""
        return outputs[:, 0]
