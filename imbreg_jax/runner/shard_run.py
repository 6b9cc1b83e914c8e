"""A shard of a study on its way; the last one to finish merges them all."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from imbreg_jax.results import files, merging
from imbreg_jax.results.layout import InUseError
from imbreg_jax.results.workdir import Workdir
from imbreg_jax.runner.stop import StopRequest
from imbreg_jax.runner.study_run import StudyRun
from imbreg_jax.study import Study, shards
from imbreg_jax.study.shards import Shard

logger = logging.getLogger('imbreg_jax')


class ShardRun:
    """One shard on its way.

    Attributes:
      study: the whole study.
      results: the rows of its results.csv, once they are written, or None.
      report: what `report` returned, or None.
    """

    def __init__(
        self,
        study: Study,
        shard: Shard,
        workdir: str | os.PathLike[str],
        stop: StopRequest | None = None,
        report: Callable[[Path], Any] | None = None,
    ):
        """Writes nothing yet.

        Args:
          study: the whole study.
          shard: which of its shards.
          workdir: the study's folder, below which the shard has its own.
          stop: where a stop is asked for.
          report: makes the report of the merged study; see `StudyRun`.
        """
        self.study = study
        self.results: pd.DataFrame | None = None
        self.report: Any = None
        self._shard = shard
        self._whole = Workdir(workdir, of_shards=True)
        part = shards.part(study, shard)
        own = Workdir(merging.folder(self._whole.path, shard), shard)
        self._run = StudyRun(part, own, stop)
        self._make_report = report

    def finish(self) -> pd.DataFrame | None:
        """Trains what is left of the shard, and merges if it was the last.

        Returns:
          The rows of the study's results.csv, or None where it is not merged yet.

        Raises:
          As `StudyRun.finish` does.
        """
        self.train()
        if self.results is None:
            self.merge()
        return self.results

    def merge(self) -> None:
        """Merges all shards, unless one is not finished.

        Raises:
          As `StudyRun.finish` does.
        """
        left = merging.wanting(self._whole.path, self.study, self._shard.of)
        if left:
            logger.info('the last shard to finish merges them; until then, %s', files.listed(left))
            return
        try:
            self._merge()
        except InUseError:
            # Whoever holds the folder found all finished, too.
            logger.info('another process merges the shards')

    def train(self) -> None:
        """Trains what is left of the shard, but for a study that is merged: that has results.

        Raises:
          As `StudyRun.finish` does.
        """
        path, shard = self._whole.path, self._shard
        study = merging.merged(path, self.study)
        if study is not None:
            logger.info('workdir %s is merged: nothing is trained', path)
            self.study = study
            self.results = merging.read_results(path)
            return
        merging.refuse_other_counts(path, shard.of)
        if self._run.study.runs:
            self._run.finish()
            logger.info('shard %d of %d is finished', *shard)
        else:
            logger.info('shard %d of %d has no runs: the study has fewer', *shard)

    def leave(self) -> None:
        """Notes, in haste, that this process ends now and knows it."""
        self._run.leave()
        self._whole.end()

    def _merge(self) -> None:
        logger.info('every shard is finished: merging them…')
        with self._whole:
            self.study = merging.merge(self._whole)
            self.results = merging.read_results(self._whole.path)
            if self._make_report is not None:
                self.report = self._make_report(self._whole.path)
