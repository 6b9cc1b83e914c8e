"""The compiled training programs of conditions that share them, for all units: one compilation.

What differs between the runs of a program is data: targets, dials, a remedy's arrays; and so is
what differs between units. Nothing is fetched between the steps of a chunk.
"""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from imbreg_jax.compute import units
from imbreg_jax.compute.memory import EVALUATED_AT_ONCE
from imbreg_jax.compute.plan import Plan
from imbreg_jax.compute.run_axis import Layout
from imbreg_jax.data import images
from imbreg_jax.data.images import WALK_BATCH
from imbreg_jax.data.randomness import Purpose, member_key
from imbreg_jax.data.source import KEPT, Place, Source
from imbreg_jax.data.synthetic import Synthetic
from imbreg_jax.model import network
from imbreg_jax.study import ConfigError, Run, Study
from imbreg_jax.training import optimizer, step
from imbreg_jax.training.remedy import NONE, check_prediction
from imbreg_jax.training.step import Epoch, Learner, TrainState


class RunData(NamedTuple):
    """What is data to the program and may differ between runs; each array leads with the run axis.

    Attributes:
      repeat: [] int32, the repeat's number: with a purpose, the root of the run's keys.
      member: [] int32, its number in its ensemble.
      slot: [] int32, the run's place among what lies on its device.
      rows: {split: [..., n]} of the source.
      dials: {dotted field: [] float32}, those of the remedy under 'remedy.'.
    """

    repeat: Any
    member: Any
    slot: Any
    rows: dict[str, Any]
    dials: dict[str, Any]


class Lessons(NamedTuple):
    """What a run is trained on, as its remedy has it.

    Attributes:
      targets: [N] of its training images.
      tables: {name: [N, ...]} of its remedy.
      layer_rates, redrawn: [epochs, layers]; see `remedy.Schedule`.
      weighted: [epochs].
    """

    targets: Any
    tables: dict[str, Any]
    layer_rates: Any
    redrawn: Any
    weighted: Any


def place(run: RunData, device: Any, shared: Any) -> Place:
    """Where a run finds its images."""
    return Place(shared['root'], run.repeat, run.member, run.slot, run.rows, run.dials, device)


def training_key(run: RunData, purpose: Purpose, shared: Any) -> jax.Array:
    """The key of one purpose of a run's training; those of an epoch are folded from it."""
    return member_key(shared['root'], run.repeat, run.member, purpose)


