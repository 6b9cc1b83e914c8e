"""The remedies that there are, and how an expression of the config names them."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import re
from keyword import iskeyword
from typing import Any, TypeVar

import numpy as np

from imbreg_jax.remedies.combined import combine
from imbreg_jax.study.errors import ConfigError
from imbreg_jax.study.fields import checked, declared
from imbreg_jax.study.suggestions import nearest
from imbreg_jax.training.remedy import NONE, Remedy

REMEDIES: dict[str, type[Remedy]] = {}
_Method = TypeVar('_Method', bound=type[Remedy])
# As it is printed, and as it is written where annotations are strings.
_CLASS_VAR = re.compile(r'(\w+\.)*ClassVar\b')


def register(method: _Method) -> _Method:
    """Makes a remedy known by its name, as a decorator of its class.

    Raises:
      ValueError: with one sentence: it is no subclass of `Remedy`, its name is none, the package
        itself has a remedy of that name, or its parameters are not declared as they must be.
    """
    _refuse_unusable(method)
    held = REMEDIES.get(method.name)
    # A config file may be loaded again, and then defines its own remedy again.
    if held is not None and held.__module__.startswith('imbreg_jax.'):
        raise ValueError(f'there is a remedy {method.name!r} already')
    REMEDIES[method.name] = method
    parse.cache_clear()
    return method


def _refuse_unusable(method: Any) -> None:
    """Refuses what expressions could not name, or make with its parameters.

    Raises:
      ValueError: with one sentence.
    """
    if not (isinstance(method, type) and issubclass(method, Remedy)):
        what = getattr(method, '__name__', repr(method))
        raise ValueError(f'a remedy is a subclass of imbreg_jax.remedies.Remedy, and {what} is not')
    own, name = method.__name__, method.name
    if not isinstance(name, str) or not name.isidentifier() or iskeyword(name):
        raise ValueError(
            "a remedy needs a name that is an identifier, such as name = 'my_remedy', and that of "
            f'{own} is {name!r}'
        )
    for part in _undeclared(method):
        raise ValueError(
            f'the remedy {name} has the annotated attribute {part}: as a parameter it must be '
            'declared with field(...) of imbreg_jax.study.fields, and as none it must have no '
            'annotation, or ClassVar'
        )
    # A dataclass has the defaults of its fields in their place.
    for holder in method.__mro__:
        for part, value in vars(holder).items():
            if isinstance(value, dataclasses.Field):
                raise ValueError(
                    f'the remedy {name} has the parameter {part}, and {holder.__name__} is no '
                    'dataclass; it needs @dataclasses.dataclass(frozen=True), below @register'
                )


def _undeclared(method: type[Remedy]) -> list[str]:
    """Its annotated attributes that are not declared with `field`."""
    found = [part.name for part in dataclasses.fields(method) if 'field' not in part.metadata]
    if '__dataclass_fields__' in vars(method):
        return found
    try:
        annotations = inspect.get_annotations(method)
    except NameError:  # Python 3.14 evaluates them here, and some names only type checkers know.
        return found
    # To `dataclasses` these are no fields yet.
    for part, annotation in annotations.items():
        text = annotation if isinstance(annotation, str) else repr(annotation)
        declares = isinstance(vars(method).get(part), dataclasses.Field)
        # What every remedy has, such as its name, may be annotated.
        if not declares and not _CLASS_VAR.match(text) and not hasattr(Remedy, part):
            found.append(part)
    return found


def usage() -> str:
    """What would be right, as the end of the sentence 'the field must be …'."""
    names = ', '.join(sorted(REMEDIES))
    return f'empty, or one or more of {names}, joined by +, such as rrt + inverse(bins=20)'


def forms() -> list[tuple[str, str]]:
    """(name, its parameters with their defaults) of each remedy, for a list of them."""
    return [
        (
            name,
            ', '.join(f'{part}={field.default!r}' for part, field in declared(kind).items())
            or 'no parameters',
        )
        for name, kind in sorted(REMEDIES.items())
    ]


@functools.cache
def parse(spec: str) -> Remedy:
    """The remedy of an expression such as `inverse(bins=20) + fds()`; '' is none.

    Raises:
      ValueError: with a sentence, where there is no such remedy.
    """
    if not spec.strip():
        return NONE
    try:
        tree = ast.parse(spec.strip(), mode='eval').body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError(f'it is no expression; it must be {usage()}') from None
    try:
        return combine([_one(node) for node in _terms(tree)])
    except RecursionError:
        raise ValueError(f'it is nested too deeply; it must be {usage()}') from None


def _terms(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_terms(node.left), node.right]
    return [node]


def _one(node: ast.expr) -> Remedy:
    call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
    if not isinstance(call.func, ast.Name):
        raise ValueError(f'{ast.unparse(node)} is no remedy; it must be {usage()}')
    name = call.func.id
    if name not in REMEDIES:
        near = nearest(name, REMEDIES)
        hint = f'did you mean {near}' if near else f'it must be {usage()}'
        raise ValueError(f'there is no remedy {name!r}; {hint}')
    fields = declared(REMEDIES[name])
    if call.args:
        raise ValueError(f'parameters of {name} are given by name, as in {usage()}')
    values: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg in values:
            raise ValueError(f'{name} has {keyword.arg} twice')
        if keyword.arg not in fields:
            known = f'it has {", ".join(fields)}' if fields else 'it has none'
            raise ValueError(f'{name} has no parameter {keyword.arg}; {known}')
        try:
            value = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, SyntaxError, MemoryError):
            value = ast.unparse(keyword.value)
        values[keyword.arg] = _checked(REMEDIES[name], keyword.arg, value)
    return REMEDIES[name](**values)


def _checked(kind: type[Remedy], part: str, value: Any) -> Any:
    try:
        return checked(part, value, declared(kind)[part], _no_law)
    except ConfigError as error:
        raise ValueError(f'{kind.name} has {part} = {value!r}; {error.message}') from None


def refuse(kind: type[Remedy], **values: Any) -> None:
    """Refuses parameters that a config would refuse, where a function takes them from anybody.

    Raises:
      ValueError: with a sentence.
    """
    found = {}
    for part, value in values.items():
        plain = value.item() if isinstance(value, np.generic) else value
        found[part] = _checked(kind, part, plain)
    kind(**found)


def _no_law(spec: str) -> Any:
    raise ValueError(f'{spec} is given, and no remedy takes a law')
