"""Tables as laws: of targets, or of the points of a density.

A table is its values, wherever they come from: its identity is their SHA-256, and who parses says
where values may be looked for.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import os
import re
from collections.abc import Callable

import numpy as np

from imbreg_jax.study.laws.law import Law, Parsed, Unknown
from imbreg_jax.study.laws.polygon import Polygon
from imbreg_jax.study.laws.registry import Entry, Reader, add

_DIGEST = re.compile(r'[0-9a-f]{8,64}')
# The laws of tables: how many columns their files have, and the law of the values.
_KINDS: dict[str, tuple[int, Callable[[np.ndarray], Law]]] = {
    'table': (1, lambda values: Table(values)),
    'density_table': (2, lambda points: Polygon.through(*points.T)),
}


@dataclasses.dataclass(frozen=True)
class Table:
    """The empirical quantile function of sorted values, linear between order statistics.

    It is the law of numpy.quantile's default method: value i of n (from 0) is the quantile of
    i / (n - 1). Equal values are an atom, which the CDF has as a step and the density leaves out.
    """

    values: np.ndarray

    def ppf(self, u: np.ndarray) -> np.ndarray:
        """See `Law`."""
        x = np.interp(u, np.linspace(0.0, 1.0, self.values.size), self.values)
        return np.where((u >= 0.0) & (u <= 1.0), x, np.nan)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """See `Law`."""
        index, inside = self._interval(x)
        low, high = self.values[index], self.values[index + 1]
        part = np.divide(x - low, high - low, out=np.zeros_like(x), where=inside)
        within = (index + part) / (self.values.size - 1)
        return np.where(inside, within, np.where(x < self.values[0], 0.0, 1.0))

    def pdf(self, x: np.ndarray) -> np.ndarray:
        """See `Law`."""
        index, inside = self._interval(x)
        width = self.values[index + 1] - self.values[index]
        ones = np.ones_like(x)
        return np.divide(ones, width * (self.values.size - 1), out=np.zeros_like(x), where=inside)

    def _interval(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        index = np.searchsorted(self.values, x, side='right') - 1
        inside = (index >= 0) & (index < self.values.size - 1)
        return np.clip(index, 0, self.values.size - 2), inside

    @property
    def mean(self) -> float:
        """See `Law`."""
        return float(np.mean(0.5 * (self.values[1:] + self.values[:-1])))

    @property
    def support(self) -> tuple[float, float]:
        """See `Law`."""
        return float(self.values[0]), float(self.values[-1])


def _read(node: ast.Call, reader: Reader) -> Parsed:
    name = _name(node)
    columns, make = _KINDS[name]
    path, given = _table_arguments(node)
    values = reader.source(path, given, columns)
    label = f'{name}({os.path.basename(path) or given[:16]!r})'
    if values is None:
        if len(given) != 64:
            raise ValueError(f'{label} does not say which values it has')
        law: Law = Unknown(f'the values of {label} are not kept here, so its law is unknown')
        return _named_table(name, path, given, label, {}, law)
    digest = table_digest(values)
    if not digest.startswith(given):
        raise ValueError(
            f'the file of {name}({path!r}) has changed: the SHA-256 of its values is '
            f'{digest[:16]}…, not {given}'
        )
    return _named_table(name, path, digest, label, {digest: values}, make(values))


def _name(node: ast.Call) -> str:
    return getattr(node.func, 'id', '')


def _named_table(
    name: str, path: str, digest: str, label: str, tables: dict[str, np.ndarray], law: Law
) -> Parsed:
    return Parsed(
        name=f'{name}_{digest[:16]}',
        spec=f'{name}({path!r}, sha256={digest!r})',
        identity=f'{name}(sha256={digest!r})',
        label=label,
        tables=tables,
        law=law,
    )


def _table_arguments(node: ast.Call) -> tuple[str, str]:
    """The path of a table's file, and the digest of its values or ''."""
    given: dict[str, ast.expr] = dict(zip(('file', 'sha256'), node.args, strict=False))
    given |= {keyword.arg or '': keyword.value for keyword in node.keywords}
    texts = {
        key: value.value
        for key, value in given.items()
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    }
    count = len(node.args) + len(node.keywords)
    digest = texts.get('sha256', '')
    named = 'file' in texts or len(digest) == 64
    if not named or len(texts) != count or not texts.keys() <= {'file', 'sha256'}:
        raise ValueError(f"{_name(node)}('file.csv') takes the path of a file in quotes")
    if digest and not _DIGEST.fullmatch(digest):
        raise ValueError(
            f'the sha256 of {_name(node)}({texts.get("file", "")!r}) must be 8 to 64 of the '
            'characters 0-9 a-f'
        )
    return texts.get('file', ''), digest


def table_digest(values: np.ndarray) -> str:
    """The SHA-256 of a table's values, as little-endian float64, in hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(values, '<f8').data).hexdigest()


def tables_of(spec: str) -> list[tuple[str, str]]:
    """Path and digest ('' where it has none) of each table in an expression; nothing is opened."""
    try:
        tree = ast.parse(spec.strip(), mode='eval')
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node) in _KINDS:
            try:
                found.append(_table_arguments(node))
            except ValueError:
                continue
    return found


def nowhere(path: str, digest: str, columns: int = 1) -> None:
    """The source of tables that opens nothing and knows none: their laws are not `known`."""
    del path, digest, columns


for _kind, _file in {
    'table': "'targets.csv'), a file of one target a line",
    'density_table': "'density.csv'), a file of a target and its density a line",
}.items():
    add(Entry(_kind, f"{_kind}('file.csv')", f'{_kind}({_file}', _read))
