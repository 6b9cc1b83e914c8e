"""How far a study has come: its position, what its units left, and both in its checkpoints."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from imbreg_jax.compute import units as units_lib
from imbreg_jax.compute.plan import Plan
from imbreg_jax.results import checkpoints, files
from imbreg_jax.results import workdir as workdir_lib
from imbreg_jax.results.assemble import Outcome
from imbreg_jax.results.journal import Journal
from imbreg_jax.results.workdir import Workdir
from imbreg_jax.study import Condition, Run, Study
from imbreg_jax.training.engine import Engine
from imbreg_jax.training.step import TrainState

logger = logging.getLogger('imbreg_jax')


class Position(NamedTuple):
    """What is trained next; all counted from 0.

    Attributes:
      unit: a unit's number; that of the units where all are finished.
      epoch: an epoch; that of the epochs where the unit's networks are to be evaluated.
      step: a step of the epoch.
    """

    unit: int = 0
    epoch: int = 0
    step: int = 0


class _Begun(NamedTuple):
    """Runs that are under way: what is trained next, and their arrays there; see `arrays_of`."""

    runs: tuple[Run, ...]
    epoch: int
    step: int
    arrays: list[np.ndarray]

    def slices(self, most: int) -> list['_Begun']:
        """The same in parts of at most so many runs."""
        size = units_lib.slice_size(len(self.runs), most)
        return [
            self._replace(
                runs=self.runs[start : start + size],
                arrays=[values[start : start + size] for values in self.arrays],
            )
            for start in range(0, len(self.runs), size)
        ]


class Progress:
    """What a study has come to, and its checkpoints; without a workdir it keeps none.

    Attributes:
      journal: every epoch's rows.
      units: those that are finished, and those that the plan makes of the other runs, in the
        order in which they train: what is under way comes first.
      outcomes: what each finished unit left.
      seconds: spent on training and evaluation, earlier starts included.
      compile_seconds: of these, on compilation.
      spent: of the seconds but for compilation, those on each condition's runs, a unit's shared
        equally among its own; nan where a version that did not count them began.
    """

    def __init__(self, study: Study, workdir: Workdir | None):
        """Args: the study, and its folder, into which nothing is written before `restore`."""
        self.journal = Journal(study, workdir)
        self.units: list[units_lib.Unit] = []
        self.outcomes: list[Outcome] = []
        self.seconds = 0.0
        self.compile_seconds = 0.0
        self.spent = np.zeros(len(study.conditions))
        self._compiled = 0.0
        self._study = study
        self._workdir = workdir
        self._kept: list[dict[str, Any]] = []
        # Under way, and not the unit in hand.
        self._waiting: list[_Begun] = []
        self._binding: dict[str, Any] = {}
        self._began = 0.0

    def restore(self, plan: Plan) -> None:
        """Goes on under a plan from the newest checkpoint that is whole, or from nothing.

        Raises:
          CheckpointError: there are checkpoints, and none can be used.
          OSError: a file cannot be read or written.
        """
        self.outcomes, self._kept, self._waiting = [], [], []
        self._binding = workdir_lib.binding(plan.to_json())
        self.units = units_lib.cut(self._study, plan.runs_per_unit)
        if self._workdir is None:
            self.journal.begin(None)
            return
        found = checkpoints.restore(self._workdir.checkpoints, self._unusable)
        self.journal.begin(found and found.position)
        if found is None:
            return
        for name in found.damaged:
            logger.warning('checkpoint %s is not used; %s is', name, found.name)
        held = found.position
        self.seconds, self.compile_seconds = held['seconds'], held['compile_seconds']
        self._compiled = self.compile_seconds
        self.spent = np.array(held.get('spent', np.full(len(self.spent), np.nan)), float)
        self._kept = held['outcomes']
        for number, kept in enumerate(self._kept):
            with np.load(self._unit_path(number), allow_pickle=False) as arrays:
                runs = [Run(*run) for run in kept['runs']]
                self.outcomes.append(Outcome(runs, dict(arrays)))
        self._waiting = _parts(held['begun'], found.arrays, plan.runs_per_unit)
        self.units = self._cut(plan.runs_per_unit)
        if changes := self._changes(held['plan']):
            logger.warning(
                'going on under another plan than before (%s), so results may have other last '
                'digits',
                changes,
            )
        self._describe(self._next())

    def save(self, position: Position, arrays: list[np.ndarray]) -> None:
        """Saves a checkpoint.

        Args:
          position: what is trained next.
          arrays: those of the unit in hand, see `arrays_of`; none where a unit is finished.

        Raises:
          OSError: it cannot be written or the disk is full; older checkpoints stay.
        """
        finished = 0 if arrays else 1
        self._count_seconds(self.units[position.unit - finished])
        if self._workdir is None:
            return
        begun = list(self._waiting)
        if arrays:
            _, epoch, step = position
            begun.insert(0, _Begun(self.units[position.unit].runs, epoch, step, arrays))
        held = {
            'begun': [
                {'runs': _plain(runs), 'epoch': epoch, 'step': step}
                for runs, epoch, step, _ in begun
            ],
            'journal': self.journal.mark(),
            'outcomes': self._kept,
            'plan': self._binding,
            'seconds': self.seconds,
            'compile_seconds': self.compile_seconds,
            'spent': [None if np.isnan(seconds) else seconds for seconds in self.spent.tolist()],
        }
        checkpoints.save(
            self._workdir.checkpoints,
            self._step(position),
            [values for part in begun for values in part.arrays],
            held,
            self._study.compute.checkpoints_kept,
        )

    def begin_unit(self) -> tuple[Position, list[np.ndarray] | None]:
        """Takes the next unit in hand, and counts seconds from here on.

        Returns:
          What of it is trained next, and the arrays that were saved there, or None where it begins.
        """
        self._began = time.monotonic()
        return self._next(), self._waiting.pop(0).arrays if self._waiting else None

    def finish_unit(self, number: int, outcome: Outcome) -> None:
        """Keeps what a unit left, in a file of its own, and saves the position after it.

        Raises:
          OSError: it cannot be written or the disk is full; older checkpoints stay.
        """
        self.outcomes.append(outcome)
        if self._workdir is not None:
            path = self._unit_path(number)
            # Also where there is one: it may be damaged, and then it is being made again.
            files.write_arrays(path, outcome.arrays)
            self._kept.append({'runs': _plain(outcome.runs), 'sha256': files.sha256(path)})
        self.save(Position(number + 1), [])

    def _next(self) -> Position:
        number = len(self.outcomes)
        if not self._waiting:
            return Position(number)
        return Position(number, self._waiting[0].epoch, self._waiting[0].step)

    def _cut(self, most: int) -> list[units_lib.Unit]:
        """The finished units, those under way, and those of the runs that are left."""
        programs = {c: p for p, group in enumerate(self._study.programs()) for c in group}
        parts = [outcome.runs for outcome in self.outcomes] + [p.runs for p in self._waiting]
        made = [units_lib.Unit(programs[runs[0][0]], tuple(runs)) for runs in parts]
        gone = {run for unit in made for run in unit.runs}
        return made + units_lib.cut(self._study, most, gone)

    def _changes(self, before: dict[str, Any]) -> str:
        """What of a plan is another now, of that on which numbers may depend."""
        return ', '.join(
            f'{field} {value}, now {self._binding[field]}'
            for field, value in before.items()
            if field in self._binding and self._binding[field] != value
        )

    def condition(self, unit: units_lib.Unit) -> Condition:
        """One of a unit's conditions, for what they share."""
        return self._study.conditions[unit.runs[0][0]]

    def images(self, unit: units_lib.Unit) -> int:
        """Images that all runs of a unit are trained on in all its epochs."""
        return len(unit.runs) * self.condition(unit).images

    def _step(self, position: Position) -> int:
        """A number that orders checkpoints: training steps before a position."""
        # Counting a unit's evaluation as a step keeps its checkpoint apart from its last epoch's.
        step = sum(self.condition(unit).steps + 1 for unit in self.units[: position.unit])
        if position.unit < len(self.units):
            per_epoch = self.condition(self.units[position.unit]).steps_per_epoch
            step += position.epoch * per_epoch + position.step
        return step

    def _count_seconds(self, unit: units_lib.Unit) -> None:
        """Counts what passed since the last time as a unit's."""
        until = time.monotonic()
        took = until - self._began
        self.seconds += took
        self._began = until
        trained = took - (self.compile_seconds - self._compiled)
        self._compiled = self.compile_seconds
        for run in unit.runs:
            self.spent[run.condition_index] += trained / len(unit.runs)

    def _describe(self, position: Position) -> None:
        place = position.unit + 1, len(self.units)
        if position.unit == len(self.units):
            logger.info('resuming after the last epoch: only result files are left to write')
        elif position.epoch == self.condition(self.units[position.unit]).training.epochs:
            logger.info(
                'resuming in program %d of %d, where its trained networks are evaluated', *place
            )
        else:
            logger.info(
                'resuming in program %d of %d, epoch %d, at step %d of it',
                *place, position.epoch + 1, position.step + 1,
            )  # fmt: skip

    def _unit_path(self, number: int) -> Path:
        assert self._workdir is not None
        return self._workdir.path / workdir_lib.unit_name(number)

    def _unusable(self, position: dict[str, Any]) -> str | None:
        """What else a checkpoint needs and is not there as it was, or None."""
        if 'begun' not in position:
            return 'made by an earlier version'
        for number, kept in enumerate(position['outcomes']):
            path = self._unit_path(number)
            try:
                if files.sha256(path) != kept['sha256']:
                    return f'{path.name}, which it needs, is damaged'
            except OSError:
                return f'{path.name}, which it needs, is missing'
        return self.journal.fault(position)


