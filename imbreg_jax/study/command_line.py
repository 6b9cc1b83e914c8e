"""The command line as a config: `--config=FILE --config.field=value …`.

`ml_collections.config_flags` applies the overrides, and the study's name tells them: the default
workdir is called after it, so that two studies do not meet in one folder. What can go wrong on the
way (no file, a file that fails, a misspelt field, a value of the wrong type) ends in a
`ConfigError` with one sentence instead of a traceback.
"""

from __future__ import annotations

import ast
import difflib
import os
import re
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections
from absl import flags
from ml_collections import config_flags

import imbreg_jax
from imbreg_jax.study import config as config_lib
from imbreg_jax.study import help as help_lib
from imbreg_jax.study import naming, reading
from imbreg_jax.study.errors import MISSING, ConfigError, ConfigFileError, short_text
from imbreg_jax.study.settings import FIELDS, SECTIONS
from imbreg_jax.study.suggestions import nearest

_FILE_FLAG = '--config'
_EXAMPLE = '--config=configs/u1_10.py'
_OVERRIDE = re.compile(r'--?(?P<no>no)?config\.(?P<field>[^=]*)(?P<equals>=)?(?P<value>.*)', re.S)
_CONFIG = re.compile(r'--?config(?:=(?P<path>.*))?', re.S)
_HELP = re.compile(r'--?(help|helpfull|helpshort|helpxml|h|\?)(=.*)?')
_VERSION = re.compile(r'--?version')
_MOST_CONFIG_BYTES = 10**7
_LOCKED = re.compile(r'Key "(?P<field>.+?)" does not exist and cannot be added')
_CAST = re.compile(
    r"Could not override field '(?P<field>.+?)' .*?\. (?P<value>.*) is of original type", re.S
)


def read_config(
    argv: Sequence[str],
) -> tuple[ml_collections.ConfigDict | None, list[str]]:
    """Takes the config out of a command line.

    The config is loaded, overridden and named after its overrides, not yet validated.

    Args:
        argv: the program's name and its arguments.

    Returns:
        The locked config, and the program's name with the arguments that do not concern the config.
        The config is None where help or the version is asked for; see `information`.

    Raises:
        ConfigError: when there is no config file, it fails, or an override cannot be applied.
    """
    path, overrides, remaining = _split(argv)
    if any(_HELP.fullmatch(text) or _VERSION.fullmatch(text) for text in remaining[1:]):
        return None, remaining
    if path is None:
        for argument in remaining[1:]:
            flag, equals, value = argument.partition('=')
            if flag.startswith('-') and nearest(flag.lstrip('-'), ['config']):
                raise ConfigError(
                    flag,
                    value if equals else MISSING,
                    f'there is no such flag; did you mean {_FILE_FLAG}',
                )
        raise ConfigError(_FILE_FLAG, MISSING, f'it must name a file, such as {_EXAMPLE}')
    try:
        config = load_config_file(path)
    except ConfigFileError as error:
        raise ConfigError(_FILE_FLAG, error.value, error.message) from None
    before = config_lib.plain(config)
    config = override(config, overrides)
    _check_heard(config, dict(overrides))
    if overrides and 'name' not in dict(overrides):
        _name(config, before)
    return config, remaining


def information(argv: Sequence[str], usage: str) -> str | None:
    """What a command line asks to be told, or None where it asks for a study.

    Args:
        argv: the program's name and its arguments.
        usage: what the help begins with.

    Returns:
        The text for --help or --version.
    """
    if '--' in argv:
        argv = argv[: list(argv).index('--')]
    if any(_HELP.fullmatch(argument) for argument in argv[1:]):
        return help_lib.help_text(usage)
    if any(_VERSION.fullmatch(argument) for argument in argv[1:]):
        return f'imbreg_jax {imbreg_jax.__version__}'
    return None


