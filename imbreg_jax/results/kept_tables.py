"""The values of a study's tables of targets, kept in its workdir.

A law that is a table is its values, and the file that they came from may move, change or stay on
another machine. So a workdir holds them, `distributions/<first 16 digits of their SHA-256>.f64`:
the values as little-endian float64 and nothing else, so that the file's own SHA-256 is what
the config names. Whoever reads a workdir takes the values from there and opens no path that its
`config.json` names.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imbreg_jax.study import Study, laws, reading
from imbreg_jax.study.laws import TableSource

FOLDER = 'distributions'
_DIGITS = 16
# 10^7 values, the most that a table may have.
_MOST_BYTES = 8 * 10**7
_MOST_CONFIG_BYTES = 10**8

logger = logging.getLogger('imbreg_jax')


def write(workdir: Path, study: Study) -> None:
    """Keeps the values of a study's tables, unless they are kept already.

    Args:
      workdir: the study's folder.
      study: the study.

    Raises:
      OSError: the folder cannot be written or the disk is full.
    """
    # Imported late: with it comes pandas, which takes half a second, and a config is read before.
    from imbreg_jax.results import files

    for digest, values in study.tables.items():
        if _read(workdir, digest, values.shape[-1] if values.ndim > 1 else 1) is None:
            content = np.ascontiguousarray(values, '<f8').tobytes()
            files.write_bytes(_path(workdir, digest), content)


def source(workdirs: Sequence[str | os.PathLike[str]]) -> TableSource:
    """Where the tables of what was found in workdirs come from: the workdirs' own copies.

    Args:
      workdirs: the folders; they are only read.

    Returns:
      For `laws.parse`: the values of a digest, or None where none of the folders has them
      as they were written.
    """

    def find(path: str, digest: str, columns: int = 1) -> np.ndarray | None:
        del path
        found = (_read(Path(workdir), digest, columns) for workdir in workdirs)
        return next((values for values in found if values is not None), None)

    return find


def source_of_user(workdir: str | os.PathLike[str]) -> TableSource:
    """Where the tables of a config that is given now come from: its files, else the workdir.

    A study that was begun can so be resumed where a table's file is gone: it is known by its
    digest, or by its file's name where the workdir has a single table of that name.

    Args:
      workdir: the folder of the study, which may not be there yet.

    Returns:
      For `laws.parse`.
    """
    folder = Path(workdir)

    def find(path: str, digest: str, columns: int = 1) -> np.ndarray | None:
        try:
            return laws.read_table(path, digest, columns)
        except laws.MissingTable as error:
            wanted = digest if len(digest) == 64 else _digest_of_name(folder, path, digest)
            values = None if wanted is None else _read(folder, wanted, columns)
            if values is None:
                raise laws.MissingTable(
                    f'{error}; and workdir {folder} keeps no values of it'
                ) from None
            logger.warning(
                'the file %r of a table is not there; its values are taken from %s',
                path,
                _path(folder, str(wanted)),
            )
            return values

    return find


def _path(workdir: Path, digest: str) -> Path:
    return workdir / FOLDER / f'{digest[:_DIGITS]}.f64'


def _read(workdir: Path, digest: str, columns: int) -> np.ndarray | None:
    """The values of a digest, or None where they are not there as they were written."""
    if len(digest) != 64:
        return None
    try:
        content = reading.read_regular(str(_path(workdir, digest)), _MOST_BYTES)
    except (OSError, ValueError):
        return None
    if hashlib.sha256(content).hexdigest() != digest:
        return None
    values = np.frombuffer(content, '<f8').astype(np.float64)
    if values.size % columns:
        return None
    if columns > 1:
        values = values.reshape(-1, columns)
    # The digest is the config's own word, so it says nothing of what the values are.
    return values if laws.is_table(values) else None


def _digest_of_name(workdir: Path, path: str, beginning: str) -> str | None:
    """The digest of the only table in a workdir's config whose file had this name."""
    try:
        content = reading.read_regular(str(workdir / 'config.json'), _MOST_CONFIG_BYTES)
        config = json.loads(content)
    except (OSError, ValueError, RecursionError):
        return None
    name = os.path.basename(path)
    found = {
        digest
        for text in _texts(config)
        for file, digest in laws.tables_of(text)
        if os.path.basename(file) == name and digest.startswith(beginning) and len(digest) == 64
    }
    return found.pop() if len(found) == 1 else None


def _texts(value: Any) -> Iterator[str]:
    """Every string within a value of JSON that may hold a table."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str) and 'table(' in value and len(value) <= laws.LONGEST_SPEC:
        yield value
