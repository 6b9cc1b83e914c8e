"""A training step: one run, one batch, a pure function."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from imbreg_jax.data.randomness import Purpose, member_key
from imbreg_jax.data.source import Place, Source
from imbreg_jax.model.layers import STATISTICS, running
from imbreg_jax.model.network import RegressionCNN
from imbreg_jax.study import TrainingSettings
from imbreg_jax.training import objectives, optimizer
from imbreg_jax.training.remedy import COMMON, RECIPE, Batch, Remedy


class TrainState(NamedTuple):
    """A run's position in weight space.

    Attributes:
      params: the network's parameters, beside them the running statistics of batch normalisation.
      optimizer: the optimiser's state.
      remedy: the remedy's own state.
      diverged_step: [] int32, the step at which the loss, a weight or one of the optimiser's
        moments turned non-finite, else -1; from then on the run stays as it was before that step.
    """

    params: Any
    optimizer: Any
    remedy: Any
    diverged_step: Any


class Learner(NamedTuple):
    """What the runs of a program share: their code.

    Attributes:
      source: of images and targets.
      network: maps images to outputs.
      remedy: what it changes.
      training: the settings.
    """

    source: Source
    network: RegressionCNN
    remedy: Remedy
    training: TrainingSettings


class Epoch(NamedTuple):
    """What holds for a run in an epoch.

    Attributes:
      number: [] int32, from 0.
      layer_rates: [layers] factors on the learning rate.
      weighted: [] bool, whether weights hold.
    """

    number: Any
    layer_rates: Any
    weighted: Any


def remedy_dials(remedy: Remedy, place: Place) -> dict[str, jax.Array]:
    """The remedy's own dials among those of a run."""
    return {name: place.dials[f'remedy.{name}'] for name in remedy.dials()}


