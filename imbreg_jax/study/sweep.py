"""A sweep: values of fields, of which a study makes its conditions.

`config.sweep` is an expression, such as a config file or a command line can hold:

    model.conv_dropout_rate = 0, 0.2, 0.5
    train_distribution = u1_10, uniform(1, 5); data.train_size = 500, 5000, 50000
    (training.epochs, training.learning_rate) = (1, 7.5e-6), (15, 5e-7)

Parts are separated by semicolons, and each condition of the study is made anew for every
combination of them; fields in brackets change together.
"""

from __future__ import annotations

import ast
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from imbreg_jax.study.errors import short_text

EXAMPLE = 'model.conv_dropout_rate = 0, 0.2, 0.5'
_OPENING, _CLOSING, _QUOTES = '([{', ')]}', '\'"'


@dataclasses.dataclass(frozen=True)
class Part:
    """Fields that change together.

    Attributes:
        fields: their dotted names.
        values: one tuple, of a value for each field, for each step.
    """

    fields: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]


def parse(text: str) -> tuple[Part, ...]:
    """The parts of an expression.

    Args:
        text: the expression; values are not looked at but for their form.

    Raises:
        ValueError: with one sentence, where it is no such expression.
    """
    parts = []
    for piece in _split(text, ';'):
        left, equals, right = _partition(piece)
        if not left or not equals or not right:
            raise ValueError(
                f'{short_text(piece)} is no part of a sweep, which is a field and its values, as '
                f'in {EXAMPLE}'
            )
        together = left.startswith('(') and left.endswith(')')
        fields = tuple(_split(left[1:-1] if together else left, ','))
        values = []
        for item in _split(right, ','):
            values.append(_values(item, together))
            if len(values[-1]) != len(fields):
                raise ValueError(
                    f'{short_text(item)} must be {len(fields)} values in brackets, one for each of '
                    f'{", ".join(fields)}'
                )
        parts.append(Part(fields, tuple(values)))
    named = [field for part in parts for field in part.fields]
    for field in named:
        if named.count(field) > 1:
            raise ValueError(f'{field} is swept twice')
    return tuple(parts)


def spec(sweep: str | Mapping[Any, Sequence[Any]]) -> str:
    """The expression of a sweep that is given as {field: values} or {(field, …): tuples}.

    No remedy is the empty string: {'remedy': ('', 'inverse')}.

    Raises:
        ValueError: with one sentence, where it is none.
    """
    if isinstance(sweep, str):
        return sweep
    parts = []
    for fields, values in sweep.items():
        together = isinstance(fields, tuple)
        names = fields if together else (fields,)
        listed = isinstance(values, list | tuple)
        sound = listed and all(isinstance(name, str) for name in names)
        if not sound or (together and not all(isinstance(value, tuple | list) for value in values)):
            raise ValueError(
                f'{short_text(fields)}: {short_text(values)} is no part of a sweep, which is a '
                'field and a list of its values, or a tuple of fields and a list of tuples'
            )
        left = f'({", ".join(fields)})' if together else fields
        items = [
            f'({", ".join(map(_text, value))})' if together else _text(value) for value in values
        ]
        parts.append(f'{left} = {", ".join(items)}')
    return '; '.join(parts)


def combinations(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The fields of each combination, the last part's changing fastest."""
    steps = [
        [dict(zip(part.fields, values, strict=True)) for values in part.values] for part in parts
    ]
    return [
        {field: value for chosen in choice for field, value in chosen.items()}
        for choice in itertools.product(*steps)
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else repr(value)


def _values(text: str, together: bool) -> tuple[Any, ...]:
    """One value, or those of fields that change together."""
    if not together:
        return (_value(text),)
    inner = text[1:-1] if text.startswith('(') and text.endswith(')') else text
    return tuple(map(_value, _split(inner, ',')))


def _value(text: str) -> Any:
    """A number, tuple, True or False; or, like laws and remedies, a text."""
    if text in ('true', 'false'):  # As on the command line.
        return text == 'true'
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _partition(piece: str) -> tuple[str, str, str]:
    left, equals, right = piece.partition('=')
    return ' '.join(left.split()), equals, right.strip()


def _split(text: str, separator: str) -> list[str]:
    """The pieces between separators outside of brackets and quotes, without blanks around them."""
    pieces, depth, quote = [''], 0, ''
    for character in text:
        if quote:
            quote = '' if character == quote else quote
        elif character in _QUOTES:
            quote = character
        depth += (character in _OPENING) - (character in _CLOSING) if not quote else 0
        if character == separator and not depth and not quote:
            pieces.append('')
        else:
            pieces[-1] += character
    if depth or quote:
        raise ValueError(f'a bracket or quote is not closed in {short_text(text)}')
    found = [piece.strip() for piece in pieces]
    if not all(found):
        raise ValueError(f'something is missing beside a {separator!r} in {short_text(text)}')
    return found
