"""The source of images that are made of generating values: noise, and what a task makes of it."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from imbreg_jax.data import folds, images, randomness
from imbreg_jax.data.pixel_laws import PIXEL_LAWS
from imbreg_jax.data.randomness import Purpose, purpose_key
from imbreg_jax.data.source import KEPT, SPLITS, UNDER_TEST_LAWS, Place
from imbreg_jax.data.task import Task
from imbreg_jax.data.tasks import TASKS
from imbreg_jax.study import Condition, Study

# The dense set is common to all repeats: its key is that of a repeat that cannot occur.
COMMON_REPEAT = 2**32 - 1


def generating_values(
    study: Study, condition: Condition, repeat: int, split: str, count: int
) -> np.ndarray:
    """[..., count] float32: one uniform draw a repeat, through the split's law or laws.

    Splits under the test laws lead with the study's test distributions; the dense set has no draw.
    """
    targets, _ = SPLITS[split]
    if targets is None:
        settings = study.evaluation
        return np.linspace(settings.dense_low, settings.dense_high, count, dtype=np.float32)
    data = condition.data
    if data.folds and split in KEPT:
        number, whole = folds.data_set(data.folds, repeat), data.folds * data.validation_size
        drawn = randomness.uniforms(study.seed, number, Purpose.TRAIN_TARGETS, whole)
        part = (data.folds, data.validation_size)
        uniforms = drawn[folds.places(*part, split, repeat, np.arange(count))]
    else:
        uniforms = randomness.uniforms(study.seed, repeat, targets, count)
    if split not in UNDER_TEST_LAWS:
        return condition.distribution.ppf(uniforms).astype(np.float32)
    laws = [law.ppf(uniforms).astype(np.float32) for law in study.test_distributions]
    return np.stack(laws)


def draws(condition: Condition) -> bool:
    """Whether the images of a condition are worth keeping whole; see `Task.drawn`."""
    return TASKS[condition.task.name].drawn


def table_of(condition: Condition, repeat: int, rendered: bool) -> Hashable:
    """What a run's resident arrays are of, among those of its program; see `Source.table`.

    Noise is a repeat's. A rendered image is made of noise and of its generating value, and a
    repeat's are those of one draw under the condition's law; all other fields that an image is made
    by are code, which runs of a program share. A dial changes targets at most: a task's images have
    no other arguments.

    Args:
      condition: the run's.
      repeat: the run's.
      rendered: whether images are kept whole where they are drawn.
    """
    return (repeat, condition.distribution.identity if rendered and draws(condition) else '')


class Synthetic:
    """The images of conditions that share a program; see `source.Source`.

    Attributes:
      task: the family of images.
      size: pixels along each side.
      renders: whether a device keeps its images, and not the noise of which each step makes them.
    """

    def __init__(self, study: Study, condition: Condition, rendered: bool = False):
        """Args: the study, one of the conditions, and whether drawn images are kept whole."""
        self.study = study
        self.task: Task = TASKS[condition.task.name]
        self.size = condition.data.image_size
        self.renders = rendered and self.task.drawn
        self._part = (condition.data.folds, condition.data.validation_size)
        self._law = PIXEL_LAWS[condition.data.pixel_law]
        self._counts = {
            'train': condition.data.train_size,
            'validation': condition.data.validation_size,
            'test': condition.data.test_size,
            'dense': study.evaluation.dense_size,
        }
        if study.evaluation.validation_under_test:
            self._counts['selection'] = condition.data.validation_size

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return self.task.channels

    @property
    def degree(self) -> float | None:
        """The power of a factor on pixels that targets are multiplied by; None without one."""
        return self.task.degree

    @property
    def keeps(self) -> tuple[str, ...]:
        """In which ways its images' pixels may be moved; see `Task.keeps`."""
        return self.task.keeps

    def count(self, split: str) -> int:
        """How many images a split of a run has."""
        return self._counts[split]

    def rows(self, condition: Condition, repeat: int) -> dict[str, np.ndarray]:
        """{split: [..., n]} float32 generating values of a run."""
        return {
            split: generating_values(self.study, condition, repeat, split, self.count(split))
            for split in self._counts
        }

    def table(self, condition: Condition, repeat: int) -> Hashable:
        """What a run's resident arrays are of; see `table_of`."""
        return table_of(condition, repeat, self.renders)

    def resident(
        self, root: jax.Array, repeat: jax.Array, rows: dict[str, jax.Array]
    ) -> dict[str, Any]:
        """{split: [n, H, W]} noise of training and validation, or [n, H, W * channels] images.

        A few images are made at a time. Their channels lie beside each other, as a last axis of one
        channel would be padded to a hundred where arrays lie in tiles.
        """

        def visit(split, index):
            key, place = self._found(root, repeat, split, index)
            noise = images.noise(key, place, self.size, root, self._law.draw)
            if not self.renders:
                return noise
            made = self._made(root, key, place, rows[split][index], noise)
            return made.reshape(*made.shape[:-2], -1)

        return {
            split: images.walk(self.count(split), functools.partial(visit, split)) for split in KEPT
        }

    def _found(
        self, root: jax.Array, repeat: jax.Array, split: str, index: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The key of a split's images, and the places under it of those with these indices [b]."""
        count, part = self._part
        if count and split in KEPT:
            number = folds.data_set(count, repeat)
            key = purpose_key(root, number, Purpose.TRAIN_IMAGES)
            return key, folds.places(count, part, split, repeat, index)
        repeat = jnp.uint32(COMMON_REPEAT) if split == 'dense' else repeat
        return purpose_key(root, repeat, SPLITS[split][1]), index

    def images(self, at: Place, split: str, index: jax.Array) -> jax.Array:
        """The images [..., b, H, W, channels] with these indices [b]."""
        return self._images(at, split, at.rows[split][..., index], index)

    def examples(self, at: Place, split: str, index: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The images [..., b, H, W, channels] with these indices [b], and targets [..., b]."""
        generating = at.rows[split][..., index]
        pictures = self._images(at, split, generating, index)
        return pictures, self.task.targets(pictures, generating, at.dials)

    def measured(self, at: Place, images: jax.Array) -> jax.Array:
        """The targets [b] that images [b, H, W, channels] have by their own pixels."""
        return self.task.measured(images, at.dials)

    def _images(self, at: Place, split: str, generating: jax.Array, index: jax.Array) -> jax.Array:
        kept = at.resident[split][at.slot, index] if split in at.resident else None
        if kept is not None and self.renders:
            return kept.reshape(*kept.shape[:-1], self.size, self.channels)
        key, place = self._found(at.root, at.repeat, split, index)
        if kept is None:
            kept = images.noise(key, place, self.size, at.root, self._law.draw)
        return self._made(at.root, key, place, generating, kept)

    def _made(
        self,
        root: jax.Array,
        key: jax.Array,
        place: jax.Array,
        generating: jax.Array,
        noise: jax.Array,
    ) -> jax.Array:
        """Images of their noise, whether they are kept or not."""

        def make(generating, noise, nuisance):
            return self.task.images(generating, noise, nuisance, self._law)

        nuisance = images.nuisance(key, place, self.task.nuisance)
        if not self.task.drawn:
            return make(generating, noise, nuisance)
        return images.apart(make, root, generating, noise, nuisance)
