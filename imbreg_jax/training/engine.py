"""The compiled training program: all runs of a unit that share shapes, one compilation.

What differs between the runs of a program is data: targets, learning rate and dropout rates; and so
is what differs between units, which share their programs. Nothing is fetched between the steps of a
chunk.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from imbreg_jax.compute.plan import Plan
from imbreg_jax.compute.run_axis import RunAxis
from imbreg_jax.data import images, randomness, tasks
from imbreg_jax.data.randomness import Purpose, purpose_key
from imbreg_jax.model.network import DropoutRates, RegressionCNN
from imbreg_jax.study import Condition, Study
from imbreg_jax.training import objectives


class RunData(NamedTuple):
    """What is data to the program and may differ between runs; each array leads with the run axis.

    Attributes:
      repeat: [] int32, the repeat's number: with a purpose, the root of the run's keys.
      slot: [] int32, the repeat's place among its device's noise tables.
      generating: {'train': [N], 'validation': [n]} float32 generating values.
      learning_rate, conv_dropout_rate, dense_dropout_rate: [] float32.
      generating_target: [] bool, whether the target is the generating value.
      ddof: [] int32, degrees of freedom taken off the measured standard deviation's count.
    """

    repeat: Any
    slot: Any
    generating: dict[str, Any]
    learning_rate: Any
    conv_dropout_rate: Any
    dense_dropout_rate: Any
    generating_target: Any
    ddof: Any


class TrainState(NamedTuple):
    """A run's position in weight space.

    Attributes:
      params: the network's parameters.
      moments: Adam's state.
      diverged_step: [] int32, the step at which the loss, a weight or one of Adam's moments turned
        non-finite, else -1; from then on the run stays as it was before that step.
    """

    params: Any
    moments: Any
    diverged_step: Any


@dataclasses.dataclass(frozen=True)
class Unit:
    """Runs trained together: the conditions of one program times some repeats.

    Attributes:
      program: the program's number in `Study.programs()`.
      conditions: the conditions' places in the study.
      repeats: the repeats' numbers.
    """

    program: int
    conditions: tuple[int, ...]
    repeats: tuple[int, ...]

    @property
    def runs(self) -> list[tuple[int, int]]:
        """(condition, repeat), repeat-major, so that a device's runs share repeats."""
        return [(c, r) for r in self.repeats for c in self.conditions]


def units(study: Study, planned: Plan) -> list[Unit]:
    """The units of a study under its plan, in the order in which they train."""
    size = planned.repeats_per_unit
    parts = [study.repeats[i : i + size] for i in range(0, len(study.repeats), size)]
    return [Unit(p, c, part) for p, c in enumerate(study.programs()) for part in parts]


def generating_values(
    study: Study, condition: Condition, repeat: int, targets: Purpose, count: int
) -> np.ndarray:
    """[count] float32 generating values: one uniform draw a repeat, through the condition's law."""
    u = randomness.uniforms(study.seed, repeat, targets, count)
    return condition.distribution.ppf(u).astype(np.float32)


def _all_finite(*trees: Any) -> jax.Array:
    """[] bool: whether no number of these trees of like leaves is infinite or nan.

    One reduction for the leaves in the same place, since a CPU's cost is per operation; and none
    of numbers, which could overflow on its way.
    """

    def finite(*leaves):
        return functools.reduce(jnp.logical_and, map(jnp.isfinite, leaves)).all()

    return jnp.stack(jax.tree.leaves(jax.tree.map(finite, *trees))).all()


