"""Which files of the repository the site has, and what its pages are given: hooks of mkdocs.

Pages lie where they lie in the repository, so that a link between two of them, or to a figure in
results/, leads to the same file there and on the site; only their addresses lack the `docs/`.
"""

import html
import pathlib
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from imbreg_jax.study.fields import Field
from imbreg_jax.study.settings import FIELDS

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_MARK = '<!-- fields -->'
_SHOWN = ('*.md', 'docs/**/*.md', 'docs/**/*.png', 'docs/**/*.css', 'results/**/*.png')
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
    """Puts the fields of a config where a page has a mark for them."""
    if _MARK not in markdown:
        return markdown
    return markdown.replace(_MARK, '\n\n'.join(_field(*entry) for entry in FIELDS.items()))


def _field(name: str, field: Field) -> str:
    said = html.escape(f'{field.meaning[0].upper()}{field.meaning[1:]}', quote=False)
    rule = _RULES.get(field.kind, field.rule)
    return f'### {name}\n\n{said}. By default `{field.default!r}`; {rule}. *{field.role.value}*'


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
