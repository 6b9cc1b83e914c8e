"""The laws that there are: what an entry is, and how one is added."""

from __future__ import annotations

import ast
import dataclasses
import difflib
from collections.abc import Callable
from typing import TypeVar

from imbreg_jax.study.laws.arguments import Call, Label, label_text, parameters_of
from imbreg_jax.study.laws.law import Law, Parsed, TableSource
from imbreg_jax.study.laws.rules import require

# Short names for expressions, which name conditions and folders.
REGISTRY: dict[str, str] = {
    'u1_10': 'uniform(1, 10)',
    'u1_5': 'uniform(1, 5)',
    'n5_5_1': 'normal(5.5, 1)',
}
_PACKAGE = __name__.partition('.')[0]
_Make = TypeVar('_Make', bound=Callable[..., Law])


@dataclasses.dataclass(frozen=True)
class Entry:
    """A law that expressions may call.

    Attributes:
        name: what it is called by.
        form: how it is written, `uniform(low, high)`.
        example: an expression.
        read: makes the law of a call in an expression's syntax tree; a ValueError says in a
            sentence why there is none.
        of_package: whether it comes with the package; then no other takes its name.
    """

    name: str
    form: str
    example: str
    read: Callable[[ast.Call, Reader], Parsed]
    of_package: bool = True


_ENTRIES: dict[str, Entry] = {}


@dataclasses.dataclass(frozen=True)
class Reader:
    """Reads laws from the syntax trees of expressions.

    Attributes:
        source: where the values of tables come from.
    """

    source: TableSource

    def law(self, node: ast.expr) -> Parsed:
        """The law of a name or a call.

        Raises:
            ValueError: with one sentence, where there is no such law.
            SyntaxError: it is neither.
        """
        if isinstance(node, ast.Name):
            if node.id not in REGISTRY:
                raise ValueError(_unknown(node.id))
            return self.law(ast.parse(REGISTRY[node.id], mode='eval').body)
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            raise SyntaxError
        if node.func.id not in _ENTRIES:
            own = '; a law of your own must be registered first (imbreg_jax.study.laws.register)'
            raise ValueError(_unknown(node.func.id) + own)
        return _ENTRIES[node.func.id].read(node, self)


def register(label: Label, example: str, least: int = 1) -> Callable[[_Make], _Make]:
    """Makes a function that makes a law an entry: expressions call it by its name.

    A law that is not the package's is looked at whenever one is made (see `law.fault`), so that
    what is no law is refused before anything is trained on it. Registered again, the name means the
    new function.

    Args:
        label: for figures and tables: a template that names parameters, `U({low}, {high})`, or a
            function of the parameters; either is given numbers, and of laws their labels.
        example: an expression that calls it.
        least: how often the parameters that repeat are there at least.

    Returns:
        A decorator that leaves the function as it is. Its parameters are positional and have no
        defaults; `float`: a number; `Law`: a law; `tuple[float, ...]`, `tuple[Law, ...]`: they
        repeat together, at the end. It returns a `Law`, and refuses parameters by a ValueError of
        one sentence.

    Raises:
        ValueError: with one sentence, from the decorator: the name is taken or none, or the
            parameters, the label or the example do not fit.
    """

    def decorate(make: _Make) -> _Make:
        name = getattr(make, '__name__', '')
        of_package = make.__module__.partition('.')[0] == _PACKAGE
        call = Call(name, parameters_of(make), least, label, example, make, trusted=of_package)
        if not callable(label):
            label_text(label, {parameter.name: parameter.name for parameter in call.parameters})
        require(
            example.startswith(f'{name}('), f'the example of {name}, {example!r}, does not call it'
        )
        add(Entry(name, call.form, example, lambda node, to: call.read(node, to.law), of_package))
        return make

    return decorate


def add(entry: Entry) -> None:
    """Adds an entry that reads its arguments itself; `register` is for all others.

    Raises:
        ValueError: with one sentence: its name is none, or taken by the package.
    """
    known = _ENTRIES.get(entry.name)
    require(entry.name.isidentifier(), f'a law needs a name, and {entry.name!r} is none')
    require(
        entry.name not in REGISTRY and (known is None or not known.of_package or entry.of_package),
        f'the name {entry.name} is taken by a law of the package',
    )
    _ENTRIES[entry.name] = entry


def forms() -> list[tuple[str, str]]:
    """Each law that there is, as a form and an example, by name."""
    return [(entry.form, entry.example) for _, entry in sorted(_ENTRIES.items())]


def usage() -> str:
    """The names and laws that there are, as one phrase for error messages."""
    known = [form for form, _ in forms()]
    return f'the names {", ".join(REGISTRY)} and the laws {", ".join(known)}'


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, [*REGISTRY, *_ENTRIES], n=1, cutoff=0.6)
    hint = f'did you mean {near[0]}, or another of' if near else 'known are'
    return f'there is no distribution {name!r}; {hint} {usage()}'