def _plain(runs: Sequence[Run]) -> list[list[int]]:
    return [list(map(int, run)) for run in runs]


def _parts(begun: list[dict[str, Any]], arrays: list[np.ndarray], most: int) -> list[_Begun]:
    """What is under way, from a checkpoint's position and arrays, as units of so many runs."""
    # All are of one program, and so of one structure.
    each = len(arrays) // max(1, len(begun))
    parts = []
    for place, held in enumerate(begun):
        runs = tuple(Run(*run) for run in held['runs'])
        values = arrays[place * each : (place + 1) * each]
        parts += _Begun(runs, held['epoch'], held['step'], values).slices(most)
    return parts


# What a checkpoint holds of a unit's runs, and the way back: nothing else knows the arrays' order.


def arrays_of(engine: Engine, state: TrainState, losses: np.ndarray) -> list[np.ndarray]:
    """The arrays [runs, ...] of a checkpoint: the training state, and the epoch's losses so far."""
    return [*jax.tree.leaves(engine.axis.fetch(state)), losses]


def state_of(
    engine: Engine, arrays: list[np.ndarray], initial: TrainState
) -> tuple[TrainState, np.ndarray]:
    """The training state on the devices, and the losses, from `arrays_of`.

    Args:
      engine: of the unit.
      arrays: what was saved.
      initial: the unit's state before training, for its structure.

    Raises:
      CheckpointError: the arrays are not those of this network and unit.
    """
    *leaves, losses = arrays
    expected, structure = jax.tree.flatten(initial)
    runs = len(engine.unit.runs)
    wanted = [((runs, *a.shape[1:]), a.dtype) for a in expected]
    if [(a.shape, a.dtype) for a in leaves] != wanted:
        raise checkpoints.CheckpointError(
            f'the checkpoint holds {len(leaves)} arrays that are not the {len(expected)} of this '
            "version's training state; use the version that wrote it (config.json's history), or "
            'name another --workdir=DIR'
        )
    return engine.axis.spread(jax.tree.unflatten(structure, leaves)), losses
