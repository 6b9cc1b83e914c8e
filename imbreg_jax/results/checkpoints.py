"""Checkpoints: Orbax arrays, a JSON position, and a SHA-256 manifest over both.

Orbax's own metadata carries no checksum, so a flipped bit would be restored as a number.  A
checkpoint is a folder `step_<n>`; it is made under another name and renamed when complete, and
renamed again before it is removed, so that a folder of that name is never half of one.
"""

import errno
import os
import re
import resource
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imbreg_jax.results import files

MANIFEST = 'manifest.json'
POSITION = 'position.json'
ARRAYS = 'arrays'
# As one file, of a process that has joined others: there Orbax writes plain arrays in the first.
ARRAYS_OF_ONE = 'arrays.npz'
# Bytes that Orbax's metadata take, generously.
_OVERHEAD = 2**18
_NAME = re.compile(r'step_(\d{12})')
# Errors of a file system, which TensorStore raises as other exceptions that quote their text.
_FILE_SYSTEM_ERRORS = tuple(
    getattr(errno, name)
    for name in ('ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EACCES', 'EPERM', 'EIO')
)


class CheckpointError(RuntimeError):
    """Checkpoints are there, and none can be used; the text is one sentence."""


class Checkpoint(NamedTuple):
    """A restored checkpoint.

    Attributes:
      name: its folder's name.
      arrays: in the order in which they were saved.
      position: the JSON value saved with them.
      damaged: names of newer checkpoints that could not be used, with the reason.
    """

    name: str
    arrays: list[np.ndarray]
    position: dict[str, Any]
    damaged: list[str]


def save(
    folder: Path, step: int, arrays: Sequence[np.ndarray], position: dict[str, Any], keep: int
) -> Path:
    """Saves a checkpoint and removes all but the newest `keep`.

    Checkpoints of later steps are removed too: they were damaged, or the study would have gone on
    from them.

    Args:
      folder: where checkpoints are.
      step: orders them; a checkpoint of the same step is replaced.
      arrays: what to save.
      position: a JSON value to save with them.
      keep: how many checkpoints stay.

    Returns:
      The checkpoint's folder.

    Raises:
      OSError: the folder cannot be written or the disk is full; older checkpoints stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for remains in folder.glob('.step_*'):
        shutil.rmtree(remains, ignore_errors=True)
    final = folder / f'step_{step:012d}'
    temporary = folder / f'.step_{step:012d}.{os.getpid()}'
    try:
        temporary.mkdir()
        if arrays:  # Orbax refuses an empty tree; between units there is nothing to save.
            _write(temporary, arrays)
        files.write_json(temporary / POSITION, position)
        files.write_json(temporary / MANIFEST, _digests(temporary))
        if final.exists():
            _remove(final)
        os.replace(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    present = names(folder)
    place = present.index(final.name)
    for name in present[: max(0, place + 1 - keep)] + present[place + 1 :]:
        _remove(folder / name)
    return final


def names(folder: Path) -> list[str]:
    """The checkpoints in a folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name))


def restore(
    folder: Path, unusable: Callable[[dict[str, Any]], str | None] = lambda position: None
) -> Checkpoint | None:
    """The newest checkpoint that is whole.

    Args:
      folder: where checkpoints are.
      unusable: says of a position what else is wrong with its checkpoint, or None.

    Returns:
      The checkpoint, or None where there has never been one.

    Raises:
      CheckpointError: there are checkpoints, and every one is damaged.
    """
    damaged: list[str] = []
    for name in reversed(names(folder)):
        path = folder / name
        reason = _fault(path)
        if reason is None:
            position = files.read_json(path / POSITION, files.MOST_BYTES)
            reason = unusable(position)
        if reason is None:
            return Checkpoint(name, _read(path), position, damaged)
        damaged.append(f'{name} ({reason})')
    if damaged:
        raise CheckpointError(
            f'no checkpoint in {folder} can be used: {", ".join(damaged)}; to train from the '
            'start, remove that folder or name another --workdir'
        )
    return None


def _write(checkpoint: Path, arrays: Sequence[np.ndarray]) -> None:
    import jax

    if jax.process_count() == 1:
        _write_arrays(checkpoint / ARRAYS, arrays)
    else:
        files.write_arrays(checkpoint / ARRAYS_OF_ONE, _tree(arrays))


def _read(checkpoint: Path) -> list[np.ndarray]:
    path = checkpoint / ARRAYS_OF_ONE
    if not path.exists():
        return _read_arrays(checkpoint / ARRAYS)
    tree = files.read_arrays(files.read_regular(path))
    return [tree[key] for key in sorted(tree)]


def _tree(arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return {f'{i:06d}': np.asarray(a) for i, a in enumerate(arrays)}


def _write_arrays(path: Path, arrays: Sequence[np.ndarray]) -> None:
    import orbax.checkpoint as ocp

    tree = _tree(arrays)
    # Orbax meets a full disk in threads of its own, which say so at length; likewise `ulimit -f`,
    # under which most of a checkpoint may be one file.
    size = sum(a.nbytes for a in tree.values())
    largest, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if largest != resource.RLIM_INFINITY and largest < size + _OVERHEAD // 4:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path.parent.parent))
    needed = 2 * size + _OVERHEAD
    if shutil.disk_usage(path.parent).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path.parent.parent))
    try:
        with ocp.PyTreeCheckpointer() as checkpointer:
            checkpointer.save(path.absolute(), tree)
    except OSError:
        raise
    except Exception as error:
        for number in _FILE_SYSTEM_ERRORS:
            if os.strerror(number) in str(error):
                raise OSError(number, os.strerror(number), str(path.parent.parent)) from error
        raise


def _read_arrays(path: Path) -> list[np.ndarray]:
    import orbax.checkpoint as ocp

    if not path.exists():
        return []
    own = ocp.multihost.process_index()
    # It may have joined others, which are not to wait for it.
    alone = ocp.options.MultiprocessingOptions(primary_host=own, active_processes={own})
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    try:
        with ocp.Checkpointer(handler, multiprocessing_options=alone) as checkpointer:
            tree = checkpointer.restore(path.absolute())
    except Exception as error:
        # Its bytes are as they were written, so it is this version of Orbax that cannot read them.
        raise CheckpointError(
            f'{path} is undamaged, but the installed version of orbax-checkpoint cannot read it '
            f'({" ".join(str(error).split())[:200]}); resume with the versions in '
            "config.json's history, or "
            'name another --workdir'
        ) from error
    return [np.asarray(tree[key]) for key in sorted(tree)]


def _remove(path: Path) -> None:
    doomed = path.with_name(f'.{path.name}.{os.getpid()}.removed')
    os.replace(path, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _fault(path: Path) -> str | None:
    """What is wrong with a checkpoint, or None."""
    try:
        expected = files.read_json(path / MANIFEST)
        found = _digests(path)
    except FileNotFoundError:
        return f'{MANIFEST} is missing'
    except (OSError, ValueError) as error:
        return f'{MANIFEST} cannot be read: {error}'
    if not isinstance(expected, dict) or POSITION not in expected:
        return f'{MANIFEST} is damaged'
    for name, digest in expected.items():
        if name not in found:
            return f'{name} is missing'
        if found[name] != digest:
            return f'{name} is damaged'
    return None


def _digests(path: Path) -> dict[str, str]:
    inside = sorted(p for p in path.rglob('*') if p.is_file() and p.name != MANIFEST)
    return {str(p.relative_to(path)): files.sha256(p) for p in inside}
