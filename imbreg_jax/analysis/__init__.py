"""What a finished study says: statistics, tables, figures, verdicts and the report.

Reads only `config.json`, `results.csv`, `metrics.jsonl` and `predictions.npz` of one or several
workdirs. `build(workdirs, out)` does all of it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imbreg_jax.analysis.loading import AnalysisError
    from imbreg_jax.analysis.reporting import Report, build

__all__ = ['AnalysisError', 'Report', 'build']


def __getattr__(name: str) -> Any:
    # Loaded when asked for: a results table needs neither matplotlib nor jinja2.
    if name == 'AnalysisError':
        from imbreg_jax.analysis import loading

        return loading.AnalysisError
    if name in ('Report', 'build'):
        from imbreg_jax.analysis import reporting

        return getattr(reporting, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
