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

from imbreg_jax.data import views
from imbreg_jax.data.pixel_laws import PixelLaw
from imbreg_jax.study import suggestions
from imbreg_jax.study.errors import ConfigError
from imbreg_jax.study.fields import DIAL
from imbreg_jax.study.settings import of_role

# (generating [..., b], noise [b, H, W], nuisance [b, k]) -> images [..., b, H, W, channels].
Synthesize = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Budget:
    """What training on a task takes, so that costs of imbalance are of networks that have learnt.

    The rate is found with the balanced condition alone, U(1, 10), on its validation images, by
    `configs/budgets.py`: that with the least error at the end of the worse of two repeats, below
    1e-2, at which networks of seven tasks stop learning. Drawn images and the signal-to-noise ratio
    take more images and epochs than other statistics of pixels. It is no default of the config: a
    config of many tasks reads it.

    Attributes:
      learning_rate: Adam's, at the start.
      epochs: passes over the training images.
      train_size: training images.
      schedule: of the rate.
      dropout: whether the network keeps its dropout.
    """

    learning_rate: float = 3e-3
    epochs: int = 4
    train_size: int = 10_000
    schedule: str = 'cosine'
    dropout: bool = False

    def fields(self) -> dict[str, dict[str, Any]]:
        """As the fields that a condition changes; with dropout, its rates stay the config's."""
        found: dict[str, dict[str, Any]] = {
            'training': {
                'learning_rate': self.learning_rate,
                'epochs': self.epochs,
                'schedule': self.schedule,
            },
            'data': {'train_size': self.train_size},
        }
        if not self.dropout:
            found['model'] = {'conv_dropout_rate': 0.0, 'dense_dropout_rate': 0.0}
        return found


@dataclasses.dataclass(frozen=True)
class Task:
    """A family of images and its targets.

    Targets of interest lie in [1, 10] whatever the family's own unit: `unit` says what 1 is.

    Attributes:
      name: what the config calls it.
      meaning: what its images are and what is to be estimated.
      unit: of its targets, such as '3 pixels'.
      synthesize: (generating [..., b], noise [b, H, W], nuisance [b, k]) to images
        [..., b, H, W, channels]. The noise has mean 0 and standard deviation 1; a leading axis of
        the generating values means as many images of the same noise.
      measure: (images [..., H, W, channels], and by their names dials of the config's section
        `task`) to the statistic [...] of an image's own pixels; None where the target is the
        generating value.
      domain: the least and the greatest target, both left out; laws must lie within.
      degree: the power of a factor on an image's pixels that its statistic is multiplied by; None
        where there is no such power.
      nuisance: how many uniforms in [0, 1) an image has for position, phase, angle and the like.
      channels: of an image.
      floor: (generating [...], pixels) to the least standard deviation [...] of an unbiased
        estimate of the generating value from so many pixels of normal noise; None where no such
        bound is known. A measured target has none: its image tells it exactly.
      shift: how much of a constant that is added to all of an image's pixels is added to its
        statistic, 1 or 0; None where it is neither.
      symmetry: what makes an image of another target of an image, in words; empty where nothing
        does. What a network knows of it, it need not learn from images of every target.
      keeps: in which ways an image's pixels may be moved without a change of its target, some of
        `views.WAYS`: in any order ('permutation') where that is a statistic of its pixels whatever
        their places; or those of 'left_right', 'top_bottom' and 'half_turn' that turn an image
        into one that the task might have made of the same generating value.
      quantity: what the target is, in a word or two; empty: the name.
      expected: (law of a pixel, pixels) to the mean of the statistic over images of noise of
        standard deviation 1, where targets are that times the standard deviation of an image;
        None where images are made of generating values as they are.
      drawn: whether an image takes more than a few operations a pixel to make of its noise, as of a
        form that is drawn over it: where there is room, devices then keep images, and not the noise
        that those of all laws share. No image depends on it.
      least_image_size: pixels along a side of an image in which targets from 1 to 10 have room.
      budget: what training on it takes.
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
    floor: Callable[[Any, int], Any] | None = None
    shift: float | None = None
    symmetry: str = ''
    keeps: tuple[str, ...] = ()
    quantity: str = ''
    expected: Callable[[Any, int], float] | None = None
    drawn: bool = False
    least_image_size: int = 1
    budget: Budget = Budget()

    @property
    def label(self) -> str:
        """The target and its unit, for an axis: 'period (3 pixels)'."""
        return f'{self.quantity or self.name} ({self.unit})'

    @property
    def dials(self) -> list[str]:
        """Dials of the config's section `task` that the statistic takes, after the images."""
        return [] if self.measure is None else list(inspect.signature(self.measure).parameters)[1:]

    def images(
        self, generating: jax.Array, noise: jax.Array, nuisance: jax.Array, law: PixelLaw
    ) -> jax.Array:
        """Images [..., b, H, W, channels] whose targets lie about their generating values [..., b].

        Args:
          generating: the generating values.
          noise: [b, H, W], draws of the law.
          nuisance: [b, k] uniforms.
          law: of a pixel's noise.
        """
        if self.expected is not None:
            pixels = noise.shape[-1] * noise.shape[-2]
            generating = generating / float(self.expected(law.distribution, pixels))
        return self.synthesize(generating, noise, nuisance)

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
        return jnp.where(dials['task.target'] > 0, generating, self.measured(images, dials))

    def measured(self, images: jax.Array, dials: Mapping[str, Any]) -> jax.Array:
        """The statistic [...] of images [..., H, W, channels], whatever they were made of.

        Raises:
          ValueError: the task has none.
        """
        if self.measure is None:
            raise ValueError(f'the task {self.name!r} has no statistic of pixels')
        return self.measure(images, *(dials[f'task.{name}'] for name in self.dials))


TASKS: dict[str, Task] = {}


def named(name: str) -> Task:
    """The task of that name.

    Raises:
      ConfigError: there is none, with the nearest that there is.
    """
    if name not in TASKS:
        near = suggestions.nearest(name, TASKS)
        hint = f'did you mean {near!r}' if near else f'there are {", ".join(TASKS)}'
        raise ConfigError('task.name', name, f'there is no such task; {hint}')
    return TASKS[name]


def register(task: Task) -> Task:
    """Makes a task known by its name, for `config.task.name`.

    Raises:
      ValueError: the package itself has a task of that name, its statistic takes what the
        config's section `task` has no dial for, or it keeps targets in a way that is none.
    """
    for way in task.keeps:
        if way not in views.WAYS:
            raise ValueError(
                f'the task {task.name!r} keeps its targets in {way!r}; it may in any of '
                f'{", ".join(views.WAYS)}'
            )
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
