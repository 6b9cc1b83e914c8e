"""From an expression to a distribution. It is read from its syntax tree and never evaluated."""

from __future__ import annotations

import ast
import warnings

from imbreg_jax.study import reading
from imbreg_jax.study.laws.law import Distribution, TableSource
from imbreg_jax.study.laws.registry import REGISTRY, Reader, usage
from imbreg_jax.study.laws.table_file import read_table

# Expressions are typed by people; the limit keeps nesting, and the parser's stack, small.
LONGEST_SPEC = 2000


def parse(spec: str, source: TableSource | None = None) -> Distribution:
    """Reads a target distribution from a registry name or an expression.

    Args:
        spec: a name in `REGISTRY`, or the call of a law (see `forms`). Numbers stand by position or
            by name; a law within a law may be a name or again a call. A table,
            `table('file.csv')`, may say its values' digest, `table('file.csv', sha256='…')`.
        source: where the values of tables come from; by default `read_table`, which opens the
            file. A spec that somebody else wrote must not be parsed with that.

    Returns:
        The distribution. An expression of a registered law gets the registry's name.

    Raises:
        ValueError: with one sentence, when the expression cannot be read, its law is unknown, its
            arguments make no law, or a table's file cannot be read.
    """
    if not isinstance(spec, str):
        raise ValueError('a distribution is a string, such as u1_10 or normal(5.5, 1)')
    if len(spec) > LONGEST_SPEC:
        raise ValueError(f'a distribution takes at most {LONGEST_SPEC} characters, not {len(spec)}')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', SyntaxWarning)
            node = ast.parse(spec.strip(), mode='eval').body
        parsed = Reader(source or read_table).law(node)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(
            f'it is neither a name nor an expression such as normal(5.5, 1); known are {usage()}'
        ) from None
    registered = {expression: known for known, expression in REGISTRY.items()}
    return Distribution(
        name=registered.get(parsed.identity, parsed.name),
        spec=parsed.spec,
        identity=parsed.identity,
        label=reading.printable(parsed.label),
        tables=parsed.tables,
        _law=parsed.law,
    )
