"""Which files of the repository the site has, and what its pages are given: hooks of mkdocs.

Pages lie where they lie in the repository, so that a link between two of them, or to a figure in
results/, leads to the same file there and on the site; only their addresses lack the `docs/`.
"""

import html
import inspect
import pathlib
import types
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from imbreg_jax import remedies
from imbreg_jax.study.fields import Field, declared
from imbreg_jax.study.settings import FIELDS

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_SHOWN = (
    '*.md',
    'docs/**/*.md',
    'docs/**/*.png',
    'docs/**/*.css',
    'examples/*.ipynb',
    'results/**/*.png',
)
# What is too long to be said of each field.
_RULES = {
    'distribution': 'a [law](../concepts/laws.md)',
    'distributions': '[laws](../concepts/laws.md), each once',
    'remedy': 'empty, or [remedies](../concepts/remedies.md)',
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts the pages that are there for each pattern in the navigation."""
    assert config.nav is not None
    config.nav = _expanded(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the theme, and those of the repository that are shown."""
    shown = [file for file in files if file.src_dir != config.docs_dir]
    for pattern in _SHOWN:
        for path in sorted(_ROOT.glob(pattern)):
            name = path.relative_to(_ROOT).as_posix()
            file = File(name, str(_ROOT), config.site_dir, config.use_directory_urls)
            file.dest_uri = file.dest_uri.removeprefix('docs/')
            shown.append(file)
    return Files(shown)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts what the package declares where a page has a mark for it."""
    for mark, written in ('<!-- fields -->', _fields), ('<!-- remedies -->', _remedies):
        if mark in markdown:
            markdown = markdown.replace(mark, written())
    return markdown


def _expanded(entry: Any) -> Any:
    match entry:
        case list():
            return [_expanded(part) for part in entry]
        case dict():
            return {title: _expanded(part) for title, part in entry.items()}
        case str() if '*' in entry:
            names = [path.relative_to(_ROOT).as_posix() for path in _ROOT.glob(entry)]
            return sorted(names, key=lambda name: (not name.endswith('/index.md'), name))
    return entry


def _fields() -> str:
    return '\n\n'.join(f'### {name}\n\n{_field(field)}' for name, field in FIELDS.items())


def _field(field: Field) -> str:
    meaning = html.escape(f'{field.meaning[0].upper()}{field.meaning[1:]}', quote=False)
    rule = _RULES.get(field.kind, field.rule)
    return f'{meaning}. By default `{field.default!r}`; {rule}. *{field.role.value}*'


def _remedies() -> str:
    """A part for each remedy, then for each module that several of them are made with."""
    parts = []
    for name, kind in sorted(remedies.REMEDIES.items()):
        own = [f'- `{parameter}`: {_field(field)}' for parameter, field in declared(kind).items()]
        module = inspect.getmodule(kind)
        assert module is not None
        parts += [f'## {name}', '\n'.join(own), _module(module)]
    for name in remedies.__all__:
        module = getattr(remedies, name)
        if isinstance(module, types.ModuleType) and name not in remedies.REMEDIES:
            parts += [f'## {name}', _module(module)]
    return '\n\n'.join(parts)


def _module(module: types.ModuleType) -> str:
    """What a module says of itself and of its functions, for mkdocstrings."""
    functions = [
        name
        for name, value in inspect.getmembers(module, inspect.isroutine)
        if value.__module__ == module.__name__ and not name.startswith('_')
    ]
    heading = 'show_root_heading: false, show_root_toc_entry: false, heading_level: 3'
    return f'::: {module.__name__}\n    options: {{{heading}, members: {functions}}}'
