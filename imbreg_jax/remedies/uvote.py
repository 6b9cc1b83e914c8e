"""UVOTE: several regressors on one encoder, of which the one that is surest of an image answers.

Jiang et al., "Uncertainty Voting Ensemble for Imbalanced Deep Regression" (arXiv:2305.15178), as
noah-puetz/deconstructing_deep_imbalanced_regression has it (agedb_dir_uvote). Each head says a
location and the logarithm of a scale, and learns by the likelihood of Laplace's law. Heads differ
in how far their weights fall with how often targets occur: the first has none, the last those of
`inverse`, and those between are evenly spaced in the power of the count. At the start the first
head learns alone; the others' share grows with the square of the epochs that are done.

There the scales' layer has a tenth of the learning rate. Here a layer gives all outputs, so that
the logarithm of a scale is a tenth of its output, which comes to the same under Adam.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from imbreg_jax.remedies import inverse, shapes
from imbreg_jax.remedies.own_loss import refuse_objective
from imbreg_jax.remedies.registry import register
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import CODE, DIAL, TABLE, field, integer, one_of, positive
from imbreg_jax.training.remedy import Batch, Remedy

# The logarithm of a scale, in the target's unit, is cut to these.
LEAST, MOST = -5.0, 5.0


def likelihoods(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Negative logarithms of the likelihood of Laplace's law.

    Args:
      outputs: [..., 2], location and logarithm of the scale.
      targets: [...].

    Returns:
      [...]: log(2 scale) + |target - location| / scale.
    """
    shapes.refuse_untrailing(outputs[..., 0], targets=targets)
    logarithm = jnp.clip(outputs[..., 1], LEAST, MOST)
    distance = jnp.abs(targets - outputs[..., 0])
    return jnp.log(2.0) + logarithm + distance * jnp.exp(-logarithm)


def head_weights(
    targets: np.ndarray, heads: int, bins: int = 20, variant: str = 'paper'
) -> np.ndarray:
    """[N, heads] float64, of mean 1 for each head: those of `inverse` of powers from 0 to 1.

    Args:
      targets: [N] training targets.
      heads: how many.
      bins: evenly spaced from the least to the greatest target.
      variant: limits of the counts, as `inverse.weights` has them.
    """
    powers = np.linspace(0.0, 1.0, heads)
    falling = [inverse.weights(targets, bins, p, variant=variant) for p in powers[1:]]
    return np.stack([np.ones(len(targets)), *falling], axis=1)


def surest(outputs: jax.Array, heads: int) -> jax.Array:
    """[n]: of outputs [n, 2 heads], locations before scales, the location of the least scale.

    Raises:
      ValueError: outputs of another number of heads.
    """
    if outputs.ndim != 2 or outputs.shape[1] != 2 * heads:
        raise ValueError(
            f'outputs have the shape {outputs.shape}; of {heads} heads they must be '
            f'[n, {2 * heads}]'
        )
    chosen = jnp.argmin(outputs[:, heads:], axis=1)
    return jnp.take_along_axis(outputs[:, :heads], chosen[:, None], axis=1)[:, 0]


@register
@dataclasses.dataclass(frozen=True)
class UVote(Remedy):
    """Heads that vote by how sure they are, in the place of the objective; see the module.

    Bins are those of `fds`: of 100, some thirty have fewer than ten of 10,000 targets of N(5.5, 1),
    and weights that are mostly chance.
    """

    heads: int = field(2, integer(2, 64), 'regressors on one encoder', CODE)
    bins: int = field(20, integer(2, 10_000), 'bins of targets, evenly spaced', TABLE)
    scale_rate: float = field(
        0.1, positive(1e3), 'factor on the learning rate of what says a scale', DIAL
    )
    variant: str = field('paper', one_of('paper', 'published'), 'limits of the counts', TABLE)

    name = 'uvote'
    least_epochs = 2

    @property
    def outputs(self) -> int:  # type: ignore[override]
        """A location of each head, then a scale of each."""
        return 2 * self.heads

    def check(self, fields: Mapping[str, Any], task: Any, law: Distribution) -> None:
        """Refuses another objective than the default, which would be of no effect."""
        super().check(fields, task, law)
        refuse_objective(self.name, fields)

    def tables(
        self, targets: np.ndarray, law: Distribution, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """The weights [N, heads] of each head."""
        del law, generator
        found = head_weights(targets, self.heads, self.bins, self.variant)
        return {'head_weights': found.astype(np.float32)}

    def loss(self, batch: Batch) -> jax.Array:
        """The sum over heads of weighted means over images and views."""
        locations, scales = jnp.split(batch.outputs, 2, axis=-1)
        pairs = jnp.stack([locations, batch.dials['scale_rate'] * scales], axis=-1)
        weights = batch.weights[:, None] * batch.tables['head_weights'][batch.places]
        targets = jnp.broadcast_to(batch.targets[:, None], locations.shape[1:])
        of_heads = (weights * likelihoods(pairs, targets)).mean((0, 1))
        share = (batch.epoch / batch.epochs) ** 2
        return of_heads[0] + share * of_heads[1:].sum()

    def predict(self, outputs: jax.Array) -> jax.Array:
        """The location [B] of the head whose scale is least."""
        return surest(outputs, self.heads)
