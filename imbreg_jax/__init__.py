"""A controlled laboratory for imbalanced regression, in JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = '0.1.0'

if TYPE_CHECKING:
    from imbreg_jax.results.trained import load
    from imbreg_jax.runner import run_study

__all__ = ['load', 'run_study']


def __getattr__(name: str) -> Any:
    # Importing the package must not start JAX: a config is checked without it.
    if name == 'run_study':
        from imbreg_jax.runner import run_study

        return run_study
    if name == 'load':
        from imbreg_jax.results.trained import load

        return load
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