class Programs:
    """The compiled programs of conditions that share them, for all units under one plan.

    They hold no array of a unit, so that units of one size share one trace and one compilation.

    Attributes:
      study, plan: whose they are.
      program: their number in `Study.programs()`.
      devices: that the plan divides runs over.
      training, task, network: what the conditions share.
      steps_per_epoch: training steps in an epoch.
      chunk_steps: training steps in a chunk; an epoch's last one may be shorter.
      noise_tables, measure, initialize, shuffle, chunk: functions of one run over all runs of a
        unit, compiled at their first call (see `RunAxis.compile`).
    """

    def __init__(self, study: Study, program: int, planned: Plan, devices: list[Any]):
        """Compiles nothing yet; programs compile at their first call."""
        self.study = study
        self.program = program
        self.plan = planned
        self.devices = devices
        group = study.programs()[program]
        condition = study.conditions[group[0]]
        self.training = condition.training
        self.task = tasks.TASKS[condition.task.name]
        settings = condition.model
        self.network = RegressionCNN(
            conv_features=settings.conv_features,
            kernel_size=settings.kernel_size,
            dense_features=settings.dense_features,
            order=settings.order,
            conv_dropout=settings.conv_dropout,
            initialization=settings.initialization,
        )
        self.objective = objectives.OBJECTIVES[self.training.objective]
        self.adam = optax.scale_by_adam(
            self.training.adam_b1, self.training.adam_b2, self.training.adam_eps
        )
        self.steps_per_epoch = study.data.train_size // self.training.batch_size
        self.chunk_steps = planned.chunk_steps[program]
        # Compiled functions serve units of any number of runs.
        axis = RunAxis(planned, devices, planned.repeats_per_unit * len(group))
        self.compile = axis.compile
        # One table at a time: all at once would need the memory of another set of them.
        self.noise_tables = axis.compile(self._noise_tables, at_once=1)
        self.measure = axis.compile(self._measure_run)
        self.initialize = axis.compile(self._initialize_run)
        self.shuffle = axis.compile(self._shuffle_run)
        self.chunk = axis.compile(self._train_run)

    def _noise_tables(self, _: Any, repeat: Any, __: Any, shared: Any) -> dict[str, jax.Array]:
        data = self.study.data

        def table(purpose, count):
            key = purpose_key(shared['root'], repeat, purpose)
            return images.noise_table(key, count, data.image_size, shared['root'])

        return {
            'train': table(Purpose.TRAIN_IMAGES, data.train_size),
            'validation': table(Purpose.VALIDATION_IMAGES, data.validation_size),
        }

    def noise_of(self, split: str, run: RunData, device: Any, shared: Any) -> images.NoiseOf:
        """The noise images of a split, from the device's table or drawn anew."""
        if split in device:
            return lambda indices: device[split][run.slot, indices]
        purpose = {'train': Purpose.TRAIN_IMAGES, 'validation': Purpose.VALIDATION_IMAGES}[split]
        key = purpose_key(shared['root'], run.repeat, purpose)
        size, root = self.study.data.image_size, shared['root']
        return lambda indices: images.noise(key, indices, size, root)

    def target_of(self, run: RunData, generating: jax.Array, noise: jax.Array) -> jax.Array:
        """The targets [b] of images with these generating values [b] and noise [b, H, W]."""
        measured = self.task.measure(self.task.synthesize(generating, noise), run.ddof)
        return jnp.where(run.generating_target, generating, measured)

    def _measure_run(self, _: Any, run: RunData, device: Any, shared: Any) -> dict[str, Any]:
        """Targets of the fixed splits, computed once, so that every program sees the same bits."""
        return {
            split: images.walk(
                len(generating),
                self.noise_of(split, run, device, shared),
                lambda noise, g: self.target_of(run, g, noise),
                generating,
            )
            for split, generating in run.generating.items()
        }

    def _initialize_run(self, _: Any, run: RunData, __: Any, shared: Any) -> TrainState:
        size = self.study.data.image_size
        key = purpose_key(shared['root'], run.repeat, Purpose.INITIALIZATION)
        params = self.network.init(key, jnp.zeros((1, size, size)))['params']
        return TrainState(params, self.adam.init(params), jnp.int32(-1))

    def _shuffle_run(self, _: Any, run: RunData, __: Any, shared: Any) -> jax.Array:
        key = purpose_key(shared['root'], run.repeat, Purpose.SHUFFLE)
        key = jax.random.fold_in(key, shared['epoch'])
        return jax.random.permutation(key, self.study.data.train_size).astype(jnp.int32)

    def _train_run(
        self, state: TrainState, run_and_data: Any, device: Any, shared: Any
    ) -> tuple[TrainState, jax.Array]:
        run, targets, order = run_and_data
        batch = self.training.batch_size
        noise_of = self.noise_of('train', run, device, shared)
        generating = run.generating['train']
        dropout_key = purpose_key(shared['root'], run.repeat, Purpose.DROPOUT)
        first = shared['chunk'] * self.chunk_steps
        steps = jnp.minimum(self.chunk_steps, self.steps_per_epoch - first)
        rates = DropoutRates(run.conv_dropout_rate, run.dense_dropout_rate)

        def step(i: jax.Array, carried: tuple[TrainState, Any]) -> tuple[TrainState, Any]:
            state, losses = carried
            number = shared['epoch'] * self.steps_per_epoch + first + i
            indices = lax.dynamic_slice(order, ((first + i) * batch,), (batch,))
            pictures = self.task.synthesize(generating[indices], noise_of(indices))
            mask_key = jax.random.fold_in(dropout_key, number)

            def loss_of(params):
                predictions, _ = self.network.apply({'params': params}, pictures, rates, mask_key)
                return objectives.mean_loss(self.objective, predictions, targets[indices], None)

            loss, gradients = jax.value_and_grad(loss_of)(state.params)
            updates, moments = self.adam.update(gradients, state.moments)
            params = jax.tree.map(lambda p, u: p - run.learning_rate * u, state.params, updates)
            sound = jnp.isfinite(loss) & _all_finite(params, moments.mu, moments.nu)
            diverged_step = jnp.where(
                (state.diverged_step < 0) & ~sound, number, state.diverged_step
            )
            new = TrainState(params, moments, diverged_step)
            old = state._replace(diverged_step=diverged_step)
            kept = jax.tree.map(lambda a, b: jnp.where(diverged_step < 0, a, b), new, old)
            return kept, losses.at[i].set(loss)

        # A loop of as many steps as there are, so that a shorter last chunk is the same program.
        losses = jnp.zeros(self.chunk_steps)
        state, losses = lax.fori_loop(0, steps, step, (state, losses))
        return state, jnp.sum(losses)


