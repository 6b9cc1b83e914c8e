"""The source of images that are made of generating values: noise, and what a task makes of it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from imbreg_jax.data import images, randomness
from imbreg_jax.data.pixel_laws import PIXEL_LAWS
from imbreg_jax.data.randomness import purpose_key
from imbreg_jax.data.source import KEPT, SPLITS, Place
from imbreg_jax.data.task import Task
from imbreg_jax.data.tasks import TASKS
from imbreg_jax.study import Condition, Study

# The dense set is common to all repeats: its key is that of a repeat that cannot occur.
COMMON_REPEAT = 2**32 - 1


def generating_values(
    study: Study, condition: Condition, repeat: int, split: str, count: int
) -> np.ndarray:
    """[..., count] float32: one uniform draw a repeat, through the split's law or laws.

    Test splits lead with the study's test distributions; the dense set has no draw.
    """
    targets, _ = SPLITS[split]
    if targets is None:
        settings = study.evaluation
        return np.linspace(settings.dense_low, settings.dense_high, count, dtype=np.float32)
    uniforms = randomness.uniforms(study.seed, repeat, targets, count)
    if split != 'test':
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
        self._law = PIXEL_LAWS[condition.data.pixel_law]
        self._counts = {
            'train': condition.data.train_size,
            'validation': condition.data.validation_size,
            'test': condition.data.test_size,
            'dense': study.evaluation.dense_size,
        }

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return self.task.channels

    def count(self, split: str) -> int:
        """How many images a split of a run has."""
        return self._counts[split]

    def rows(self, condition: Condition, repeat: int) -> dict[str, np.ndarray]:
        """{split: [..., n]} float32 generating values of a run."""
        return {
            split: generating_values(self.study, condition, repeat, split, self.count(split))
            for split in SPLITS
        }

    def resident(self, root: jax.Array, repeat: jax.Array) -> dict[str, Any]:
        """The noise of a repeat's training and validation images, for a device to keep."""
        return {
            split: images.noise_table(
                purpose_key(root, repeat, SPLITS[split][1]),
                self.count(split), self.size, root, self._law.draw,
            )
            for split in KEPT
        }  # fmt: skip

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
        repeat = jnp.uint32(COMMON_REPEAT) if split == 'dense' else at.repeat
        key = purpose_key(at.root, repeat, SPLITS[split][1])
        if split in at.resident:
            noise = at.resident[split][at.slot, index]
        else:
            noise = images.noise(key, index, self.size, at.root, self._law.draw)
        nuisance = images.nuisance(key, index, self.task.nuisance)
        return self.task.images(generating, noise, nuisance, self._law)
