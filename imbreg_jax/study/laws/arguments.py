"""How an expression's arguments become those of a law's function, by its signature.

A parameter annotated `float`, or not at all, is a number; `Law` is another law's name or
expression; `tuple[float, ...]` and `tuple[Law, ...]`, which come last, repeat together:
`(law: tuple[Law, ...], weight: tuple[float, ...])` reads `law, weight, law, weight, …`.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from imbreg_jax.study.laws.law import Law, Parsed, Unknown, fault
from imbreg_jax.study.laws.rules import LARGEST_NUMBER, number_text, require

# A template, `U({low}, {high})`, or a function of the law's parameters that makes the label; where
# a parameter is a law, both are given the label of it.
Label: TypeAlias = str | Callable[..., str]
_COUNTS = {1: 'one', 2: 'two', 3: 'three'}
_KINDS: dict[Any, tuple[bool, bool]] = {  # annotation -> is it a law, does it repeat
    float: (False, False),
    int: (False, False),
    Law: (True, False),
    tuple[float, ...]: (False, True),
    tuple[Law, ...]: (True, True),
}


class Parameter(NamedTuple):
    """A parameter of a law."""

    name: str
    is_law: bool
    repeats: bool


@dataclasses.dataclass(frozen=True)
class Call:
    """A law's function as expressions call it.

    Attributes:
        name: the law's name.
        parameters: those of the function, in order; the ones that repeat come last.
        least: how often those are there at least.
        label: see `Label`.
        example: an expression that calls it.
        make: the function.
        trusted: whether its laws need not be looked at: the package's own, which tests hold.
    """

    name: str
    parameters: tuple[Parameter, ...]
    least: int
    label: Label
    example: str
    make: Callable[..., Law]
    trusted: bool

    @property
    def form(self) -> str:
        """How it is written: `uniform(low, high)`, `mixture(law, weight, law, weight, …)`."""
        more = ['…'] if self._group else []
        names = [p.name for p in [*self._singles, *2 * self._group]]
        return f'{self.name}({", ".join([*names, *more])})'

    @property
    def _singles(self) -> list[Parameter]:
        return [p for p in self.parameters if not p.repeats]

    @property
    def _group(self) -> list[Parameter]:
        return [p for p in self.parameters if p.repeats]

    def read(self, node: ast.Call, read_law: Callable[[ast.expr], Parsed]) -> Parsed:
        """The law of an expression.

        Args:
            node: the call of this law in the expression's syntax tree.
            read_law: makes the laws of those among its arguments that are laws.

        Returns:
            The law; an unknown one where one of its arguments is unknown.

        Raises:
            ValueError: with one sentence, where the arguments make no law.
        """
        parts: list[Parsed | float] = [
            read_law(argument)
            if parameter.is_law
            else number(argument, f'{parameter.name} of {self.form}')
            for parameter, argument in self._places(node)
        ]

        def expression(attribute: str) -> str:
            texts = [
                number_text(part) if isinstance(part, float) else getattr(part, attribute)
                for part in parts
            ]
            return f'{self.name}({", ".join(texts)})'

        laws = [part for part in parts if isinstance(part, Parsed)]
        unknown = [part.law for part in laws if isinstance(part.law, Unknown)]
        labels = [part.label if isinstance(part, Parsed) else part for part in parts]
        values = [part.law if isinstance(part, Parsed) else part for part in parts]
        return Parsed(
            name=expression('name'),
            spec=expression('spec'),
            identity=expression('identity'),
            label=label_text(self.label, self._by_parameter(labels)),
            tables={digest: table for law in laws for digest, table in law.tables.items()},
            law=unknown[0] if unknown else self._law(self._by_parameter(values)),
        )

    def _places(self, node: ast.Call) -> list[tuple[Parameter, ast.expr]]:
        """Which parameter each argument is for."""
        singles, group = self._singles, self._group
        if group:
            times, left = divmod(len(node.args) - len(singles), len(group))
            if node.keywords or left or times < self.least:
                first, *others = [p.name for p in group]
                each = f', each with its {" and ".join(others)}' if others else ''
                plural = f'{first}s' if self.least > 1 else first
                count = _COUNTS.get(self.least, str(self.least))
                raise ValueError(
                    f'{self.form} takes at least {count} {plural}{each}, as in {self.example}'
                )
            return list(zip([*singles, *times * group], node.args, strict=True))
        given: dict[str, ast.expr] = dict(zip([p.name for p in singles], node.args, strict=False))
        names = [p.name for p in singles]
        for keyword in node.keywords:
            if keyword.arg not in names or keyword.arg in given:
                raise ValueError(f'{self.form} has no place for the argument {keyword.arg}')
            given[keyword.arg] = keyword.value
        if len(node.args) > len(singles) or len(given) != len(singles):
            what = 'arguments' if any(p.is_law for p in singles) else 'numbers'
            found = len(node.args) + len(node.keywords)
            raise ValueError(f'{self.form} takes {len(singles)} {what}, not {found}')
        return [(p, given[p.name]) for p in singles]

    def _by_parameter(self, values: list[Any]) -> dict[str, Any]:
        """The values in the order of the expression, as the function takes them."""
        singles, group = self._singles, self._group
        rest = values[len(singles) :]
        return {p.name: value for p, value in zip(singles, values, strict=False)} | {
            p.name: tuple(rest[i :: len(group)]) for i, p in enumerate(group)
        }

    def _law(self, arguments: dict[str, Any]) -> Law:
        if any(p.is_law for p in self.parameters):
            return self.made(arguments)
        return _kept(self, tuple(arguments.items()))

    def made(self, arguments: dict[str, Any]) -> Law:
        """The law that the function makes of its arguments.

        Raises:
            ValueError: with one sentence: the function refuses them, fails, or makes no law.
        """
        if self.trusted:
            return self.make(**arguments)
        try:
            law = self.make(**arguments)
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(f'{self.form} fails: {_in_words(error)}') from error
        try:
            wrong = fault(law)
        except Exception as error:
            wrong = f'to compute it fails: {_in_words(error)}'
        require(wrong is None, f'{self.form} makes no law of these arguments: {wrong}')
        return law


# A config is parsed several times on its way to a study, and scipy takes milliseconds for a law.
@functools.lru_cache(maxsize=1000)
def _kept(call: Call, arguments: tuple[tuple[str, Any], ...]) -> Law:
    return call.made(dict(arguments))


def _in_words(error: Exception) -> str:
    return f'{type(error).__name__}: {" ".join(str(error).split())}'


def parameters_of(make: Callable[..., Law]) -> tuple[Parameter, ...]:
    """The parameters of a law's function.

    Raises:
        ValueError: with one sentence, where expressions could not fill them.
    """
    name = getattr(make, '__name__', '')
    try:
        hints = typing.get_type_hints(make)
    except NameError as error:
        raise ValueError(f'the annotations of {name} cannot be read: {error}') from None
    found = []
    for parameter in inspect.signature(make).parameters.values():
        kind = _KINDS.get(hints.get(parameter.name, float))
        plain = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        require(
            kind is not None and plain and parameter.default is parameter.empty,
            f'the parameter {parameter.name} of {name} must be one without a default, annotated '
            'float, Law, tuple[float, ...] or tuple[Law, ...]',
        )
        found.append(Parameter(parameter.name, *typing.cast(tuple[bool, bool], kind)))
    repeating = [p.repeats for p in found]
    require(repeating == sorted(repeating), f'the parameters of {name} that repeat must come last')
    return tuple(found)


def label_text(label: Label, arguments: dict[str, Any]) -> str:
    """A law's label: its template or function, filled with numbers and the labels of laws.

    Raises:
        ValueError: the template cannot be filled with them.
    """
    if callable(label):
        return label(**arguments)
    texts = {
        key: number_text(value) if isinstance(value, float) else value
        for key, value in arguments.items()
    }
    try:
        return label.format(**texts)
    except (LookupError, AttributeError, ValueError) as error:
        raise ValueError(f'the label {label!r} does not fit the parameters: {error}') from None


def number(node: ast.expr, what: str) -> float:
    """The number that an expression's argument is.

    Args:
        node: the argument.
        what: its name, for a sentence.

    Raises:
        ValueError: it is none, or lies beyond ±10^6.
    """
    sign = 1.0
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign = -sign if isinstance(node.op, ast.USub) else sign
        node = node.operand
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f'{what} must be a number')
    # Compared before the conversion: an int may be too large for a float.
    if not abs(value) <= LARGEST_NUMBER:
        raise ValueError(f'{what} must lie between -{LARGEST_NUMBER:.0f} and {LARGEST_NUMBER:.0f}')
    return sign * float(value) + 0.0  # no negative zero
