"""A study on its way: what is left to do, in which order, with how much at once."""

import collections
import contextlib
import gc
import logging
import os
import platform as platform_lib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import pandas as pd

from imbreg_jax.compute import backend, out_of_memory
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.compute import units as units_lib
from imbreg_jax.evaluation import evaluator
from imbreg_jax.results import assemble, epoch_rows, files
from imbreg_jax.results import workdir as workdir_lib
from imbreg_jax.results.workdir import Workdir, WorkdirError, now
from imbreg_jax.runner import planning, speed
from imbreg_jax.runner.display import Display
from imbreg_jax.runner.progress import Progress
from imbreg_jax.runner.stop import StopRequest
from imbreg_jax.runner.unit_run import UnitRun
from imbreg_jax.study import Study
from imbreg_jax.training import programs as training_lib
from imbreg_jax.training.engine import Engine

logger = logging.getLogger('imbreg_jax')


class StudyRun:
    """One study on its way.

    Attributes:
      study: the study; in a workdir where things had other names, with those.
      workdir: its folder, or None.
      stop: where a stop is asked for.
      results: the rows of results.csv once they are written, though a report may be wanting.
      report: what `report` returned, or None.
    """

    def __init__(
        self,
        study: Study,
        workdir: str | os.PathLike[str] | Workdir | None = None,
        stop: StopRequest | None = None,
        report: Callable[[Path], Any] | None = None,
    ):
        """Writes nothing yet.

        Args:
          study: the study, or the part of it that a shard's workdir is for.
          workdir: its folder; None leaves no files.
          stop: where a stop is asked for.
          report: makes the report of a workdir whose results are written and marked as finished;
            called last, while nobody else may use the folder.
        """
        self.study = study
        self.workdir: Workdir | None
        if workdir is None or isinstance(workdir, Workdir):
            self.workdir = workdir
        else:
            self.workdir = Workdir(workdir)
        self.stop = stop or StopRequest()
        self.results: pd.DataFrame | None = None
        self.report: Any = None
        self._make_report = report
        self._programs: evaluator.Programs | None = None
        self._timing: dict[str, Any] = {}

    def finish(self) -> pd.DataFrame:
        """Trains what is left, evaluates, and writes everything.

        Returns:
          The rows of results.csv.

        Raises:
          Stopped: a stop was asked for; what was trained is saved.
          WorkdirError: the workdir cannot be used.
          CheckpointError: its checkpoints are all damaged, or are not of this study.
          OutOfMemory: not even one run of each device fits.
          BackendError: JAX cannot start here, or does not compute what it should.
          OSError: the disk is full; what was finished stays.
        """
        with contextlib.ExitStack() as stack:
            if self.workdir is not None:
                stack.enter_context(self.workdir)
                if self.workdir.killed:
                    logger.warning('%s', _killed(self.workdir))
                self.study = self.workdir.check(self.study)
            if self.workdir is not None and _is_finished(self.workdir):
                results = self._take_over(self.workdir)
            else:
                stack.enter_context(backend.pinned(self.study))
                results = self._train_and_write()
            self.results = results
            if self.workdir is not None and self._make_report is not None:
                self.report = self._make_report(self.workdir.path)
            return results

    def leave(self) -> None:
        """Notes in the workdir, in haste, that this process ends now and knows it."""
        if self.workdir is not None:
            self.workdir.end()

    def _take_over(self, workdir: Workdir) -> pd.DataFrame:
        """The results of a study that was finished before."""
        if workdir.shard is None:
            logger.info(
                'workdir %s is finished: nothing is trained, only its report is made anew',
                workdir.path,
            )
        workdir.write_analysis(self.study)
        content = workdir_lib.read_result(workdir.path, workdir.held or {}, workdir.results.name)
        try:
            return files.read_results_csv(content)
        except ValueError as error:
            raise WorkdirError(f'{workdir.results} is damaged ({error}); put it back') from error

    def _train_and_write(self) -> pd.DataFrame:
        devices = backend.prepare(self.study, planning.cores_begun_on(self.workdir))
        plan = planning.plan_for(self.study, self.workdir, devices)
        devices = devices[: plan.devices]
        self._begin(plan, devices)
        progress = Progress(self.study, self.workdir)
        plan = self._train_with_memory_left(progress, plan, devices)
        _say_what_ended_far_above(progress.journal.rows)
        speed.remember(devices, speed.work(self.study), progress.seconds - progress.compile_seconds)
        merged = assemble.merge(self.study, progress.outcomes)
        results = assemble.results(self.study, merged)
        progress.journal.finish(results)
        if self.workdir is not None:
            if self.workdir.shard is None:
                # A shard leaves its units' arrays as they are, for all to be merged.
                arrays = assemble.predictions(self.study, merged)
                files.write_arrays(self.workdir.predictions, arrays)
                files.write_arrays(self.workdir.weights, assemble.weights(self.study, merged))
            files.write_bytes(self.workdir.results, files.results_csv(results))
            timing = self._timing | _took(self.study, progress)
            names, units = _device_names(devices), [outcome.runs for outcome in progress.outcomes]
            self.workdir.write_config(
                self.study, names, plan.platform, timing, finished=True, units=units
            )
        return results

    def _begin(self, plan: plan_lib.Plan, devices: list[Any]) -> None:
        """Says and writes down what is about to be done."""
        _describe(self.study, plan, devices)
        self._timing = {'started': now()}
        if self.workdir is None:
            return
        # The config first: a plan alone would not say of what it is.
        held = (self.workdir.held or {}).get('timing') or {}
        self._timing['started'] = held.get('started') or self._timing['started']
        names = _device_names(devices)
        self.workdir.write_config(self.study, names, plan.platform, self._timing)
        history = (self.workdir.held or {})['history']
        if len(history) > 1:
            logger.warning(
                'this study was begun under other conditions (%s), so its results may have other '
                'last digits than those of one machine and version; see history in config.json',
                workdir_lib.changes(history[-2], history[-1]),
            )
        self.workdir.write_plan(plan.to_json())

    def _train_with_memory_left(
        self, progress: Progress, plan: plan_lib.Plan, devices: list[Any]
    ) -> plan_lib.Plan:
        """Trains, with less at once where memory runs out; returns the plan that served."""
        while True:
            self._programs = None
            progress.restore(plan)
            try:
                self._train(progress, plan, devices[: plan.devices])
                return plan
            except (MemoryError, jax.errors.JaxRuntimeError) as error:
                if not out_of_memory.is_out_of_memory(error):
                    raise
                plan = self._smaller(plan, error)
            # Here, not in the handler: the error's frames hold the arrays that filled the device.
            gc.collect()
            if self.workdir is not None:
                self.workdir.write_plan(plan.to_json())

    def _smaller(self, plan: plan_lib.Plan, error: BaseException) -> plan_lib.Plan:
        """The plan to go on with where memory ran out under one.

        Raises:
          OutOfMemory: there is none.
        """
        text = out_of_memory.sentence(error, self.study, plan)
        smaller = out_of_memory.smaller(self.study, plan)
        if smaller is None:
            raise plan_lib.OutOfMemory(text) from error
        how = 'the same images drawn anew instead of cached'
        if smaller.cached and plan.rendered:
            how = 'the noise of the images cached instead of the images'
        if smaller.runs_per_unit != plan.runs_per_unit:
            how = f'programs of up to {smaller.runs_per_unit} runs, one after the other'
        logger.warning('%s; going on with %s', text, how)
        return smaller

    def _train(self, progress: Progress, plan: plan_lib.Plan, devices: list[Any]) -> None:
        """Trains and evaluates the units that are left, one after the other."""
        units, finished = progress.units, len(progress.outcomes)
        with Display(sum(map(progress.images, units)), len(units)) as display:
            for number, unit in enumerate(units):
                if number < finished:
                    display.skip(progress.images(unit))
                    continue
                if number > finished:
                    self.stop.obey()
                display.begin(number + 1)
                display.phase('drawing data')
                position, saved = progress.begin_unit()
                left = [other for other in units[finished:] if other.program == unit.program]
                programs = self._programs_of(left, plan, devices)
                engine = Engine(programs.training, unit)
                try:
                    display.phase('compiling')
                    evaluation = evaluator.Evaluator(engine, programs)
                    run = UnitRun(number, engine, evaluation, progress, display, self.stop)
                    run.run(position, saved, self._profile(number))
                finally:
                    engine.release()

    def _programs_of(
        self, parts: list[units_lib.Unit], plan: plan_lib.Plan, devices: list[Any]
    ) -> evaluator.Programs:
        """The programs of these units of one program: those that the unit before used, too."""
        program = parts[0].program
        if self._programs is None or self._programs.training.program != program:
            self._programs = evaluator.Programs(
                training_lib.Programs(self.study, program, plan, devices, parts)
            )
        return self._programs

    def _profile(self, unit: int) -> Path | None:
        """Where a chunk of a unit is profiled, if the config asks for it."""
        if self.workdir is None or not self.study.compute.profile or unit:
            return None
        return self.workdir.profile


