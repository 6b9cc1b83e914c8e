"""What a finished study says: a report of sections, each with a sentence, tables and figures.

Reads only `config.json`, `results.csv`, `metrics.jsonl` and `predictions.npz` of one or several
workdirs. `build(workdirs, out)` does all of it; `section` says what a section is, and `registry`
which there are.
"""

import importlib
import os
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imbreg_jax.analysis.reader import AnalysisError
    from imbreg_jax.analysis.registry import SECTIONS
    from imbreg_jax.analysis.reporting import Report, build
    from imbreg_jax.analysis.section import Badge, Column, Content, Figure, Section, Table

__all__ = [
    'SECTIONS',
    'AnalysisError',
    'Badge',
    'Column',
    'Content',
    'Figure',
    'Report',
    'Section',
    'Table',
    'build',
    'reason',
]
_PLACES = {
    'reader': ('AnalysisError',),
    'reporting': ('Report', 'build'),
    'section': ('Badge', 'Column', 'Content', 'Figure', 'Section', 'Table'),
    'registry': ('SECTIONS',),
}


def reason(error: Exception) -> str:
    """Says why a report could not be made, as part of a sentence.

    Our own errors are sentences; of another one, a drawing library's say, the type and the place
    are told too.
    """
    from imbreg_jax.analysis.reader import AnalysisError

    text = ' '.join(str(error).split()).rstrip('.')
    if isinstance(error, AnalysisError):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    where = (
        f' in {os.path.basename(frames[-1].filename)}, line {frames[-1].lineno}' if frames else ''
    )
    return f'{type(error).__name__}{where}: {text}' if text else f'{type(error).__name__}{where}'


def __getattr__(name: str) -> Any:
    # Loaded when asked for: a results table needs neither matplotlib nor jinja2.
    for module, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f'{__name__}.{module}'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
