"""What a report is made of: sections, each with a sentence, tables and figures.

A section is one value. `build` of this package takes any tuple of them, so a new view of a study is
a function from `FinishedStudy` to `Content` and an entry in that tuple.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from imbreg_jax.analysis import formats
from imbreg_jax.analysis.finished import FinishedStudy

if TYPE_CHECKING:
    from imbreg_jax.analysis.canvas import Drawing

# What a page shows of a large table; its CSV file holds all of it.
MOST_ROWS = 200
# Parts that a sentence lists before it says how many more there are.
MOST_NAMED = 12


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
      key: the frame's column, or those that are shown together, such as a mean and its spread.
      heading: what stands above it.
      kind: how its values are shown.
      source: the frame's column that says where a row's values come from, or a function of the row
        (a dict) that does; None where nothing is to be said.
      labels: value -> what to print for it; a value that is not in it is printed as it is.
    """

    key: str | tuple[str, ...]
    heading: str
    kind: formats.Kind = formats.LABEL
    source: str | Callable[[dict[str, Any]], str] | None = None
    labels: Mapping[Any, str] = dataclasses.field(default_factory=dict)

    def cell(self, row: dict[str, Any]) -> formats.Cell:
        """Returns what stands in this column in a row of the frame."""
        keys = (self.key,) if isinstance(self.key, str) else self.key
        values = tuple(self.labels.get(row[k], row[k]) if self.labels else row[k] for k in keys)
        source = self.source(row) if callable(self.source) else str(row.get(str(self.source), ''))
        return formats.cell(self.kind, values, source)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table, whatever it is written as: see `render`.

    Attributes:
      name: name of its files, without ending.
      title: what it shows.
      frame: the values; the CSV file is this frame.
      columns: what of it is shown, in order.
      notes: sentences below it.
      evidence: whether it stands behind what others say, and so comes after them.
    """

    name: str
    title: str
    frame: pd.DataFrame
    columns: Sequence[Column]
    notes: Sequence[str] = ()
    evidence: bool = False

    @property
    def headings(self) -> list[str]:
        """What stands above the columns."""
        return [column.heading for column in self.columns]

    def rows(self) -> list[list[formats.Cell]]:
        """Returns the first `MOST_ROWS` rows as they are shown."""
        shown = self.frame.head(MOST_ROWS).to_dict('records')
        return [[column.cell(row) for column in self.columns] for row in shown]

    def remarks(self) -> list[str]:
        """Returns the notes, after one on the rows that are not shown."""
        total = len(self.frame)
        left = f'The first {MOST_ROWS:,} of {total:,} rows; tables/{self.name}.csv has all of them.'
        return [*([left] if total > MOST_ROWS else []), *self.notes]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure that is drawn when it is written.

    Attributes:
      name: what to name its files after.
      title: what it shows.
      caption: how to read it, and which files its numbers are from.
      draw: returns the drawing.
    """

    name: str
    title: str
    caption: str
    draw: 'Callable[[], Drawing]'


# What several of a kind are called.
_PLURALS = {'stands': 'stand', 'fails': 'fail', 'differs': 'differ'}


@dataclasses.dataclass(frozen=True)
class Badge:
    """Verdicts of one kind, to be seen at a glance.

    Attributes:
      status: the kind, whose first word decides the colour, as in a table's `formats.STATUS`.
      count: how many there are.
      of: what they are on, such as a claim; '' for all that a section compares.
    """

    status: str
    count: int = 1
    of: str = ''

    @property
    def text(self) -> str:
        """What is written on it."""
        many = self.status if self.count == 1 else _PLURALS.get(self.status, self.status)
        return f'{self.count:,} {many}'

    @property
    def short(self) -> str:
        """The same in two words."""
        return ' '.join(self.text.split(' ')[:2])


def counted(verdicts: Iterable[str], kinds: Sequence[str]) -> list[Badge]:
    """Returns a badge for each of the kinds that some of the verdicts are of."""
    counts = collections.Counter(verdicts)
    return [Badge(kind, counts[kind]) for kind in kinds if counts[kind]]


@dataclasses.dataclass(frozen=True)
class Content:
    """What a section says of a study.

    Attributes:
      headline: the sentence that a reader in a hurry takes away.
      tables: in reading order; those without rows are left out.
      figures: in reading order; the first stands beside the headline.
      notes: paragraphs on how to read them.
      badges: the verdicts that it gives.
      copies: (what, text) that a reader may want to take along, such as a citation.
    """

    headline: str
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    badges: Sequence[Badge] = ()
    copies: Sequence[tuple[str, str]] = ()


@dataclasses.dataclass(frozen=True)
class Section:
    """One view of a study.

    Attributes:
      name: what links and `Report.contents` call it; letters, digits, '-' and '_'.
      title: its heading.
      applies: whether it has something to say about a study.
      build: says it.
    """

    name: str
    title: str
    applies: Callable[[FinishedStudy], bool]
    build: Callable[[FinishedStudy], Content]


def listed(parts: Sequence[str], what: str = '', glue: str = ', ', most: int = 0) -> str:
    """Returns the first of many parts of a sentence, or `most`, and how many more there are."""
    most = most or MOST_NAMED
    if len(parts) <= most:
        return glue.join(parts)
    return glue.join([*parts[:most], f'and {len(parts) - most:,} more {what}'.rstrip()])


def enumerated(labels: Sequence[str]) -> str:
    """Returns 'a, b and c'."""
    return ' and '.join([', '.join(labels[:-1]), labels[-1]] if len(labels) > 1 else labels)


def only(drawn: int, there: int, what: str) -> str:
    """Returns a sentence for a caption where not everything is drawn."""
    return f' The first {drawn} of {there} {what}; the tables have all.' if drawn < there else ''
