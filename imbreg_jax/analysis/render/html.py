"""A report as one page that needs nothing else: `page.html.jinja` with its style and script."""

import base64
import functools
import hashlib
import importlib.resources
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from imbreg_jax.analysis.canvas import Finished
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.formats import printable, shorten
from imbreg_jax.analysis.render import inline
from imbreg_jax.analysis.section import Badge, Content, Section, Table, listed

# Of more conditions a page's first line gives the number alone.
_MOST_NAMED = 6
# Characters of a study's name in the heading.
_LONGEST_NAME = 48


def _printed(value: Any) -> Any:
    """What the page prints of a value; text that is markup by now is left as it is."""
    plain = isinstance(value, str) and not hasattr(value, '__html__')
    return printable(value) if plain else value


def _file(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding='utf-8')


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_file),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_printed,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # A law's label should not be torn apart at its comma.
    environment.filters['nb'] = lambda text: re.sub(r'(\d), (\d)', '\\1,\u00a0\\2', str(text))
    return environment


def table(shown: Table) -> str:
    """Returns the table as an element of a page, safe whoever wrote its labels."""
    rows = shown.rows()
    found = dict.fromkeys(cell.source for row in rows for cell in row if cell.source)
    # Each source is written once, and cells say which: many share a long one.
    sources = {source: i for i, source in enumerate(found)}
    return (
        _environment().get_template('table.html.jinja').render(t=shown, rows=rows, sources=sources)
    )


def _short_name(study: FinishedStudy, name: str) -> str:
    """A study's name as part of a heading; of one in several workdirs the first one's."""
    others = len(study.headers) - 1
    return shorten(name, _LONGEST_NAME) + (f' and {others} more' if others else '')


def _subtitle(study: FinishedStudy) -> str:
    several = len(study.conditions) > 1
    counts = sorted({len(study.repeats(name)) for name in study.conditions})
    repeats = f'{counts[0]}' if len(counts) == 1 else f'{counts[0]} to {counts[-1]}'
    named = f' ({listed([*study.titles.values()], "conditions")})'
    return (
        f'{len(study.conditions):,} condition{"s" if several else ""}'
        f'{named if len(study.conditions) <= _MOST_NAMED else ""}, {repeats} '
        f'repeat{"" if repeats == "1" else "s"} each; tested on '
        f'{listed([*study.labels.values()], "laws")}.'
    )


def _counts(badges: Sequence[Badge]) -> list[Badge]:
    """Returns what there is of each kind, whatever it is on."""
    kinds = list(dict.fromkeys(badge.status for badge in badges))
    return [Badge(kind, sum(b.count for b in badges if b.status == kind)) for kind in kinds]


def page(
    study: FinishedStudy,
    sections: Sequence[Section],
    contents: Mapping[str, Content],
    drawn: Mapping[str, Sequence[Finished]],
) -> str:
    """Returns the page of sections that apply, in order; `contents` and `drawn` are by name."""
    script, name = _file('page.js'), study.config.get('name') or 'a study'
    parts = [
        {
            'section': section,
            'content': contents[section.name],
            'tables': [t for t in contents[section.name].tables if len(t.frame)],
            'figures': [
                (figure, inline.svg(figure, f's{i}f{k}-'))
                for k, figure in enumerate(drawn[section.name])
            ],
            'counts': _counts(contents[section.name].badges),
        }
        for i, section in enumerate(sections)
    ]
    return (
        _environment()
        .get_template('page.html.jinja')
        .render(
            title=f'Imbalanced targets and regression CNNs: {name}',
            heading=f'Imbalanced targets and regression CNNs: {_short_name(study, name)}',
            subtitle=_subtitle(study),
            parts=parts,
            table=table,
            style=_file('page.css'),
            script=script,
            # The page's policy allows this one script and no other, whoever wrote the labels.
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )
