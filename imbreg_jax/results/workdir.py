"""A workdir: its lock, what study and plan it belongs to, and where its files are."""

import datetime
import errno
import fcntl
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from imbreg_jax.results import files
from imbreg_jax.study import Study, differences

FORMAT = 1


class WorkdirError(RuntimeError):
    """A workdir that cannot be used; the text is one sentence that says what to do."""


class Workdir:
    """A study's folder.  Use as a context manager: it is locked meanwhile."""

    def __init__(self, path: str | os.PathLike[str]):
        """Args: the folder; made when entered."""
        self.path = Path(path)
        self.config = self.path / 'config.json'
        self.plan = self.path / 'plan.json'
        self.metrics = self.path / 'metrics.jsonl'
        self.results = self.path / 'results.csv'
        self.predictions = self.path / 'predictions.npz'
        self.checkpoints = self.path / 'checkpoints'
        self.weights = self.path / 'weights.npz'
        self._lock: Any = None

    def __enter__(self) -> 'Workdir':
        """Makes and locks the folder.

        Raises:
          WorkdirError: it cannot be written, or a live process uses it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / '.lock', 'a+', encoding='ascii')  # noqa: SIM115
        except OSError as error:
            raise WorkdirError(
                f'workdir {self.path} cannot be written ({error.strerror}); name another with '
                '--workdir=DIR'
            ) from error
        try:
            # The kernel releases the lock when its process ends, however it ends.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            self._lock.seek(0)
            holder = self._lock.read().strip() or 'unknown'
            self._lock.close()
            raise WorkdirError(
                f'workdir {self.path} is in use by a live process ({holder}); wait for it, or name '
                'another with --workdir=DIR'
            ) from error
        self._lock.truncate(0)
        self._lock.write(f'process {os.getpid()} on {platform.node()}')
        self._lock.flush()
        return self

    def __exit__(self, *_: object) -> None:
        """Unlocks the folder."""
        self._lock.close()

    def check(self, study: Study) -> None:
        """Refuses a folder that holds another study.

        Raises:
          WorkdirError: it holds another config, or a format that this version does not know.
        """
        if not self.config.exists():
            return
        try:
            held = json.loads(self.config.read_text('utf-8'))
            version = held['format']
            if version > FORMAT:
                raise WorkdirError(
                    f'workdir {self.path} has format {version}, and this version of imbreg_jax '
                    f'knows up to {FORMAT}; use the version that wrote it, or another --workdir'
                )
            changed = differences(held['config'], study)
        except (ValueError, KeyError, TypeError) as error:
            raise WorkdirError(
                f'{self.config} cannot be read as a config ({error}); name another --workdir'
            ) from error
        if changed:
            raise WorkdirError(
                f'workdir {self.path} holds another config ({"; ".join(changed)}); name another '
                'with --workdir=DIR'
            )

    def write_config(self, study: Study, devices: list[str], backend: str, timing: Any) -> None:
        """Writes config.json: the resolved config, and on what it ran."""
        files.write_json(
            self.config,
            {
                'format': FORMAT,
                'config': study.resolved,
                'versions': versions(),
                'devices': devices,
                'backend': backend,
                'machine': platform.processor() or platform.machine(),
                'git_commit': git_commit(),
                'conditions': {
                    condition.name: {
                        'train_distribution': condition.distribution.name,
                        'label': condition.distribution.label,
                        'spec': condition.distribution.spec,
                    }
                    for condition in study.conditions
                },
                'test_distributions': {
                    law.name: {'label': law.label, 'spec': law.spec}
                    for law in study.test_distributions
                },
                'timing': timing,
            },
        )


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')


def versions() -> dict[str, str]:
    """The versions that numbers may depend on."""
    found = {'python': platform.python_version()}
    for name in ('imbreg-jax', 'jax', 'jaxlib', 'flax', 'optax', 'numpy', 'scipy'):
        try:
            found[name.replace('-', '_')] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name.replace('-', '_')] = 'not installed'
    return found


def git_commit() -> str | None:
    """The commit of the checkout that the package runs from, or None."""
    here = Path(__file__).resolve().parent
    try:
        answer = subprocess.run(
            ['git', '-C', str(here), 'rev-parse', 'HEAD'],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
