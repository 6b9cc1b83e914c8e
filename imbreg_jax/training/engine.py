"""One unit's arrays on the devices, and its training."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from imbreg_jax.compute import units
from imbreg_jax.compute.plan import Plan
from imbreg_jax.compute.run_axis import RunAxis
from imbreg_jax.data import randomness
from imbreg_jax.data.images import WALK_BATCH
from imbreg_jax.data.randomness import Purpose
from imbreg_jax.data.source import KEPT
from imbreg_jax.study import Condition, ConfigError, Run, Study
from imbreg_jax.training.programs import Lessons, Programs, RunData
from imbreg_jax.training.remedy import COMMON, Remedy, checked_tables
from imbreg_jax.training.step import TrainState


class RunImages:
    """The training images of one run on the host; see `remedy.Images`."""

    def __init__(self, programs: Programs, run: RunData):
        """Args: the run's programs, and its data, which has no run axis here."""
        self._programs = programs
        self._run = run
        self._root = randomness.root_key(programs.study.seed)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        """The images [n, H, W, channels] float32 with these indices [n]."""
        return self._walk(lambda i: self._programs.pictures(self._run, self._root, i), index)

    def measured(self, recipe: Mapping[str, np.ndarray], index: np.ndarray) -> np.ndarray:
        """The targets [n] float32 of images of a recipe by their own pixels."""
        held = dict(recipe)
        return self._walk(lambda i: self._programs.remeasure(self._run, self._root, held, i), index)

    def _walk(self, visit: Callable[[np.ndarray], jax.Array], index: np.ndarray) -> np.ndarray:
        """Values of so many images, of which the device sees a batch at a time."""
        whole = -(-max(1, len(index)) // WALK_BATCH) * WALK_BATCH
        padded = np.zeros(whole, np.int32)
        padded[: len(index)] = index
        parts = [np.asarray(visit(batch)) for batch in padded.reshape(-1, WALK_BATCH)]
        return np.concatenate(parts)[: len(index)]


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
      lessons: `Lessons` of all runs.
      resident: what the source keeps on the devices, where the plan says so.
    """

    def __init__(self, programs: Programs, unit: units.Unit):
        """Draws the unit's data."""
        self.programs = programs
        self.study: Study = programs.study
        self.plan: Plan = programs.plan
        self.unit = unit
        self.training = programs.learner.training
        self.steps_per_epoch = programs.steps_per_epoch
        self.axis = RunAxis(programs.layout, unit.runs)
        root = jax.device_put(randomness.root_key(self.study.seed), programs.layout.replicated)
        self.shared = self.axis.shared | {'root': root}
        self._orders: tuple[int, Any] | None = None
        self.run_data: Any = None
        self.targets: dict[str, Any] = {}
        self.lessons: Any = None
        self.resident: dict[str, Any] = {}
        self._prepare()

    def release(self) -> None:
        """Frees the unit's arrays, whoever still knows the engine, which is of no use then."""
        self.run_data = self._orders = self.lessons = None
        self.targets = {}
        self.resident = {}

    @property
    def chunk_steps(self) -> int:
        """Steps of a chunk; the last one of an epoch may be shorter."""
        return self.programs.chunk_steps

    def _remedies(self) -> list[Remedy]:
        return [condition.remedy for condition in self._conditions()]

    def _conditions(self) -> list[Condition]:
        return [self.study.conditions[run.condition_index] for run in self.unit.runs]

    def _prepare(self) -> None:
        """Draws the runs' data: rows on the host; what lies on the devices, and targets, there."""
        axis, programs = self.axis, self.programs
        source = programs.learner.source
        conditions = self._conditions()
        runs = self.unit.runs
        repeats = np.array([run.repeat for run in runs], np.int32)
        made = [
            source.rows(condition, run.repeat)
            for condition, run in zip(conditions, runs, strict=True)
        ]
        rows = {split: np.stack([row[split] for row in made]) for split in made[0]}
        # A device has what its own runs take, and nothing of another's.
        local = [units.tables_of(block or runs[:1], programs.table) for block in axis.blocks]
        # Which of that each place's run takes; a copy's may be none of it.
        slots = np.zeros(len(axis.held), np.int32)
        for spot, run in enumerate(axis.held):
            known = list(local[spot // programs.layout.places])
            table = programs.table(runs[run])
            slots[spot] = known.index(table) if table in known else 0
        # Of a remedy that shares the program of none, the program knows no dial.
        own = programs.learner.remedy.dials()
        dials = [
            condition.dials() | {f'remedy.{name}': remedy.dials()[name] for name in own}
            for condition, remedy in zip(conditions, self._remedies(), strict=True)
        ]
        self.run_data = axis.spread(
            RunData(
                repeat=repeats,
                member=np.array([run.member for run in self.unit.runs], np.int32),
                slot=np.zeros(len(repeats), np.int32),
                rows=rows,
                dials={
                    name: np.array([dial[name] for dial in dials], np.float32) for name in dials[0]
                },
            )
        )
        self.run_data = self.run_data._replace(slot=axis.per_device(slots))
        if self.plan.cached:
            first = [[runs.index(run) for run in part.values()] for part in local]
            padded = [np.pad(part, (0, programs.tables - len(part)), mode='edge') for part in first]
            of = np.concatenate(padded)
            made_of = repeats[of], {split: rows[split][of] for split in KEPT}
            self.resident = programs.resident((), axis.per_device(made_of), (), self.shared)
        self.targets = programs.measure((), self.run_data, self.resident, self.shared)
        self.lessons = self._lessons()

    def _lessons(self) -> Lessons:
        """What each run is trained on, as its remedy has it."""
        source = self.programs.learner.source
        count = source.count('train')
        found = self._remedies()
        # Fetched only where a remedy looks at them.
        targets = self.axis.fetch(self.targets['train']) if any(r.name for r in found) else None
        conditions = self._conditions()
        layers = [layer.name for layer in conditions[0].architecture.layers]
        plain = {
            'weights': np.ones(count, np.float32),
            'first': np.arange(count, dtype=np.int32),
        }
        # Of a remedy that shares the program of none, the program takes no array of its own.
        has_code = bool(self.programs.learner.remedy.code)
        tables, schedules = [], []
        for i, (run, remedy) in enumerate(zip(self.unit.runs, found, strict=True)):
            made = dict(plain)
            if targets is not None and remedy.name:
                made |= self._tables(run, np.asarray(targets[i], np.float64))
            tables.append({k: v for k, v in made.items() if has_code or k in COMMON})
            schedules.append(remedy.schedule(self.training.epochs, sorted(layers)))
        whole = {name: np.stack([made[name] for made in tables]) for name in tables[0]}
        whole['weights'] = whole['weights'].astype(np.float32)
        schedule = [np.stack(parts) for parts in zip(*schedules, strict=True)]
        spread = self.axis.spread((whole, *schedule))
        return Lessons(self.targets['train'], *spread)

    def _tables(self, run: Run, targets: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of a run's remedy."""
        found = self.study.conditions[run.condition_index]
        # The first member's are those of a single network.
        member = [run.member] if run.member else []
        seeds = [self.study.seed, run.repeat, int(Purpose.RESAMPLING), *member]
        seen = (self._images(run),) if found.remedy.sees_images else ()
        try:
            made = found.remedy.tables(
                targets, found.distribution, np.random.default_rng(seeds), *seen
            )
            return checked_tables(found.remedy, made, len(targets))
        except ValueError as error:
            message = f'in condition {found.name}, repeat {run.repeat}, {error}'
            raise ConfigError('remedy', found.remedy.spec, message) from error

    def _images(self, run: Run) -> RunImages:
        found = self.study.conditions[run.condition_index]
        rows = self.programs.learner.source.rows(found, run.repeat)
        dials = {name: np.float32(value) for name, value in found.dials().items()}
        data = RunData(
            np.int32(run.repeat), np.int32(run.member), np.int32(0),
            {'train': rows['train']}, dials,
        )  # fmt: skip
        return RunImages(self.programs, data)

    def initialize(self) -> TrainState:
        """Every run's state before training."""
        return self.programs.initialize((), (self.run_data, self.lessons.tables), (), self.shared)

    def train_chunk(
        self, state: TrainState, epoch: int, step: int, stop: int | None = None
    ) -> tuple[TrainState, Any]:
        """Trains every run through one chunk of an epoch.

        Args:
          state: donated.
          epoch: which epoch, from 0; it decides the shuffle.
          step: the first step of the chunk in its epoch, from 0.
          stop: the step after its last; None is `next_step`, and it is no later.

        Returns:
          the state after it, and the sum [runs] of the steps' losses, on the device.
        """
        given = self.chunk_arguments(epoch, step, stop)
        if step == 0 and self._redraws(epoch):
            state = self.programs.redraw(state, (self.run_data, self.lessons), (), given[-1])
        return self.programs.chunk(state, *given)

    def chunk_arguments(
        self, epoch: int, step: int, stop: int | None = None
    ) -> tuple[Any, Any, Any]:
        """What `Programs.chunk` takes beside a state, for the chunk from this step on."""
        stop = self.next_step(step) if stop is None else stop
        shared = self.shared | {
            'epoch': np.int32(epoch), 'step': np.int32(step), 'stop': np.int32(stop),
        }  # fmt: skip
        return (self.run_data, self.lessons, self._order(epoch)), self.resident, shared

    def next_step(self, step: int) -> int:
        """The first step of the chunk after this one; the number of an epoch's steps, if none."""
        return min((step // self.chunk_steps + 1) * self.chunk_steps, self.steps_per_epoch)

    def end_epoch(self, state: TrainState, epoch: int) -> TrainState:
        """Does what a remedy does at an epoch's end; `state` is donated."""
        if not self.programs.learner.remedy.folds:
            return state
        shared = self.shared | {'epoch': np.int32(epoch)}
        return self.programs.fold(state, (self.run_data, self.lessons), self.resident, shared)

    def _redraws(self, epoch: int) -> bool:
        return bool(np.asarray(self.lessons.redrawn)[:, epoch].any())

    def _order(self, epoch: int) -> jax.Array:
        """[runs, n]: the order of the training images in an epoch, kept for its other chunks."""
        if self._orders is None or self._orders[0] != epoch:
            self._orders = None  # Not two epochs' at once.
            shared = self.shared | {'epoch': np.int32(epoch)}
            self._orders = epoch, self.programs.shuffle((), self.run_data, (), shared)
        return self._orders[1]
