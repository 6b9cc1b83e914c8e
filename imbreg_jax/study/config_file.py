"""Config files: where those at hand lie, what they say that they are, and how one is run.

What can go wrong on the way (no file, a file that fails, one that makes no config) ends in a
`ConfigFileError` with one sentence instead of a traceback.
"""

from __future__ import annotations

import ast
import difflib
import os
import re
import traceback
from pathlib import Path
from typing import Any

import ml_collections

import imbreg_jax
from imbreg_jax.study import config as config_lib
from imbreg_jax.study import overrides, reading
from imbreg_jax.study.errors import ConfigError, ConfigFileError, short_text
from imbreg_jax.study.settings import FIELDS

EXAMPLE = '--config=configs/u1_10.py'
_MOST_BYTES = 10**7
_LOCKED = re.compile(r'Key "(?P<field>.+?)" does not exist and cannot be added')
_CAST = re.compile(
    r"Could not override field '(?P<field>.+?)' .*?\. (?P<value>.*) is of original type", re.S
)


def shipped_folder() -> Path:
    """Where the configs lie that come with the package.

    Returns:
        A folder of the package, as a wheel has it; in a checkout the one beside the package.
    """
    package = Path(imbreg_jax.__file__).parent
    within = package / 'configs'
    return within if any(within.glob('[!_]*.py')) else package.parent / 'configs'


def at_hand() -> list[str]:
    """The config files at hand: those of ./configs, and those that come with the package.

    Returns:
        Paths, relative where they lie below the current directory; each file once.
    """
    here = Path.cwd()
    found: dict[Path, str] = {}
    for folder in (here / 'configs', shipped_folder()):
        for path in sorted(folder.glob('[!_]*.py')):
            near = path.relative_to(here) if path.is_relative_to(here) else path
            found.setdefault(path.resolve(), str(near))
    return list(found.values())


def first_line(path: str | os.PathLike[str]) -> str:
    """What a config file says that it is; the file is read, not run."""
    try:
        tree = ast.parse(reading.read_regular(os.fspath(path), _MOST_BYTES))
        docstring = ast.get_docstring(tree) or ''
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return '(it cannot be read)'
    return reading.printable(docstring.partition('\n')[0])


def load_config_file(path: str | os.PathLike[str]) -> ml_collections.ConfigDict:
    """Runs a config file's `get_config()`.

    Args:
        path: a Python file; `file.py:text` calls its `get_config(text)`, as ml_collections has it.

    Returns:
        Its config, locked.

    Raises:
        ConfigFileError: when there is no such file, or it fails, or makes no config.
        ConfigError: that its `get_config()` raises.
    """
    arguments = []
    name, colon, argument = os.fspath(path).partition('.py:')
    if colon:
        path, arguments = f'{name}.py', [argument]
    path = os.fspath(path)
    try:
        source = reading.read_regular(path, _MOST_BYTES).decode('utf-8')
    except (OSError, ValueError) as error:
        raise ConfigFileError(path, _unreadable(path, error)) from None
    namespace: dict[str, Any] = {'__name__': 'config_file', '__file__': path}
    try:
        exec(compile(source, path, 'exec', dont_inherit=True), namespace)
    except SyntaxError as error:
        raise ConfigFileError(
            path, f'line {error.lineno} of the file is not valid Python: {error.msg}'
        ) from None
    except (Exception, SystemExit) as error:
        raise _failure(path, error) from None
    if not callable(namespace.get('get_config')):
        raise ConfigFileError(
            path,
            'the file must define get_config(), which returns a changed '
            'imbreg_jax.study.default_config()',
        )
    try:
        config = namespace['get_config'](*arguments)
    except (Exception, SystemExit) as error:
        raise _failure(path, error) from None
    if not isinstance(config, ml_collections.ConfigDict):
        raise ConfigFileError(
            path,
            f'its get_config() returned {short_text(config)}; it must '
            'return a changed imbreg_jax.study.default_config()',
        )
    return config.lock()


def _unreadable(path: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        near = _near_file(path)
        return f'there is no such file; {f"did you mean {near}" if near else _known_files()}'
    if isinstance(error, reading.NoRegularFile):
        return f'the file cannot be read: {error}'
    if isinstance(error, OSError):
        return f'the file cannot be read: {error.strerror or error}'
    return 'it must be a Python file in UTF-8'


def _near_file(path: str) -> str | None:
    """The config file that a path without a file most likely stands for."""
    base = os.path.basename(path)
    base = base if base.endswith('.py') else f'{base}.py'
    folder = os.path.dirname(path)
    try:
        names = sorted(name for name in os.listdir(folder or '.') if name.endswith('.py'))
    except OSError:
        names = []
    beside = {name: os.path.join(folder, name) for name in names}
    # A file of exactly this name, wherever it is, before one of a similar name.
    others = {os.path.basename(file): file for file in reversed(at_hand())}
    for known in (beside, others):
        if base in known:
            return known[base]
    for known in (beside, others):
        if near := difflib.get_close_matches(base, known, n=1):
            return known[near[0]]
    return None


def _known_files() -> str:
    files = at_hand()
    return f'known are {", ".join(files)}' if files else f'an example is {EXAMPLE}'


def _failure(path: str, error: BaseException) -> ConfigError:
    """The sentence for an exception that a config file raised."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path
    ]
    where = f'line {frames[-1].lineno} of {path}' if frames else path
    text = ' '.join(str(error).split())
    if isinstance(error, ConfigError):
        return error
    if locked := _LOCKED.search(str(error)):
        field = locked['field']
        hint = config_lib.hint(field, FIELDS)
        return ConfigFileError(path, f'{where} sets {field}, which is no field; {hint}')
    if cast := _CAST.search(str(error)):
        leaf = cast['field']
        fields = [name for name in FIELDS if name.rsplit('.', 1)[-1] == leaf]
        rules = ' or '.join(f'{name} must be {FIELDS[name].rule}' for name in fields)
        return ConfigFileError(
            path,
            f'{where} sets {leaf} to {short_text(overrides.literal(cast["value"]))}; '
            f'{rules or "that is of another type"}',
        )
    return ConfigFileError(
        path,
        f'{where} fails with {type(error).__name__}{": " if text else ""}{text[:200]}',
    )
