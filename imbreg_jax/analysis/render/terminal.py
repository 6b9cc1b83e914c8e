"""Tables and sentences as text for a terminal."""

import textwrap
from collections.abc import Sequence

from imbreg_jax.analysis.formats import NOTHING, printable
from imbreg_jax.analysis.section import Table

WIDTH = 100
_MOST_LINES = 25


def table(shown: Table) -> str:
    """Returns the table's rows and notes; columns in which no row has anything are left out."""
    rows = [[cell.text for cell in row] for row in shown.rows()]
    columns = []
    for i, column in enumerate(shown.columns):
        body = [row[i] for row in rows]
        if rows and not any(text not in ('', NOTHING) for text in body):
            continue
        heading = printable(column.heading)
        width = max(map(len, [heading, *body]))
        adjust = str.rjust if column.kind.name == 'number' else str.ljust
        columns.append([adjust(text, width) for text in (heading, '-' * width, *body)])
    lines = ['  '.join(line).rstrip() for line in zip(*columns, strict=True)]
    return '\n'.join([*lines, *map(printable, shown.remarks())])


def summary(paragraphs: Sequence[str], last: str) -> str:
    """Returns the first paragraphs, wrapped, that fit above the line `last`: 25 lines in all."""
    wrapper = textwrap.TextWrapper(WIDTH, subsequent_indent='  ', max_lines=3, placeholder=' …')
    lines: list[str] = []
    for i, text in enumerate(paragraphs):
        wrapped = wrapper.wrap(printable(text))
        left = len(paragraphs) - i
        # One line is kept free to say what is left out.
        if len(lines) + len(wrapped) + (left > 1) >= _MOST_LINES:
            lines.append(f'{left:,} more such sentences are in the report.')
            break
        lines += wrapped
    return '\n'.join([*lines, printable(last)])
