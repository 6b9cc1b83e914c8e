"""RankSim: images are to be as near to each other in features as they are in targets, in order.

Gong et al., "RankSim: Ranking Similarity Regularization for Deep Imbalanced Regression" (ICML
2022), and its repository BorealisAI/ranksim-imbalanced-regression (agedb-dir/ranksim.py). Seen from
each image of a batch the others have an order by how near their targets are, and one by how near
their features are; the penalty is the squared difference of their ranks. Ranks are constant but
where they jump, so their gradient is that of Vlastelica et al., "Differentiation of Blackbox
Combinatorial Solvers" (ICLR 2020): a rank's difference quotient, from the values that are ranked to
these moved along the loss's gradient.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from imbreg_jax.remedies import shapes, similarity
from imbreg_jax.remedies.registry import register
from imbreg_jax.study.fields import DIAL, field, positive
from imbreg_jax.training.remedy import Batch, Remedy


def ranks(values: jax.Array, counted: jax.Array) -> jax.Array:
    """Places of values among those of their row, from the greatest.

    Args:
      values: [..., n].
      counted: [n] bool, which of them there are.

    Returns:
      [..., n]: 1/M for the greatest of M that are counted, 1 for the least; 0 for one that is not
      counted. Of equal ones the later has the smaller rank, as in the repository.
    """
    # How many come before each: n**2 comparisons a row, where a sort would be slower and would
    # leave the order of equal ones to the device.
    mine, others = values[..., :, None], values[..., None, :]
    place = jnp.arange(values.shape[-1])
    before = (others > mine) | ((others == mine) & (place > place[:, None]))
    found = 1 + (before & counted).sum(-1)
    return jnp.where(counted, found / counted.sum(), 0.0)


@jax.custom_vjp
def differentiable_ranks(
    values: jax.Array, counted: jax.Array, interpolation: jax.Array | float
) -> jax.Array:
    """`ranks` with the gradient of a black box.

    Args:
      values: [..., n].
      counted: [n] bool.
      interpolation: [] how far along the loss's gradient the values are moved for the quotient.
    """
    del interpolation
    return ranks(values, counted)


def _forward(values, counted, interpolation):
    found = ranks(values, counted)
    return found, (values, counted, interpolation, found)


def _backward(kept, gradient):
    values, counted, interpolation, found = kept
    moved = ranks(values + interpolation * gradient, counted)
    return (moved - found) / interpolation, None, None


differentiable_ranks.defvjp(_forward, _backward)


def first_of_each(targets: jax.Array) -> jax.Array:
    """[n] bool: the first image of each target [n].

    The repository draws one of those of a target; a batch's order is drawn already.
    """
    same = targets[:, None] == targets[None, :]
    return ~jnp.tril(same, -1).any(1)


def penalty(features: jax.Array, targets: jax.Array, interpolation: jax.Array | float) -> jax.Array:
    """The penalty [] of a batch: a sum over images of a mean over their neighbours.

    The rule of its gradient is not linear: a factor on the penalty that is within what is
    differentiated moves values further, and enters `interpolation` times the factor.

    Args:
      features: [n, F].
      targets: [n]; one image of each target counts.
      interpolation: [] above 0; see `differentiable_ranks`.
    """
    shapes.refuse_other_images(features, targets=targets)
    counted = first_of_each(targets)
    by_target = ranks(-jnp.abs(targets[:, None] - targets[None, :]), counted)
    by_feature = differentiable_ranks(similarity.cosines(features), counted, interpolation)
    pairs = counted[:, None] & counted[None, :]
    return jnp.where(pairs, (by_feature - by_target) ** 2, 0.0).sum() / counted.sum()


@register
@dataclasses.dataclass(frozen=True)
class RankSim(Remedy):
    """Ranking similarity, beside the objective; see the module.

    A gradient is a difference of ranks divided by `interpolation`, so that it is no larger than the
    inverse of that, whatever the strength: the product of both says how far values are moved before
    they are ranked again. By default that is the published product, of 100 and 2 for ages and the
    absolute error, and the gradient a tenth of the published one. For targets from 1 to 10 and the
    squared error it is about as large as the objective's own, by features of a network that has
    learnt; the published values would let the penalty drown it.
    """

    strength: float = field(10.0, positive(1e9), 'factor on the penalty', DIAL)
    interpolation: float = field(
        20.0, positive(1e9), 'how far along the gradient ranks are compared', DIAL
    )

    name = 'ranksim'

    def held(self, images: int) -> int:
        """Comparisons of which ranks are counted."""
        return images**3

    def penalty(self, batch: Batch) -> jax.Array:
        """The mean over views."""
        found = [
            penalty(features, batch.targets, batch.dials['interpolation'])
            for features in batch.features
        ]
        return batch.dials['strength'] * jnp.mean(jnp.stack(found))
