"""What a finished study says: statistics, tables, figures, verdicts and the report.

Reads only `config.json`, `results.csv`, `metrics.jsonl` and `predictions.npz` of one or several
workdirs. `build(workdirs, out)` does all of it.
"""

import os
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imbreg_jax.analysis.loading import AnalysisError
    from imbreg_jax.analysis.reporting import Report, build

__all__ = ['AnalysisError', 'Report', 'build', 'reason']


def reason(error: Exception) -> str:
    """Says why a report could not be made, as part of a sentence.

    Our own errors are sentences; of another one, a drawing library's say, the type and the place
    are told too.
    """
    from imbreg_jax.analysis.loading import AnalysisError

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
    if name == 'AnalysisError':
        from imbreg_jax.analysis import loading

        return loading.AnalysisError
    if name in ('Report', 'build'):
        from imbreg_jax.analysis import reporting

        return getattr(reporting, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
