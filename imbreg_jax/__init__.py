"""A controlled laboratory for imbalanced regression, in JAX.

import imbreg_jax

config = imbreg_jax.config('paper', repeats=3)
result = imbreg_jax.run_study(config, 'workdir')
result.table, result.networks, result.plot('comparisons')
result = imbreg_jax.load('workdir')
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = '0.1.0'

if TYPE_CHECKING:
    from imbreg_jax import study
    from imbreg_jax.studies import run_study
    from imbreg_jax.study.shipped import config
    from imbreg_jax.study_result import StudyResult, compare, load

__all__ = ['StudyResult', 'compare', 'config', 'load', 'run_study', 'study']

# Importing the package must not start JAX: a config is checked without it.
_HOMES = {
    'StudyResult': 'imbreg_jax.study_result',
    'compare': 'imbreg_jax.study_result',
    'config': 'imbreg_jax.study.shipped',
    'load': 'imbreg_jax.study_result',
    'run_study': 'imbreg_jax.studies',
}


def __getattr__(name: str) -> Any:
    if name == 'study':
        return importlib.import_module('imbreg_jax.study')
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