def _is_finished(workdir: Workdir) -> bool:
    """Whether nothing is left to train.

    Raises:
      WorkdirError: a result file changed, and there is nothing to make it from.
    """
    damaged = workdir.damaged()
    if damaged is None:
        return False
    if not damaged:
        return True
    names = ', '.join(damaged)
    if not workdir.begun():
        raise WorkdirError(
            f'workdir {workdir.path} was finished, but {names} changed or went missing '
            'since and there are no checkpoints to make them from; put them back, or name '
            'another with --workdir=DIR'
        )
    logger.warning('%s changed or went missing since the study finished: made again', names)
    return False


def _describe(study: Study, plan: plan_lib.Plan, devices: list[Any]) -> None:
    units = units_lib.cut(study, plan.runs_per_unit)
    logger.info(
        '%s: %d runs (%d conditions x %d repeats) in %d program(s) of up to %d runs, on %d %s '
        'device(s) (%s); jax %s, Python %s; about %.1f GB of memory, data set %s',
        study.name,
        len(study.runs),
        len({place for place, _ in study.results}),
        len({repeat for _, repeat in study.results}),
        len(units),
        max(len(unit.runs) for unit in units),
        len(devices),
        plan.platform,
        devices[0].device_kind,
        jax.__version__,
        platform_lib.python_version(),
        plan.bytes_predicted / 1e9,
        plan.kept,
    )


