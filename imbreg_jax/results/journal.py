"""Every epoch's rows while a study runs, and what is shown of them meanwhile.

`checkpoints/epochs.jsonl` only grows.  A checkpoint says how many of its bytes it counts on and
their SHA-256, and a resume cuts the rest off.  `metrics.jsonl` and what `tracking` shows are made
from it: they grow with it, are cut back with it, and come out whole at the end.  Its rows also
hold the time, which differs between a resumed and an uninterrupted study, as metrics must not.
"""

import errno
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from imbreg_jax.results import assemble, files, tensorboard, tracking
from imbreg_jax.results.workdir import Workdir
from imbreg_jax.study import Study

NAME = 'epochs.jsonl'


class Journal:
    """The epochs' rows of a study on its way."""

    def __init__(self, study: Study, workdir: Workdir | None):
        """Args: the study, and its folder, into which nothing is written before `begin`."""
        self._study = study
        self._workdir = workdir
        self._rows: list[dict[str, Any]] = []
        self._length = 0
        self._digest = hashlib.sha256()
        self._trackers = tracking.outside(study, None if workdir is None else workdir.path)
        if workdir is not None:
            self._path = workdir.checkpoints / NAME
            if study.compute.tensorboard:
                runs = [tensorboard.of(assemble.run_columns(study, run)) for run in study.runs]
                self._trackers.append(tensorboard.Scalars(workdir.tensorboard, runs))

    @property
    def rows(self) -> Sequence[dict[str, Any]]:
        """The epochs' rows so far, in the order in which they came."""
        return self._rows

    def fault(self, position: dict[str, Any]) -> str | None:
        """What is wrong with the rows that a checkpoint's position counts on, or None."""
        mark = position.get('journal')
        if mark is None:
            return 'it is of another version'
        if mark['bytes'] and not self._path.exists():
            return f'{NAME}, which it needs, is missing'
        try:
            content = self._read(mark['bytes'])
        except OSError as error:
            return f'{NAME}, which it needs, cannot be read: {error.strerror or error}'
        sound = hashlib.sha256(content).hexdigest() == mark['sha256']
        return None if sound else f'{NAME}, which it needs, is damaged'

    def begin(self, position: dict[str, Any] | None) -> None:
        """Goes on from a checkpoint's position without a `fault`, or from nothing.

        Raises:
          OSError: the files cannot be cut back or the disk is full.
        """
        content = b'' if position is None else self._read(position['journal']['bytes'])
        self._rows = [json.loads(line) for line in content.splitlines()]
        self._length = len(content)
        self._digest = hashlib.sha256(content)
        if self._workdir is not None:
            if not _holds(self._path, content):
                files.write_bytes(self._path, content)
            self._cut_metrics()
        for tracker in self._trackers:
            tracker.begin(self._rows)

    def _cut_metrics(self) -> None:
        assert self._workdir is not None
        path = self._workdir.metrics
        # A study that was cut off while its last files were written has them in its own order.
        wanted = [_metrics(self._rows), _metrics(assemble.in_order(self._study, self._rows))]
        if not any(_holds(path, content) for content in wanted):
            files.write_bytes(path, wanted[0])

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Adds an epoch's row of every run that trains, and shows them.

        Raises:
          OSError: the files cannot be written or the disk is full.
        """
        now = time.time()
        timed = [files.finite(row) | {'wall_time': now} for row in rows]
        if self._workdir is not None:
            content = files.json_lines(timed)
            files.append(self._path, content)
            self._length += len(content)
            self._digest.update(content)
            files.append(self._workdir.metrics, _metrics(timed))
        self._rows += timed
        for tracker in self._trackers:
            tracker.add(timed)

    def mark(self) -> dict[str, Any]:
        """What a position holds of the rows so far, which are then on the disk.

        Raises:
          OSError: they cannot be brought there.
        """
        if self._length:
            with open(self._path, 'rb') as file:
                os.fsync(file.fileno())
        return {'bytes': self._length, 'sha256': self._digest.hexdigest()}

    def finish(self, results: pd.DataFrame) -> None:
        """Writes metrics.jsonl whole, in the study's order, and sees to what is shown elsewhere.

        Args:
          results: the rows of results.csv.

        Raises:
          OSError: a file cannot be written or the disk is full.
        """
        if self._workdir is not None:
            rows = assemble.in_order(self._study, self._rows)
            files.write_bytes(self._workdir.metrics, _metrics(rows))
        for tracker in self._trackers:
            tracker.finish(self._rows, results)

    def _read(self, length: int) -> bytes:
        if not length:
            return b''  # before the first epoch's rows there need be no file
        if not self._path.is_file():
            raise OSError(errno.EINVAL, 'it is no regular file', str(self._path))
        with open(self._path, 'rb') as file:
            return file.read(length)


def _metrics(rows: Sequence[dict[str, Any]]) -> bytes:
    """The bytes of metrics.jsonl."""
    return files.json_lines([{k: v for k, v in row.items() if k != 'wall_time'} for row in rows])


def _holds(path: Path, content: bytes) -> bool:
    """Whether a file has just this content, or there is none and it would be empty."""
    if not files.is_plain(path):
        return not content and not os.path.lexists(path)
    return path.stat().st_size == len(content) and path.read_bytes() == content
