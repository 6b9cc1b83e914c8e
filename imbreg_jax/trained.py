"""Trained networks back from a finished workdir, to predict on one's own images."""

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from imbreg_jax.model import network as network_lib
from imbreg_jax.model.network import RegressionCNN
from imbreg_jax.results import files, kept_tables
from imbreg_jax.results.workdir import WorkdirError, read_finished, read_result
from imbreg_jax.study import Condition, ConfigError, Study, restore

# Images predicted at a time.
_BATCH = 250


class TrainedNetworks:
    """The trained networks of a study.

    Attributes:
      study: what was trained.
      params: {(condition, repeat): {layer: {'kernel' or 'bias': array}}}, as Flax has them, in the
        study's order. Those of an ensemble lead with an axis of its members.
    """

    def __init__(self, study: Study, params: Mapping[tuple[str, int], dict[str, dict[str, Any]]]):
        """Args: the study, and each run's parameters."""
        self.study = study
        self.params = dict(params)

    @property
    def runs(self) -> list[tuple[str, int]]:
        """(condition, repeat) of each network, in the order of `predict`'s rows."""
        return list(self.params)

    def predict(
        self, images: np.ndarray, condition: str | None = None, repeat: int | None = None
    ) -> np.ndarray:
        """Predicts the targets of images, dropout off.

        Args:
          images: [n, H, W] or a single [H, W], or with channels last; pixels in the scale of
            training (under the paper's task an image of target y is about y times standard normal
            noise), H = W = the image size of the networks' conditions.
          condition: a condition's name; None for all.
          repeat: a repeat's number; None for all.

        Returns:
          float32 predictions [networks, n] of the chosen networks in the order of `runs`; without
          the first axis where both condition and repeat are given, and without the second for a
          single image.

        Raises:
          KeyError: there is no such condition or repeat.
          ValueError: the images have another shape or are no numbers.
        """
        chosen = [
            run for run in self.params if condition in (None, run[0]) and repeat in (None, run[1])
        ]
        if not chosen:
            raise KeyError(
                f'no network of condition {condition!r} and repeat {repeat!r}; there are '
                f'conditions {", ".join(c.name for c in self.study.conditions)} and repeats '
                f'{", ".join(map(str, self.study.repeats))}'
            )
        try:
            pictures = np.asarray(images, np.float32)
        except (TypeError, ValueError) as error:
            raise ValueError(f'images must be an array of numbers: {error}') from error
        networks = [self.study.condition(name).architecture for name, _ in chosen]
        shapes = {(network.image_size, network.channels) for network in networks}
        if len(shapes) > 1:
            raise ValueError('the networks take images of several shapes; name one condition')
        ((size, channels),) = shapes
        if channels == 1 and pictures.shape[-1:] != (1,):
            pictures = pictures[..., None]
        single = pictures.ndim == 3
        pictures = pictures[None] if single else pictures
        if pictures.ndim != 4 or pictures.shape[1:] != (size, size, channels):
            more = '' if channels == 1 else f', {channels}'
            raise ValueError(
                f'images have shape {np.shape(images)}; it must be [n, {size}, {size}{more}] or '
                f'[{size}, {size}{more}]'
            )
        found = np.stack([self._predict_one(run, pictures) for run in chosen])
        found = found[:, 0] if single else found
        return found[0] if condition is not None and repeat is not None else found

    def _predict_one(self, run: tuple[str, int], pictures: np.ndarray) -> np.ndarray:
        condition = self.study.condition(run[0])
        function = _predictor(_network(condition), condition.remedy)
        parts = [np.zeros(0, np.float32)]
        with jax.default_matmul_precision(self.study.compute.matmul_precision):
            for start in range(0, len(pictures), _BATCH):
                batch = pictures[start : start + _BATCH]
                # Filled up, so that one compilation serves any number of images.
                fill = _BATCH - len(batch)
                filled = np.pad(batch, [(0, fill), (0, 0), (0, 0), (0, 0)])
                parts.append(np.asarray(function(self.params[run], filled))[: len(batch)])
        return np.concatenate(parts)


def load(workdir: str | os.PathLike[str]) -> TrainedNetworks:
    """The trained networks of a finished workdir.

    A network that diverged has the weights of its last finite state; results.csv says which.

    Args:
      workdir: the folder of a finished study; it is only read.

    Returns:
      The networks.

    Raises:
      WorkdirError: the study is not finished, or its files are damaged or of a newer version.
    """
    folder = Path(workdir)
    held = read_finished(folder)
    try:
        # Somebody else's config, maybe: no path in it is opened.
        study = restore(held, kept_tables.source([folder]))
    except (ConfigError, KeyError, TypeError, AttributeError) as error:
        raise WorkdirError(
            f'{folder / "config.json"} holds a config that this version does not take: {error}'
        ) from error
    content = read_result(folder, held, 'weights.npz')
    return TrainedNetworks(study, _params(folder / 'weights.npz', content, study))


def _params(
    path: Path, content: bytes, study: Study
) -> dict[tuple[str, int], dict[str, dict[str, Any]]]:
    """The parameters in the bytes of a weights.npz, or WorkdirError."""
    try:
        arrays = files.read_arrays(content)
    except ValueError as error:
        raise WorkdirError(f'{path} is damaged ({error}); put it back') from error
    params: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for place, repeat in study.results:
        condition = study.conditions[place]
        name = f'{condition.name}/{repeat}'
        layers = params.setdefault((condition.name, repeat), {})
        members = condition.remedy.members
        for (layer, kind), shape in _shapes(_network(condition), condition.data.image_size).items():
            value = arrays.pop(f'{name}/{layer}/{kind}', None)
            shape = (members, *shape) if members > 1 else shape
            of = f'{layer}/{kind} of condition {condition.name}, repeat {repeat}'
            if value is None:
                raise WorkdirError(f'{path} has no {of}; put back the file that the study left')
            if value.shape != shape or value.dtype != np.float32 or not np.isfinite(value).all():
                raise WorkdirError(
                    f'{path} has for {of} no finite float32 numbers of shape {list(shape)}; put '
                    'back the file that the study left'
                )
            layers.setdefault(layer, {})[kind] = value
    if arrays:
        raise WorkdirError(
            f'{path} holds {files.listed(sorted(arrays))}, of no network of the study; put back '
            'the file that the study left'
        )
    return params


@functools.cache
def _shapes(network: RegressionCNN, image_size: int) -> dict[tuple[str, str], tuple[int, ...]]:
    """(layer, kind) -> shape of a network's parameters."""
    images = jax.ShapeDtypeStruct((1, image_size, image_size, network.channels), np.float32)
    variables = jax.eval_shape(network.init, jax.random.key(0), images)
    return {
        (layer, kind): value.shape
        for layer, kinds in variables['params'].items()
        for kind, value in kinds.items()
    }


def _network(condition: Condition) -> RegressionCNN:
    shapes = condition.architecture
    return network_lib.of(condition.model, shapes.channels, shapes.outputs)


@functools.cache
def _predictor(network: RegressionCNN, remedy: Any) -> Any:
    def predict(params: Any, pictures: jax.Array) -> jax.Array:
        return remedy.predict(network.apply({'params': params}, pictures))

    def of_ensemble(params: Any, pictures: jax.Array) -> jax.Array:
        return jax.lax.map(lambda own: predict(own, pictures), params).mean(axis=0)

    return jax.jit(predict if remedy.members == 1 else of_ensemble)
