"""Images and targets times a random factor: training targets that the training set never had.

Where a factor s on an image's pixels is s**d on its target (`Task.degree` d; 1 for a standard
deviation), an image of one target becomes one of another by the factor (wanted / target)**(1/d).
Each time that an image is trained on, the wanted target is drawn anew, uniformly from `low` to
`high`. So the law of targets in training is U(low, high) whatever the training law, also where that
has none; and on balanced training targets it stays what it was. A factor with a law of its own,
such as a log-uniform one, would not leave it: of U(1, 10) it would make targets far outside, to
which squared errors give most weight. 1 to 10 is where the targets of interest of all tasks lie.

A measured target stays exact. Images are such as the task makes where its noise is in proportion to
the target; where the target is added to noise of one size (mean, median), they are not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from imbreg_jax.remedies import shapes
from imbreg_jax.remedies.registry import register
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import DIAL, LARGEST_TARGET, field, positive
from imbreg_jax.training.remedy import Remedy


def scaled(
    images: jax.Array, targets: jax.Array, wanted: jax.Array, degree: float = 1.0
) -> tuple[jax.Array, jax.Array]:
    """Images of other targets, by a factor on each.

    Args:
      images: [B, H, W, channels].
      targets: [B], theirs.
      wanted: [B] of the images to be, above 0.
      degree: the power of a factor on pixels that a target is multiplied by, not 0.

    Returns:
      The images [B, H, W, channels] and their targets [B], which are those that are wanted. An
      image whose target is 0 or below, which no factor makes another sign of, stays as it is.
    """
    shapes.refuse_unlike(targets=targets, wanted=wanted)
    above = targets > 0
    ratios = jnp.where(above, wanted / jnp.where(above, targets, 1.0), 1.0)
    factors = ratios ** (1.0 / degree)
    return factors[:, None, None, None] * images, jnp.where(above, wanted, targets)


@register
@dataclasses.dataclass(frozen=True)
class ScaleAugmentation(Remedy):
    """Images and targets times a random factor; see the module.

    Remedies that look at the training targets, to weigh images or for bins of them, do not go
    together with it: an image's target is another one each time.
    """

    low: float = field(1.0, positive(LARGEST_TARGET), 'least target, in its unit', DIAL)
    high: float = field(10.0, positive(LARGEST_TARGET), 'greatest target, in its unit', DIAL)

    name = 'scale_augmentation'
    varies = True

    def __post_init__(self) -> None:
        """Refuses bounds that cross.

        Raises:
          ValueError: with a sentence.
        """
        if not self.low < self.high:
            raise ValueError(
                f'scale_augmentation has low = {self.low}; it must be below its high, {self.high}'
            )

    def check(self, fields: Mapping[str, Any], task: Any, law: Distribution) -> None:
        """Refuses a task of whose targets a factor on pixels makes no others."""
        super().check(fields, task, law)
        if task.degree is None:
            raise ValueError(
                'scale_augmentation multiplies pixels by a factor, and what that does to targets '
                f'of the task {task.name} is no power of it'
            )
        if task.degree == 0:
            raise ValueError(
                'scale_augmentation multiplies pixels by a factor, which leaves targets of the '
                f'task {task.name} as they are'
            )

    def vary(
        self,
        images: jax.Array,
        targets: jax.Array,
        degree: float,
        dials: Mapping[str, jax.Array],
        key: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Images [B, H, W, channels] of uniformly drawn targets, and these [B]."""
        wanted = jax.random.uniform(key, targets.shape, jnp.float32, dials['low'], dials['high'])
        return scaled(images, targets, wanted, degree)
