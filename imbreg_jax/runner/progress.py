"""How far a study has come: its position, what its units left, and both in its checkpoints."""

import logging
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from imbreg_jax.compute.plan import Plan
from imbreg_jax.results import checkpoints, files
from imbreg_jax.results import workdir as workdir_lib
from imbreg_jax.results.assemble import Outcome
from imbreg_jax.results.journal import Journal
from imbreg_jax.results.workdir import Workdir
from imbreg_jax.study import Condition, Study
from imbreg_jax.training import engine as engine_lib

logger = logging.getLogger('imbreg_jax')


class Position(NamedTuple):
    """What is trained next; all counted from 0.

    Attributes:
      unit: a unit's number; that of the units where all are finished.
      epoch: an epoch; that of the epochs where the unit's networks are to be evaluated.
      chunk: a chunk of the epoch.
    """

    unit: int = 0
    epoch: int = 0
    chunk: int = 0


class Progress:
    """What a study has come to, and its checkpoints; without a workdir it keeps none.

    Attributes:
      journal: every epoch's rows.
      units: of the plan, in the order in which they train.
      outcomes: what each finished unit left.
      seconds: spent on training and evaluation, earlier starts included.
      compile_seconds: of these, on compilation.
    """

    def __init__(self, study: Study, workdir: Workdir | None):
        """Args: the study, and its folder, into which nothing is written before `restore`."""
        self.journal = Journal(study, workdir)
        self.units: list[engine_lib.Unit] = []
        self.outcomes: list[Outcome] = []
        self.seconds = 0.0
        self.compile_seconds = 0.0
        self._study = study
        self._workdir = workdir
        self._kept: list[dict[str, Any]] = []
        self._binding: dict[str, Any] = {}
        self._chunk_steps: tuple[int, ...] = ()
        self._began = 0.0

    def restore(self, plan: Plan) -> tuple[Position, list[np.ndarray] | None]:
        """Goes on under a plan from the newest checkpoint that is whole, or from nothing.

        Returns:
          The position, and the arrays saved there unless a unit begins.

        Raises:
          CheckpointError: there are checkpoints, and none can be used.
          OSError: a file cannot be read or written.
        """
        self.units = engine_lib.units(self._study, plan)
        self.outcomes, self._kept = [], []
        self._binding = workdir_lib.binding(plan.to_json())
        self._chunk_steps = plan.chunk_steps
        if self._workdir is None:
            self.journal.begin(None)
            return Position(), None
        found = checkpoints.restore(self._workdir.checkpoints, self._unusable)
        self.journal.begin(found and found.position)
        if found is None:
            return Position(), None
        for name in found.damaged:
            logger.warning('checkpoint %s is not used; %s is', name, found.name)
        held = found.position
        self.seconds, self.compile_seconds = held['seconds'], held['compile_seconds']
        self._kept = held['outcomes']
        for number, kept in enumerate(self._kept):
            with np.load(self._unit_path(number), allow_pickle=False) as arrays:
                runs = [(condition, repeat) for condition, repeat in kept['runs']]
                self.outcomes.append(Outcome(runs, dict(arrays)))
        position = Position(held['unit'], held['epoch'], held['chunk'])
        self._describe(position)
        return position, found.arrays or None

    def save(self, position: Position, arrays: list[np.ndarray]) -> None:
        """Saves a checkpoint.

        Args:
          position: what is trained next.
          arrays: those of the unit in hand, see `arrays_of`; none where it is only to begin.

        Raises:
          OSError: it cannot be written or the disk is full; older checkpoints stay.
        """
        self._count_seconds()
        if self._workdir is None:
            return
        held = position._asdict() | {
            'journal': self.journal.mark(),
            'outcomes': self._kept,
            'plan': self._binding,
            'seconds': self.seconds,
            'compile_seconds': self.compile_seconds,
        }
        checkpoints.save(
            self._workdir.checkpoints,
            self._step(position),
            arrays,
            held,
            self._study.compute.checkpoints_kept,
        )

    def begin_unit(self) -> None:
        """Counts seconds from here on."""
        self._began = time.monotonic()

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
            runs = [list(map(int, run)) for run in outcome.runs]
            self._kept.append({'runs': runs, 'sha256': files.sha256(path)})
        self.save(Position(number + 1), [])

    def condition(self, unit: engine_lib.Unit) -> Condition:
        """One of a unit's conditions, for what they share."""
        return self._study.conditions[unit.conditions[0]]

    def steps_per_epoch(self, unit: engine_lib.Unit) -> int:
        """Training steps in an epoch of a unit."""
        return self._study.data.train_size // self.condition(unit).training.batch_size

    def images(self, unit: engine_lib.Unit) -> int:
        """Images that all runs of a unit are trained on in all its epochs."""
        training = self.condition(unit).training
        steps = training.epochs * self.steps_per_epoch(unit)
        return len(unit.runs) * steps * training.batch_size

    def _step(self, position: Position) -> int:
        """A number that orders checkpoints: training steps before a position."""
        # Counting a unit's evaluation as a step keeps its checkpoint apart from its last epoch's.
        steps = [
            self.condition(unit).training.epochs * self.steps_per_epoch(unit) + 1
            for unit in self.units
        ]
        step = sum(steps[: position.unit])
        if position.unit < len(self.units):
            unit = self.units[position.unit]
            step += position.epoch * self.steps_per_epoch(unit)
            step += position.chunk * self._chunk_steps[unit.program]
        return step

    def _count_seconds(self) -> None:
        until = time.monotonic()
        self.seconds += until - self._began
        self._began = until

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
                'resuming in program %d of %d, epoch %d, at chunk %d of it',
                *place, position.epoch + 1, position.chunk + 1,
            )  # fmt: skip

    def _unit_path(self, number: int) -> Path:
        assert self._workdir is not None
        return self._workdir.checkpoints / f'unit_{number:04d}.npz'

    def _unusable(self, position: dict[str, Any]) -> str | None:
        """What else a checkpoint needs and is not there as it was, or None."""
        # Checkpoints of before plans were kept with them say nothing.
        for field, value in position.get('plan', {}).items():
            if self._binding.get(field, value) != value:
                return f'made under a plan with {field} {value}, unlike plan.json'
        for number, kept in enumerate(position['outcomes']):
            path = self._unit_path(number)
            try:
                if files.sha256(path) != kept['sha256']:
                    return f'{path.name}, which it needs, is damaged'
            except OSError:
                return f'{path.name}, which it needs, is missing'
        return self.journal.fault(position)


