"""Tables as Markdown; every entry is text: no element, no link, no second cell."""

import re
from collections.abc import Sequence

from imbreg_jax.analysis.formats import printable
from imbreg_jax.analysis.section import Table


def table(shown: Table) -> str:
    """Returns the table with its title, its notes and where its numbers come from."""
    rows = shown.rows()
    sources = list(dict.fromkeys(cell.source for row in rows for cell in row if cell.source))
    body = [shown.headings, ['---'] * len(shown.columns), *([c.text for c in row] for row in rows)]
    parts = [
        [f'# {text(shown.title)}'],
        [_line(entries) for entries in body],
        [f'- {text(note)}' for note in shown.remarks()],
        ['Where these numbers come from:'] if sources else [],
        [f'{i}. {text(source)}' for i, source in enumerate(sources, start=1)],
    ]
    return '\n\n'.join('\n'.join(part) for part in parts if part) + '\n'


def _line(entries: Sequence[str]) -> str:
    return '| ' + ' | '.join(map(text, entries)) + ' |'


def text(plain: str) -> str:
    """Returns `plain` as Markdown that shows it: no element, no link, no end of a table's cell."""
    return re.sub(r'\||<(?=[A-Za-z/!?])|(?<=])\(', r'\\\g<0>', printable(plain))
