"""What `--help` says: every field with its default and rule, the laws, and the configs at hand."""

from __future__ import annotations

import textwrap

from imbreg_jax.study import config_file, laws, shipped
from imbreg_jax.study.fields import Field, looked_up
from imbreg_jax.study.settings import FIELDS, SECTIONS

_WIDTH = 100


def help_text(usage: str) -> str:
    """The help of a program that takes a config.

    Args:
        usage: what it begins with: what the program does, its status, its other flags.

    Returns:
        Lines of at most 100 characters, as far as words allow.
    """
    lines = [usage.strip(), '']
    if configs := config_file.at_hand():
        lines += ['Configs at hand, for --config=FILE:']
        lines += _columns([(path, config_file.first_line(path)) for path in configs])
        lines += ['']
    lines += ['Fields of a config, for --config.field=value; in brackets the default:']
    top = [name for name in FIELDS if '.' not in name]
    for section in ('', *SECTIONS):
        names = [name for name in FIELDS if name.startswith(f'{section}.')] if section else top
        lines += ['', section] if section else []
        lines += [line for name in names for line in _field(name, FIELDS[name])]
    lines += [
        '',
        'Several conditions in one study: config.conditions = '
        "{'name': {field: value}, …} in the config file.",
        '',
        'Remedies, for remedy, with their parameters and defaults:',
        *(
            line
            for name, parameters in looked_up(FIELDS['remedy'].of.registry, 'forms')()
            for line in _wrapped(f'{name}: {parameters}')
        ),
        '',
        'Laws, for train_distribution and test_distributions (numbers by position or by name):',
        *_columns(
            [(name, f'is {expression}') for name, expression in laws.REGISTRY.items()]
            + [(form, f'such as {example}') for form, example in laws.forms()]
        ),
    ]
    return '\n'.join(lines)


def shipped_text() -> str:
    """The configs that come with the package: their names, and what each says that it is."""
    rows = [(name, config_file.first_line(path)) for name, path in shipped.files().items()]
    return '\n'.join(_columns(rows))


def _field(name: str, field: Field) -> list[str]:
    law = field.kind in ('distribution', 'distributions')
    rule = {'distribution': 'a law (see below)', 'distributions': 'laws (see below), each once'}
    return _wrapped(
        f'--config.{name}: {field.meaning} ({field.default!r}); '
        f'{rule[field.kind] if law else field.rule}'
    )


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent='  ', subsequent_indent='      ', break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip


def _columns(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(first) for first, _ in rows)
    return [
        line
        for first, second in rows
        for line in textwrap.wrap(
            f'  {first.ljust(width)}  {second}',
            _WIDTH,
            subsequent_indent=' ' * (width + 4),
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]