class Engine:
    """One unit's arrays on the devices, and its training.

    Attributes:
      programs: what trains them; the same for all units of one program.
      study, plan, training, steps_per_epoch: as `programs` has them.
      unit: which runs.
      axis: how they lie on the devices.
      shared: what all runs share on the devices.
      run_data: `RunData` of all runs.
      targets: {'train': [runs, N], 'validation': [runs, n]} on the devices.
      device_data: the devices' noise tables, where the plan keeps them.
    """

    def __init__(
        self,
        study: Study,
        unit: Unit,
        planned: Plan,
        devices: list[Any],
        programs: Programs | None = None,
    ):
        """Draws the unit's data.

        Args:
          study: the study.
          unit: which of its runs.
          planned: its plan.
          devices: that the plan divides runs over.
          programs: those of an earlier unit of the same program, or None to make them.
        """
        self.programs = programs or Programs(study, unit.program, planned, devices)
        self.study = study
        self.unit = unit
        self.plan = planned
        self.training = self.programs.training
        self.steps_per_epoch = self.programs.steps_per_epoch
        self.axis = RunAxis(planned, devices, len(unit.runs))
        self.shared = {
            'root': jax.device_put(randomness.root_key(study.seed), self.axis.replicated),
        }
        self._orders: tuple[int, Any] | None = None
        self.run_data: Any = None
        self.targets: dict[str, Any] = {}
        self.device_data: dict[str, Any] = {}
        self._prepare()

    def release(self) -> None:
        """Frees the unit's arrays, whoever still knows the engine, which is of no use then."""
        self.run_data = self._orders = None
        self.targets = {}
        self.device_data = {}

    @property
    def chunks_per_epoch(self) -> int:
        """Chunks in an epoch."""
        return -(-self.steps_per_epoch // self.programs.chunk_steps)

    def steps_before(self, chunk: int) -> int:
        """Steps of an epoch before one of its chunks; before `chunks_per_epoch`, all of them."""
        return min(chunk * self.programs.chunk_steps, self.steps_per_epoch)

    def _prepare(self) -> None:
        """Draws the runs' data: generating values on the host, noise tables and targets there."""
        study, unit, axis = self.study, self.unit, self.axis
        splits = {
            'train': (Purpose.TRAIN_TARGETS, study.data.train_size),
            'validation': (Purpose.VALIDATION_TARGETS, study.data.validation_size),
        }
        conditions = [study.conditions[c] for c, _ in unit.runs]
        repeats = np.array([r for _, r in unit.runs], np.int32)
        # Each device has the noise of the repeats in its block of runs, and of no other.
        blocks = np.pad(repeats, (0, axis.padded - len(repeats)), mode='edge')
        blocks = blocks.reshape(self.plan.devices, -1)
        local = [np.unique(block) for block in blocks]
        slots = np.concatenate([np.searchsorted(u, b) for u, b in zip(local, blocks, strict=True)])
        most = max(map(len, local))
        tables = np.concatenate([np.pad(u, (0, most - len(u)), mode='edge') for u in local])
        array = lambda values, dtype: np.array(list(values), dtype)  # noqa: E731
        self.run_data = axis.spread(
            RunData(
                repeat=repeats,
                slot=slots[: len(repeats)].astype(np.int32),
                generating={
                    split: np.stack(
                        [
                            generating_values(study, study.conditions[c], r, purpose, count)
                            for c, r in unit.runs
                        ]
                    )
                    for split, (purpose, count) in splits.items()
                },
                learning_rate=array((c.training.learning_rate for c in conditions), np.float32),
                conv_dropout_rate=array(
                    (c.model.conv_dropout_rate for c in conditions), np.float32
                ),
                dense_dropout_rate=array(
                    (c.model.dense_dropout_rate for c in conditions), np.float32
                ),
                generating_target=array((c.task.target == 'generating' for c in conditions), bool),
                ddof=array((c.task.ddof for c in conditions), np.int32),
            )
        )
        if axis.padded > len(repeats):
            # Fillers repeat the last run, whose slot on their own device may be another.
            self.run_data = self.run_data._replace(slot=axis.per_device(slots.astype(np.int32)))
        if self.plan.cached:
            draw = self.programs.noise_tables
            self.device_data = draw((), axis.per_device(tables), (), self.shared)
        self.targets = self.programs.measure((), self.run_data, self.device_data, self.shared)

    def initialize(self) -> TrainState:
        """Every run's state before training."""
        return self.programs.initialize((), self.run_data, (), self.shared)

    def train_chunk(self, state: TrainState, epoch: int, chunk: int) -> tuple[TrainState, Any]:
        """Trains every run through one chunk of an epoch (both counted from 0).

        Args:
          state: donated.
          epoch: which epoch; it decides the shuffle.
          chunk: which part of it.

        Returns:
          the state after it, and the sum [runs] of the steps' losses, on the device.
        """
        shared = self.shared | {'epoch': np.int32(epoch), 'chunk': np.int32(chunk)}
        run = (self.run_data, self.targets['train'], self._order(epoch))
        return self.programs.chunk(state, run, self.device_data, shared)

    def _order(self, epoch: int) -> jax.Array:
        """[runs, n]: the order of the training images in an epoch, kept for its other chunks."""
        if self._orders is None or self._orders[0] != epoch:
            self._orders = None  # Not two epochs' at once.
            shared = self.shared | {'epoch': np.int32(epoch)}
            self._orders = epoch, self.programs.shuffle((), self.run_data, (), shared)
        return self._orders[1]
