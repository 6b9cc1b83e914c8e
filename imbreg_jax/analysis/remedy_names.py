"""What a remedy's expression is called where it stands beside others, and the remedy it names."""

import ast
import collections
from collections.abc import Iterable
from typing import Any

from imbreg_jax.study.settings import remedy_of

NO_REMEDY = 'no remedy'


def labels(specs: Iterable[str]) -> dict[str, str]:
    """Returns remedy -> what to call it: with those of its parameters in which a study's differ.

    Two that would be called the same keep their whole expressions.
    """
    specs = list(dict.fromkeys(specs))
    parsed = {spec: parts_of(spec) for spec in specs}
    values: dict[tuple[str, str], set[str]] = {}
    for parts in parsed.values():
        for name, own in parts:
            for key, value in own.items():
                values.setdefault((name, key), set()).add(value)

    def short(spec: str) -> str:
        said = []
        for name, own in parsed[spec]:
            told = [f'{k}={v}' for k, v in own.items() if len(values[name, k]) > 1]
            said.append(f'{name}({", ".join(told)})' if told else name)
        return ' + '.join(said) or spec or NO_REMEDY

    found = {spec: short(spec) for spec in specs}
    counts = collections.Counter(found.values())
    return {spec: label if counts[label] == 1 else spec for spec, label in found.items()}


def known(spec: str) -> Any | None:
    """Returns the `training.remedy.Remedy` of an expression.

    None where it names one of somebody's own that is not registered when a report is made.
    """
    try:
        return remedy_of({'remedy': spec})
    except ValueError:
        return None


def parts_of(spec: str) -> list[tuple[str, dict[str, str]]]:
    """Returns name and parameters of each part of an expression; nothing of what is none."""
    try:
        tree = ast.parse(spec.strip(), mode='eval').body if spec.strip() else None
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []
    nodes: list[ast.expr] = []
    while isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add):
        nodes.insert(0, tree.right)
        tree = tree.left
    nodes = [*([tree] if tree else []), *nodes]
    found = []
    for node in nodes:
        call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
        if not isinstance(call.func, ast.Name) or call.args:
            return []
        own = {str(keyword.arg): ast.unparse(keyword.value) for keyword in call.keywords}
        found.append((call.func.id, own))
    return found
