"""What a task is: a family of images, and which value of an image is its target.

A task is one entry, in a file of its own in `data/tasks/` or in a config file: `register` it and
`config.task.name` knows it.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from imbreg_jax.study.fields import DIAL
from imbreg_jax.study.settings import of_role

# (generating [..., b], noise [b, H, W], nuisance [b, k]) -> images [..., b, H, W, channels].
Synthesize = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Task:
    """A family of images and its targets.

    Attributes:
      name: what the config calls it.
      meaning: what its images are and what is to be estimated.
      unit: of its targets.
      synthesize: (generating [..., b], noise [b, H, W], nuisance [b, k]) to images
        [..., b, H, W, channels]. The noise has mean 0 and standard deviation 1; a leading axis of
        the generating values means as many images of the same noise.
      measure: (images [..., H, W, channels], and by their names dials of the config's section
        `task`) to the statistic [...] of an image's own pixels; None where the target is the
        generating value.
      domain: the least and the greatest target, both left out; laws must lie within.
      degree: the power of a factor on an image's pixels that its target is multiplied by; None
        where a factor leaves the family.
      nuisance: how many uniforms in [0, 1) an image has for position, phase, angle and the like.
      channels: of an image.
      floor: (generating [...], pixels) to the least standard deviation [...] of an unbiased
        estimate of the generating value from so many pixels of normal noise; None where no such
        bound is known.
    """

    name: str
    meaning: str
    unit: str
    synthesize: Synthesize
    measure: Callable[..., jax.Array] | None = None
    domain: tuple[float, float] = (0.0, math.inf)
    degree: float | None = None
    nuisance: int = 0
    channels: int = 1
    floor: Callable[[jax.Array, int], jax.Array] | None = None

    @property
    def dials(self) -> list[str]:
        """Dials of the config's section `task` that the statistic takes, after the images."""
        return [] if self.measure is None else list(inspect.signature(self.measure).parameters)[1:]

    def targets(
        self, images: jax.Array, generating: jax.Array, dials: Mapping[str, Any]
    ) -> jax.Array:
        """The targets [...] of images [..., H, W, channels] with these generating values [...].

        Args:
          images: the images.
          generating: their generating values.
          dials: {'task.<field>': [] float32} of the run.
        """
        if self.measure is None:
            return generating
        measured = self.measure(images, *(dials[f'task.{name}'] for name in self.dials))
        return jnp.where(dials['task.target'] > 0, generating, measured)


TASKS: dict[str, Task] = {}


def register(task: Task) -> Task:
    """Makes a task known by its name, for `config.task.name`.

    Raises:
      ValueError: the package itself has a task of that name, or its statistic takes what the
        config's section `task` has no dial for.
    """
    known = [field.partition('.')[2] for field in of_role(DIAL, 'task')]
    for name in task.dials:
        if name not in known:
            raise ValueError(
                f'the statistic of the task {task.name!r} takes {name}; it may take the images and '
                f'any of {", ".join(known)}'
            )
    held = TASKS.get(task.name)
    # A config file may be loaded again, and then defines its own task again.
    if held is not None and held.synthesize.__module__.startswith('imbreg_jax.'):
        raise ValueError(f'there is a task {task.name!r} already: {held.meaning}')
    TASKS[task.name] = task
    return task
