"""The command line as a config: `--config=FILE --config.field=value …`.

What can go wrong on the way (no file, a file that fails, a misspelt field, a value of the wrong
type) ends in a `ConfigError` with one sentence instead of a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import ml_collections
from absl import flags

import imbreg_jax
from imbreg_jax.study import config as config_lib
from imbreg_jax.study import config_file, overrides
from imbreg_jax.study import help as help_lib
from imbreg_jax.study.errors import MISSING, ConfigError, ConfigFileError
from imbreg_jax.study.settings import FIELDS
from imbreg_jax.study.suggestions import nearest

_FILE_FLAG = '--config'
_FILE_RULE = f'it must name a file, such as {config_file.EXAMPLE}'
_OVERRIDE = re.compile(r'--?(?P<no>no)?config\.(?P<field>[^=]*)(?P<equals>=)?(?P<value>.*)', re.S)
_CONFIG = re.compile(r'--?config(?:=(?P<path>.*))?', re.S)
_HELP = re.compile(r'--?(help|helpfull|helpshort|helpxml|h|\?)(=.*)?')
_VERSION = re.compile(r'--?version')


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
    path, pairs, remaining = _split(argv)
    if asks(remaining):
        return None, remaining
    if path is None:
        flag = misspelt_config(remaining)
        if flag is None:
            raise ConfigError(_FILE_FLAG, MISSING, _FILE_RULE)
        name, equals, value = flag.partition('=')
        raise ConfigError(
            name,
            value if equals else MISSING,
            f'there is no such flag; did you mean {_FILE_FLAG}',
        )
    try:
        config = config_file.load_config_file(path)
    except ConfigFileError as error:
        raise ConfigError(_FILE_FLAG, error.value, error.message) from None
    return overrides.by_texts(config, pairs), remaining


def information(argv: Sequence[str], usage: str) -> str | None:
    """What a command line asks to be told, or None where it asks for a study.

    Args:
        argv: the program's name and its arguments.
        usage: what the help begins with.

    Returns:
        The text for --help or --version.
    """
    arguments = _before_dashes(argv)
    if any(_HELP.fullmatch(argument) for argument in arguments):
        return help_lib.help_text(usage)
    if any(_VERSION.fullmatch(argument) for argument in arguments):
        return f'imbreg_jax {imbreg_jax.__version__}'
    return None


def asks(argv: Sequence[str]) -> bool:
    """Whether a command line asks to be told something; see `information`."""
    return any(_HELP.fullmatch(x) or _VERSION.fullmatch(x) for x in _before_dashes(argv))


def names_config(argv: Sequence[str]) -> bool:
    """Whether a command line has a --config=FILE."""
    return any(_CONFIG.fullmatch(argument) for argument in _before_dashes(argv))


def misspelt_config(argv: Sequence[str]) -> str | None:
    """The argument that most likely stands for a --config=FILE, or None."""
    for argument in argv[1:]:
        flag = argument.partition('=')[0]
        if (
            flag.startswith('-')
            and not _OVERRIDE.fullmatch(argument)
            and nearest(flag.lstrip('-'), ['config'])
        ):
            return argument
    return None


def _before_dashes(argv: Sequence[str]) -> list[str]:
    """The arguments before a `--`, without the program's name."""
    arguments = list(argv[1:])
    return arguments[: arguments.index('--')] if '--' in arguments else arguments


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
        hint = f'did you mean --{near}' if near else f'the config is set by {config_file.EXAMPLE}'
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
            '--',
            positional[1],
            f'arguments are flags of the form --flag=value, such as {config_file.EXAMPLE}',
        )


def _split(argv: Sequence[str]) -> tuple[str | None, list[tuple[str, str]], list[str]]:
    """The config file, the overrides and everything else of a command line."""
    path: str | None = None
    pairs: list[tuple[str, str]] = []
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
                path = _next_value(_FILE_FLAG, arguments, _FILE_RULE)
            if not path:
                raise ConfigError(_FILE_FLAG, path, _FILE_RULE)
        elif match := _OVERRIDE.fullmatch(argument):
            pairs.append(_override(match, arguments))
        else:
            remaining.append(argument)
    return path, pairs, remaining


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


def _after_equals(argument: str | None) -> Any:
    """The value within '--flag=value', which is what absl reports for an unknown flag."""
    _, equals, value = (argument or '').partition('=')
    return value if equals else MISSING
