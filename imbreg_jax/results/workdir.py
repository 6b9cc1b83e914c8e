"""A workdir: its lock, what study and plan it belongs to, and where its files are."""

import errno
import hashlib
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imbreg_jax.compute import environment
from imbreg_jax.results import checkpoints, files, kept_tables, layout
from imbreg_jax.results.layout import RESULT_FILES, SHARD_FILES, WorkdirError
from imbreg_jax.results.lock import Lock
from imbreg_jax.results.provenance import git_commit, now, versions
from imbreg_jax.study import Run, Study, adopt, differences, restore
from imbreg_jax.study.shards import Shard

FORMAT = 1
# Fields of a plan that change no number.
_FREE = ('cached', 'rendered', 'bytes_predicted')


class Workdir:
    """A study's folder.  Use as a context manager: it is locked meanwhile.

    Attributes:
      path: the folder; the other paths are its files.
      held: what config.json holds once `check` has read it, or None.
      killed: who was using the folder before and ended without a word, or ''.
      shard: which of a study's shards it is the folder of, or None.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shard: Shard | None = None,
        of_shards: bool = False,
    ):
        """Makes nothing yet.

        Args:
          path: the folder; made when entered.
          shard: which of a study's shards it is for; None for a whole study.
          of_shards: whether it holds a study's shards, and will hold what is merged of them.
        """
        self._named = os.fspath(path)
        self.shard = shard
        self._of_shards = of_shards
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
        self._lock: Lock | None = None

    def __enter__(self) -> 'Workdir':
        """Makes and locks the folder, and clears away what a killed process left half-written.

        Looks before it touches: a folder that holds anything and is no workdir stays as it is.

        Raises:
          InUseError: a live process uses it.
          WorkdirError: it holds files of somebody else or cannot be written.
          OSError: the disk is full.
        """
        try:
            self._look()
            self.path.mkdir(parents=True, exist_ok=True)
            lock = Lock(self.path)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise WorkdirError(
                f'workdir {self.path} cannot be written ({error.strerror}); name another with '
                '--workdir=DIR'
            ) from error
        try:
            lock.take(now())
            layout.remove_partial(self.path)
        except BaseException:
            lock.release()
            raise
        self._lock, self.killed = lock, lock.killed
        return self

    def _look(self) -> None:
        """Refuses a folder that is neither new, nor empty, nor a workdir.

        Raises:
          WorkdirError: it is not.
          OSError: it cannot be read or is no folder.
        """
        layout.refuse_name(self._named)
        if not os.path.lexists(self.config):
            layout.refuse_foreign(self.path, self._of_shards)
            return
        read_config(self.config)
        layout.refuse_other_kinds(self.path)

    def look(self, study: Study) -> Study:
        """What `check` returns, of a folder that is neither made nor locked; raises as a start."""
        try:
            self._look()
        except OSError as error:
            raise WorkdirError(
                f'workdir {self.path} cannot be read ({error.strerror}); name another with '
                '--workdir=DIR'
            ) from error
        return self.check(study)

    def end(self) -> None:
        """Notes that whoever uses the folder now ends knowingly; see `killed`."""
        if self._lock is not None:
            self._lock.end()

    def __exit__(self, *_: object) -> None:
        """Unlocks the folder."""
        self.end()
        if self._lock is not None:
            self._lock.release()

    def check(self, study: Study) -> Study:
        """Reads what the folder holds and refuses another study.

        Returns:
          The study as it goes on here: what has been called something once keeps that name.

        Raises:
          WorkdirError: it holds another config, another part of one, a format that this version
            does not know, or checkpoints of which nothing says to what config or plan they belong.
        """
        begun = self.begun()
        if not self.config.exists():
            if begun:
                raise WorkdirError(
                    f'workdir {self.path} has checkpoints and no config.json that says of what; '
                    'put it back, or name another with --workdir=DIR'
                )
            return study
        held = read_config(self.config)
        self._refuse_other_parts(held)
        if held['config'] == study.resolved and len(study.conditions) > 1:
            # Word for word the same, as each of a thousand shards has it; an only condition may yet
            # have had another name.
            self.held = held
            return study
        try:
            before = restore(held)
            changed = differences(before, study)
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
        return adopt(study, before)

    def _refuse_other_parts(self, held: dict[str, Any]) -> None:
        """Refuses a shard for a whole study, a whole study for shards, and the like."""
        part = held.get('shard')
        if self.shard is None and part is not None:
            raise WorkdirError(
                f'workdir {self.path} is that of shard {part["number"]} of {part["of"]} of a '
                "study; name the study's own with --workdir=DIR"
            )
        if self.shard is not None and (
            part is None or (part['number'], part['of']) != tuple(self.shard)
        ):
            raise WorkdirError(
                f'{self.path} is not the folder of shard {self.shard.number} of {self.shard.of}, '
                'as its name says; put it back where it was, or remove it'
            )
        if self._of_shards and 'shards' not in held:
            raise WorkdirError(
                f'workdir {self.path} holds a study that was begun whole; go on without shards '
                '(--shard=1/1), or name another with --workdir=DIR'
            )
        if 'shards' in held and not self._of_shards and self._damaged(held) != []:
            raise WorkdirError(layout.unmerged(self.path))

    def begun(self) -> bool:
        """Whether anything trained is kept here."""
        return bool(checkpoints.names(self.checkpoints))

    def read_plan(self) -> dict[str, Any] | None:
        """The plan that the study was begun under, as plain values.

        Returns:
          The plan, or None where nothing was trained under one and none can be read.

        Raises:
          WorkdirError: it is damaged or missing although something was trained under it.
        """
        try:
            held = files.read_json(self.plan)
            if not isinstance(held, dict):
                reason = 'no plan'
            elif 'digest' not in held:  # of before plans had one
                return held
            else:
                digest = held.pop('digest')
                if digest == files.json_digest(held):
                    return held
                reason = 'not as it was written'
        except FileNotFoundError:
            reason = 'missing'
        except (OSError, ValueError) as error:
            reason = f'unreadable ({error})'
        if not self.begun():
            return None
        raise WorkdirError(
            f'{self.plan} is {reason}, and a study resumed under another plan would end with other '
            'digits; put it back, or name another --workdir=DIR'
        )

    def write_plan(self, values: dict[str, Any]) -> None:
        """Writes a plan down, given as plain values."""
        files.write_json(self.plan, values | {'digest': files.json_digest(values)})

    def write_config(
        self,
        study: Study,
        devices: list[str],
        backend: str,
        timing: dict[str, Any],
        finished: bool = False,
        units: Sequence[Sequence[Run]] = (),
    ) -> None:
        """Writes config.json: the resolved config, and on what it ran.

        Args:
          study: the study.
          devices: names of the devices.
          backend: 'cpu', 'gpu' or 'tpu'.
          timing: when it started and what it took.
          finished: whether the result files are complete; their digests are then kept.
          units: of a finished shard, the runs of each unit, in whose files their arrays are.
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
                    # Of a table it names no path: two studies of one table have one law.
                    'spec': condition.distribution.identity,
                    'imbalance': study.imbalance[condition.name],
                }
                for condition in study.conditions
            },
            'test_distributions': {
                law.name: {'label': law.label, 'spec': law.identity}
                for law in study.test_distributions
            },
            'timing': timing,
            # Under which versions and where it was trained, part by part; mostly one entry.
            'history': history,
        }
        if self.shard is not None:
            runs = [[list(map(int, run)) for run in unit] for unit in units]
            held['shard'] = self.shard._asdict() | {'units': runs}
        if finished:
            self.finish(held)
        else:
            self.write_held(held)
        # After config.json: without it nothing says that the folder is a workdir.
        kept_tables.write(self.path, study)

    def write_analysis(self, study: Study) -> None:
        """Takes over into config.json how a finished study is to be analysed from now on."""
        assert self.held is not None
        analysis = {key: study.resolved[key] for key in ('name', 'analysis')}
        if self.held['config'] | analysis != self.held['config']:
            self.write_held(self.held | {'config': self.held['config'] | analysis})

    def damaged(self) -> list[str] | None:
        """Which result files of a finished study changed since; None where it is not finished."""
        return self._damaged(self.held or {})

    def _damaged(self, held: dict[str, Any]) -> list[str] | None:
        digests = held.get('finished')
        if not isinstance(digests, dict):
            return None
        damaged = []
        for name in result_files(held):
            try:
                sound = files.sha256(self.path / name) == digests.get(name)
            except OSError:
                sound = False
            if not sound:
                damaged.append(name)
        return damaged

    def finish(self, held: dict[str, Any]) -> None:
        """Writes config.json with this content and the digests of the result files."""
        digests = {name: files.sha256(self.path / name) for name in result_files(held)}
        self.write_held(held | {'finished': digests})

    def write_held(self, held: dict[str, Any]) -> None:
        """Writes config.json with this content."""
        held = {key: value for key, value in held.items() if key != 'digest'}
        held['digest'] = files.json_digest(held)
        files.write_json(self.config, held)
        self.held = held


