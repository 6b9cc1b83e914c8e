"""What owns the images and targets of a program's runs.

Engine and evaluator ask a source and know neither noise nor tables: `synthetic` makes images of
generating values; one of somebody's own arrays would hold them on the device.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from imbreg_jax.data.randomness import Purpose
from imbreg_jax.study import Condition

# Splits, with the purposes of their targets' and their images' keys. The dense set's targets are
# evenly spaced, so that nothing of them is drawn.
SPLITS: dict[str, tuple[Purpose | None, Purpose]] = {
    'train': (Purpose.TRAIN_TARGETS, Purpose.TRAIN_IMAGES),
    'validation': (Purpose.VALIDATION_TARGETS, Purpose.VALIDATION_IMAGES),
    'test': (Purpose.TEST_TARGETS, Purpose.TEST_IMAGES),
    'dense': (None, Purpose.DENSE_IMAGES),
    'selection': (Purpose.SELECTION_TARGETS, Purpose.SELECTION_IMAGES),
}
# Splits with images of each of the study's test laws. Where a study has a selection split, it is
# what could be chosen by if the test laws were known: validation images, and never the test's.
UNDER_TEST_LAWS = ('test', 'selection')
# What a device may keep, since training or validation walks through it in every epoch.
KEPT = ('train', 'validation')


class Place(NamedTuple):
    """Where a traced function of one run finds what it needs.

    Attributes:
      root: the study's root key.
      repeat: [] int32, the run's repeat: with a purpose, the root of its keys.
      member: [] int32, the run's number in its ensemble, of which its training's keys come too.
      slot: [] int32, the run's place among its device's resident arrays.
      rows: {split: [..., n]} float32 generating values (or what else a source has of an image).
      dials: {dotted field: [] float32} of the run.
      resident: what lies on the run's device for all its runs, {split: [tables, n, ...]}.
    """

    root: jax.Array
    repeat: jax.Array
    member: jax.Array
    slot: jax.Array
    rows: dict[str, jax.Array]
    dials: dict[str, jax.Array]
    resident: dict[str, jax.Array]


class Source(Protocol):
    """The images of one program's runs."""

    @property
    def channels(self) -> int:
        """Channels of an image."""
        ...

    @property
    def degree(self) -> float | None:
        """The power of a factor on pixels that targets are multiplied by; None without one."""
        ...

    @property
    def keeps(self) -> tuple[str, ...]:
        """In which ways its images' pixels may be moved; see `Task.keeps`."""
        ...

    def count(self, split: str) -> int:
        """How many images a split of a run has."""
        ...

    def rows(self, condition: Condition, repeat: int) -> dict[str, np.ndarray]:
        """On the host: {split: [..., n]} float32, what a run's images are made of or found by."""
        ...

    def table(self, condition: Condition, repeat: int) -> Hashable:
        """On the host: what a run's resident arrays are of.

        Runs for which it is the same share them, and a device keeps them once.
        """
        ...

    def resident(
        self, root: jax.Array, repeat: jax.Array, rows: dict[str, jax.Array]
    ) -> dict[str, Any]:
        """Traced: {split: [n, ...]} of a run with this repeat and these rows, to be kept."""
        ...

    def images(self, at: Place, split: str, index: jax.Array) -> jax.Array:
        """Traced: the images [..., b, H, W, channels] with these indices [b]."""
        ...

    def examples(self, at: Place, split: str, index: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Traced: the images [..., b, H, W, channels] with these indices [b], and their targets."""
        ...

    def measured(self, at: Place, images: jax.Array) -> jax.Array:
        """Traced: the targets [b] that images [b, H, W, channels] have by their own pixels."""
        ...
