"""Where else a study's epochs are shown while it runs: TensorBoard, W&B, MLflow.

A tracker is told what a study goes on from, then each epoch's rows as they come, and in the end its
results. Those of others than us, over a network maybe, stop no study: one that fails is left out
from then on, which is said once.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from imbreg_jax.results import files
from imbreg_jax.study import ConfigError, Study
from imbreg_jax.study.config import flatten

logger = logging.getLogger('imbreg_jax')

# In a workdir's checkpoints: the runs of others that a resume goes on with.
NAME = 'tracking.json'
# What a row says of itself; all else of it is numbers.
NO_NUMBERS = ('condition', 'train_distribution', 'repeat', 'member', 'epoch', 'wall_time')
_MOST_AT_ONCE = 500

Rows = Sequence[Mapping[str, Any]]


class Tracker(Protocol):
    """One place where epochs are shown."""

    def begin(self, rows: Rows) -> None:
        """Goes on from these rows and no others; again where a study is cut back meanwhile."""

    def add(self, rows: Rows) -> None:
        """Shows an epoch's rows, of several runs, each with its columns and `wall_time`."""

    def finish(self, rows: Rows, results: pd.DataFrame) -> None:
        """Shows in the end all rows, and the rows of results.csv."""


def numbers(rows: Rows) -> dict[str, float]:
    """Each number of an epoch's rows, called '<condition>/repeat_<k>[/member_<m>]/<column>'."""
    found = {}
    for row in rows:
        member = '' if row.get('member') is None else f'/member_{row["member"]}'
        of = f'{row["condition"]}/repeat_{row["repeat"]}{member}'
        for column, value in row.items():
            if column not in NO_NUMBERS and value is not None:
                found[_key(f'{of}/{column}')] = float(value)
    return found


def means(results: pd.DataFrame) -> dict[str, float]:
    """Each condition's mean over its repeats, '<condition>/<test distribution>/<metric>'."""
    own = results[(results['predictor'] == 'cnn') & (results['test_distribution'] != '')]
    groups = own.groupby(['condition', 'test_distribution', 'metric'], sort=False)['value']
    return {_key('/'.join(key)): value for key, value in groups.mean().dropna().items()}


def _key(text: str) -> str:
    """A name that MLflow takes."""
    return re.sub(r'[^\w\-./ ]', '_', text, flags=re.ASCII)


def outside(study: Study, workdir: Path | None) -> list[Tracker]:
    """The trackers of others that a study's config names.

    Args:
      study: the study.
      workdir: its folder, where a resume finds them again, or None.

    Raises:
      ConfigError: one of them is not installed.
    """
    kinds: dict[str, Callable[[str, Study, _Kept], Tracker]] = {'wandb': WandB, 'mlflow': MLflow}
    held = None if workdir is None else workdir / 'checkpoints' / NAME
    found: list[Tracker] = []
    for name, kind in kinds.items():
        named = study.resolved['log'][name]
        if named and importlib.util.find_spec(name) is None:
            raise ConfigError(
                f'log.{name}', named, f"it needs a package: pip install 'imbreg_jax[{name}]'"
            )
        if named:
            found.append(_Guarded(name, kind(named, study, _Kept(held, name))))
    return found


class _Kept:
    """The name of a run of another's, in a file, so that a resume goes on with it."""

    def __init__(self, path: Path | None, name: str):
        self._path, self._name = path, name

    def read(self) -> str | None:
        return self._all().get(self._name)

    def write(self, value: str) -> None:
        if self._path is not None:
            files.write_json(self._path, self._all() | {self._name: value})

    def _all(self) -> dict[str, str]:
        if self._path is None or not self._path.is_file():
            return {}
        try:
            held = files.read_json(self._path)
        except ValueError:
            return {}
        return held if isinstance(held, dict) else {}


class _Guarded:
    """A tracker whose failure is said once, and is the end of it."""

    def __init__(self, name: str, tracker: Tracker):
        self._name = name
        self._tracker: Tracker | None = tracker

    def begin(self, rows: Rows) -> None:
        with self._failing() as tracker:
            if tracker is not None:
                tracker.begin(rows)

    def add(self, rows: Rows) -> None:
        with self._failing() as tracker:
            if tracker is not None:
                tracker.add(rows)

    def finish(self, rows: Rows, results: pd.DataFrame) -> None:
        with self._failing() as tracker:
            if tracker is not None:
                tracker.finish(rows, results)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[Tracker | None]:
        try:
            yield self._tracker
        except Exception as error:  # whatever a client, a network or a server raised
            self._tracker = None
            text = ' '.join(str(error).split())
            logger.warning(
                '%s is told nothing from here on (%s: %s); the study goes on and loses nothing',
                self._name, type(error).__name__, text,
            )  # fmt: skip