class Programs:
    """The compiled programs of conditions that share them, for all units under one plan.

    They hold no array of a unit, so that units share one trace and one compilation.

    Attributes:
      study, plan: whose they are.
      program: their number in `Study.programs()`.
      layout: how runs lie on devices.
      tables: data sets of which a device keeps what it is told to, at most; see `table`.
      learner: what the conditions share.
      steps_per_epoch: training steps in an epoch.
      chunk_steps: training steps in a chunk; an epoch's last one may be shorter.
      resident, measure, initialize, shuffle, chunk, fold, redraw: functions of one run over all
        runs of a unit, compiled at their first call (see `Layout.compile`).
      pictures, remeasure: of one run and `WALK_BATCH` of its images, for remedies that see them.
    """

    def __init__(
        self,
        study: Study,
        program: int,
        planned: Plan,
        devices: Sequence[Any],
        parts: Sequence[units.Unit],
    ):
        """Compiles nothing yet; programs compile at their first call.

        Args:
          study: the study.
          program: the program's number.
          planned: the study's plan.
          devices: that the plan divides runs over.
          parts: the program's units that are left.

        Raises:
          ConfigError: its remedy does not predict one number an image.
        """
        self.study = study
        self.program = program
        self.plan = planned
        condition = study.conditions[study.programs()[program][0]]
        source: Source = Synthetic(study, condition, planned.rendered)
        # Remedies that give arrays only share the program of none.
        remedy = condition.remedy if condition.remedy.code else NONE
        try:
            check_prediction(remedy)
        except ValueError as error:
            raise ConfigError('remedy', remedy.spec, str(error)) from error
        made = network.of(condition.model, source.channels, remedy.outputs)
        self.learner = Learner(source, made, remedy, condition.training)
        self.image_size = condition.data.image_size
        self.steps_per_epoch = condition.steps_per_epoch
        self.chunk_steps = planned.chunk_steps[program]
        # Of the whole program, whichever of its units are left: a resume has the same shapes.
        whole = [
            unit for unit in units.cut(study, planned.runs_per_unit) if unit.program == program
        ]
        whole += parts
        self.tables = units.most_tables(whole, len(devices), self.table)
        self.layout = Layout(planned, devices, max(len(unit.runs) for unit in whole))
        self.compile = self.layout.compile
        # One table at a time: all at once would need the memory of another set of them.
        self.resident = self.compile(self._resident, at_once=1, every=True)
        self.measure = self.compile(self._measure)
        self.initialize = self.compile(self._initialize)
        self.shuffle = self.compile(self._shuffle)
        self.chunk = self.compile(self._chunk)
        self.fold = self.compile(self._fold, at_once=max(1, EVALUATED_AT_ONCE // WALK_BATCH))
        self.redraw = self.compile(self._redraw)
        self.pictures = jax.jit(self._pictures)
        self.remeasure = jax.jit(self._remeasure)

    def table(self, run: Run) -> Hashable:
        """What a run's resident arrays are of; see `Source.table`."""
        condition = self.study.conditions[run.condition_index]
        return self.learner.source.table(condition, run.repeat)

    def _resident(self, _: Any, made_of: Any, __: Any, shared: Any) -> dict[str, jax.Array]:
        return self.learner.source.resident(shared['root'], *made_of)

    def _measure(self, _: Any, run: RunData, device: Any, shared: Any) -> dict[str, Any]:
        """Targets of the fixed splits, computed once, so that every program sees the same bits."""
        at, source = place(run, device, shared), self.learner.source

        def targets(split):
            return images.walk(source.count(split), lambda i: source.examples(at, split, i)[1])

        return {split: targets(split) for split in KEPT}

    def _pictures(self, run: RunData, root: jax.Array, index: jax.Array) -> jax.Array:
        """The training images [b, H, W, channels] with these indices [b], drawn anew."""
        at = place(run, {}, {'root': root})
        return self.learner.source.images(at, 'train', index)

    def _remeasure(
        self, run: RunData, root: jax.Array, recipe: dict[str, jax.Array], index: jax.Array
    ) -> jax.Array:
        """The targets [b] of images of a recipe by their own pixels."""
        at = place(run, {}, {'root': root})
        pictures, _ = step.pictures_of(self.learner, at, recipe['target'], recipe, index)
        return self.learner.source.measured(at, pictures)

    def _initial_params(self, key: jax.Array) -> Any:
        return self.learner.network.init(key, jnp.zeros((1, *self._image)))['params']

    @property
    def _image(self) -> tuple[int, int, int]:
        return self.image_size, self.image_size, self.learner.source.channels

    def _initialize(self, _: Any, run_and_tables: Any, __: Any, shared: Any) -> TrainState:
        run, tables = run_and_tables
        key = training_key(run, Purpose.INITIALIZATION, shared)
        params = self._initial_params(key)
        remedy = self.learner.remedy
        features = self.learner.network.dense_features
        state = remedy.start(features, self._own(tables), self._image)
        moments = optimizer.build(self.learner.training, run.dials).init(params)
        return TrainState(params, moments, state, jnp.int32(-1))

    def _own(self, tables: dict[str, jax.Array]) -> dict[str, jax.Array]:
        return step.own_tables(tables)

    def _shuffle(self, _: Any, run: RunData, __: Any, shared: Any) -> jax.Array:
        key = training_key(run, Purpose.SHUFFLE, shared)
        key = jax.random.fold_in(key, shared['epoch'])
        return jax.random.permutation(key, self.learner.source.count('train')).astype(jnp.int32)

    def _chunk(
        self, state: TrainState, run_and_data: Any, device: Any, shared: Any
    ) -> tuple[TrainState, jax.Array]:
        run, lessons, order = run_and_data
        batch = self.learner.training.batch_size
        at = place(run, device, shared)
        first = shared['step']
        steps = jnp.minimum(self.chunk_steps, shared['stop'] - first)
        number = shared['epoch']
        epoch = Epoch(number, lessons.layer_rates[number], lessons.weighted[number])

        def one(i: jax.Array, carried: tuple[TrainState, Any]) -> tuple[TrainState, Any]:
            state, losses = carried
            index = lax.dynamic_slice(order, ((first + i) * batch,), (batch,))
            state, loss = step.train_step(
                self.learner, state, at, lessons.targets, lessons.tables, index, epoch,
                number * self.steps_per_epoch + first + i,
            )  # fmt: skip
            return state, losses.at[i].set(loss)

        # A loop of as many steps as there are, so that a shorter chunk is the same program.
        losses = jnp.zeros(self.chunk_steps)
        state, losses = lax.fori_loop(0, steps, one, (state, losses))
        return state, jnp.sum(losses)

    def _fold(self, state: TrainState, run_and_data: Any, device: Any, shared: Any) -> TrainState:
        """The remedy's pass over the training images at an epoch's end, under training's masks."""
        run, lessons = run_and_data
        at = place(run, device, shared)
        source, made, remedy, _ = self.learner
        key = training_key(run, Purpose.FOLD_MASKS, shared)
        key = jax.random.fold_in(key, shared['epoch'])
        rate = run.dials['model.conv_dropout_rate']

        def visit(index):
            pictures, targets = step.pictures_of(
                self.learner, at, lessons.targets, lessons.tables, index
            )
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
            variables = {'params': state.params}
            return made.apply(variables, pictures, rate, keys, method='encode'), targets

        features, targets = images.walk(source.count('train'), visit)
        own = self._own(lessons.tables)
        dials = step.remedy_dials(remedy, at)
        new = remedy.fold(state.remedy, features, targets, own, dials, shared['epoch'])
        return state._replace(
            remedy=jax.tree.map(
                lambda a, b: jnp.where(state.diverged_step < 0, a, b), new, state.remedy
            )
        )

    def _redraw(self, state: TrainState, run_and_data: Any, _: Any, shared: Any) -> TrainState:
        """Draws those layers anew that a run's schedule says, and its optimiser begins anew.

        It counts steps for all layers alike, so that it cannot do so for one of them.
        """
        run, lessons = run_and_data
        key = training_key(run, Purpose.REDRAWN_LAYERS, shared)
        fresh = self._initial_params(jax.random.fold_in(key, shared['epoch']))
        redrawn = lessons.redrawn[shared['epoch']] & (state.diverged_step < 0)
        params = {
            layer: jax.tree.map(
                lambda new, old, chosen=redrawn[i]: jnp.where(chosen, new, old),
                fresh[layer],
                state.params[layer],
            )
            for i, layer in enumerate(sorted(fresh))
        }
        start = optimizer.build(self.learner.training, run.dials).init(params)
        moments = jax.tree.map(
            lambda new, old: jnp.where(redrawn.any(), new, old), start, state.optimizer
        )
        return state._replace(params=params, optimizer=moments)
