"""The paper: what it prints (`printed`), and what it concludes as verdicts (`claims`)."""

from imbreg_jax.analysis.paper.printed import (
    ALL_TESTS,
    BALANCED,
    METRICS,
    MISSING,
    NORMAL,
    Cell,
    as_printed,
    cell,
    cells,
    inconsistencies,
    repeats,
    settings,
    table,
    test_distributions,
    title,
)

__all__ = [
    'ALL_TESTS',
    'BALANCED',
    'METRICS',
    'MISSING',
    'NORMAL',
    'Cell',
    'as_printed',
    'cell',
    'cells',
    'inconsistencies',
    'repeats',
    'settings',
    'table',
    'test_distributions',
    'title',
]
