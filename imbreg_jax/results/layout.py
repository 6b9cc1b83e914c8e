"""What is ours in a workdir; nothing else in it is ever written or removed."""

import os
import re
import stat
from pathlib import Path

from imbreg_jax.results import files, kept_tables

# What a finished study is told by; all else is made from these.
RESULT_FILES = ('metrics.jsonl', 'results.csv', 'predictions.npz', 'weights.npz')
FILES = ('config.json', 'plan.json', *RESULT_FILES, 'report.html')
SHARDS = 'shards'
FOLDERS = (
    'checkpoints', 'tables', 'figures', 'tensorboard', 'profile', kept_tables.FOLDER, SHARDS
)  # fmt: skip
# What is left of a shard, beside a file for each of its units.
SHARD_FILES = ('metrics.jsonl', 'results.csv')
LOCK = '.lock'
# Files that a killed process may leave half-written: where, and what they were to be called.
_WRITTEN = {
    '.': re.compile('|'.join(map(re.escape, FILES))),
    'checkpoints': re.compile(r'unit_\d+\.npz|epochs\.jsonl|tracking\.json'),
    'tables': re.compile(r'.+\.(md|csv)'),
    'figures': re.compile(r'.+\.(svg|png)'),
    'tensorboard/*/*': re.compile(r'events\..+'),
    'tensorboard/*/*/*': re.compile(r'events\..+'),
    kept_tables.FOLDER: re.compile(r'[0-9a-f]+\.f64'),
}
# All that a first start leaves that is killed before config.json is there.
_FIRST = re.compile(rf'{re.escape(LOCK)}|config\.json')


class WorkdirError(RuntimeError):
    """A workdir that cannot be used; the text is one sentence that says what to do."""


class InUseError(WorkdirError):
    """A workdir that a live process uses."""


def refuse_name(named: str) -> None:
    """Refuses what no workdir can be called.

    Args:
      named: the folder as it was named.

    Raises:
      WorkdirError: it is empty, or checkpoints could not be kept under it.
    """
    if not named:
        raise WorkdirError(
            'an empty name is no workdir; name a folder with --workdir=DIR, or leave the flag out'
        )
    path = str(Path(named).absolute())
    try:
        path.encode()
    except UnicodeEncodeError:
        raise WorkdirError(
            f'workdir {path!a} has a name that is not UTF-8, which checkpoints cannot be kept '
            'under; name another with --workdir=DIR'
        ) from None


def refuse_foreign(folder: Path, of_shards: bool = False) -> None:
    """Refuses a folder without a config.json that is neither new nor empty.

    Args:
      folder: the folder.
      of_shards: whether it may hold shards.

    Raises:
      WorkdirError: it holds files of somebody else, or a workdir's without its config.json.
      OSError: it cannot be read or is no folder.
    """
    held = files.foreign(folder, _FIRST)
    if held == [SHARDS]:
        if of_shards:
            return
        raise WorkdirError(unmerged(folder))
    if held:
        ours = [name for name in held if name in (*FILES, *FOLDERS)]
        back = ', or, if it is a workdir, put its config.json back' if ours else ''
        raise WorkdirError(
            f'workdir {folder} holds {files.listed(ours or held)} and no config.json that says of '
            'what study, so nothing in it is touched; name a new or an empty folder with '
            f'--workdir=DIR{back}'
        )


def unmerged(folder: Path) -> str:
    """What to do about a workdir that holds a study's shards, where a whole one is wanted."""
    return (
        f'workdir {folder} holds shards of a study; start those that are missing with '
        f'--shard=NUMBER/OF, merge them with python -m imbreg_jax.merge --workdir={folder}, or '
        'name another with --workdir=DIR'
    )


def refuse_other_kinds(folder: Path) -> None:
    """Refuses a workdir in which a file of ours is no file, or a folder of ours no folder.

    Raises:
      WorkdirError: it has such.
    """
    kinds = [(folder / name, 'folder') for name in FOLDERS]
    kinds += [(folder / name, 'file') for name in FILES]
    checkpoints = folder / 'checkpoints'
    if _is_kind(checkpoints, 'folder'):
        kinds += [
            (checkpoints / name, 'file')
            for name in os.listdir(checkpoints)
            if _WRITTEN['checkpoints'].fullmatch(name)
        ]
    for path, wanted in kinds:
        # A file that is a link is replaced when it is written, and its target stays.
        if os.path.lexists(path) and not _is_kind(path, wanted):
            raise WorkdirError(
                f'{path} is no {wanted} as studies leave it, so nothing in the workdir is '
                'touched; put it back, or name another with --workdir=DIR'
            )


def remove_partial(folder: Path) -> None:
    """Clears away what a killed process left half-written in a workdir."""
    for place, names in _WRITTEN.items():
        for each in _real_folders(folder, place):
            files.remove_partial(each, names)


def _is_kind(path: Path, wanted: str) -> bool:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if wanted == 'folder':
        return stat.S_ISDIR(mode)
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def _real_folders(root: Path, place: str) -> list[Path]:
    """The folders at a place below a root, where '*' stands for any; none behind a link."""
    found = [root]
    for part in Path(place).parts:
        below = [
            Path(entry)
            for folder in found
            for entry in (os.scandir(folder) if part == '*' else [folder / part])
        ]
        found = [path for path in below if path.is_dir() and not path.is_symlink()]
    return found