class WandB:
    """A study as one run of Weights & Biases; WANDB_MODE=offline keeps it on this machine.

    What an earlier start logged stays; what it logged after its last checkpoint comes again, with
    the same numbers.
    """

    def __init__(self, project: str, study: Study, kept: _Kept):
        """Args: the project, the study, and where its run's id is kept."""
        self._project, self._study, self._kept = project, study, kept
        self._run: Any = None

    def begin(self, rows: Rows) -> None:
        """Starts the run, or goes on with it."""
        if self._run is not None:
            return
        import wandb

        known = self._kept.read()
        self._run = wandb.init(
            project=self._project,
            name=self._study.name,
            id=known,
            resume='allow' if known else None,
            # That of a study which failed in this process.
            reinit='finish_previous',
            config=self._study.resolved,
            # What is printed is for its reader alone; see `imbreg_jax.terminal`.
            settings=wandb.Settings(console='off', silent=True),
        )
        self._kept.write(self._run.id)
        logger.info('W&B: %s', self._run.dir if self._run.offline else self._run.url)
        # Programs come one after the other: each has its epochs from 0 on.
        self._run.define_metric('*', step_metric='epoch')
        if not known:
            for part in _epochs(rows):
                self.add(part)

    def add(self, rows: Rows) -> None:
        """Logs an epoch."""
        self._run.log({**numbers(rows), 'epoch': rows[0]['epoch']})

    def finish(self, rows: Rows, results: pd.DataFrame) -> None:
        """Ends the run, with each condition's mean errors as its summary."""
        self._run.summary.update(means(results))
        self._run.finish()


class MLflow:
    """A study as one run of an MLflow experiment, on the server or in the folder of its own URI.

    As with W&B, what comes again after a resume has the same step and number.
    """

    def __init__(self, experiment: str, study: Study, kept: _Kept):
        """Args: the experiment, the study, and where its run's id is kept."""
        self._experiment, self._study, self._kept = experiment, study, kept
        self._client: Any = None
        self._run = ''

    def begin(self, rows: Rows) -> None:
        """Starts the run, or goes on with it."""
        if self._client is not None:
            return
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient()
        known = self._kept.read()
        if known:
            self._run = known
            self._client.set_terminated(known, 'RUNNING')
            return
        held = self._client.get_experiment_by_name(self._experiment)
        number = held.experiment_id if held else self._client.create_experiment(self._experiment)
        self._run = self._client.create_run(number, run_name=self._study.name).info.run_id
        self._kept.write(self._run)
        fields = flatten(self._study.resolved)
        params = [Param(name, str(value)[:500]) for name, value in fields.items()]
        for start in range(0, len(params), 100):  # As many as one call takes.
            self._client.log_batch(self._run, params=params[start : start + 100])
        for part in _epochs(rows):
            self.add(part)

    def add(self, rows: Rows) -> None:
        """Logs an epoch at its time."""
        self._log(numbers(rows), rows[0]['epoch'], rows[0]['wall_time'])

    def finish(self, rows: Rows, results: pd.DataFrame) -> None:
        """Ends the run, with each condition's mean errors."""
        last = rows[-1]
        self._log(means(results), last['epoch'], last['wall_time'])
        self._client.set_terminated(self._run)

    def _log(self, values: Mapping[str, float], step: int, seconds: float) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(key, value, int(1000 * seconds), step) for key, value in values.items()]
        for start in range(0, len(metrics), _MOST_AT_ONCE):
            self._client.log_batch(self._run, metrics=metrics[start : start + _MOST_AT_ONCE])


def _epochs(rows: Rows) -> Iterator[list[Mapping[str, Any]]]:
    """The rows of each epoch that was recorded at once."""
    parts: dict[tuple[int, float], list[Mapping[str, Any]]] = {}
    for row in rows:
        parts.setdefault((row['epoch'], row['wall_time']), []).append(row)
    yield from parts.values()