def result_files(held: dict[str, Any]) -> list[str]:
    """What a study or shard is told by once it is finished, from its config.json's content."""
    if 'shard' not in held:
        return list(RESULT_FILES)
    units = [unit_name(number) for number in range(len(held['shard']['units']))]
    return [*SHARD_FILES, *units]


def unit_name(number: int) -> str:
    """Where in a workdir a finished unit's arrays are."""
    return f'checkpoints/unit_{number:04d}.npz'


def binding(plan: dict[str, Any]) -> dict[str, Any]:
    """What of a plan, given as plain values, numbers may depend on; kept with each checkpoint."""
    return {key: value for key, value in plan.items() if key not in _FREE}


def is_workdir(folder: Path) -> bool:
    """Whether a study was started in a folder, as its config.json says."""
    try:
        read_config(folder / 'config.json')
    except WorkdirError:
        return False
    return True


def read_config(
    path: Path, advice: str = 'put it back, or name another --workdir=DIR'
) -> dict[str, Any]:
    """The content of a config.json.

    Args:
      path: the file.
      advice: what to do about one that cannot be used.

    Raises:
      WorkdirError: it is damaged, of no study, or of a format that this version does not know.
    """
    try:
        held = files.read_json(path)
        version = int(held['format'])
        config = held['config']
        if not (
            all(isinstance(config[name], int) for name in ('seed', 'repeats'))
            and all(isinstance(config[name], dict) for name in ('data', 'model', 'training'))
        ):
            raise ValueError('it is of no study')
    except FileNotFoundError:
        raise WorkdirError(f'{path} is not there: no study has been started here') from None
    except OSError as error:
        raise WorkdirError(f'{path} cannot be read ({error.strerror}); {advice}') from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise WorkdirError(
            f'{path} cannot be read as a config ({type(error).__name__}: {error}); {advice}'
        ) from error
    if version > FORMAT:
        raise WorkdirError(
            f'workdir {path.parent} has format {version}, and this version of imbreg_jax knows up '
            f'to {FORMAT}; use the version that wrote it, or another workdir'
        )
    content = {key: value for key, value in held.items() if key != 'digest'}
    # Before configs had a digest, they had none.
    if held.get('digest', files.json_digest(content)) != files.json_digest(content):
        raise WorkdirError(f'{path} is not as it was written; {advice}')
    return held


