"""Drives a study from config to results.  Knows all rooms; files and clocks live here."""

import contextlib
import json
import logging
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
import pandas as pd
import tqdm

from imbreg_jax import analysis
from imbreg_jax.analysis import tables
from imbreg_jax.evaluation import baseline, evaluator
from imbreg_jax.evaluation.metrics import METRICS, metrics
from imbreg_jax.results import checkpoints, files
from imbreg_jax.results.workdir import Workdir, WorkdirError, now
from imbreg_jax.study import ConfigError, Study, resolve
from imbreg_jax.training import engine as engine_lib
from imbreg_jax.training import plan as plan_lib

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
      deviation over repeats, with the paper's value beside it where there is one.

    Raises:
      ConfigError: the config cannot work.
      WorkdirError: the workdir cannot be used.
      CheckpointError: the workdir's checkpoints are all damaged.
      OutOfMemory: not even one repeat fits on the devices.
    """
    study = resolve(config)
    return tables.results_table(StudyRun(study, workdir).finish().results)


def prepare_backend(study: Study) -> list[Any]:
    """Configures JAX, unless the process has used it already, and returns the devices.

    Raises:
      ConfigError: an accelerator is required and there is none.
    """
    from jax._src import xla_bridge  # The public API cannot tell without starting the backend.

    if not xla_bridge.backends_are_initialized():
        cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
        jax.config.update('jax_num_cpu_devices', cores or 1)
        flag = '--xla_gpu_deterministic_ops=true'
        if flag not in os.environ.get('XLA_FLAGS', ''):
            os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {flag}'.strip()
    if study.compute.compilation_cache:
        _use_compilation_cache(study.compute.compilation_cache_dir)
    devices = jax.devices()
    if study.compute.require_accelerator and devices[0].platform == 'cpu':
        raise ConfigError(
            'compute.require_accelerator', True, 'JAX sees no accelerator here, only the CPU'
        )
    return devices


def _use_compilation_cache(directory: str) -> None:
    base = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    path = Path(directory or Path(base) / 'imbreg_jax' / 'xla')
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError('not writable')
    except OSError as error:
        logger.warning('compilation cache %s cannot be used (%s): compiling anew', path, error)
        return
    jax.config.update('jax_compilation_cache_dir', str(path))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)


class Finished:
    """What a finished study leaves: results [rows], metrics rows, prediction arrays, weights."""

    def __init__(self, study: Study, rows: list[dict[str, Any]], outcomes: list[dict[str, Any]]):
        """Args: the study, the epochs' rows, and each unit's arrays with its runs."""
        self.study = study
        self.rows = in_order(study, rows)
        merged = _merge(study, outcomes)
        self.predictions = _predictions(study, merged)
        self.weights = {
            f'{study.conditions[run.condition_index].name}/{run.repeat}/{name}': value
            for run, parts in zip(study.runs, merged, strict=True)
            for name, value in parts.items()
            if '/' in name
        }
        self.results = _results(study, merged)


def in_order(study: Study, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Epoch rows in the study's order: epoch, condition, repeat."""
    places = {condition.name: i for i, condition in enumerate(study.conditions)}
    return sorted(rows, key=lambda row: (row['epoch'], places[row['condition']], row['repeat']))


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
        self.rows: list[dict[str, Any]] = []
        self.outcomes: list[dict[str, Any]] = []
        self.seconds = 0.0
        self.compile_seconds = 0.0
        self.report: analysis.Report | None = None

    def finish(self) -> Finished:
        """Trains what is left, evaluates, and writes everything; see `run_study`."""
        with contextlib.ExitStack() as stack:
            if self.workdir is not None:
                stack.enter_context(self.workdir)
                self.workdir.check(self.study)
            devices = prepare_backend(self.study)
            stack.enter_context(
                jax.default_matmul_precision(self.study.compute.matmul_precision)
            )
            plan = self._plan(devices)
            devices = devices[: plan.devices]
            self._units = engine_lib.units(self.study, plan)
            self._chunk_steps = plan.chunk_steps
            self._describe(plan, devices)
            start, state = self._restore()
            units = self._units
            if start['unit'] == len(units):
                logger.info('this workdir is finished: only its report is made anew')
            elif self.workdir is not None:
                self.workdir.write_config(
                    self.study, [str(d) for d in devices], plan.platform, {'started': now()}
                )
            self._train(units, plan, devices, start, state)
            finished = Finished(self.study, self.rows, self.outcomes)
            if self.workdir is not None:
                self._write(finished, plan, devices)
            return finished

    def _plan(self, devices: list[Any]) -> plan_lib.Plan:
        """The plan of the first start, or a new one."""
        if self.workdir is not None and self.workdir.plan.exists():
            plan = plan_lib.Plan.from_json(json.loads(self.workdir.plan.read_text('utf-8')))
            platform = plan_lib.make(self.study, devices).platform
            if plan.platform != platform or plan.devices > len(devices):
                raise WorkdirError(
                    f'workdir {self.workdir.path} was begun on {plan.devices} {plan.platform} '
                    f'devices and here are {len(devices)} of {platform}; resume it there, or name '
                    'another --workdir'
                )
            return plan
        plan = plan_lib.make(self.study, devices)
        if self.workdir is not None:
            files.write_json(self.workdir.plan, plan.to_json())
        return plan

    def _describe(self, plan: plan_lib.Plan, devices: list[Any]) -> None:
        units = engine_lib.units(self.study, plan)
        logger.info(
            '%s: %d runs (%d conditions x %d repeats) in %d program(s) of up to %d runs, on %d %s '
            'device(s) (%s); jax %s; about %.1f GB of memory, data set %s',
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
            plan.bytes_predicted / 1e9,
            'cached on the device' if plan.cached else 'drawn anew in every epoch',
        )

    # --- training -------------------------------------------------------------------------------

    def _train(self, units, plan, devices, start, state) -> None:
        images = sum(
            len(unit.runs) * self._steps(unit) * self._condition(unit).training.batch_size
            for unit in units
        )
        progress = tqdm.tqdm(
            total=images,
            unit='image',
            unit_scale=True,
            disable=None,
            dynamic_ncols=True,
            smoothing=0.1,
        )
        with progress:
            for number, unit in enumerate(units):
                if number < start['unit']:
                    progress.update(
                        len(unit.runs) * self._steps(unit) * self._condition(unit).training.batch_size
                    )
                    continue
                position = start if number == start['unit'] else {'epoch': 0, 'chunk': 0}
                self._train_unit(number, unit, plan, devices, position, state, progress)
                state = None

    def _condition(self, unit):
        return self.study.conditions[unit.conditions[0]]

    def _steps(self, unit) -> int:
        training = self._condition(unit).training
        return training.epochs * (self.study.data.train_size // training.batch_size)

    def _train_unit(self, number, unit, plan, devices, position, saved, progress) -> None:
        began = time.monotonic()
        engine = engine_lib.Engine(self.study, unit, plan, devices)
        evaluation = evaluator.Evaluator(engine)
        initial = engine.initialize()
        structure = jax.tree.structure(initial)
        losses = np.zeros(len(unit.runs), np.float64)
        epoch, chunk = position['epoch'], position['chunk']
        if saved is None:
            state = initial
            self._record(unit, evaluation, engine, state, 0, None)
        else:
            *leaves, losses = saved
            state = jax.tree.unflatten(structure, leaves)
            state = jax.tree.map(lambda a: jax.device_put(a, engine.axis.sharding), state)
        del initial
        chunks = engine.chunks_per_epoch
        images = len(unit.runs) * engine.chunk_steps * engine.training.batch_size
        progress.update(images * (epoch * chunks + chunk))
        last_saved = time.monotonic()
        first = True
        while epoch < engine.training.epochs:
            step_began = time.monotonic()
            state, loss = engine.train_chunk(state, epoch, chunk)
            losses = losses + engine.axis.fetch(loss)
            if first:
                # The first chunk's time is mostly compilation; the others tell how much.
                self.compile_seconds += time.monotonic() - step_began
                first = False
            chunk += 1
            progress.update(images)
            progress.set_postfix(
                {'epoch': f'{epoch + chunk / chunks:.1f}', 'runs': len(unit.runs)}, refresh=False
            )
            if chunk == chunks:
                epoch, chunk = epoch + 1, 0
                self._record(
                    unit, evaluation, engine, state, epoch, losses / engine.steps_per_epoch
                )
                losses = np.zeros_like(losses)
            due = time.monotonic() - last_saved >= self.study.compute.checkpoint_seconds
            stopping = self.stop.signal is not None
            if due or stopping:
                self.seconds += time.monotonic() - began
                began = time.monotonic()
                leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
                where = {'unit': number, 'epoch': epoch, 'chunk': chunk}
                self._save(where, [*leaves, losses])
                last_saved = time.monotonic()
            if stopping:
                raise Stopped
        outcome = evaluation.finish(state)
        outcome |= {
            'diverged_epoch': _diverged_epoch(engine, engine.axis.fetch(state.diverged_step)),
        }
        weights = engine.axis.fetch(state.params)
        flat, _ = jax.tree_util.tree_flatten_with_path(weights)
        outcome |= {'/'.join(key.key for key in path): value for path, value in flat}
        self.outcomes.append({'runs': unit.runs, 'arrays': outcome})
        self.seconds += time.monotonic() - began
        self._save({'unit': number + 1, 'epoch': 0, 'chunk': 0}, [])

    def _record(self, unit, evaluation, engine, state, epoch, losses) -> None:
        """Adds an epoch's row of every run, and writes them."""
        scores = metrics(evaluation.validation(state), evaluation.validation_targets())
        diverged = engine.axis.fetch(state.diverged_step) >= 0
        for i, (condition, repeat) in enumerate(unit.runs):
            self.rows.append(
                {
                    'condition': self.study.conditions[condition].name,
                    'train_distribution': self.study.conditions[condition].distribution.name,
                    'repeat': repeat,
                    'epoch': epoch,
                    'train_loss': None if losses is None else float(losses[i]),
                    **{
                        f'validation_{name}': float(value[i])
                        for name, value in scores.items()
                    },
                    'diverged': bool(diverged[i]),
                }
            )
        if self.workdir is not None:
            files.write_json_lines(self.workdir.metrics, in_order(self.study, self.rows))

    # --- what is left on disk -------------------------------------------------------------------

    def _save(self, where: dict[str, int], arrays: list[np.ndarray]) -> None:
        if self.workdir is None:
            return
        outcomes = [
            {'runs': [list(map(int, run)) for run in outcome['runs']]} for outcome in self.outcomes
        ]
        for number, outcome in enumerate(self.outcomes):
            path = self.workdir.checkpoints / f'unit_{number:04d}.npz'
            if not path.exists():
                files.write_arrays(path, outcome['arrays'])
            outcomes[number]['sha256'] = files.sha256(path)
        position = where | {
            'rows': self.rows,
            'outcomes': outcomes,
            'seconds': self.seconds,
            'compile_seconds': self.compile_seconds,
        }
        steps = [self._steps(unit) for unit in self._units]
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
        beginning = {'unit': 0, 'epoch': 0, 'chunk': 0}
        if self.workdir is None:
            return beginning, None
        found = checkpoints.restore(self.workdir.checkpoints)
        if found is None:
            return beginning, None
        for name in found.damaged:
            logger.warning('checkpoint %s is not used; the one before it is', name)
        position = found.position
        self.rows = position['rows']
        self.seconds = position['seconds']
        self.compile_seconds = position['compile_seconds']
        for number, outcome in enumerate(position['outcomes']):
            path = self.workdir.checkpoints / f'unit_{number:04d}.npz'
            if not path.exists() or files.sha256(path) != outcome['sha256']:
                raise checkpoints.CheckpointError(
                    f'{path} is missing or damaged, and what it held cannot be made again from '
                    'the checkpoints; remove the folder to train from the start'
                )
            with np.load(path) as arrays:
                runs = [tuple(run) for run in outcome['runs']]
                self.outcomes.append({'runs': runs, 'arrays': dict(arrays)})
        logger.info(
            'resuming at epoch %d, part %d of it', position['epoch'] + 1, position['chunk'] + 1
        )
        return position, found.arrays or None

    def _write(self, finished: Finished, plan, devices) -> None:
        assert self.workdir is not None
        files.write_json_lines(self.workdir.metrics, finished.rows)
        files.write_arrays(self.workdir.predictions, finished.predictions)
        files.write_arrays(self.workdir.weights, finished.weights)
        files.write_bytes(self.workdir.results, files.results_csv(finished.results))
        if self.study.compute.tensorboard:
            _write_tensorboard(self.workdir.path / 'tensorboard', finished.rows)
        trained = sum(
            len(self.study.repeats)
            * condition.training.epochs
            * (self.study.data.train_size // condition.training.batch_size)
            * condition.training.batch_size
            for condition in self.study.conditions
        )
        timing = {
            'finished': now(),
            'seconds': self.seconds,
            'first_chunk_seconds': self.compile_seconds,
            'images_per_second': trained / self.seconds if self.seconds else None,
        }
        names = [f'{d.device_kind} {d.id}' for d in devices]
        self.workdir.write_config(self.study, names, plan.platform, timing)
        self.report = analysis.build([self.workdir.path], self.workdir.path)


def _diverged_epoch(engine, steps: np.ndarray) -> np.ndarray:
    """The epoch, from 1, of each run's divergence, or 0."""
    return np.where(steps < 0, 0, steps // engine.steps_per_epoch + 1)


def _merge(study: Study, outcomes: list[dict[str, Any]]) -> list[dict[str, np.ndarray]]:
    """Each run's arrays, in the study's order."""
    found = {
        run: {name: values[i] for name, values in outcome['arrays'].items()}
        for outcome in outcomes
        for i, run in enumerate(outcome['runs'])
    }
    return [found[(run.condition_index, run.repeat)] for run in study.runs]


def _predictions(study: Study, merged: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of predictions.npz."""
    conditions, repeats = len(study.conditions), len(study.repeats)
    settings = study.evaluation

    def of_runs(name):
        return np.stack([run[name] for run in merged])

    def by_condition(name):
        stacked = of_runs(name)
        return stacked.reshape(conditions, repeats, *stacked.shape[1:]).swapaxes(1, 2)

    validation_target = of_runs('validation_target')
    validation_prediction = of_runs('validation_prediction')
    return {
        'condition': np.array([study.conditions[r.condition_index].name for r in study.runs]),
        'train_distribution': np.array(
            [study.conditions[r.condition_index].distribution.name for r in study.runs]
        ),
        'repeat': np.array([r.repeat for r in study.runs]),
        'conditions': np.array([c.name for c in study.conditions]),
        'repeats': np.array(study.repeats),
        'test_distributions': np.array([law.name for law in study.test_distributions]),
        'dense_generating': np.linspace(
            settings.dense_low, settings.dense_high, settings.dense_size, dtype=np.float32
        ),
        'dense_target': merged[0]['dense_target'],
        'dense_prediction': of_runs('dense_prediction'),
        'test_generating': by_condition('test_generating')[0],
        'test_target': by_condition('test_target'),
        'test_prediction': of_runs('test_prediction'),
        'validation_target': validation_target,
        'validation_prediction': validation_prediction,
        'calibration_factor': _calibration(validation_prediction, validation_target),
        'moment_names': np.array(evaluator.MOMENTS),
        'moments': of_runs('moments'),
    }


def _calibration(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The factor on predictions [..., n] that fits targets [..., n] best in squares."""
    predictions, targets = np.float64(predictions), np.float64(targets)
    with np.errstate(divide='ignore', invalid='ignore'):
        return (predictions * targets).sum(-1) / (predictions**2).sum(-1)


def _results(study: Study, merged: list[dict[str, np.ndarray]]) -> pd.DataFrame:
    """The rows of results.csv."""
    rows: list[tuple[Any, ...]] = []
    for run, parts in zip(study.runs, merged, strict=True):
        condition = study.conditions[run.condition_index]
        head = (condition.name, condition.distribution.name)
        diverged = int(parts['diverged_epoch'])
        factor = _calibration(parts['validation_prediction'], parts['validation_target'])
        predictors = {
            'cnn': np.float64(parts['test_prediction']),
            'cnn_calibrated': factor * np.float64(parts['test_prediction']),
        }
        for predictor, predictions in predictors.items():
            scores = metrics(predictions, parts['test_target'])
            rows += [
                (
                    *head, predictor, run.repeat, law.name, metric,
                    float('nan') if diverged else float(scores[metric][i]),
                )
                for i, law in enumerate(study.test_distributions)
                for metric in METRICS
            ]  # fmt: skip
        if diverged:
            rows.append((*head, 'cnn', run.repeat, '', 'diverged_epoch', float(diverged)))
    settings = study.evaluation
    for repeat, parts in zip(study.repeats, merged, strict=False):
        guess = baseline.random_guess(
            study.seed, repeat, study.data.test_size, settings.guess_low, settings.guess_high
        )
        scores = metrics(guess, parts['test_target'])
        rows += [
            ('', '', 'random_guess', repeat, law.name, metric, float(scores[metric][i]))
            for i, law in enumerate(study.test_distributions)
            for metric in METRICS
        ]
    return pd.DataFrame(rows, columns=list(files.COLUMNS))


def _write_tensorboard(folder: Path, rows: list[dict[str, Any]]) -> None:
    """The epochs' rows as TensorBoard scalars, one TensorBoard run for each run."""
    import tensorboardX

    if folder.exists():
        shutil.rmtree(folder)
    writers: dict[str, Any] = {}
    for row in rows:
        name = f'{row["condition"]}/repeat_{row["repeat"]}'
        if name not in writers:
            writers[name] = tensorboardX.SummaryWriter(str(folder / name), write_to_disk=True)
        for key in ('train_loss', 'validation_mse', 'validation_mape', 'validation_mpe'):
            if row[key] is not None:
                writers[name].add_scalar(key, row[key], row['epoch'])
    for writer in writers.values():
        writer.close()
