"""A workdir: its lock, what study and plan it belongs to, and where its files are."""

import datetime
import errno
import fcntl
import functools
import importlib.metadata
import json
import logging
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from imbreg_jax.compute import environment
from imbreg_jax.results import checkpoints, files
from imbreg_jax.study import Study, differences

FORMAT = 1
# What a finished study is told by; all else is made from these.
RESULT_FILES = ('metrics.jsonl', 'results.csv', 'predictions.npz', 'weights.npz')

logger = logging.getLogger('imbreg_jax')


class WorkdirError(RuntimeError):
    """A workdir that cannot be used; the text is one sentence that says what to do."""


class Workdir:
    """A study's folder.  Use as a context manager: it is locked meanwhile.

    Attributes:
      path: the folder; the other paths are its files.
      held: what config.json holds once `check` has read it, or None.
      killed: who was using the folder before and ended without a word, or ''.
    """

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
        self.tensorboard = self.path / 'tensorboard'
        self.profile = self.path / 'profile'
        self.held: dict[str, Any] | None = None
        self.killed = ''
        self._lock: Any = None

    def __enter__(self) -> 'Workdir':
        """Makes and locks the folder, and clears away what a killed process left half-written.

        Raises:
          WorkdirError: it cannot be written, or a live process uses it.
          OSError: the disk is full.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / '.lock', 'a+', encoding='utf-8')
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise WorkdirError(
                f'workdir {self.path} cannot be written ({error.strerror}); name another with '
                '--workdir=DIR'
            ) from error
        try:
            self._acquire()
            self.killed = self._read_note()
            self._lock.truncate(0)
            self._lock.write(f'process {os.getpid()} on {platform.node()}, begun {now()}')
            self._lock.flush()
            files.remove_partial(self.path)
        except BaseException:
            self._lock.close()
            raise
        return self

    def _acquire(self) -> None:
        try:
            # The kernel releases the lock when its process ends, however it ends.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                logger.warning(
                    'the file system of %s has no locks: see to it yourself that no two processes '
                    'use it at once', self.path,
                )  # fmt: skip
                return
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise WorkdirError(
                f'workdir {self.path} is in use by a live process ({self._read_note() or "unknown"}'
                '); wait for it, or name another with --workdir=DIR'
            ) from error

    def _read_note(self) -> str:
        self._lock.seek(0)
        try:
            return self._lock.read(1000).strip()
        except ValueError:  # not UTF-8: no note of ours
            return 'unknown'

    def end(self) -> None:
        """Notes that whoever uses the folder now ends knowingly; see `killed`."""
        if self._lock is not None and not self._lock.closed:
            os.ftruncate(self._lock.fileno(), 0)

    def __exit__(self, *_: object) -> None:
        """Unlocks the folder."""
        self.end()
        self._lock.close()

    def check(self, study: Study) -> None:
        """Reads what the folder holds and refuses another study.

        Raises:
          WorkdirError: it holds another config, a format that this version does not know, or
            checkpoints of which nothing says to what config or plan they belong.
        """
        begun = self.begun()
        if not self.config.exists():
            if begun:
                raise WorkdirError(
                    f'workdir {self.path} has checkpoints and no config.json that says of what; '
                    'put it back, or name another with --workdir=DIR'
                )
            return
        held = read_config(self.config)
        try:
            changed = differences(held['config'], study)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WorkdirError(
                f'{self.config} holds a config that this version cannot read ({error}); name '
                'another --workdir=DIR'
            ) from error
        if changed:
            raise WorkdirError(
                f'workdir {self.path} holds another config ({"; ".join(changed)}); name another '
                'with --workdir=DIR'
            )
        self.held = held

    def begun(self) -> bool:
        """Whether anything trained is kept here."""
        return bool(checkpoints.names(self.checkpoints))

    def read_plan(self) -> dict[str, Any] | None:
        """The plan that the study was begun under, as plain values, or None before its start.

        Raises:
          WorkdirError: it is damaged, or missing although something was trained under it.
        """
        try:
            return json.loads(self.plan.read_text('utf-8'))
        except FileNotFoundError:
            if not self.begun():
                return None
            reason = 'missing'
        except (OSError, ValueError) as error:
            reason = f'unreadable ({error})'
        raise WorkdirError(
            f'{self.plan} is {reason}, and a study resumed under another plan would end with other '
            'digits; put it back, or name another --workdir=DIR'
        )

    def write_config(
        self,
        study: Study,
        devices: list[str],
        backend: str,
        timing: dict[str, Any],
        finished: bool = False,
    ) -> None:
        """Writes config.json: the resolved config, and on what it ran.

        Args:
          study: the study.
          devices: names of the devices.
          backend: 'cpu', 'gpu' or 'tpu'.
          timing: when it started and what it took.
          finished: whether the result files are complete; their digests are then kept.
        """
        here = {
            'versions': versions(),
            'devices': devices,
            'git_commit': git_commit(),
            'arithmetic': environment.arithmetic(),
        }
        history = (self.held or {}).get('history') or []
        if not self.begun() or not history:
            history = [here]
        elif history[-1] != here:
            history = [*history, here]
        held = {
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
                law.name: {'label': law.label, 'spec': law.spec} for law in study.test_distributions
            },
            'timing': timing,
            # Under which versions and where it was trained, part by part; mostly one entry.
            'history': history,
        }
        if finished:
            held['finished'] = {name: files.sha256(self.path / name) for name in RESULT_FILES}
        self._write(held)

    def write_analysis(self, study: Study) -> None:
        """Takes over into config.json how a finished study is to be analysed from now on."""
        assert self.held is not None
        analysis = {key: study.resolved[key] for key in ('name', 'analysis')}
        if self.held['config'] | analysis != self.held['config']:
            self._write(self.held | {'config': self.held['config'] | analysis})

    def damaged(self) -> list[str] | None:
        """Which result files of a finished study changed since; None where it is not finished."""
        digests = (self.held or {}).get('finished')
        if not isinstance(digests, dict):
            return None
        damaged = []
        for name in RESULT_FILES:
            try:
                sound = files.sha256(self.path / name) == digests.get(name)
            except OSError:
                sound = False
            if not sound:
                damaged.append(name)
        return damaged

    def _write(self, held: dict[str, Any]) -> None:
        files.write_json(self.config, held)
        self.held = held


def read_config(path: Path) -> dict[str, Any]:
    """The content of a config.json.

    Raises:
      WorkdirError: it is damaged, or of a format that this version does not know.
    """
    try:
        held = json.loads(path.read_text('utf-8'))
        version = int(held['format'])
        held['config'].keys()
    except FileNotFoundError:
        raise WorkdirError(f'{path} is not there: no study has been started here') from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkdirError(
            f'{path} cannot be read as a config ({type(error).__name__}: {error}); put it back, or '
            'name another --workdir=DIR'
        ) from error
    if version > FORMAT:
        raise WorkdirError(
            f'workdir {path.parent} has format {version}, and this version of imbreg_jax knows up '
            f'to {FORMAT}; use the version that wrote it, or another --workdir'
        )
    return held


def changes(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What differs between two entries of a config.json's history, as text."""

    def flat(entry: dict[str, Any]) -> dict[str, Any]:
        others = {key: entry[key] for key in ('devices', 'git_commit')}
        return entry['versions'] | others | entry.get('arithmetic', {})

    old, new = flat(before), flat(after)
    return ', '.join(
        f'{key} {old.get(key)} -> {new.get(key)}'
        for key in old | new
        if old.get(key) != new.get(key)
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


@functools.cache
def git_commit() -> str | None:
    """The commit of the checkout that the package runs from, or None.

    Asked once: what runs is what was imported, whatever is committed meanwhile.
    """
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
