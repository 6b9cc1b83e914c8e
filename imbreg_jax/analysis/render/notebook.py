"""A summary as an element of a notebook, which has no style but its own."""

from collections.abc import Sequence
from html import escape

from imbreg_jax.analysis.formats import Cell, printable
from imbreg_jax.analysis.section import Table
from imbreg_jax.analysis.summary import Answer, Summary

# The first word of a verdict -> its colour, on white and on black.
_COLOURS = {
    **dict.fromkeys(('stands', 'better'), '#2e8b57'),
    **dict.fromkeys(('fails', 'worse'), '#d1495b'),
    'undecided': '#b8860b',
    'differs': '#9b59b6',
    'same': '#3a8fb7',
}


def summary(title: str, shown: Summary, notes: Sequence[str] = ()) -> str:
    """Returns a title, the table, the answers and notes, safe whoever wrote their labels."""
    parts = [f'<p><b>{_text(title)}</b></p>']
    if shown.table is not None:
        parts.append(_table(shown.table))
    if shown.answers:
        parts.append(f'<ul>{"".join(map(_answer, shown.answers))}</ul>')
    parts += [f'<p><small>{_text(note)}</small></p>' for note in notes]
    return f'<div>{"".join(parts)}</div>'


def _text(text: str) -> str:
    return escape(printable(text))


def _table(shown: Table) -> str:
    head = ''.join(f'<th>{_text(heading)}</th>' for heading in shown.headings)
    body = ''.join(f'<tr>{"".join(map(_cell, row))}</tr>' for row in shown.rows())
    caption = f'<caption style="text-align: left">{_text(shown.title)}</caption>'
    return f'<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(cell: Cell) -> str:
    text = _badge(cell.text) if cell.kind == 'status' else escape(cell.text)
    return f'<td>{text}</td>'


def _answer(answer: Answer) -> str:
    badges = [' '.join(filter(None, (_text(of), _badge(v)))) for of, v in answer.verdicts]
    return f'<li>{", ".join(badges)} {_text(answer.sentence)}</li>'


def _badge(verdict: str) -> str:
    colour = _COLOURS.get(verdict.split(' ')[0])
    return f'<b style="color: {colour}">{_text(verdict)}</b>' if colour else _text(verdict)
