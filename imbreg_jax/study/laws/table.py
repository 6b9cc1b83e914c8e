"""A table of targets as a law.

A table is its sorted values, wherever they come from: its identity is their SHA-256, and who parses
says where values may be looked for.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import os
import re

import numpy as np

from imbreg_jax.study.laws.law import Law, Parsed, Unknown
from imbreg_jax.study.laws.registry import Entry, Reader, add

_DIGEST = re.compile(r'[0-9a-f]{8,64}')


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
    path, given = _table_arguments(node)
    values = reader.source(path, given)
    label = f'table({os.path.basename(path) or given[:16]!r})'
    if values is None:
        if len(given) != 64:
            raise ValueError(f'{label} does not say which values it has')
        law: Law = Unknown(f'the values of {label} are not kept here, so its law is unknown')
        return _named_table(path, given, label, {}, law)
    digest = table_digest(values)
    if not digest.startswith(given):
        raise ValueError(
            f'the file of table({path!r}) has changed: the SHA-256 of its values is '
            f'{digest[:16]}…, not {given}'
        )
    return _named_table(path, digest, label, {digest: values}, Table(values))


def _named_table(
    path: str, digest: str, label: str, tables: dict[str, np.ndarray], law: Law
) -> Parsed:
    return Parsed(
        name=f'table_{digest[:16]}',
        spec=f'table({path!r}, sha256={digest!r})',
        identity=f'table(sha256={digest!r})',
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
        raise ValueError("table('file.csv') takes the path of a file in quotes")
    if digest and not _DIGEST.fullmatch(digest):
        raise ValueError(
            f'the sha256 of table({texts.get("file", "")!r}) must be 8 to 64 of the characters '
            '0-9 a-f'
        )
    return texts.get('file', ''), digest


def table_digest(values: np.ndarray) -> str:
    """The SHA-256 of a table's sorted values, as little-endian float64, in hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(values, '<f8').data).hexdigest()


def tables_of(spec: str) -> list[tuple[str, str]]:
    """Path and digest ('' where it has none) of each table in an expression; nothing is opened."""
    try:
        tree = ast.parse(spec.strip(), mode='eval')
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'table':
            try:
                found.append(_table_arguments(node))
            except ValueError:
                continue
    return found


def nowhere(path: str, digest: str) -> None:
    """The source of tables that opens nothing and knows none: their laws are not `known`."""
    del path, digest


add(
    Entry(
        name='table',
        form="table('file.csv')",
        example="table('targets.csv'), a file of one target a line",
        read=_read,
    )
)
