"""One unit on its way: its chunks and epochs, what is recorded of them, when it saves and stops."""

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from imbreg_jax.evaluation.evaluator import Evaluator
from imbreg_jax.evaluation.metrics import metrics
from imbreg_jax.results import assemble
from imbreg_jax.results.assemble import Outcome
from imbreg_jax.runner.display import Display
from imbreg_jax.runner.progress import Position, Progress, arrays_of, state_of
from imbreg_jax.runner.stop import Stopped, StopRequest
from imbreg_jax.training.engine import Engine
from imbreg_jax.training.step import TrainState

logger = logging.getLogger('imbreg_jax')


class UnitRun:
    """The training and evaluation of one unit."""

    def __init__(
        self,
        number: int,
        engine: Engine,
        evaluation: Evaluator,
        progress: Progress,
        display: Display,
        stop: StopRequest,
    ):
        """Args: the unit's number and programs; where it is kept and shown; who may stop it."""
        self.number = number
        self.engine = engine
        self.evaluation = evaluation
        self.study = engine.study
        self.unit = engine.unit
        self.progress = progress
        self.display = display
        self.stop = stop
        # Predictions on the validation split after the last epoch that was recorded.
        self._validation: np.ndarray | None = None
        # Seconds and steps of this start's chunks.
        self._chunks: list[tuple[float, int]] = []

    def run(
        self, position: Position, saved: list[np.ndarray] | None, profile: Path | None = None
    ) -> None:
        """Trains and evaluates the unit, from where it stands.

        Args:
          position: what is trained next.
          saved: the arrays of a checkpoint made there, or None where the unit begins.
          profile: a folder for a profile of a chunk, or None.

        Raises:
          Stopped: a stop was asked for; what was trained is saved.
          CheckpointError: the arrays are not those of this unit.
          OSError: a file cannot be written or the disk is full.
        """
        engine = self.engine
        epochs, per_epoch = engine.training.epochs, engine.steps_per_epoch
        state, losses = self._start(saved)
        _, epoch, step = position
        images = self.progress.images(self.unit)
        per_step = images // (epochs * per_epoch)
        self.display.skip(per_step * (epoch * per_epoch + step))
        last_saved = time.monotonic()
        while epoch < epochs:
            with _profiled(profile if len(self._chunks) == 1 else None):
                state, loss, step = self._train_chunk(state, epoch, step)
            losses = losses + loss
            self.display.trained(
                per_step * self._chunks[-1][1],
                epoch + step / per_epoch,
                epochs,
                len(self.unit.runs),
            )
            if step == per_epoch:
                state = engine.end_epoch(state, epoch)
                epoch, step = epoch + 1, 0
                self._record(state, epoch, losses / per_epoch)
                losses = np.zeros_like(losses)
            due = time.monotonic() - last_saved >= self.study.compute.checkpoint_seconds
            # Asked once: a stop must not be obeyed that came after there was something to save.
            stopping = self.stop.signal is not None
            # Evaluation cannot be saved half-way, so what a stop then finds is the trained state.
            if due or stopping or epoch == epochs:
                where = Position(self.number, epoch, step)
                self.progress.save(where, arrays_of(engine, state, losses))
                last_saved = time.monotonic()
            if stopping:
                raise Stopped
        self.stop.obey()
        self.display.phase('evaluating')
        self.progress.finish_unit(self.number, self._evaluate(state))

    def _start(self, saved: list[np.ndarray] | None) -> tuple[TrainState, np.ndarray]:
        """The state to go on from, and the sums [runs] of the epoch's losses so far."""
        state = self.engine.initialize()
        if saved is not None:
            return state_of(self.engine, saved, state)
        self._record(state, 0, None)
        return state, np.zeros(len(self.unit.runs), np.float64)

    def _train_chunk(
        self, state: TrainState, epoch: int, step: int
    ) -> tuple[TrainState, np.ndarray, int]:
        """Trains a chunk, and counts what it took; `state` is donated.

        A unit's first is of one step, which compiles all others: so that who waits sees early that
        it trains, and how fast.

        Returns:
          the state, the sums [runs] of losses, and the step after the last.
        """
        began = time.monotonic()
        stop = 1 if epoch == step == 0 else self.engine.next_step(step)
        state, loss = self.engine.train_chunk(state, epoch, step, stop)
        losses = self.engine.axis.fetch(loss)
        self._chunks.append((time.monotonic() - began, stop - step))
        if len(self._chunks) == 2:
            # The first chunk's time is mostly compilation; the next one tells how much.
            (first, first_steps), (second, second_steps) = self._chunks
            trained = second * first_steps / second_steps
            self.progress.compile_seconds += max(0.0, first - trained)
        return state, losses, stop

    def _record(self, state: TrainState, epoch: int, losses: np.ndarray | None) -> None:
        """Adds an epoch's row of every run."""
        self._validation = self.evaluation.validation(state)
        scores = metrics(self._validation, self.evaluation.validation_targets())
        diverged = self.engine.axis.fetch(state.diverged_step) >= 0
        rows: list[dict[str, Any]] = [
            {
                **assemble.run_columns(self.study, run),
                'epoch': epoch,
                'train_loss': None if losses is None else float(losses[i]),
                **{f'validation_{name}': float(value[i]) for name, value in scores.items()},
                'diverged': bool(diverged[i]),
            }
            for i, run in enumerate(self.unit.runs)
        ]
        self.progress.journal.add(assemble.in_order(self.study, rows))

    def _evaluate(self, state: TrainState) -> Outcome:
        """What the unit leaves: the evaluation, each run's divergence, and the weights."""
        engine = self.engine
        arrays = self.evaluation.finish(state, self._validation)
        steps = engine.axis.fetch(state.diverged_step)
        # The epoch, from 1; 0 for a run that did not diverge.
        arrays |= {'diverged_epoch': np.where(steps < 0, 0, steps // engine.steps_per_epoch + 1)}
        flat, _ = jax.tree_util.tree_flatten_with_path(engine.axis.fetch(state.params))
        arrays |= {'/'.join(key.key for key in path): value for path, value in flat}
        return Outcome(self.unit.runs, arrays)


@contextlib.contextmanager
def _profiled(folder: Path | None) -> Iterator[None]:
    """Profiles what is done meanwhile, where there is a folder for it."""
    if folder is None:
        yield
        return
    with jax.profiler.trace(str(folder)):
        yield
    logger.info('profile of a chunk in %s, for TensorBoard or XProf', folder)
