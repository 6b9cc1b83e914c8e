"""Reading a file of targets or of a density's points, which somebody else may have made."""

from __future__ import annotations

import functools
import os
import re

import numpy as np

from imbreg_jax.study import reading
from imbreg_jax.study.laws import polygon
from imbreg_jax.study.laws.rules import LARGEST_NUMBER

_MOST_TABLE_VALUES = 10**7
_MOST_TABLE_BYTES = 512 * 10**6
_MOST_POINTS = 10**4
_MOST_POINTS_BYTES = 10**7
_NAMES = {1: 'table', 2: 'density_table'}
# Parsed at a time: as Python's numbers, those of a whole file would take a gigabyte.
_CHUNK_BYTES = 2**20
_SEPARATOR = re.compile(r'\s*[,;]\s*|\s+')
# What no word of a header begins with, such as `std` or "age (years)": a damaged number does.
_NUMERIC_WORD = re.compile(r'(?:^|[\s,;])[-+.]?\d')


class MissingTable(ValueError):
    """The file of a table is not there."""


def read_table(path: str, digest: str = '', columns: int = 1) -> np.ndarray:
    """Reads a table of targets, or of the points of a density.

    Args:
        path: a text file of one target a line; or of a target and its density, in any unit, with a
            comma, semicolon or blank between them. Lines that are empty or begin with `#`, a comma
            or semicolon at a line's end, and names (`std`) in the first line are passed over.
        digest: not used: `parse` compares it.
        columns: 1 or 2.

    Returns:
        float64: [n] sorted targets, or [n, 2] points as they stand.

    Raises:
        MissingTable: there is no such file.
        ValueError: with one sentence, where it cannot be read, is no regular file, is larger than
            512 MB or holds anything but 2 to 10^7 finite numbers, two of them different; of points
            10 MB, and 2 to 10^4 that make a density.
    """
    del digest
    name = f'{_NAMES[columns]}({path!r})'
    try:
        status = os.stat(path)
        stamp = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        return _read_table(path, stamp) if columns == 1 else _read_points(path, stamp)
    except (OSError, reading.NoRegularFile) as error:
        kind = MissingTable if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f'the file of {name} cannot be read: {reading.reason(error)}') from None
    except _NoTable as error:
        raise ValueError(str(error)) from None
    except ValueError as error:  # a null character within the path
        raise ValueError(f'the file of {name} cannot be read: {error}') from None


class _NoTable(ValueError):
    """What is wrong with the content of a table's file."""


# A config is parsed several times on its way to a study; the values of a large table are not.
@functools.lru_cache(maxsize=4)
def _read_table(path: str, stamp: tuple[int, ...]) -> np.ndarray:
    del stamp
    what = f'table({path!r})'
    values = _numbers(reading.read_regular(path, _MOST_TABLE_BYTES), what)
    if not 2 <= values.size <= _MOST_TABLE_VALUES:
        raise _NoTable(f'{what} needs 2 to {_MOST_TABLE_VALUES} targets, not {values.size}')
    table = np.sort(values) + 0.0  # no negative zero
    if not table[0] < table[-1]:
        raise _NoTable(f'{what} needs at least two different targets')
    table.flags.writeable = False
    return table


@functools.lru_cache(maxsize=4)
def _read_points(path: str, stamp: tuple[int, ...]) -> np.ndarray:
    del stamp
    what = f'density_table({path!r})'
    found: list[list[float]] = []
    begun = False
    lines = reading.read_regular(path, _MOST_POINTS_BYTES).splitlines()
    for number, raw in enumerate(lines, start=1):
        line = _content_of(raw)
        if not line or line.startswith('#'):
            continue
        header, begun = not begun and _is_header(line), True
        if header:
            continue
        try:
            point = [float(word) for word in _SEPARATOR.split(line)]
        except ValueError:
            point = []
        if len(point) != 2 or not np.all(np.isfinite(point)) or abs(point[0]) > LARGEST_NUMBER:
            raise _NoTable(
                f'{what} needs a target within ±{LARGEST_NUMBER:.0f} and its density a line, not '
                f'{line[:40]!r} in line {number}'
            )
        found.append(point)
    if not 2 <= len(found) <= _MOST_POINTS:
        raise _NoTable(f'{what} needs 2 to {_MOST_POINTS} points, not {len(found)}')
    points = np.array(found) + 0.0  # no negative zero
    if wrong := polygon.fault(*points.T):
        raise _NoTable(f'{what} {wrong}')
    points.flags.writeable = False
    return points


def is_table(values: np.ndarray) -> bool:
    """Whether values, [n] or [n, 2], are what `read_table` may return."""
    if len(values) < 2 or not np.all(np.isfinite(values)):
        return False
    if values.ndim == 2:
        return polygon.fault(*values.T) is None
    return bool(np.all(np.diff(values) >= 0.0) and values[0] < values[-1])


def _numbers(content: bytes, what: str) -> np.ndarray:
    """The numbers of a file in its order."""
    parts = []
    begun, start, count = False, 0, 0
    while start < len(content):
        end = content.rfind(b'\n', start, start + _CHUNK_BYTES) + 1 or len(content)
        lines = content[start:end].splitlines()
        try:
            part = np.fromiter(map(float, lines), np.float64, len(lines))
            sound = bool(np.all(np.abs(part) <= LARGEST_NUMBER))
        except ValueError:
            sound = False
        if not sound:
            part = _numbers_line_by_line(lines, count, begun, what)
        begun = begun or part.size > 0
        parts.append(part)
        start, count = end, count + len(lines)
    return np.concatenate([np.zeros(0), *parts])


def _numbers_line_by_line(lines: list[bytes], before: int, begun: bool, what: str) -> np.ndarray:
    """The numbers of lines that are not all numbers, or what is wrong with them.

    Args:
        lines: some lines of a file.
        before: how many lines of the file come before them.
        begun: whether there are numbers among those; a header is too late then.
        what: the table.
    """
    values: list[float] = []
    for number, raw in enumerate(lines, start=before + 1):
        line = _content_of(raw)
        if not line or line.startswith('#'):
            continue
        try:
            value = float(line)
        except ValueError:
            if not begun and _is_header(line):
                begun = True
                continue
            raise _NoTable(
                f'{what} needs one number a line, not {line[:40]!r} in line {number}'
            ) from None
        begun = True
        if not abs(value) <= LARGEST_NUMBER:  # NaN compares false
            raise _NoTable(
                f'{what} needs targets between -{LARGEST_NUMBER:.0f} and {LARGEST_NUMBER:.0f}, '
                f'not {line[:40]} in line {number}'
            )
        values.append(value)
    return np.asarray(values, np.float64)


def _content_of(line: bytes) -> str:
    """A line's text without the mark of its encoding, blanks, and separators at its end."""
    return line.decode('utf-8', errors='replace').lstrip('\ufeff').strip().rstrip(',;').strip()


def _is_header(line: str) -> bool:
    """Whether a line looks like a column's name; a number that was damaged does not."""
    name = line[1:-1] if line[:1] == line[-1:] and line[:1] in ('"', "'") else line
    try:
        float(name)
    except ValueError:
        begins = name[:1].isalpha() or name[:1] == '_'
        return begins and name.isprintable() and not _NUMERIC_WORD.search(name)
    return False