def read_finished(folder: Path) -> dict[str, Any]:
    """The content of the config.json of a finished study.

    Raises:
      WorkdirError: the study is not finished, or its config.json cannot be used.
    """
    if folder.exists() and not folder.is_dir():
        raise WorkdirError(f'{folder} is no folder; name that of a finished study')
    held = read_config(folder / 'config.json', 'put it back')
    if not isinstance(held.get('finished'), dict):
        raise WorkdirError(
            f'the study in {folder} is not finished; train it with the same command to its end'
        )
    return held


def read_result(folder: Path, held: dict[str, Any], name: str) -> bytes:
    """The bytes of a finished study's result file, which are those that the study left.

    Args:
      folder: the workdir.
      held: what its config.json holds.
      name: one of `RESULT_FILES`.

    Raises:
      WorkdirError: the study is not finished, or the file is missing or not as it was.
    """
    path = folder / name
    finished = held.get('finished')
    if not isinstance(finished, dict) or name not in finished:
        if 'shard' in held:
            raise WorkdirError(
                f'{folder} holds shard {held["shard"]["number"]} of {held["shard"]["of"]} of a '
                "study, which has its results once they are merged; name the study's own folder"
            )
        raise WorkdirError(
            f'{path} is not there as a whole: the study in this folder is not finished; train it '
            'with the same command to its end'
        )
    advice = "put it back, or give the study's command again, which makes it from the checkpoints"
    try:
        content = files.read_regular(path)
    except FileNotFoundError:
        raise WorkdirError(
            f'{path} is not there, although the study in this folder was finished; {advice}'
        ) from None
    except OSError as error:
        raise WorkdirError(f'{path} cannot be read ({error.strerror}); {advice}') from error
    if hashlib.sha256(content).hexdigest() != finished[name]:
        raise WorkdirError(f'{path} is not as the study left it; {advice}')
    return content


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
