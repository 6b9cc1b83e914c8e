"""Several remedies at once: weights multiply, penalties add, and of the rest one may have each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from imbreg_jax.study import Distribution
from imbreg_jax.training.remedy import NONE, RECIPE, Batch, Images, Remedy, Schedule

# What only one of several may have, in words for who asks for more.
_ALONE = {
    'loss': 'a loss of its own',
    'predict': 'a prediction of its own',
    'vary': 'images and targets of its own in each step',
    'augment': 'views of its own',
    'map_features': 'a map of features',
    'schedule': 'a schedule of layers',
}


def combine(parts: Sequence[Remedy]) -> Remedy:
    """One remedy of several.

    Raises:
      ValueError: with a sentence, where they do not go together.
    """
    if len(parts) == 1:
        return parts[0]
    names = [part.name for part in parts]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f'{name} is there twice; one of each')
    for method, words in _ALONE.items():
        having = [p.name for p in parts if getattr(type(p), method) is not getattr(Remedy, method)]
        if len(having) > 1:
            raise ValueError(f'{" and ".join(having)} do not go together: each has {words}')
    ensembles = [part.name for part in parts if part.members > 1]
    if len(ensembles) > 1:
        raise ValueError(f'{" and ".join(ensembles)} do not go together: each is an ensemble')
    recipes = [part.name for part in parts if _resamples(part)]
    if len(recipes) > 1:
        raise ValueError(f'{" and ".join(recipes)} do not go together: each makes a training set')
    for name in (part.name for part in parts if part.varies):
        for part in parts:
            if part.sees_targets and not _resamples(part):
                raise ValueError(
                    f'{name} and {part.name} do not go together: {part.name} looks at the training '
                    f'targets, and {name} has others in each step'
                )
    owners: dict[str, Remedy] = {}
    for part in parts:
        for field, value in part.sets.items():
            owner = owners.setdefault(field, part)
            if owner.sets[field] != value:
                raise ValueError(
                    f'{owner.name} and {part.name} do not go together: each sets {field}'
                )
    return Combined(tuple(parts))


def _resamples(part: Remedy) -> bool:
    return part.resamples or part.recipe != 'index'


@dataclasses.dataclass(frozen=True)
class Combined(Remedy):
    """Several remedies; made by `combine`.

    Attributes:
      parts: the remedies.
    """

    parts: tuple[Remedy, ...] = ()

    name = 'combined'

    @property
    def spec(self) -> str:
        """The parts' expressions, joined by +."""
        return ' + '.join(part.spec for part in self.parts)

    @property
    def code(self) -> tuple[Any, ...]:
        """Those of the parts."""
        return tuple(part.code for part in self.parts if part.code)

    @property
    def outputs(self) -> int:  # type: ignore[override]
        """Numbers that the network gives for each image."""
        return max(part.outputs for part in self.parts)

    @property
    def views(self) -> int:  # type: ignore[override]
        """Views of each image in a batch."""
        return max(part.views for part in self.parts)

    @property
    def members(self) -> int:  # type: ignore[override]
        """Networks of the ensemble."""
        return max(part.members for part in self.parts)

    @property
    def recipe(self) -> str:  # type: ignore[override]
        """That of the part that has one."""
        return next((part.recipe for part in self.parts if part.recipe != 'index'), 'index')

    @property
    def folds(self) -> bool:  # type: ignore[override]
        """Whether any part has an end-of-epoch pass."""
        return any(part.folds for part in self.parts)

    @property
    def varies(self) -> bool:  # type: ignore[override]
        """Whether any part has other images and targets in each step."""
        return any(part.varies for part in self.parts)

    @property
    def sets(self) -> Mapping[str, Any]:  # type: ignore[override]
        """Fields of its condition that any part sets."""
        return {field: value for part in self.parts for field, value in part.sets.items()}

    def check(self, fields: Mapping[str, Any], task: Any, law: Distribution) -> None:
        """Refuses what any of the parts refuses."""
        for part in self.parts:
            part.check(fields, task, law)

    @property
    def moves_pixels(self) -> bool:  # type: ignore[override]
        """Whether any part's views are of images with their pixels moved."""
        return any(part.moves_pixels for part in self.parts)

    @property
    def least_epochs(self) -> int:  # type: ignore[override]
        """Of a training that all parts can act on."""
        return max(part.least_epochs for part in self.parts)

    @property
    def sees_targets(self) -> bool:
        """Whether any part makes its tables of the targets."""
        return any(part.sees_targets for part in self.parts)

    @property
    def sees_images(self) -> bool:  # type: ignore[override]
        """Whether any part makes its tables of the images too."""
        return any(part.sees_images for part in self.parts)

    @property
    def logarithms(self) -> bool:  # type: ignore[override]
        """Whether any part has logarithms for outputs."""
        return any(part.logarithms for part in self.parts)

    @property
    def predicts_first(self) -> bool:
        """Whether the prediction of the part that has one is the first output."""
        return self._one('predict').predicts_first

    @property
    def relabels(self) -> bool:  # type: ignore[override]
        """Whether any part has targets measured."""
        return any(part.relabels for part in self.parts)

    def dials(self) -> dict[str, float]:
        """Those of the parts, each under its part's name."""
        return {
            f'{part.name}.{name}': value
            for part in self.parts
            if part.code
            for name, value in part.dials().items()
        }

    def _of(self, part: Remedy, values: Mapping[str, Any]) -> dict[str, Any]:
        start = f'{part.name}.'
        return {
            name.removeprefix(start): value
            for name, value in values.items()
            if name.startswith(start)
        }

    def _seen_by(self, part: Remedy, batch: Batch) -> Batch:
        return batch._replace(
            state=batch.state[part.name],
            tables=self._of(part, batch.tables),
            dials=self._of(part, batch.dials),
            learned=batch.learned[part.name],
        )

    def tables(
        self,
        targets: np.ndarray,
        law: Distribution,
        generator: np.random.Generator,
        images: Images | None = None,
    ) -> dict[str, np.ndarray]:
        """Weights multiplied and brought to mean 1; a training set of one part; the parts' own."""
        made: dict[str, np.ndarray] = {}
        weights = np.ones(len(targets))
        # The others look at the training set that resampling made, with what they have to know of
        # the one before it.
        parts = [part.fitted(targets) for part in self.parts]
        for part in sorted(parts, key=_resamples, reverse=True):
            tables: Any = part.tables
            seen = (images,) if part.sees_images else ()
            found = tables(targets, law, generator, *seen)
            weights = weights * found.pop('weights', 1.0)
            if _resamples(part):
                targets = found['target'] if 'target' in found else targets[found['first']]
            for name, values in found.items():
                made[name if name in RECIPE else f'{part.name}.{name}'] = values
        return made | {'weights': weights / weights.mean()}

    def held(self, images: int) -> int:
        """The sum of the parts'."""
        return sum(part.held(images) for part in self.parts)

    def schedule(self, epochs: int, layers: list[str]) -> Schedule:
        """That of the part that has one."""
        return self._one('schedule').schedule(epochs, layers)

    def _one(self, method: str) -> Remedy:
        base = getattr(Remedy, method)
        return next((p for p in self.parts if getattr(type(p), method) is not base), NONE)

    def start(
        self, features: int, tables: Mapping[str, jax.Array], image: tuple[int, ...] = (1, 1, 1)
    ) -> Any:
        """Each part's state, by its name."""
        return {
            part.name: part.start(features, self._of(part, tables), image) for part in self.parts
        }

    def fold(
        self,
        state: Any,
        features: jax.Array,
        targets: jax.Array,
        tables: Mapping[str, jax.Array],
        dials: Mapping[str, jax.Array],
        epoch: jax.Array,
    ) -> Any:
        """Each part's state after an epoch's end."""
        return {
            part.name: part.fold(
                state[part.name],
                features,
                targets,
                self._of(part, tables),
                self._of(part, dials),
                epoch,
            )
            for part in self.parts
        }

    def vary(
        self,
        images: jax.Array,
        targets: jax.Array,
        degree: float,
        dials: Mapping[str, jax.Array],
        key: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """That of the part that has one."""
        part = self._one('vary')
        return part.vary(images, targets, degree, self._of(part, dials), key)

    def augment(self, images: jax.Array, key: jax.Array, keeps: Sequence[str]) -> jax.Array:
        """That of the part that has one."""
        return self._one('augment').augment(images, key, keeps)

    def map_features(self, features: jax.Array, batch: Batch) -> jax.Array:
        """That of the part that has one."""
        part = self._one('map_features')
        return part.map_features(features, self._seen_by(part, batch) if part.name else batch)

    def loss(self, batch: Batch) -> jax.Array:
        """That of the part that has one."""
        part = self._one('loss')
        return part.loss(self._seen_by(part, batch) if part.name else batch)

    def penalty(self, batch: Batch) -> jax.Array | float:
        """The sum of the parts' penalties."""
        return sum(part.penalty(self._seen_by(part, batch)) for part in self.parts)

    def predict(self, outputs: jax.Array) -> jax.Array:
        """That of the part that has one."""
        return self._one('predict').predict(outputs)

    def learned(self, state: Any) -> Any:
        """What training learns of each part's state, by its name."""
        return {part.name: part.learned(state[part.name]) for part in self.parts}

    def learn(self, state: Any, gradients: Any, dials: Mapping[str, jax.Array]) -> Any:
        """Each part's state after a step."""
        return {
            part.name: part.learn(state[part.name], gradients[part.name], self._of(part, dials))
            for part in self.parts
        }
