"""Kinds of values, each with the one text that it has in every format: page, Markdown, terminal.

A kind takes as many values as it shows together (a mean and its spread; both ends of an interval).
"""

import dataclasses
import functools
import math
import unicodedata
from collections.abc import Callable
from typing import Any

UNDEFINED = 'n/a'
NOTHING = '—'
LONGEST_LABEL = 44
# Of what is less, three decimals show no digit.
_HIDDEN = 0.0005
_MOST_DECIMALS = 9


@functools.cache
def _printed_as(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == 'Zs':
        return character
    return ' ' if character.isspace() else '\ufffd'


def printable(text: str) -> str:
    """Returns `text` on one line, without characters that command a terminal or hide text.

    Labels and names come from a config that may be a stranger's. Line breaks and tabs become
    spaces; escapes, marks of direction, lone surrogates and the like become U+FFFD.
    """
    return text if text.isprintable() else ''.join(map(_printed_as, text))


def shorten(text: str, width: int = LONGEST_LABEL) -> str:
    """Returns `text` as one line of at most `width` characters, cut in its middle where longer."""
    text = ' '.join(printable(text).split())
    if len(text) <= width:
        return text
    # What tells names apart stands at their beginning or end.
    head = (2 * width) // 3
    return f'{text[:head].rstrip()}…{text[len(text) - (width - 1 - head) :].lstrip()}'


def number(value: float | None, digits: int = 4) -> str:
    """Returns `value` with `digits` significant digits, without exponent where it is readable."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    if value == 0:
        return '0'
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4 or magnitude > 6:
        return f'{value:.{digits - 1}e}'
    return f'{value:.{max(digits - 1 - magnitude, 0)}f}'


def mean_and_std(mean: float, std: float) -> str:
    """Returns 'mean ± std' with three decimals; says so where the spread is undefined.

    With as many more as two digits of the spread take, where three would hide it.
    """
    if not math.isfinite(mean):
        return UNDEFINED
    least = std if math.isfinite(std) and std > 0 else abs(mean)
    decimals = 1 - math.floor(math.log10(least)) if 0 < least < _HIDDEN else 3
    if decimals > _MOST_DECIMALS:
        return f'{mean:.3e} ± {std:.1e}' if math.isfinite(std) else f'{mean:.3e} ± {UNDEFINED}'
    spread = f'{std:.{decimals}f}' if math.isfinite(std) else UNDEFINED
    return f'{mean:.{decimals}f} ± {spread}'


def interval(low: float, high: float) -> str:
    """Returns 'low to high', or that it is undefined."""
    return f'{number(low)} to {number(high)}' if math.isfinite(low) else UNDEFINED


def p_value(p: float) -> str:
    """Returns '0.012' or '< 0.001'."""
    if not math.isfinite(p):
        return UNDEFINED
    return '< 0.001' if p < 0.001 else f'{p:.3f}'


def share(part: float, total: float) -> str:
    """Returns 'part (its percentage of total)'."""
    percent = f' ({100 * part / total:.1f} %)' if total and math.isfinite(part) else ''
    return number(part, 3) + percent


def _count(value: float | None) -> str:
    return UNDEFINED if value is None or not math.isfinite(value) else f'{value:,.0f}'


def _printed(mean: float, std: float, marks: str = '') -> str:
    if not math.isfinite(mean):
        return NOTHING
    return f'{mean:g}' + (f' ± {std:g}' if math.isfinite(std) else '') + (marks and f' [{marks}]')


def count_or_more(most: int) -> 'Kind':
    """Returns the kind of a count that is known to be above `most` where it is infinite."""
    return Kind('number', lambda value: f'> {most:,}' if math.isinf(value) else _count(value))


@dataclasses.dataclass(frozen=True)
class Kind:
    """How values are shown.

    Attributes:
      name: 'number' (set to the right, sorted by its first value), 'status' (coloured by its first
        word), 'label' (one line), or 'text' (wraps).
      show: the values -> text.
    """

    name: str
    show: Callable[..., str]


LABEL, TEXT, STATUS = Kind('label', str), Kind('text', str), Kind('status', str)
COUNT = Kind('number', _count)
NUMBER, ROUGH = Kind('number', number), Kind('number', lambda value: number(value, 3))
SPREAD, INTERVAL = Kind('number', mean_and_std), Kind('number', interval)
P_VALUE, SHARE = Kind('number', p_value), Kind('number', share)
# Written as somebody else printed it: mean, spread and letters that refer to a note.
PRINTED = Kind('number', _printed)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One place of a table, ready to be written.

    Attributes:
      text: what it says, on one line and harmless.
      kind: name of its `Kind`.
      key: what sorting goes by: a number, '' where there is none, or None for the text itself.
      source: where the value comes from: files and lines; '' where nothing is to be said.
    """

    text: str
    kind: str
    key: float | str | None = None
    source: str = ''


def cell(kind: Kind, values: tuple[Any, ...], source: str = '') -> Cell:
    """Returns the place that shows `values` as `kind` says."""
    key: float | str | None = None
    if kind.name == 'number':
        known = values[0] is not None and math.isfinite(values[0])
        key = float(values[0]) if known else ''
    text = printable(kind.show(*values))
    return Cell(text, kind.name, key, printable(source))
