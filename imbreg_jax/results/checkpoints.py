"""Checkpoints: Orbax arrays, a JSON position, and a SHA-256 manifest over both.

Orbax's own metadata carries no checksum, so a flipped bit would be restored as a number.  A
checkpoint is a folder `step_<n>`; it is made under another name and renamed when complete.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imbreg_jax.results import files

MANIFEST = 'manifest.json'
POSITION = 'position.json'
ARRAYS = 'arrays'
_NAME = re.compile(r'step_(\d{12})')


class CheckpointError(RuntimeError):
    """Checkpoints are there, and none can be used; the text is one sentence."""


class Checkpoint(NamedTuple):
    """A restored checkpoint.

    Attributes:
      arrays: in the order in which they were saved.
      position: the JSON value saved with them.
      damaged: names of newer checkpoints that could not be used, with the reason.
    """

    arrays: list[np.ndarray]
    position: dict[str, Any]
    damaged: list[str]


def save(
    folder: Path, step: int, arrays: Sequence[np.ndarray], position: dict[str, Any], keep: int
) -> Path:
    """Saves a checkpoint and removes all but the newest `keep`.

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
    import orbax.checkpoint as ocp

    folder.mkdir(parents=True, exist_ok=True)
    for remains in folder.glob('.step_*'):
        shutil.rmtree(remains, ignore_errors=True)
    final = folder / f'step_{step:012d}'
    temporary = folder / f'.step_{step:012d}.{os.getpid()}'
    try:
        temporary.mkdir()
        tree = {f'{i:06d}': np.asarray(a) for i, a in enumerate(arrays)}
        if tree:  # Orbax refuses an empty one; between units there is nothing to save.
            with ocp.PyTreeCheckpointer() as checkpointer:
                checkpointer.save(temporary.absolute() / ARRAYS, tree)
        files.write_json(temporary / POSITION, position)
        files.write_json(temporary / MANIFEST, _digests(temporary))
        if final.exists():
            shutil.rmtree(final)
        os.replace(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    for old in names(folder)[:-keep]:
        shutil.rmtree(folder / old, ignore_errors=True)
    return final


def names(folder: Path) -> list[str]:
    """The checkpoints in a folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name))


def restore(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole.

    Returns:
      The checkpoint, or None where there has never been one.

    Raises:
      CheckpointError: there are checkpoints, and every one is damaged.
    """
    damaged: list[str] = []
    for name in reversed(names(folder)):
        reason = _fault(folder / name)
        if reason is None:
            return Checkpoint(*_read(folder / name), damaged)
        damaged.append(f'{name} ({reason})')
    if damaged:
        raise CheckpointError(
            f'no checkpoint in {folder} can be used: {", ".join(damaged)}; to train from the start, '
            'remove that folder or name another --workdir'
        )
    return None


def _read(path: Path) -> tuple[list[np.ndarray], dict[str, Any]]:
    import orbax.checkpoint as ocp

    position = json.loads((path / POSITION).read_text('utf-8'))
    if not (path / ARRAYS).exists():
        return [], position
    with ocp.PyTreeCheckpointer() as checkpointer:
        tree = checkpointer.restore(path.absolute() / ARRAYS)
    return [np.asarray(tree[key]) for key in sorted(tree)], position


def _fault(path: Path) -> str | None:
    """What is wrong with a checkpoint, or None."""
    try:
        expected = json.loads((path / MANIFEST).read_text('utf-8'))
    except FileNotFoundError:
        return f'{MANIFEST} is missing'
    except (OSError, ValueError) as error:
        return f'{MANIFEST} cannot be read: {error}'
    found = _digests(path)
    for name, digest in expected.items():
        if name not in found:
            return f'{name} is missing'
        if found[name] != digest:
            return f'{name} is damaged'
    return None


def _digests(path: Path) -> dict[str, str]:
    inside = sorted(p for p in path.rglob('*') if p.is_file() and p.name != MANIFEST)
    return {
        str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in inside
    }
