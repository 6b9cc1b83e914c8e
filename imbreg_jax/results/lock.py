"""The lock of a workdir: one live process at a time, and a note of who it is."""

import errno
import fcntl
import logging
import os
import platform
import re
import stat
from pathlib import Path
from typing import Any

from imbreg_jax.results.layout import LOCK, InUseError, WorkdirError

_NOTE = re.compile(r'process \d+ on [^\n]{0,500}')

logger = logging.getLogger('imbreg_jax')


class Lock:
    """The lock of a folder.

    Attributes:
      killed: who held it before and ended without a word, or ''.
    """

    def __init__(self, folder: Path):
        """Args: the folder, which is there."""
        self._folder = folder
        self._file = self._open()
        self.killed = ''

    def _open(self) -> Any:
        path = self._folder / LOCK
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o666)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise
            descriptor = None
        if descriptor is None or not stat.S_ISREG(os.fstat(descriptor).st_mode):
            if descriptor is not None:
                os.close(descriptor)
            raise WorkdirError(
                f'{path} is no regular file, so nothing in the folder is touched; name another '
                'with --workdir=DIR'
            )
        return open(descriptor, 'r+b', buffering=0)

    def take(self, since: str) -> None:
        """Takes the lock and notes who has it.

        Args:
          since: the time.

        Raises:
          InUseError: a live process has it.
          WorkdirError: the file is not of a study.
          OSError: the disk is full.
        """
        self._acquire()
        note = self._read_note()
        if note is None:
            raise WorkdirError(
                f'{self._folder / LOCK} is not of a study, so nothing in the folder is touched; '
                'name a new or an empty one with --workdir=DIR'
            )
        self.killed = note
        self._file.truncate(0)
        self._file.seek(0)
        self._file.write(
            f'process {os.getpid()} on {platform.node()}, begun {since}'.encode(
                errors='backslashreplace'
            )
        )

    def _acquire(self) -> None:
        try:
            # The kernel releases the lock when its process ends, however it ends.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                logger.warning(
                    'the file system of %s has no locks: see to it yourself that no two processes '
                    'use it at once', self._folder,
                )  # fmt: skip
                return
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise InUseError(
                f'workdir {self._folder} is in use by a live process '
                f'({self._read_note() or "unknown"}); wait for it, or name another with '
                '--workdir=DIR'
            ) from error

    def _read_note(self) -> str | None:
        """What it says of who uses the folder: '' for nobody, None where it is not ours."""
        self._file.seek(0)
        note = self._file.read(1000).decode(errors='replace')
        return note if not note or _NOTE.fullmatch(note) else None

    def end(self) -> None:
        """Notes that whoever has it ends knowingly; see `killed`."""
        if not self._file.closed:
            os.ftruncate(self._file.fileno(), 0)

    def release(self) -> None:
        """Lets others take it; what is noted stays."""
        self._file.close()
