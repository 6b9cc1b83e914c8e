"""What a remedy against imbalance may change of training, with defaults that change nothing.

A remedy is a frozen dataclass, one file each in `imbreg_jax.remedies`, whose parameters are
declared as the config's fields are. What it gives to the host are arrays, data to the program; what
it gives to the program is traced. Remedies that give arrays only share the program of no remedy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import CODE, DIAL, as_number, declared

# Arrays that every program takes, of whatever remedy: see `Remedy.tables`.
COMMON = ('weights', 'first')
# Arrays that say what a training image is made of.
RECIPE = ('first', 'second', 'share', 'noise', 'target')


def _first(outputs: jax.Array) -> jax.Array:
    return outputs[:, 0]


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
      learned: the numbers of its state that training learns, as the remedy's `learned` gave them.
      weighted: [] bool, whether weights hold in this epoch, as the schedule says.
      epochs: of the whole training.
      predict: (outputs [B, Q]) to predictions [B], of all remedies together.
      encoded: [V, B, F], as the network gave them, before the remedy's map.
      key: of what is drawn for features in this step.
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
    learned: Any = ()
    weighted: jax.Array | bool = True
    epochs: int = 1
    predict: Callable[[jax.Array], jax.Array] = _first
    encoded: jax.Array | None = None
    key: jax.Array | None = None


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
      members: networks, each a run, whose predictions are averaged.
      recipe: what a training image is made of: 'index', an image of the set; 'noise', that with
        noise on it; 'mix', a mixture of two with noise.
      resamples: whether `first` is another than every image once.
      folds: whether it has an end-of-epoch pass, in which features must be those of training.
      varies: whether each step has other images and targets than the training set.
      sets: {dotted field: value} of its condition, whatever the config says of them.
      moves_pixels: whether its views are of images with their pixels moved, for which the task has
        to keep its targets in some way.
      least_epochs: of a training that it can act on.
      sees_images: whether its tables are made of the images too, and not of their targets alone.
      logarithms: whether the network's outputs are logarithms of targets.
      relabels: whether it has targets measured on images that it makes, which is only right where
        a task measures its targets so.
    """

    name = ''
    outputs = 1
    views = 1
    members = 1
    recipe = 'index'
    resamples = False
    folds = False
    varies = False
    sets: ClassVar[Mapping[str, Any]] = {}
    moves_pixels = False
    least_epochs = 1
    sees_images = False
    logarithms = False
    relabels = False

    # --- what it is -----------------------------------------------------------------------------

    @property
    def sees_targets(self) -> bool:
        """Whether it looks at the training targets, which it makes its tables of."""
        return type(self).tables is not Remedy.tables

    @property
    def predicts_first(self) -> bool:
        """Whether its prediction is the network's first output, of which moments are.

        A prediction of its own is taken not to be, unless the remedy says so.
        """
        return type(self).predict is Remedy.predict

    @property
    def spec(self) -> str:
        """The canonical expression, with every parameter: the remedy's identity."""
        parts = [f'{part}={getattr(self, part)!r}' for part in declared(type(self))]
        return f'{self.name}({", ".join(parts)})' if self.name else ''

    @property
    def code(self) -> tuple[Any, ...]:
        """What of it makes another program; of tables and dials nothing does."""
        traced = any(getattr(type(self), part) is not getattr(Remedy, part) for part in _TRACED)
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

    def check(self, fields: Mapping[str, Any], task: Any, law: Distribution) -> None:
        """Refuses a condition that it can do nothing for.

        Args:
          fields: the condition's dotted fields, with those that the remedy sets.
          task: the condition's `data.task.Task`.
          law: of its training targets; it may be unknown.

        Raises:
          ValueError: with the end of a sentence on the remedy.
        """
        del law
        if fields['training.epochs'] < self.least_epochs:
            raise ValueError(
                f'{self.name} does something else in later epochs than in the first, so that '
                f'training.epochs must be at least {self.least_epochs}'
            )
        if self.folds and fields['model.normalization'] == 'batch':
            raise ValueError(
                f"{self.name} looks at the training images' features at an epoch's end, and with "
                'model.normalization batch these are normalised by running statistics, where in '
                'training they are by those of a batch; it must be another'
            )
        if self.moves_pixels and not task.keeps:
            raise ValueError(
                f'{self.name} looks at images with their pixels moved, and the task {task.name} '
                'says of no way to do so that it keeps its targets (Task.keeps)'
            )
        if self.relabels and (task.measure is None or fields['task.target'] == 'generating'):
            raise ValueError(
                f'with relabel=True {self.name} measures the targets of the images that it makes, '
                f'and here targets of the task {task.name} are generating values, which nothing '
                'measures'
            )

    # --- on the host ----------------------------------------------------------------------------

    def fitted(self, targets: np.ndarray) -> Remedy:
        """Itself, knowing what it has to know of training targets [N] before any are resampled.

        Beside a remedy that resamples, its tables are of what that one made of these.

        Raises:
          ValueError: with a sentence, where it can do nothing with these targets.
        """
        del targets
        return self

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

    def held(self, images: int) -> int:
        """Numbers that its loss holds at once for so many images, beside the network's.

        Studies are cut into parts that fit into memory by that. It is worth saying of a loss that
        holds every image of a batch, views counted, against every pair of others.
        """
        del images
        return 0

    def schedule(self, epochs: int, layers: list[str]) -> Schedule:
        """What holds in which epoch; `layers` are the names in their order."""
        shape = (epochs, len(layers))
        return Schedule(np.ones(shape, np.float32), np.zeros(shape, bool), np.ones(epochs, bool))

    # --- traced ---------------------------------------------------------------------------------

    def start(
        self, features: int, tables: Mapping[str, jax.Array], image: tuple[int, ...] = (1, 1, 1)
    ) -> Any:
        """Its state before training, any tree of arrays.

        Args:
          features: how many the network has (F).
          tables: its own arrays.
          image: height, width and channels of an image.
        """
        del features, tables, image
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

    def vary(
        self,
        images: jax.Array,
        targets: jax.Array,
        degree: float,
        dials: Mapping[str, jax.Array],
        key: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Other images [B, H, W, channels] and their targets [B] in the place of a step's.

        Asked only of one that varies. Views are made of what it gives.

        Args:
          images: [B, H, W, channels].
          targets: [B].
          degree: the power of a factor on an image's pixels that its target is multiplied by.
          dials: its own numbers.
          key: of the step.
        """
        del degree, dials, key
        return images, targets

    def augment(self, images: jax.Array, key: jax.Array, keeps: Sequence[str]) -> jax.Array:
        """Views [V, B, H, W, channels] of images [B, H, W, channels].

        Args:
          images: the images.
          key: of what is drawn for them.
          keeps: in which ways their pixels may be moved; see `data.views`.
        """
        del key, keeps
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
        return _first(outputs)

    def learned(self, state: Any) -> Any:
        """The part of its state that training learns: numbers that the loss has a gradient in."""
        del state
        return ()

    def learn(self, state: Any, gradients: Any, dials: Mapping[str, jax.Array]) -> Any:
        """Its state after a step.

        Args:
          state: before.
          gradients: of the loss in what `learned` gives of the state.
          dials: its own numbers.
        """
        del gradients, dials
        return state


# What a recipe's arrays must be beside `first`.
_NEEDED = {'index': (), 'noise': ('noise', 'target'), 'mix': ('second', 'share', 'noise', 'target')}
# How far a mean weight may be from 1, as rounding leaves it.
_NEAR = 1e-3


def checked_tables(remedy: Remedy, made: Any, count: int) -> dict[str, np.ndarray]:
    """What a remedy's `tables` gave for so many images, if training can do with it.

    Raises:
      ValueError: with the end of a sentence on what is wrong.
    """
    if not isinstance(made, Mapping):
        raise ValueError(f'its tables are {type(made).__name__}, and must be arrays by their names')
    found = {name: np.asarray(values) for name, values in made.items()}
    needed = [name for name in _NEEDED[remedy.recipe] if name not in found]
    if needed:
        raise ValueError(f'its tables lack {", ".join(needed)}, of its recipe {remedy.recipe!r}')
    unread = [name for name in found if name not in (*COMMON, *RECIPE)] if not remedy.code else []
    if unread:
        raise ValueError(
            f'its table {unread[0]!r} is read by nothing, as it has no code of its own; known are '
            f'{", ".join(COMMON)}'
        )
    for name in (*COMMON, *RECIPE[1:]):
        if name not in found:
            continue
        values, indices = found[name], name in ('first', 'second')
        if values.shape != (count,):
            raise ValueError(
                f'its {name} have the shape {values.shape}; they must be one number for each of '
                f'the {count} images'
            )
        if indices and not (
            np.issubdtype(values.dtype, np.integer) and ((values >= 0) & (values < count)).all()
        ):
            raise ValueError(f'its {name} must be whole numbers from 0 to {count - 1}, of images')
        if not np.isfinite(values).all():
            raise ValueError(f'its {name} are not all finite')
    if 'weights' in found:
        least, mean = found['weights'].min(), found['weights'].mean(dtype=np.float64)
        if least < 0 or abs(mean - 1) > _NEAR:
            raise ValueError(
                f'its weights are {least:.3g} at least and {mean:.3g} in the mean; they must be 0 '
                'or more, and 1 in the mean'
            )
    return found


def check_prediction(remedy: Remedy) -> None:
    """Refuses a remedy that does not predict one number an image.

    Raises:
      ValueError: with the end of a sentence.
    """
    images = 3
    outputs = jax.ShapeDtypeStruct((images, remedy.outputs), jnp.float32)
    shape = jax.eval_shape(remedy.predict, outputs).shape
    if shape != (images,):
        raise ValueError(
            f'of outputs [{images}, {remedy.outputs}] it predicts the shape {list(shape)}; it must '
            f'be [{images}], one number an image'
        )


# Its parts that are code to a program.
_TRACED = (
    'start',
    'fold',
    'vary',
    'augment',
    'map_features',
    'loss',
    'penalty',
    'predict',
    'learned',
    'learn',
)

NONE = Remedy()
