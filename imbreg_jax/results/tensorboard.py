"""Epochs as TensorBoard scalars, while a study runs: one event file for each run.

A run's file is a function of its rows alone, so what is there can be held against what should be.
Not by a SummaryWriter: each holds three files open, where a process may have as few as 256, and
writes in a thread of its own, for which it waits forever once a full disk has ended that.
"""

import os
import platform
import re
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from imbreg_jax.results import files
from imbreg_jax.results.tracking import NO_NUMBERS, Rows

_MARK = 'imbreg_jax'
# Also what a killed process left of one.
_OURS = re.compile(rf'\.?events\.out\.tfevents\.\d+\.\d{{6}}\..*\.{_MARK}(\.[0-9a-f]+\.partial)?')


# Condition, repeat and member; None for a network that is no member of an ensemble.
Of = tuple[str, int, int | None]


def of(row: Mapping[str, Any]) -> Of:
    """The run that an epoch's row is of."""
    return row['condition'], row['repeat'], row.get('member')


class Scalars:
    """The event files of a study, as a `tracking.Tracker`; they are the study's own.

    So what keeps them from being written is an error, and a resume cuts them back.
    """

    def __init__(self, folder: Path, runs: Sequence[Of]):
        """Args: their folder, and the study's runs."""
        self._files = EventFiles(folder)
        self._runs = runs

    def begin(self, rows: Rows) -> None:
        """Makes the files hold these rows and no others."""
        runs: dict[Of, list[dict[str, Any]]] = {run: [] for run in self._runs}
        for row in rows:
            runs[of(row)].append(dict(row))
        self._files.replace(runs)

    def add(self, rows: Rows) -> None:
        """Adds an epoch's rows."""
        self._files.append([dict(row) for row in rows])

    def finish(self, rows: Rows, results: pd.DataFrame) -> None:
        """Sees to it that the files hold all rows."""
        del results
        self.begin(rows)


class EventFiles:
    """The event files of a study's runs, opened one at a time."""

    def __init__(self, folder: Path):
        """Args: the folder that holds a folder for each run."""
        self.folder = folder
        self._paths: dict[Of, Path] = {}

    def replace(self, rows: Mapping[Of, Sequence[dict[str, Any]]]) -> None:
        """Makes the files hold these rows and no others; one that does is left as it is.

        Args:
          rows: run (see `of`) -> its rows by epoch: its columns and `wall_time`, seconds
            since 1970. Files that are not ours stay.

        Raises:
          OSError: a file cannot be written or the disk is full.
        """
        for run, own in rows.items():
            self._paths.pop(run, None)
            folder = self._of(run)
            found = sorted(
                p for p in _listed(folder) if _OURS.fullmatch(p.name) and files.is_plain(p)
            )
            content = _encode(own, begins=True) if own else b''
            kept = [p for p in found if own and p.suffix == f'.{_MARK}' and _holds(p, content)][-1:]
            if own and not kept:
                # Under a new name: TensorBoard, if it looks on, takes it for the run's next file,
                # whose first event withdraws what was read before.
                kept = [folder / _new_name()]
                files.write_bytes(kept[0], content)
            for path in found:
                if path not in kept:
                    _withdraw(path)
            if kept:
                self._paths[run] = kept[0]

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Adds rows, each to its run's file.

        Raises:
          OSError: a file cannot be written or the disk is full.
        """
        for row in rows:
            run = of(row)
            begins = run not in self._paths
            if begins:
                self._paths[run] = self._of(run) / _new_name()
            files.append(self._paths[run], _encode([row], begins))

    def _of(self, run: Of) -> Path:
        condition, repeat, member = run
        folder = self.folder / condition / f'repeat_{repeat}'
        return folder if member is None else folder / f'member_{member}'


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _holds(path: Path, content: bytes) -> bool:
    """Whether a file holds these bytes; those are then on the disk and not only on their way."""
    with open(path, 'rb') as file:
        same = file.read() == content
        if same:
            os.fsync(file.fileno())
    return same


def _withdraw(path: Path) -> None:
    """Empties a file that holds what was cut off, and removes it the next time.

    TensorBoard's slower loader goes on to the next file from one that ends, not from one that has
    gone.
    """
    if path.suffix == f'.{_MARK}' and path.stat().st_size:
        os.truncate(path, 0)
    else:
        path.unlink()


def _new_name() -> str:
    # TensorBoard tells event files by the second word and orders them by the time.
    return f'events.out.tfevents.{time.time():.6f}.{platform.node() or "unknown"}.{_MARK}'


def _encode(rows: Sequence[dict[str, Any]], begins: bool) -> bytes:
    """Rows as the records of an event file, with those that open one where it begins here."""
    from tensorboardX.proto import event_pb2, summary_pb2

    events = []
    if begins:
        began = rows[0]['wall_time']
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        events = [
            event_pb2.Event(wall_time=began, file_version='brain.Event:2'),
            event_pb2.Event(wall_time=began, step=0, session_log=start),
        ]
    for row in rows:
        values = [
            summary_pb2.Summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if name not in NO_NUMBERS and value is not None
        ]
        summary = summary_pb2.Summary(value=values)
        events.append(
            event_pb2.Event(wall_time=row['wall_time'], step=row['epoch'], summary=summary)
        )
    return b''.join(_record(event.SerializeToString()) for event in events)


def _record(data: bytes) -> bytes:
    """A TFRecord: length, its checksum, the data, their checksum."""
    from tensorboardX.record_writer import masked_crc32c

    length = struct.pack('<Q', len(data))
    sums = (struct.pack('<I', masked_crc32c(part)) for part in (length, data))
    return length + next(sums) + data + next(sums)