def _say_what_ended_far_above(rows: Any) -> None:
    for row in epoch_rows.ended_far_above(pd.DataFrame(rows)).itertuples():
        logger.warning(
            '%s, repeat %d, ended far above where training began and counts all the same: '
            'validation MSE %.4g, %.4g before; a smaller config.training.learning_rate may hold it',
            row.condition, row.repeat, row.after, row.before,
        )  # fmt: skip


def _took(study: Study, progress: Progress) -> dict[str, Any]:
    """What training took, for config.json; of each condition what a repeat took, all members."""
    trained = sum(map(progress.images, progress.units))
    repeats = collections.Counter(place for place, _ in study.results)
    return {
        'finished': now(),
        'seconds': progress.seconds,
        'compile_seconds': progress.compile_seconds,
        'images_per_second': trained / progress.seconds if progress.seconds else None,
        'conditions': {
            condition.name: files.finite(
                {
                    'images': condition.remedy.members * condition.images,
                    'seconds': float(progress.spent[place]) / count,
                }
            )
            for place, count in repeats.items()
            for condition in (study.conditions[place],)
        },
    }


def _killed(workdir: Workdir) -> str:
    return (
        f'the last start in {workdir.path} ({workdir.killed}) was killed without a word; if memory '
        'ran out, ask for more, or keep no images (--config.data.cache=never), or train fewer '
        'runs at once (--config.compute.runs_per_program=N)'
    )


def _device_names(devices: list[Any]) -> list[str]:
    return [f'{device.device_kind} {device.id}' for device in devices]
