"""The source of images that are made of generating values: noise, and what a task makes of it."""

from __future__ import annotations

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


class Synthetic:
    """The images of conditions that share a program; see `source.Source`.

    Attributes:
      task: the family of images.
      size: pixels along each side.
    """

    def __init__(self, study: Study, condition: Condition):
        """Args: the study, and one of the conditions."""
        self.study = study
        self.task: Task = TASKS[condition.task.name]
        self.size = condition.data.image_size
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

    def resident(self, root: jax.Array, repeat: jax.Array) -> dict[str, Any]:
        """The noise of a repeat's training and validation images, for a device to keep."""
        tables = {}
        for split in KEPT:
            every = jnp.arange(self.count(split), dtype=jnp.int32)
            key, places = self._found(root, repeat, split, every)
            tables[split] = images.noise_table(key, places, self.size, root, self._law.draw)
        return tables

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
        key, place = self._found(at.root, at.repeat, split, index)
        if split in at.resident:
            noise = at.resident[split][at.slot, index]
        else:
            noise = images.noise(key, place, self.size, at.root, self._law.draw)
        nuisance = images.nuisance(key, place, self.task.nuisance)
        return self.task.images(generating, noise, nuisance, self._law)
