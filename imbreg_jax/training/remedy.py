"""What a remedy against imbalance may change of training, with defaults that change nothing.

A remedy is a frozen dataclass, one file each in `imbreg_jax.remedies`, whose parameters are
declared as the config's fields are. What it gives to the host are arrays, data to the program; what
it gives to the program is traced. Remedies that give arrays only share the program of no remedy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import CODE, DIAL, as_number, declared

# Arrays that every program takes, of whatever remedy: see `Remedy.tables`.
COMMON = ('weights', 'first')
# Arrays that say what a training image is made of.
RECIPE = ('first', 'second', 'share', 'noise', 'target')


class Batch(NamedTuple):
    """What a loss may look at.

    Attributes:
      places: [B] int32, the images' places in the training set.
      images: [V, B, H, W, channels].
      targets: [B].
      weights: [B].
      features: [V, B, F], as the remedy's map left them.
      outputs: [V, B, Q].
      epoch: [] int32, from 0.
      state: the remedy's own.
      tables: the remedy's own arrays, {name: [N, ...]}.
      dials: the remedy's own, {name: [] float32}.
      losses: (outputs [B, Q]) to the objective's loss [B] of each image.
    """

    places: jax.Array
    images: jax.Array
    targets: jax.Array
    weights: jax.Array
    features: jax.Array
    outputs: jax.Array
    epoch: jax.Array
    state: Any
    tables: Mapping[str, jax.Array]
    dials: Mapping[str, jax.Array]
    losses: Callable[[jax.Array], jax.Array]


class Images(Protocol):
    """A run's training images on the host, drawn when they are asked for."""

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        """The images [n, H, W, channels] float32 with these indices [n]."""
        ...

    def measured(self, recipe: Mapping[str, np.ndarray], index: np.ndarray) -> np.ndarray:
        """The targets [n] float32 that images of a recipe have by their own pixels.

        Args:
          recipe: its arrays [N]; see `Remedy.tables`.
          index: [n], which of them.
        """
        ...


class Schedule(NamedTuple):
    """What holds in which epoch.

    Attributes:
      layer_rates: [epochs, layers] float32 factors on the learning rate, 0 for a layer that stays,
        layers in the order of their names.
      redrawn: [epochs, layers] bool, layers that are drawn anew before an epoch.
      weighted: [epochs] bool, whether weights hold; where not, they count as ones.
    """

    layer_rates: np.ndarray
    redrawn: np.ndarray
    weighted: np.ndarray


@dataclasses.dataclass(frozen=True)
class Remedy:
    """No remedy; a base of those that are one.

    Attributes:
      outputs: numbers that the network gives for each image (Q).
      views: of each image in a batch (V).
      recipe: what a training image is made of: 'index', an image of the set; 'noise', that with
        noise on it; 'mix', a mixture of two with noise.
      resamples: whether `first` is another than every image once.
      folds: whether it has an end-of-epoch pass.
      sees_images: whether its tables are made of the images too, and not of their targets alone.
      relabels: whether it has targets measured on images that it makes, which is only right where
        a task measures its targets so.
    """

    name = ''
    outputs = 1
    views = 1
    recipe = 'index'
    resamples = False
    folds = False
    sees_images = False
    relabels = False

    # --- what it is -----------------------------------------------------------------------------

    @property
    def spec(self) -> str:
        """The canonical expression, with every parameter: the remedy's identity."""
        parts = [f'{part}={getattr(self, part)!r}' for part in declared(type(self))]
        return f'{self.name}({", ".join(parts)})' if self.name else ''

    @property
    def code(self) -> tuple[Any, ...]:
        """What of it makes another program; of tables and dials nothing does."""
        traced = any(
            getattr(type(self), part) is not getattr(Remedy, part)
            for part in ('start', 'fold', 'augment', 'map_features', 'loss', 'penalty', 'predict')
        )
        base = (Remedy.outputs, Remedy.views, Remedy.recipe)
        if not traced and (self.outputs, self.views, self.recipe) == base:
            return ()
        static = [part for part, field in declared(type(self)).items() if field.role is CODE]
        return (self.name, *((part, getattr(self, part)) for part in static))

    def dials(self) -> dict[str, float]:
        """Numbers that are data to the program; of a remedy without code of its own, of no use."""
        return {
            part: as_number(field, getattr(self, part))
            for part, field in declared(type(self)).items()
            if field.role is DIAL
        }

    # --- on the host ----------------------------------------------------------------------------

    def check(self, law: Distribution, count: int) -> None:
        """Refuses so many training targets of a law, if it can do nothing with them.

        Args:
          law: of the training targets; it may be unknown.
          count: how many there are.

        Raises:
          ValueError: with a sentence.
        """
        del law, count

    def tables(
        self, targets: np.ndarray, law: Distribution, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Arrays for a run.

        A remedy that `sees_images` takes the training images, `Images`, as a fourth argument.

        Args:
          targets: [N] float64 training targets.
          law: their law.
          generator: of the repeat's own random numbers.

        Returns:
          Any of `weights` [N], of mean 1; `first` [N], which image takes the place of image m;
          with recipe 'mix' `second` [N] and `share` [N] of the first; with 'noise' and 'mix'
          `noise` [N], in standard deviations of the image's own pixels, and `target` [N]; and
          arrays of its own.

        Raises:
          ValueError: with a sentence, where it can do nothing with these targets.
        """
        del targets, law, generator
        return {}

    def schedule(self, epochs: int, layers: list[str]) -> Schedule:
        """What holds in which epoch; `layers` are the names in their order."""
        shape = (epochs, len(layers))
        return Schedule(np.ones(shape, np.float32), np.zeros(shape, bool), np.ones(epochs, bool))

    # --- traced ---------------------------------------------------------------------------------

    def start(self, features: int, tables: Mapping[str, jax.Array]) -> Any:
        """Its state before training, any tree of arrays, for so many features."""
        del features, tables
        return ()

    def fold(
        self,
        state: Any,
        features: jax.Array,
        targets: jax.Array,
        tables: Mapping[str, jax.Array],
        dials: Mapping[str, jax.Array],
        epoch: jax.Array,
    ) -> Any:
        """Its state after an epoch's end.

        Args:
          state: before.
          features: [N, F] of all training images under training's dropout, not mapped.
          targets: [N].
          tables: its own arrays.
          dials: its own numbers.
          epoch: which epoch ended, from 0.
        """
        del features, targets, tables, dials, epoch
        return state

    def augment(self, images: jax.Array, key: jax.Array) -> jax.Array:
        """Views [V, B, H, W, channels] of images [B, H, W, channels]."""
        del key
        return images[None]

    def map_features(self, features: jax.Array, batch: Batch) -> jax.Array:
        """Features [V, B, F] in training from those of the network; `batch` lacks its outputs."""
        del batch
        return features

    def loss(self, batch: Batch) -> jax.Array:
        """The loss [] of a batch, in the place of the objective's weighted mean."""
        losses = jnp.stack([batch.losses(outputs) for outputs in batch.outputs])
        return jnp.mean(batch.weights * losses)

    def penalty(self, batch: Batch) -> jax.Array | float:
        """What is added to the loss [] of a batch."""
        del batch
        return 0.0

    def predict(self, outputs: jax.Array) -> jax.Array:
        """Predictions [B] from outputs [B, Q]."""
        return outputs[:, 0]


NONE = Remedy()
