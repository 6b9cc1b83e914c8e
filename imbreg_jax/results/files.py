"""The result files and their formats.  Everything is written whole or not at all."""

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import secrets
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
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
# What a file may have at most, so that one that somebody swapped cannot fill the memory: files of
# settings and positions, and the arrays of the largest study that a config may ask for.
MOST_TEXT = 2**28
MOST_BYTES = 2**35
_BLOCK = 2**22


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


def remove_partial(folder: Path, name: re.Pattern[str]) -> None:
    """Removes what a killed process left half-written in a folder.

    Args:
      folder: the folder; nothing is done where it is none, and what lies below it stays.
      name: what files of ours are called here; whatever has another name stays, and so does what
        is no regular file.
    """
    try:
        with os.scandir(folder) as entries:
            found = [
                entry.name
                for entry in entries
                if (partial := _PARTIAL_NAME.fullmatch(entry.name))
                and name.fullmatch(partial[1])
                and entry.is_file(follow_symlinks=False)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return
    for each in found:
        (folder / each).unlink(missing_ok=True)


_PARTIAL_NAME = re.compile(rf'\.(.+)\.[0-9a-f]{{8}}{re.escape(PARTIAL)}')


# What systems leave in any folder by themselves.
_DROPPINGS = re.compile(
    r'\.DS_Store|\._.*|Thumbs\.db|desktop\.ini|lost\+found|\.nfs[0-9a-fA-F]+|\.snapshots?'
)


def foreign(folder: Path, own: re.Pattern[str]) -> list[str]:
    """Names of what a folder holds that is not ours, in order.

    Args:
      folder: the folder; none that is not there holds anything.
      own: what is ours.

    Returns:
      All names but those that match `own`, also while half-written, and those of files that
      systems leave by themselves.

    Raises:
      OSError: it is no folder or cannot be read.
    """

    def is_known(name: str) -> bool:
        partial = _PARTIAL_NAME.fullmatch(name)
        return bool(own.fullmatch(partial[1] if partial else name) or _DROPPINGS.fullmatch(name))

    try:
        return sorted(name for name in os.listdir(folder) if not is_known(name))
    except FileNotFoundError:
        return []


def listed(names: Sequence[str], most: int = 3) -> str:
    """Names as a part of a sentence: the first ones, and how many more there are."""
    text = ', '.join(names[:most])
    return text if len(names) <= most else f'{text} and {len(names) - most} more'


@contextlib.contextmanager
def open_regular(path: Path, most: int = MOST_BYTES) -> Iterator[IO[bytes]]:
    """A file opened to be read, if it is a regular one: a pipe would hang and a device never end.

    Args:
      path: the file, or a link to one.
      most: how many bytes it may have.

    Raises:
      OSError: it is not there, cannot be read, is no regular file or is larger.
    """
    # Looked at before it is opened, since opening a device may do something, and again after, since
    # the name may stand for something else by then. A pipe without a writer is not waited for.
    _check_regular(os.stat(path), path, most)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        _check_regular(os.fstat(descriptor), path, most)
        with open(descriptor, 'rb', closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def _check_regular(state: os.stat_result, path: Path, most: int) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, 'it is no regular file', str(path))
    if state.st_size > most:
        raise OSError(errno.EFBIG, f'it has more than {most} bytes', str(path))


def read_regular(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file; see `open_regular`."""
    with open_regular(path, most) as file:
        # Not `most`: so much would be set aside at once.
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1)
    if len(content) != size:
        raise OSError(errno.EBUSY, 'it changed while it was read', str(path))
    return content


def read_json(path: Path, most: int = MOST_TEXT) -> Any:
    """The value in a regular JSON file.

    Raises:
      OSError: see `open_regular`.
      ValueError: it holds no JSON.
    """
    return parse_json(read_regular(path, most))


def parse_json(content: bytes) -> Any:
    """The value of JSON; raises ValueError, also where values nest too deep."""
    try:
        return json.loads(content.decode())
    except RecursionError:
        raise ValueError('its values nest too deep') from None


def read_arrays(
    content: bytes, most: int = MOST_BYTES, wanted: Callable[[str], bool] = lambda name: True
) -> dict[str, np.ndarray]:
    """The arrays of an .npz.

    Args:
      content: the file's bytes.
      most: how many bytes the arrays may have.
      wanted: by an array's name, whether it is read.

    Raises:
      ValueError: it is damaged, holds objects, or is larger.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > most:
                raise ValueError(f'its arrays have more than {most} bytes')
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files if wanted(name)}
    except Exception as error:
        # zipfile, zlib and numpy raise a dozen kinds of errors for a damaged archive.
        raise ValueError(f'{type(error).__name__}: {error}') from error


def write_bytes(path: Path, content: bytes | memoryview) -> None:
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
    write_bytes(path, buffer.getbuffer())


def results_csv(table: pd.DataFrame) -> bytes:
    """The bytes of results.csv: one value a row, in full precision.

    After `COLUMNS` come the fields in which the study's conditions differ.
    """
    buffer = io.StringIO()
    table.to_csv(buffer, index=False, lineterminator='\n', na_rep='nan')
    return buffer.getvalue().encode()


def read_results_csv(content: bytes) -> pd.DataFrame:
    """The table of `results_csv`'s bytes, value for value.

    Raises:
      ValueError: they are of no such table.
    """
    table = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    if tuple(table.columns[: len(COLUMNS)]) != COLUMNS:
        raise ValueError(f'its columns do not begin with {", ".join(COLUMNS)}')
    # Python's float, not the parser's: it is exact whatever the version of pandas.
    return table.assign(
        repeat=table['repeat'].astype(int), value=[float(text) for text in table['value']]
    )


def sha256(path: Path) -> str:
    """A regular file's SHA-256, in hexadecimal; raises OSError, see `open_regular`."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def json_digest(value: Any) -> str:
    """The SHA-256 of a value as JSON, in hexadecimal; the order of keys counts."""
    return hashlib.sha256(json.dumps(value, separators=(',', ':')).encode()).hexdigest()
