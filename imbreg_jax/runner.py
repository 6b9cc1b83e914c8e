"""Drives a study from config to results.  Knows all rooms; files and clocks live here."""

import contextlib
import dataclasses
import gc
import logging
import os
import platform as platform_lib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
import pandas as pd

from imbreg_jax import analysis
from imbreg_jax.analysis import finished, paper, tables
from imbreg_jax.compute import backend, out_of_memory
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.evaluation import evaluator
from imbreg_jax.evaluation.metrics import metrics
from imbreg_jax.progress import Progress
from imbreg_jax.results import assemble, checkpoints, files, kept_tables
from imbreg_jax.results import workdir as workdir_lib
from imbreg_jax.results.assemble import Outcome
from imbreg_jax.results.journal import Journal
from imbreg_jax.results.workdir import Workdir, WorkdirError, now
from imbreg_jax.study import Condition, Study, resolve
from imbreg_jax.training import engine as engine_lib

logger = logging.getLogger('imbreg_jax')


class Stopped(Exception):
    """The study stopped because it was asked to; what was trained is saved."""


class StopRequest:
    """Set from a signal handler, looked at between chunks."""

    def __init__(self) -> None:
        """Not requested yet."""
        self.signal: int | None = None


def run_study(
    config: ml_collections.ConfigDict | Mapping[str, Any],
    workdir: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Trains and evaluates a study.

    Args:
      config: a config, as `imbreg_jax.study.default_config()` gives it.
      workdir: where to leave its files and to resume from; None leaves none.

    Returns:
      The results table: per condition and test distribution, each metric's mean and standard
      deviation over repeats, with the paper's value beside it where there is one and the
      settings are the paper's.

    Raises:
      ConfigError: the config cannot work.
      WorkdirError: the workdir cannot be used.
      CheckpointError: the workdir's checkpoints are all damaged.
      OutOfMemory: not even one repeat fits on the devices.
      BackendError: JAX cannot start here, or does not compute what it should.
      AnalysisError: the report of a finished workdir cannot be made; its results stand.
      OSError: the disk is full; what was finished stays.
    """
    source = None if workdir is None else kept_tables.source_of_user(workdir)
    run = StudyRun(resolve(config, source), workdir)
    results = run.finish()
    comparable = paper.as_printed(run.study.resolved, [c.name for c in run.study.conditions])
    return tables.results_table(results, comparable)


class StudyRun:
    """One study on its way."""

    def __init__(
        self,
        study: Study,
        workdir: str | os.PathLike[str] | None = None,
        stop: StopRequest | None = None,
    ):
        """Args: the study, its folder (None: no files), and where a stop is asked for."""
        self.study = study
        self.workdir = None if workdir is None else Workdir(workdir)
        self.stop = stop or StopRequest()
        self.journal = Journal(study, self.workdir)
        self.outcomes: list[Outcome] = []
        self.seconds = 0.0
        self._began = 0.0
        self.compile_seconds = 0.0
        self.results: pd.DataFrame | None = None
        self.report: analysis.Report | None = None
        self._kept: list[dict[str, Any]] = []

    def finish(self) -> pd.DataFrame:
        """Trains what is left, evaluates, and writes everything; see `run_study`.

        Returns:
          The rows of results.csv.
        """
        with contextlib.ExitStack() as stack:
            if self.workdir is not None:
                stack.enter_context(self.workdir)
                if self.workdir.killed:
                    logger.warning('%s', _killed(self.workdir))
                self.study = self.workdir.check(self.study)
                if self._is_finished():
                    return self._rebuild_report()
            stack.enter_context(backend.pinned(self.study))
            devices = backend.prepare(self.study, self._cores_begun_on())
            plan = self._plan(devices)
            devices = devices[: plan.devices]
            self._begin(plan, devices)
            plan = self._train_with_memory_left(plan, devices)
            self._say_what_ended_far_above()
            merged = assemble.merge(self.study, self.outcomes)
            results = assemble.results(self.study, merged)
            if self.workdir is not None:
                self._write(merged, results, plan, devices)
            return results

    def _is_finished(self) -> bool:
        assert self.workdir is not None
        damaged = self.workdir.damaged()
        if damaged is None:
            return False
        if not damaged:
            return True
        names = ', '.join(damaged)
        if not self.workdir.begun():
            raise WorkdirError(
                f'workdir {self.workdir.path} was finished, but {names} changed or went missing '
                'since and there are no checkpoints to make them from; put them back, or name '
                'another with --workdir=DIR'
            )
        logger.warning('%s changed or went missing since the study finished: made again', names)
        return False

    def _rebuild_report(self) -> pd.DataFrame:
        assert self.workdir is not None
        logger.info(
            'workdir %s is finished: nothing is trained, only its report is made anew',
            self.workdir.path,
        )
        self.workdir.write_analysis(self.study)
        return self._make_report().study.results

    def _make_report(self) -> analysis.Report:
        """Makes the report of a workdir whose results are written and marked as finished.

        Raises:
          AnalysisError: it cannot be made, whatever a drawing library raised.
        """
        assert self.workdir is not None
        logger.info('making the report…')
        try:
            self.report = analysis.build([self.workdir.path], self.workdir.path)
        except (OSError, MemoryError):
            raise
        except Exception as error:
            raise analysis.AnalysisError(
                f'{self.workdir.path} holds the finished study, but its report could not be made: '
                f'{analysis.reason(error)}; the same command makes it again'
            ) from error
        return self.report

    def _cores_begun_on(self) -> int:
        """Cores of the first start, where something was trained, as they decide digits; or 0."""
        if self.workdir is None or not self.workdir.begun():
            return 0
        held = self.workdir.read_plan()
        cores = held.get('cores') if isinstance(held, dict) else None
        return cores if isinstance(cores, int) and 0 < cores <= plan_lib.MOST_CORES else 0

    def _plan(self, devices: list[Any]) -> plan_lib.Plan:
        """The plan of the first start, or a new one."""
        study, workdir = self.study, self.workdir
        held = None if workdir is None else workdir.read_plan()
        if workdir is None or held is None:
            return plan_lib.make(study, devices)
        try:
            plan = plan_lib.Plan.from_json(held)
            plan_lib.check(plan, study)
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise WorkdirError(
                f'{workdir.plan} is no plan that this version knows ({error}); use the version '
                'that wrote it, or name another --workdir=DIR'
            ) from error
        platform = backend.platform(devices)
        if workdir.begun() and (plan.platform != platform or plan.devices > len(devices)):
            raise WorkdirError(
                f'workdir {workdir.path} was begun on {plan.devices} {plan.platform} '
                f'device(s) and here are {len(devices)} of {platform}; resume it there, or name '
                'another --workdir=DIR'
            )
        cores = backend.threads()
        if workdir.begun() and platform == 'cpu' and plan.cores not in (0, cores):
            raise WorkdirError(
                f'workdir {workdir.path} was begun on {plan.cores} core(s), and JAX was in use in '
                f'this process before the study, on {cores}, so the results would have other last '
                'digits; resume it in a process of its own, or name another --workdir=DIR'
            )
        changed = self._changed_settings()
        if not workdir.begun():
            again = changed or plan.platform != platform or plan.devices > len(devices)
            again = again or plan.cores != cores
            return plan_lib.make(study, devices) if again else plan
        if plan.cached and study.data.cache == 'never':
            # The values are the same bit for bit, so this may change on the way.
            plan = dataclasses.replace(plan, cached=False)
        if 'compute.runs_per_program' in changed:
            logger.warning(
                'config.compute.runs_per_program is another than at the first start and is not '
                'followed: with other programs the results would have other last digits; name '
                'another --workdir=DIR for that'
            )
        return plan

    def _changed_settings(self) -> list[str]:
        """Fields that the plan follows and that are not as they were at the last start."""
        assert self.workdir is not None
        held = (self.workdir.held or {'config': self.study.resolved})['config']
        fields = ('compute.runs_per_program', 'compute.steps_per_chunk', 'data.cache')
        return [
            field
            for field in fields
            for section, leaf in [field.split('.')]
            if held[section][leaf] != self.study.resolved[section][leaf]
        ]

    def _begin(self, plan: plan_lib.Plan, devices: list[Any]) -> None:
        """Says and writes down what is about to be done."""
        self._describe(plan, devices)
        self.timing = {'started': now()}
        if self.workdir is None:
            return
        # The config first: a plan alone would not say of what it is.
        held = (self.workdir.held or {}).get('timing') or {}
        self.timing['started'] = held.get('started') or self.timing['started']
        names = _device_names(devices)
        self.workdir.write_config(self.study, names, plan.platform, self.timing)
        history = (self.workdir.held or {})['history']
        if len(history) > 1:
            logger.warning(
                'this study was begun under other conditions (%s), so its results may have other '
                'last digits than those of one machine and version; see history in config.json',
                workdir_lib.changes(history[-2], history[-1]),
            )
        self.workdir.write_plan(plan.to_json())

    def _describe(self, plan: plan_lib.Plan, devices: list[Any]) -> None:
        units = engine_lib.units(self.study, plan)
        logger.info(
            '%s: %d runs (%d conditions x %d repeats) in %d program(s) of up to %d runs, on %d %s '
            'device(s) (%s); jax %s, Python %s; about %.1f GB of memory, data set %s',
            self.study.name,
            len(self.study.runs),
            len(self.study.conditions),
            len(self.study.repeats),
            len(units),
            max(len(unit.runs) for unit in units),
            len(devices),
            plan.platform,
            devices[0].device_kind,
            jax.__version__,
            platform_lib.python_version(),
            plan.bytes_predicted / 1e9,
            'cached on the device' if plan.cached else 'drawn anew in every epoch',
        )
        wanted = self.study.compute.runs_per_program
        least = max(map(len, self.study.programs()))
        if 0 < wanted < least:
            logger.warning(
                'config.compute.runs_per_program = %d is less than one repeat of the %d conditions '
                'that share a program, so it is %d',
                wanted, least, least,
            )  # fmt: skip

    # --- training -------------------------------------------------------------------------------

    def _train_with_memory_left(self, plan: plan_lib.Plan, devices: list[Any]) -> plan_lib.Plan:
        """Trains, with less at once where memory runs out; returns the plan that served."""
        while True:
            self._units = engine_lib.units(self.study, plan)
            self._programs: evaluator.Programs | None = None
            self._chunk_steps = plan.chunk_steps
            self._binding = workdir_lib.binding(plan.to_json())
            start, state = self._restore()
            try:
                self._train(self._units, plan, devices, start, state)
                return plan
            except (MemoryError, jax.errors.JaxRuntimeError) as error:
                if not out_of_memory.is_out_of_memory(error):
                    raise
                text = out_of_memory.sentence(error, self.study, plan)
                smaller = out_of_memory.smaller(self.study, plan)
                begun = self.workdir is not None and self.workdir.begun()
                if smaller is None:
                    raise plan_lib.OutOfMemory(text) from error
                if begun and smaller.repeats_per_unit != plan.repeats_per_unit:
                    raise plan_lib.OutOfMemory(
                        f'{text}; what is trained here so far was trained with as many runs in a '
                        'program, so name another --workdir=DIR for that'
                    ) from error
                how = 'the same images drawn anew instead of cached'
                if smaller.repeats_per_unit != plan.repeats_per_unit:
                    count = out_of_memory.runs_at_once(self.study, smaller)
                    how = f'programs of up to {count} runs, one after the other'
                logger.warning('%s; going on with %s', text, how)
                plan = smaller
            # Here, not in the handler: the error's frames hold the arrays that filled the device.
            gc.collect()
            if self.workdir is not None:
                self.workdir.write_plan(plan.to_json())

    def _train(
        self,
        units: list[engine_lib.Unit],
        plan: plan_lib.Plan,
        devices: list[Any],
        start: dict[str, Any],
        state: list[np.ndarray] | None,
    ) -> None:
        with Progress(sum(map(self._images, units)), len(units)) as progress:
            for number, unit in enumerate(units):
                if number < start['unit']:
                    progress.skip(self._images(unit))
                    continue
                progress.begin(number + 1)
                position = start if number == start['unit'] else {'epoch': 0, 'chunk': 0}
                self._train_unit(number, unit, plan, devices, position, state, progress)
                state = None

    def _condition(self, unit: engine_lib.Unit) -> Condition:
        return self.study.conditions[unit.conditions[0]]

    def _steps(self, unit: engine_lib.Unit) -> int:
        training = self._condition(unit).training
        return training.epochs * (self.study.data.train_size // training.batch_size)

    def _images(self, unit: engine_lib.Unit) -> int:
        return len(unit.runs) * self._steps(unit) * self._condition(unit).training.batch_size

    def _train_unit(
        self,
        number: int,
        unit: engine_lib.Unit,
        plan: plan_lib.Plan,
        devices: list[Any],
        position: dict[str, Any],
        saved: list[np.ndarray] | None,
        progress: Progress,
    ) -> None:
        self._began = time.monotonic()
        progress.phase('drawing data')
        programs = self._programs_of(unit, plan, devices)
        engine = engine_lib.Engine(self.study, unit, plan, devices, programs.training)
        try:
            self._train_with(engine, number, unit, position, saved, progress)
        finally:
            engine.release()

    def _programs_of(
        self, unit: engine_lib.Unit, plan: plan_lib.Plan, devices: list[Any]
    ) -> evaluator.Programs:
        """The programs that the unit before used, too, where they are the same."""
        if self._programs is None or self._programs.training.program != unit.program:
            self._programs = evaluator.Programs(
                engine_lib.Programs(self.study, unit.program, plan, devices)
            )
        return self._programs

    def _train_with(
        self,
        engine: engine_lib.Engine,
        number: int,
        unit: engine_lib.Unit,
        position: dict[str, Any],
        saved: list[np.ndarray] | None,
        progress: Progress,
    ) -> None:
        progress.phase('compiling')
        evaluation = evaluator.Evaluator(engine, self._programs)
        initial = engine.initialize()
        structure = jax.tree.structure(initial)
        losses = np.zeros(len(unit.runs), np.float64)
        epoch, chunk = position['epoch'], position['chunk']
        if saved is None:
            state = initial
            self._record(unit, evaluation, engine, state, 0, None)
        else:
            *leaves, losses = saved
            _check_fit(leaves, jax.tree.leaves(initial))
            state = jax.tree.unflatten(structure, leaves)
            state = jax.tree.map(lambda a: jax.device_put(a, engine.axis.sharding), state)
        del initial
        per_epoch = engine.steps_per_epoch
        per_step = len(unit.runs) * engine.training.batch_size
        progress.skip(per_step * (epoch * per_epoch + engine.steps_before(chunk)))
        last_saved = time.monotonic()
        chunk_seconds: list[float] = []
        chunk_steps: list[int] = []
        while epoch < engine.training.epochs:
            chunk_began = time.monotonic()
            with self._profiled(number, len(chunk_seconds)):
                state, loss = engine.train_chunk(state, epoch, chunk)
                losses = losses + engine.axis.fetch(loss)
            done = engine.steps_before(chunk + 1)
            chunk_seconds.append(time.monotonic() - chunk_began)
            chunk_steps.append(done - engine.steps_before(chunk))
            if len(chunk_seconds) == 2:
                # The first chunk's time is mostly compilation; the next one tells how much.
                trained = chunk_seconds[1] * chunk_steps[0] / chunk_steps[1]
                self.compile_seconds += max(0.0, chunk_seconds[0] - trained)
            chunk += 1
            progress.trained(
                per_step * chunk_steps[-1], epoch + done / per_epoch, engine.training.epochs,
                len(unit.runs),
            )  # fmt: skip
            if chunk == engine.chunks_per_epoch:
                epoch, chunk = epoch + 1, 0
                self._record(unit, evaluation, engine, state, epoch, losses / per_epoch)
                losses = np.zeros_like(losses)
            due = time.monotonic() - last_saved >= self.study.compute.checkpoint_seconds
            stopping = self.stop.signal is not None
            # Evaluation cannot be saved half-way, so what a stop then finds is the trained state.
            if due or stopping or epoch == engine.training.epochs:
                self._count_seconds()
                leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
                where = {'unit': number, 'epoch': epoch, 'chunk': chunk}
                self._save(where, [*leaves, losses])
                last_saved = time.monotonic()
            if stopping:
                raise Stopped
        self._stop_if_asked()
        progress.phase('evaluating')
        outcome = evaluation.finish(state)
        outcome |= {
            'diverged_epoch': _diverged_epoch(engine, engine.axis.fetch(state.diverged_step)),
        }
        weights = engine.axis.fetch(state.params)
        flat, _ = jax.tree_util.tree_flatten_with_path(weights)
        outcome |= {'/'.join(key.key for key in path): value for path, value in flat}
        self.outcomes.append(Outcome(unit.runs, outcome))
        self._count_seconds()
        if self.workdir is not None:
            path = self._unit_path(number)
            # Also where there is one: it may be damaged, and then it is being made again.
            files.write_arrays(path, outcome)
            runs = [list(map(int, run)) for run in unit.runs]
            self._kept.append({'runs': runs, 'sha256': files.sha256(path)})
        self._save({'unit': number + 1, 'epoch': 0, 'chunk': 0}, [])
        if number + 1 < len(self._units):
            self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.stop.signal is not None:
            raise Stopped

    def _count_seconds(self) -> None:
        until = time.monotonic()
        self.seconds += until - self._began
        self._began = until

    @contextlib.contextmanager
    def _profiled(self, unit: int, chunk: int) -> Iterator[None]:
        """Profiles a chunk where the config asks for it: the second, free of compilation."""
        if self.workdir is None or not self.study.compute.profile or (unit, chunk) != (0, 1):
            yield
            return
        with jax.profiler.trace(str(self.workdir.profile)):
            yield
        logger.info('profile of a chunk in %s, for TensorBoard or XProf', self.workdir.profile)

    def _record(
        self,
        unit: engine_lib.Unit,
        evaluation: evaluator.Evaluator,
        engine: engine_lib.Engine,
        state: engine_lib.TrainState,
        epoch: int,
        losses: np.ndarray | None,
    ) -> None:
        """Adds an epoch's row of every run."""
        scores = metrics(evaluation.validation(state), evaluation.validation_targets())
        diverged = engine.axis.fetch(state.diverged_step) >= 0
        rows = [
            {
                'condition': self.study.conditions[condition].name,
                'train_distribution': self.study.conditions[condition].distribution.name,
                'repeat': repeat,
                'epoch': epoch,
                'train_loss': None if losses is None else float(losses[i]),
                **{f'validation_{name}': float(value[i]) for name, value in scores.items()},
                'diverged': bool(diverged[i]),
            }
            for i, (condition, repeat) in enumerate(unit.runs)
        ]
        self.journal.add(assemble.in_order(self.study, rows))

    def _say_what_ended_far_above(self) -> None:
        for row in finished.ended_far_above(pd.DataFrame(self.journal.rows)).itertuples():
            logger.warning(
                '%s, repeat %d, ended far above where training began and counts all the same: '
                'validation MSE %s, %s before; a smaller config.training.learning_rate may hold it',
                row.condition, row.repeat, tables.number(row.after), tables.number(row.before),
            )  # fmt: skip

    # --- what is left on disk -------------------------------------------------------------------

    def _unit_path(self, number: int) -> Path:
        assert self.workdir is not None
        return self.workdir.checkpoints / f'unit_{number:04d}.npz'

    def _save(self, where: dict[str, int], arrays: list[np.ndarray]) -> None:
        if self.workdir is None:
            return
        position = where | {
            'journal': self.journal.mark(),
            'outcomes': self._kept,
            'plan': self._binding,
            'seconds': self.seconds,
            'compile_seconds': self.compile_seconds,
        }
        # Counting a unit's evaluation as a step keeps its checkpoint apart from its last epoch's.
        steps = [self._steps(unit) + 1 for unit in self._units]
        step = sum(steps[: where['unit']])
        if where['unit'] < len(steps):
            training = self._condition(self._units[where['unit']]).training
            per_epoch = self.study.data.train_size // training.batch_size
            step += where['epoch'] * per_epoch
            step += where['chunk'] * self._chunk_steps[self._units[where['unit']].program]
        checkpoints.save(
            self.workdir.checkpoints, step, arrays, position, self.study.compute.checkpoints_kept
        )

    def _restore(self) -> tuple[dict[str, Any], list[np.ndarray] | None]:
        """Where to go on: the position, and the state and losses there unless a unit begins."""
        self.outcomes, self._kept = [], []
        beginning = {'unit': 0, 'epoch': 0, 'chunk': 0}
        if self.workdir is None:
            self.journal.begin(None)
            return beginning, None
        found = checkpoints.restore(self.workdir.checkpoints, self._unusable)
        self.journal.begin(found and found.position)
        if found is None:
            return beginning, None
        for name in found.damaged:
            logger.warning('checkpoint %s is not used; %s is', name, found.name)
        position = found.position
        self.seconds = position['seconds']
        self.compile_seconds = position['compile_seconds']
        self._kept = position['outcomes']
        for number, kept in enumerate(self._kept):
            with np.load(self._unit_path(number), allow_pickle=False) as arrays:
                runs = [(condition, repeat) for condition, repeat in kept['runs']]
                self.outcomes.append(Outcome(runs, dict(arrays)))
        if position['unit'] == len(self._units):
            logger.info('resuming after the last epoch: only result files are left to write')
        elif position['epoch'] == self._condition(self._units[position['unit']]).training.epochs:
            logger.info(
                'resuming in program %d of %d, where its trained networks are evaluated',
                position['unit'] + 1,
                len(self._units),
            )
        else:
            logger.info(
                'resuming in program %d of %d, epoch %d, at chunk %d of it',
                position['unit'] + 1,
                len(self._units),
                position['epoch'] + 1,
                position['chunk'] + 1,
            )
        return position, found.arrays or None

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

    def _write(
        self,
        merged: list[dict[str, np.ndarray]],
        results: pd.DataFrame,
        plan: plan_lib.Plan,
        devices: list[Any],
    ) -> None:
        assert self.workdir is not None
        self.journal.finish()
        files.write_arrays(self.workdir.predictions, assemble.predictions(self.study, merged))
        files.write_arrays(self.workdir.weights, assemble.weights(self.study, merged))
        files.write_bytes(self.workdir.results, files.results_csv(results))
        trained = sum(
            len(self.study.repeats)
            * condition.training.epochs
            * (self.study.data.train_size // condition.training.batch_size)
            * condition.training.batch_size
            for condition in self.study.conditions
        )
        timing = self.timing | {
            'finished': now(),
            'seconds': self.seconds,
            'compile_seconds': self.compile_seconds,
            'images_per_second': trained / self.seconds if self.seconds else None,
        }
        names = _device_names(devices)
        self.workdir.write_config(self.study, names, plan.platform, timing, finished=True)
        self.results = results
        self._make_report()


def _killed(workdir: Workdir) -> str:
    return (
        f'the last start in {workdir.path} ({workdir.killed}) was killed without a word; if memory '
        'ran out, ask for more, or keep no images (--config.data.cache=never), or train fewer '
        'runs at once (--config.compute.runs_per_program=N, in a workdir without checkpoints)'
    )


def _device_names(devices: list[Any]) -> list[str]:
    return [f'{device.device_kind} {device.id}' for device in devices]


def _check_fit(leaves: list[np.ndarray], expected: list[Any]) -> None:
    """Refuses a checkpoint whose arrays are not those of this network and plan."""
    found = [(a.shape, a.dtype) for a in leaves]
    wanted = [(a.shape, a.dtype) for a in expected]
    if found != wanted:
        raise checkpoints.CheckpointError(
            f'the checkpoint holds {len(found)} arrays that are not the {len(wanted)} of this '
            "version's training state; use the version that wrote it (config.json's history), or "
            'name another --workdir=DIR'
        )


def _diverged_epoch(engine: engine_lib.Engine, steps: np.ndarray) -> np.ndarray:
    """The epoch, from 1, of each run's divergence, or 0."""
    return np.where(steps < 0, 0, steps // engine.steps_per_epoch + 1)