def own_tables(tables: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """The remedy's own arrays among those of a run."""
    return {name: values for name, values in tables.items() if name not in (*COMMON, *RECIPE)}


def pictures_of(
    learner: Learner,
    at: Place,
    targets: jax.Array,
    tables: Mapping[str, jax.Array],
    index: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The training images [B, H, W, channels] with these indices [B], and their targets [B].

    An image is what the remedy's recipe makes of those of the training set.
    """
    source, recipe = learner.source, learner.remedy.recipe
    first = tables['first'][index]
    pictures = source.images(at, 'train', first)
    if recipe == 'index':
        return pictures, targets[first]
    if recipe == 'mix':
        share = tables['share'][index][:, None, None, None]
        other = source.images(at, 'train', tables['second'][index])
        pictures = share * pictures + (1.0 - share) * other
    key = member_key(at.root, at.repeat, at.member, Purpose.RECIPE_NOISE)
    draw = lambda i: jax.random.normal(jax.random.fold_in(key, i), pictures.shape[1:])  # noqa: E731
    spread = pictures.std((1, 2), keepdims=True) * tables['noise'][index][:, None, None, None]
    return pictures + spread * jax.vmap(draw)(index), tables['target'][index]


def loss_of(
    params: Any,
    learned: Any,
    learner: Learner,
    at: Place,
    batch: Batch,
    key: jax.Array,
) -> tuple[jax.Array, dict[str, Any]]:
    """The loss [] of a batch, of which features and outputs are yet to come, under one mask key.

    It is a function of the network's parameters and of what the remedy learns. With it come the
    batch's statistics, {layer: {kind: ...}}, where the network takes any.
    """
    remedy, network = learner.remedy, learner.network
    views = batch.images.reshape(-1, *batch.images.shape[2:])
    conv_key, dense_key = jax.random.split(key)
    variables = {'params': params}
    features: Any
    features, found = network.apply(
        variables, views, at.dials['model.conv_dropout_rate'], conv_key, method='encode',
        mutable=[STATISTICS],
    )  # fmt: skip
    shape = batch.images.shape[:2]
    encoded = features.reshape(*shape, -1)
    batch = batch._replace(features=encoded, encoded=encoded, learned=learned)
    mapped = remedy.map_features(encoded, batch)
    outputs: Any = network.apply(
        variables, mapped.reshape(*features.shape), at.dials['model.dense_dropout_rate'], dense_key,
        method='head',
    )  # fmt: skip
    batch = batch._replace(features=mapped, outputs=outputs.reshape(*shape, -1))
    return remedy.loss(batch) + remedy.penalty(batch), found.get(STATISTICS, {})


def train_step(
    learner: Learner,
    state: TrainState,
    at: Place,
    targets: jax.Array,
    tables: Mapping[str, jax.Array],
    index: jax.Array,
    epoch: Epoch,
    number: jax.Array,
) -> tuple[TrainState, jax.Array]:
    """One step of one run.

    Args:
      learner: what the runs of the program share.
      state: before the step.
      at: where the run finds its images.
      targets: [N] of its training set.
      tables: arrays of its remedy.
      index: [B] int32, the batch.
      epoch: what holds in this epoch.
      number: [] int32, the step's number from the start of training, which decides its masks.

    Returns:
      The state after the step, and the loss [].
    """
    remedy, settings = learner.remedy, learner.training
    pictures, wanted = pictures_of(learner, at, targets, tables, index)
    key, views_key, features_key = (
        jax.random.fold_in(member_key(at.root, at.repeat, at.member, purpose), number)
        for purpose in (Purpose.DROPOUT, Purpose.VIEWS, Purpose.FEATURES)
    )
    dials = remedy_dials(remedy, at)
    if remedy.varies:
        vary_key = jax.random.fold_in(
            member_key(at.root, at.repeat, at.member, Purpose.VARIATIONS), number
        )
        degree = learner.source.degree
        assert degree is not None  # Its config was checked for that.
        pictures, wanted = remedy.vary(pictures, wanted, degree, dials, vary_key)
    weights = jnp.where(epoch.weighted, tables['weights'][index], 1.0)
    objective = objectives.OBJECTIVES[settings.objective]
    nothing = jnp.zeros((remedy.views, 0, 0))
    batch = Batch(
        places=index,
        images=remedy.augment(pictures, views_key, learner.source.keeps),
        targets=wanted,
        weights=weights,
        features=nothing,
        outputs=nothing,
        epoch=epoch.number,
        state=state.remedy,
        tables=own_tables(tables),
        dials=dials,
        losses=lambda outputs: objective(remedy.predict(outputs), wanted),
        weighted=epoch.weighted,
        epochs=settings.epochs,
        predict=remedy.predict,
        key=features_key,
    )
    learned = remedy.learned(state.remedy)
    (loss, statistics), (gradients, in_learned) = jax.value_and_grad(
        loss_of, argnums=(0, 1), has_aux=True
    )(state.params, learned, learner, at, batch, key)
    steps = settings.epochs * (len(targets) // settings.batch_size)
    transformation = optimizer.build(settings, at.dials, number / steps)
    updates, moments = transformation.update(gradients, state.optimizer, state.params)
    updates = running(updates, state.params, statistics)
    updates = optimizer.scale_layers(updates, epoch.layer_rates)
    params = optax.apply_updates(state.params, updates)
    own = remedy.learn(state.remedy, in_learned, dials)
    sound = jnp.isfinite(loss) & all_finite(params, (moments, remedy.learned(own)))
    diverged_step = jnp.where((state.diverged_step < 0) & ~sound, number, state.diverged_step)
    new = TrainState(params, moments, own, diverged_step)
    old = state._replace(diverged_step=diverged_step)
    return jax.tree.map(lambda a, b: jnp.where(diverged_step < 0, a, b), new, old), loss


def all_finite(params: Any, moments: Any) -> jax.Array:
    """[] bool: whether no number of the parameters and the optimiser's state is infinite or nan.

    One reduction for the leaves in the same place, since a CPU's cost is per operation; and none
    of numbers, which could overflow on its way.
    """
    leaves = jax.tree.leaves(params)
    others = [leaf for leaf in jax.tree.leaves(moments) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    groups: dict[Any, list[jax.Array]] = {}
    # Leaves of the parameters' shapes come in the parameters' order, a set of them for each moment.
    for place, leaf in enumerate([*leaves, *others]):
        groups.setdefault((place % len(leaves), leaf.shape), []).append(leaf)
    sound = [
        functools.reduce(jnp.logical_and, map(jnp.isfinite, alike)).all()
        for alike in groups.values()
    ]
    return jnp.stack(sound).all()
