"""Tables and sentences as text for a terminal."""

import textwrap

from imbreg_jax.analysis.formats import NOTHING, printable, shorten
from imbreg_jax.analysis.section import Table
from imbreg_jax.analysis.summary import Answer, Summary

WIDTH = 100
_NARROWEST, _SHORTEST_LABEL = 40, 22
_MOST_LINES = 25
_MOST_OF_SENTENCE = 3
# The first word of a verdict -> how a terminal is told to colour it.
_COLOURS = {
    **dict.fromkeys(('stands', 'better'), '32'),
    **dict.fromkeys(('fails', 'worse'), '31'),
    'undecided': '33',
    'differs': '35',
    'same': '36',
}


def table(shown: Table, colour: bool = False, width: int | None = None) -> str:
    """Returns the table's rows and notes; columns in which no row has anything are left out.

    Args:
      shown: the table.
      colour: whether verdicts are coloured.
      width: characters of a line, for which labels are shortened and the last columns left out;
        None for as many as it takes.
    """
    rows = [[cell.text for cell in row] for row in shown.rows()]
    kept = [
        (column, [printable(column.heading), *(row[i] for row in rows)])
        for i, column in enumerate(shown.columns)
        if not rows or any(row[i] not in ('', NOTHING) for row in rows)
    ]
    if width is not None:
        kept = _fitted(kept, width)
    columns = []
    for column, texts in kept:
        widest = max(map(len, texts))
        adjust = str.rjust if column.kind.name == 'number' else str.ljust
        head, *body = [adjust(text, widest) for text in texts]
        if colour and column.kind.name == 'status':
            body = list(map(_coloured, body))
        columns.append([head, '-' * widest, *body])
    lines = ['  '.join(line).rstrip() for line in zip(*columns, strict=True)]
    return '\n'.join([*lines, *map(printable, shown.remarks())])


def _fitted(columns: list[tuple], width: int) -> list[tuple]:
    """Shortens labels until columns, of (column, texts), fit; then leaves out the last ones."""
    over = sum(max(map(len, texts)) + 2 for _, texts in columns) - 2 - width
    fitted = []
    for column, texts in columns:
        if over > 0 and column.kind.name == 'label':
            widest = max(map(len, texts))
            most = max(widest - over, min(widest, _SHORTEST_LABEL))
            texts = [shorten(text, most) for text in texts]
            over -= widest - max(map(len, texts))
        fitted.append((column, texts))
    while over > 0 and len(fitted) > 2:
        over -= max(map(len, fitted.pop()[1])) + 2
    return fitted


def _coloured(text: str) -> str:
    """Returns a text in the colour of the verdict that it begins with."""
    code = _COLOURS.get(text.split(' ')[0])
    return f'\x1b[{code}m{text}\x1b[0m' if code else text


def summary(
    shown: Summary,
    last: str,
    colour: bool = False,
    width: int = WIDTH,
    most: float = _MOST_LINES,
) -> str:
    """Returns a table and as many answers as fit above the line `last`.

    Args:
      shown: the study.
      last: what is said in the end.
      colour: whether verdicts are coloured.
      width: characters of a line; of more than 100 no sentence makes use.
      most: lines in all.
    """
    width = max(_NARROWEST, min(width, WIDTH))
    lines = []
    if shown.table is not None:
        title = textwrap.wrap(printable(f'{shown.table.title}:'), width)
        lines = [*title, *table(shown.table, colour, width).splitlines()]
    for i, answer in enumerate(shown.answers):
        wrapped = _wrapped(answer, width, colour)
        left = len(shown.answers) - i
        # One line is kept free to say what is left out.
        if len(lines) + len(wrapped) + (left > 1) >= most:
            one = left == 1
            lines.append(f'{left:,} more such sentence{" is" if one else "s are"} in the report.')
            break
        lines += wrapped
    return '\n'.join([*lines, printable(last)])


def _wrapped(answer: Answer, width: int, colour: bool) -> list[str]:
    """Returns an answer's lines: its verdicts in brackets, then its sentence."""
    badges = '; '.join(' '.join(filter(None, each)) for each in answer.verdicts)
    wrapper = textwrap.TextWrapper(
        width, subsequent_indent='  ', max_lines=_MOST_OF_SENTENCE, placeholder=' …'
    )
    lines = wrapper.wrap(printable(f'[{badges}] {answer.sentence}' if badges else answer.sentence))
    if colour:
        # After wrapping, which would count what no reader sees.
        for _, verdict in answer.verdicts:
            lines[0] = lines[0].replace(verdict, _coloured(verdict), 1)
    return lines
