"""Whole studies: trained, evaluated and reported on.  Joins the runner with the analysis."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

import ml_collections
import pandas as pd

from imbreg_jax import analysis
from imbreg_jax.analysis import loading, tables
from imbreg_jax.analysis.paper import printed
from imbreg_jax.compute.processes import Processes
from imbreg_jax.results import kept_tables, merging
from imbreg_jax.results.workdir import Workdir
from imbreg_jax.runner.process_run import ProcessRun
from imbreg_jax.runner.shard_run import ShardRun
from imbreg_jax.runner.stop import StopRequest
from imbreg_jax.runner.study_run import StudyRun
from imbreg_jax.study import ConfigError, Study, resolve, shards
from imbreg_jax.study.shards import Shard
from imbreg_jax.study_result import StudyResult, TemporaryWorkdir

logger = logging.getLogger('imbreg_jax')


@overload
def run_study(
    config: ml_collections.ConfigDict | Mapping[str, Any],
    workdir: str | os.PathLike[str] | None = None,
) -> StudyResult: ...


@overload
def run_study(
    config: ml_collections.ConfigDict | Mapping[str, Any],
    workdir: str | os.PathLike[str],
    *,
    shard: str,
) -> StudyResult | None: ...


def run_study(
    config: ml_collections.ConfigDict | Mapping[str, Any],
    workdir: str | os.PathLike[str] | None = None,
    *,
    shard: str | None = None,
) -> StudyResult | None:
    """Trains and evaluates a study.

    Args:
      config: a config, as `imbreg_jax.config` or `imbreg_jax.study.default_config` gives it.
      workdir: where to leave its files and its report, and to resume from; None leaves none.
      shard: which part of it to train, such as '3/8', in a workdir that all share.

    Returns:
      The result: its table, numbers, networks, figures and report. None after a shard, unless it
      was the last one to finish, which merges them.

    Raises:
      ConfigError: the config cannot work, or there is no such shard or no workdir for it.
      WorkdirError: the workdir cannot be used.
      CheckpointError: the workdir's checkpoints are all damaged.
      OutOfMemory: not even one run of each device fits.
      BackendError: JAX cannot start here, or does not compute what it should.
      AnalysisError: the report of a finished workdir cannot be made; its results stand.
      OSError: the disk is full; what was finished stays.
    """
    part = None if shard is None else shards.parse(shard)
    if workdir is not None:
        study = resolve(config, kept_tables.source_of_user(workdir))
        done = reported(study, workdir, shard=part).finish()
        return None if done is None else StudyResult([workdir])
    if part is not None:
        raise ConfigError('shard', shard, 'it needs a workdir that all shards share')
    study = resolve(config)
    folder = TemporaryWorkdir(study.name)
    # The report waits until it is asked for.
    StudyRun(study, folder.path).finish()
    return StudyResult([folder.path], folder)


def reported(
    study: Study,
    workdir: str | os.PathLike[str] | None = None,
    stop: StopRequest | None = None,
    shard: Shard | None = None,
    processes: Processes | None = None,
) -> StudyRun | ShardRun | ProcessRun:
    """A study's run that ends with its report, whose failure is an AnalysisError; see `StudyRun`.

    Args:
      study: the study.
      workdir: its folder; None leaves no files, and no report.
      stop: where a stop is asked for.
      shard: which part of it to train; the last one ends with the study's report. Needs a workdir.
      processes: that train it together, this one among them. Needs a workdir.
    """
    if processes is not None and workdir is not None:
        return ProcessRun(study, processes, workdir, stop, _make_report)
    if shard is None or workdir is None:
        return StudyRun(study, workdir, stop, _make_report)
    return ShardRun(study, shard, workdir, stop, _make_report)


def merged(
    workdir: str | os.PathLike[str], report: bool = True
) -> tuple[str, analysis.Report | None]:
    """Makes one study, and its report, of the shards in its workdir.

    Args:
      workdir: the study's folder.
      report: whether a report is wanted, which of a hundred thousand runs takes long.

    Returns:
      A sentence about it, and the report.

    Raises:
      WorkdirError: the shards make no whole study, or the workdir cannot be used.
      AnalysisError: the report cannot be made; the results stand.
      OSError: a file cannot be written, or the disk is full.
    """
    # Before the folder is locked, which the last shard, on its way to merge, would find in use.
    merging.check(Workdir(workdir, of_shards=True))
    with Workdir(workdir, of_shards=True) as folder:
        study = merging.merge(folder)
        sentence = f'{folder.path} holds the merged study of {len(study.runs)} runs'
        return sentence, _make_report(folder.path) if report else None


def printed_table(results: pd.DataFrame, study: Study) -> str:
    """The results table of a study as text, from the rows of its results.csv."""
    table = _table(results, study).replace({'condition': _titles(study)})
    labels = {law.name: law.label for law in study.test_distributions}
    return tables.format_results_table(table, labels)


def _make_report(workdir: Path) -> analysis.Report:
    logger.info('making the report…')
    try:
        return analysis.build([workdir], workdir)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # whatever a drawing library raised
        raise analysis.AnalysisError(
            f'{workdir} holds the finished study, but its report could not be made: '
            f'{analysis.reason(error)}; the same command makes it again'
        ) from error


def _table(results: pd.DataFrame, study: Study) -> pd.DataFrame:
    comparable = printed.as_printed(study.resolved, [c.name for c in study.conditions])
    return tables.results_table(results, comparable)


def _titles(study: Study) -> dict[str, str]:
    """What the table calls each condition: as the report does, and no two the same."""
    titles = {}
    for condition in study.conditions:
        law = condition.distribution
        train = loading.Distribution(law.name, law.label, law.spec)
        titles[condition.name] = loading.Condition(condition.name, train, {}).title
    given = list(titles.values())
    return {
        name: title if given.count(title) == 1 else f'{title} ({name})'
        for name, title in titles.items()
    }