# What a checkpoint holds of a unit's runs, and the way back: nothing else knows the arrays' order.


def arrays_of(state: engine_lib.TrainState, losses: np.ndarray) -> list[np.ndarray]:
    """The arrays of a checkpoint: those of the training state, then the epoch's losses so far."""
    return [*(np.asarray(leaf) for leaf in jax.tree.leaves(state)), losses]


def state_of(
    engine: engine_lib.Engine, arrays: list[np.ndarray], initial: engine_lib.TrainState
) -> tuple[engine_lib.TrainState, np.ndarray]:
    """The training state on the devices, and the losses, from `arrays_of`.

    Args:
      engine: of the unit.
      arrays: what was saved.
      initial: the unit's state before training, for its structure.

    Raises:
      CheckpointError: the arrays are not those of this network and plan.
    """
    *leaves, losses = arrays
    expected, structure = jax.tree.flatten(initial)
    if [(a.shape, a.dtype) for a in leaves] != [(a.shape, a.dtype) for a in expected]:
        raise checkpoints.CheckpointError(
            f'the checkpoint holds {len(leaves)} arrays that are not the {len(expected)} of this '
            "version's training state; use the version that wrote it (config.json's history), or "
            'name another --workdir=DIR'
        )
    state = jax.tree.unflatten(structure, leaves)
    return jax.tree.map(lambda a: jax.device_put(a, engine.axis.sharding), state), losses
