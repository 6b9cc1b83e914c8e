"""What remedies share whose loss is of each image, in the place of the objective."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import Field
from imbreg_jax.study.settings import FIELDS
from imbreg_jax.training.remedy import Batch, Remedy

_OBJECTIVE: Field = FIELDS['training.objective']


def refuse_objective(name: str, fields: Mapping[str, Any]) -> None:
    """Refuses another objective than the default for a remedy of that name.

    Raises:
      ValueError: with a sentence.
    """
    objective = fields['training.objective']
    if objective != _OBJECTIVE.default:
        raise ValueError(
            f'{name} has a loss in the place of the objective, and training.objective '
            f'{objective} would be of no effect; it must be {_OBJECTIVE.default}'
        )


@dataclasses.dataclass(frozen=True)
class OwnLoss(Remedy):
    """A remedy with a loss of its own for each image; a base of those that are one."""

    def losses(self, outputs: jax.Array, batch: Batch) -> jax.Array:
        """The losses [B] of a batch's images from the outputs [B, Q] of one view."""
        raise NotImplementedError

    def loss(self, batch: Batch) -> jax.Array:
        """Their weighted mean [] over images and views."""
        losses = jnp.stack([self.losses(outputs, batch) for outputs in batch.outputs])
        return jnp.mean(batch.weights * losses)

    def check(self, fields: Mapping[str, Any], task: Any, law: Distribution) -> None:
        """Refuses another objective than the default, which would be of no effect."""
        super().check(fields, task, law)
        refuse_objective(self.name, fields)
