"""The result files and their formats.  Everything is written whole or not at all."""

import contextlib
import errno
import hashlib
import io
import json
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

COLUMNS = (
    'condition',
    'train_distribution',
    'predictor',
    'repeat',
    'test_distribution',
    'metric',
    'value',
)


# What a file is called until it is complete; a process that is killed leaves such files behind.
PARTIAL = '.partial'


@contextlib.contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that appears under `path` complete, when the block ends without error.

    Raises:
      OSError: the folder cannot be written or the disk is full; `path` is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{secrets.token_hex(4)}{PARTIAL}')
    try:
        with open(temporary, 'xb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_partial(folder: Path) -> None:
    """Removes what a killed process left half-written anywhere in a folder."""
    for path in folder.rglob(f'.*{PARTIAL}'):
        path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole."""
    with whole(path) as file:
        file.write(content)


def write_json(path: Path, value: Any) -> None:
    """Writes a value as JSON."""
    write_bytes(path, (json.dumps(value, indent=2) + '\n').encode())


def append(path: Path, content: bytes) -> None:
    """Adds to a file that grows; a process that is killed may leave it with a part of this.

    Raises:
      OSError: it cannot be written, is a link or no regular file, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not through a link: what it leads to is not ours to grow. A pipe would hang.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(path, flags, 0o666), 'ab') as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, 'it is no regular file', str(path))
        file.write(content)


def is_plain(path: Path) -> bool:
    """Whether there is a regular file of this name, and not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def json_lines(rows: Sequence[dict[str, Any]]) -> bytes:
    """Rows as one JSON object a line; a value that is not finite becomes null."""
    lines = [json.dumps(finite(row), allow_nan=False) + '\n' for row in rows]
    return ''.join(lines).encode()


def finite(row: dict[str, Any]) -> dict[str, Any]:
    """A row with None for every value that is not finite."""
    return {
        key: None if isinstance(value, float) and not np.isfinite(value) else value
        for key, value in row.items()
    }


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays as a compressed .npz."""
    # Within the archive every array carries the same fixed date: equal arrays, equal bytes. Made in
    # memory, since an archive that meets a full disk fails a second time, with a traceback.
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())


def results_csv(table: pd.DataFrame) -> bytes:
    """The bytes of results.csv: one value a row, in full precision."""
    buffer = io.StringIO()
    table.to_csv(buffer, index=False, columns=list(COLUMNS), lineterminator='\n', na_rep='nan')
    return buffer.getvalue().encode()


def sha256(path: Path) -> str:
    """A file's SHA-256, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