def _name(config: ml_collections.ConfigDict, before: Mapping[str, Any]) -> None:
    """Names a config after what was overridden, unless the name is left to be derived."""
    if not config.name:
        return
    parse = config_lib.parser()
    try:
        after = config_lib.flat_conditions(config, parse)
    except ConfigError:
        return  # Refused by whoever resolves it.
    try:
        base = config_lib.flat_conditions(before, parse)
    except ConfigError:  # A file may leave to the command line what it needs.
        base = config_lib.flat_conditions(config_lib.default_config(), parse)
        base[0]['name'] = config.name
    config.name = naming.overridden_name(base, after, parse)


def parse_flags(flag_values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Parses the arguments that `read_config` left.

    Args:
        flag_values: the program's other flags.
        argv: the program's name and its arguments.

    Raises:
        ConfigError: for an unknown flag, a wrong value, or an argument that is no flag.
    """
    try:
        positional = flag_values(list(argv))
    except flags.UnrecognizedFlagError as error:
        near = nearest(error.flagname, [*flag_values, 'config'])
        hint = f'did you mean --{near}' if near else f'the config is set by {_EXAMPLE}'
        raise ConfigError(
            f'--{error.flagname}',
            _after_equals(error.flagvalue),
            f'there is no such flag; {hint}',
        ) from None
    except flags.Error as error:
        text = ' '.join(str(error).split())
        name = re.match(r'flag (--[^= ]+)=(.*?): (.*)', text)
        field, value, message = name.groups() if name else ('flags', ' '.join(argv[1:]), text)
        if message.startswith('('):  # What absl says of a switch, as a tuple.
            message = 'it must be true or false'
        raise ConfigError(field if name else '--', value, message) from None
    for given in flag_values:
        flag = flag_values[given]
        if flag.present and flag.value == '':
            raise ConfigError(
                f'--{given}', '', f'it must not be empty; leave it out for the default: {flag.help}'
            )
    if len(positional) > 1:
        raise ConfigError(
            '--', positional[1], f'arguments are flags of the form --flag=value, such as {_EXAMPLE}'
        )


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
        source = reading.read_regular(path, _MOST_CONFIG_BYTES).decode('utf-8')
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


def override(
    config: ml_collections.ConfigDict,
    overrides: Sequence[tuple[str, str]],
) -> ml_collections.ConfigDict:
    """Applies `--config.field=value` overrides, in order.

    Args:
        config: the config, changed in place.
        overrides: pairs of a dotted field and its value's text; a field of several values may be
            given once as a tuple's text, or once for each value.

    Returns:
        The config.

    Raises:
        ConfigError: for a field that the config does not have, or a text that is no such value.
    """
    texts: dict[str, list[str]] = {}
    for field, text in overrides:
        texts.setdefault(field, []).append(text)
    for field, values in texts.items():
        _check_known(config, field, values[-1])
        arguments = ['', *(f'--config.{field}={value}' for value in values)]
        flag_values = flags.FlagValues()
        try:
            holder = config_flags.DEFINE_config_dict(
                'config', config, flag_values=flag_values, sys_argv=arguments
            )
            flag_values(arguments)
        # What config_flags raises depends on the field's type, and none of it is the caller's.
        except Exception as error:
            if field == 'conditions':
                message = 'a config file sets it; here are config.conditions.NAME.FIELD'
            elif field in FIELDS:
                message = f'it must be {FIELDS[field].rule}'
            else:
                message = ' '.join(str(error).split())
            raise ConfigError(field, _value(values[-1]), message) from None
        config = holder.value
    return config


def _split(argv: Sequence[str]) -> tuple[str | None, list[tuple[str, str]], list[str]]:
    """The config file, the overrides and everything else of a command line."""
    path: str | None = None
    overrides: list[tuple[str, str]] = []
    remaining = list(argv[:1])
    arguments = list(argv[1:])
    while arguments:
        argument = arguments.pop(0)
        if argument == '--':
            remaining += [argument, *arguments]
            break
        if match := _CONFIG.fullmatch(argument):
            path = match['path']
            if path is None:
                path = _next_value(
                    _FILE_FLAG, arguments, f'it must name a file, such as {_EXAMPLE}'
                )
            if not path:
                raise ConfigError(_FILE_FLAG, path, f'it must name a file, such as {_EXAMPLE}')
        elif match := _OVERRIDE.fullmatch(argument):
            overrides.append(_override(match, arguments))
        else:
            remaining.append(argument)
    return path, overrides, remaining


def _override(match: re.Match[str], arguments: list[str]) -> tuple[str, str]:
    field = match['field']
    known = FIELDS.get(field)
    switch = known is not None and known.kind == 'bool'
    if match['no']:
        if not switch or match['equals']:
            raise ConfigError(
                f'--noconfig.{field}',
                match['value'] or MISSING,
                'only a field that is True or False can be switched off this way, without a value',
            )
        return field, 'false'
    if match['equals']:
        return field, match['value']
    if switch:
        return field, 'true'
    if known is None and (not arguments or arguments[0].startswith('-')):
        raise config_lib.unknown_field(field, MISSING, FIELDS)
    rule = f'it must be {known.rule}' if known else f'it needs a value, as --config.{field}=value'
    return field, _next_value(field, arguments, rule)


def _next_value(field: str, arguments: list[str], rule: str) -> str:
    # A flag is no value, but a negative number is one (and is refused where it is out of range).
    if not arguments or re.match(r'-+[A-Za-z?]', arguments[0]):
        raise ConfigError(field, MISSING, rule)
    return arguments.pop(0)


def _check_known(config: ml_collections.ConfigDict, field: str, text: str) -> None:
    present = _leaves(config)
    if field in present or field == 'conditions':
        return
    if field in SECTIONS:
        leaves = [name for name in FIELDS if name.startswith(field + '.')]
        raise ConfigError(
            field, _value(text), f'it is a section; set one of its fields, {", ".join(leaves)}'
        )
    known = [*FIELDS, *(name for name in present if name.startswith('conditions.'))]
    raise config_lib.unknown_field(field, _value(text), known)


def _check_heard(config: ml_collections.ConfigDict, overrides: Mapping[str, str]) -> None:
    """Refuses to override for the whole study what each of its conditions sets for itself."""
    conditions = config.get('conditions')
    if not isinstance(conditions, ml_collections.ConfigDict):
        return  # Refused by whoever resolves it.
    own = [
        _leaves(condition) if isinstance(condition, ml_collections.ConfigDict) else set()
        for condition in conditions.values()
    ]
    try:
        swept = config_lib.swept_fields(str(config.get('sweep', '')))
    except ValueError:
        swept = frozenset()  # Refused, too.
    for field, text in overrides.items():
        if field in swept:
            raise ConfigError(
                field, _value(text), 'it has no effect, as config.sweep sets it; override that'
            )
        if own and all(field in leaves for leaves in own):
            raise ConfigError(
                field,
                _value(text),
                'it has no effect, as each condition of this config sets its own; override '
                f'config.conditions.{next(iter(conditions))}.{field}, or name a config of one '
                'condition',
            )


def _leaves(values: Mapping[str, Any] | ml_collections.ConfigDict, prefix: str = '') -> set[str]:
    leaves: set[str] = set()
    for key, value in values.items():
        if isinstance(value, Mapping | ml_collections.ConfigDict):
            leaves |= _leaves(value, f'{prefix}{key}.')
        else:
            leaves.add(f'{prefix}{key}')
    return leaves


def _after_equals(argument: str | None) -> Any:
    """The value within '--flag=value', which is what absl reports for an unknown flag."""
    _, equals, value = (argument or '').partition('=')
    return value if equals else MISSING


def _value(text: str) -> Any:
    """What a text most likely means, for an error message."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


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
    at_hand = {os.path.basename(file): file for file in reversed(help_lib.config_files())}
    for known in (beside, at_hand):
        if base in known:
            return known[base]
    for known in (beside, at_hand):
        if near := difflib.get_close_matches(base, known, n=1):
            return known[near[0]]
    return None


def _known_files() -> str:
    files = help_lib.config_files()
    return f'known are {", ".join(files)}' if files else f'an example is {_EXAMPLE}'


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
            f'{where} sets {leaf} to {short_text(_value(cast["value"]))}; '
            f'{rules or "that is of another type"}',
        )
    return ConfigFileError(
        path,
        f'{where} fails with {type(error).__name__}{": " if text else ""}{text[:200]}',
    )
