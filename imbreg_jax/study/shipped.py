"""The configs that come with the package, by name: `paper`, `missing_targets:disc_radius`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections

from imbreg_jax.study import config_file, overrides
from imbreg_jax.study.errors import ConfigError
from imbreg_jax.study.suggestions import nearest


def files() -> dict[str, Path]:
    """The files of the shipped configs, by name."""
    return {path.stem: path for path in sorted(config_file.shipped_folder().glob('[!_]*.py'))}


def path_of(choice: str | os.PathLike[str]) -> str:
    """The path that a choice of a config stands for.

    Args:
        choice: the name of a shipped config, or the path of a file, which has a / or ends with .py.
            What follows a colon is what the file is handed.

    Returns:
        A path for `load_config_file`.

    Raises:
        ConfigError: it is neither.
    """
    choice = os.fspath(choice)
    name, colon, argument = choice.partition(':')
    if '/' in name or name.endswith('.py'):
        return choice
    known = files()
    if name not in known:
        near = f'{name}.py' if os.path.isfile(f'{name}.py') else nearest(name, known)
        hint = f'did you mean {near}{colon}{argument}' if near else f'known are {", ".join(known)}'
        raise ConfigError('', choice, f'no config of this name is shipped; {hint}')
    return f'{known[name]}{colon}{argument}'


def config(
    choice: str | os.PathLike[str], values: Mapping[str, Any] | None = None, /, **fields: Any
) -> ml_collections.ConfigDict:
    """A shipped config, or a file of one's own, with fields set anew.

        imbreg_jax.config('paper', repeats=3)
        imbreg_jax.config('missing_targets:disc_radius', {'training.epochs': 2})

    As on the command line the study is named after what is set.

    Args:
        choice: the config; see `path_of`.
        values: values of fields, by their dotted names.
        **fields: more of them, of fields that are in no section.

    Returns:
        The config, locked and not yet validated.

    Raises:
        ConfigError: there is no such config, it fails, it has no such field, or a field takes no
            such value.
    """
    loaded = config_file.load_config_file(path_of(choice))
    return overrides.by_values(loaded, {**(values or {}), **fields})
