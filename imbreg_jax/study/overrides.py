"""Fields of a config set anew: by texts from a command line, or by values from Python.

`ml_collections.config_flags` makes values of texts. Either way a field that does not exist, a value
of another type and an override that nothing would hear are refused in one sentence, and the study's
name tells what was set, so that two studies do not meet in one folder.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections
from absl import flags
from ml_collections import config_flags

from imbreg_jax.study import config as config_lib
from imbreg_jax.study import naming
from imbreg_jax.study.errors import ConfigError
from imbreg_jax.study.settings import FIELDS, SECTIONS


def by_texts(
    config: ml_collections.ConfigDict, overrides: Sequence[tuple[str, str]]
) -> ml_collections.ConfigDict:
    """Applies `--config.field=value` overrides, in order.

    Args:
        config: the config, changed in place.
        overrides: pairs of a dotted field and its value's text; a field of several values may be
            given once as a tuple's text, or once for each value.

    Returns:
        The config, named after its overrides, not yet validated.

    Raises:
        ConfigError: for a field that the config does not have, a text that is no such value, or a
            field that each condition or the sweep sets for itself.
    """
    before = config_lib.plain(config)
    texts: dict[str, list[str]] = {}
    for field, text in overrides:
        texts.setdefault(field, []).append(text)
    for field, values in texts.items():
        last = literal(values[-1])
        _check_known(config, field, last)
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
            else:
                message = _rule(field, error)
            raise ConfigError(field, last, message) from None
        config = holder.value
    return _settled(config, before, {field: literal(values[-1]) for field, values in texts.items()})


def by_values(
    config: ml_collections.ConfigDict, values: Mapping[str, Any]
) -> ml_collections.ConfigDict:
    """Sets fields to values of their types, in order.

    Args:
        config: the config, changed in place.
        values: by dotted fields.

    Returns:
        The config, named after its overrides, not yet validated.

    Raises:
        ConfigError: for a field that the config does not have, a value of another type, or a field
            that each condition or the sweep sets for itself.
    """
    before = config_lib.plain(config)
    for field, value in values.items():
        _check_known(config, field, value)
        *sections, leaf = field.split('.')
        holder = config
        for section in sections:
            holder = holder[section]
        try:
            holder[leaf] = value
        except ConfigError:
            raise
        except (TypeError, ValueError) as error:
            raise ConfigError(field, value, _rule(field, error)) from None
    return _settled(config, before, values)


def literal(text: str) -> Any:
    """What a text most likely means, for an error message."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _rule(field: str, error: Exception) -> str:
    """What would be right, or what is known to be wrong."""
    return f'it must be {FIELDS[field].rule}' if field in FIELDS else ' '.join(str(error).split())


def _settled(
    config: ml_collections.ConfigDict, before: Mapping[str, Any], overrides: Mapping[str, Any]
) -> ml_collections.ConfigDict:
    """A config whose overrides are heard, under a name that tells them."""
    _check_heard(config, overrides)
    if overrides and 'name' not in overrides:
        _name(config, before)
    return config


def _check_known(config: ml_collections.ConfigDict, field: str, value: Any) -> None:
    present = _leaves(config)
    if field in present or field == 'conditions':
        return
    if field in SECTIONS:
        leaves = [name for name in FIELDS if name.startswith(field + '.')]
        raise ConfigError(
            field, value, f'it is a section; set one of its fields, {", ".join(leaves)}'
        )
    known = [*FIELDS, *(name for name in present if name.startswith('conditions.'))]
    raise config_lib.unknown_field(field, value, known)


def _check_heard(config: ml_collections.ConfigDict, overrides: Mapping[str, Any]) -> None:
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
    for field, value in overrides.items():
        if field in swept:
            raise ConfigError(
                field, value, 'it has no effect, as config.sweep sets it; override that'
            )
        if own and all(field in leaves for leaves in own):
            raise ConfigError(
                field,
                value,
                'it has no effect, as each condition of this config sets its own; override '
                f'config.conditions.{next(iter(conditions))}.{field}, or name a config of one '
                'condition',
            )


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


def _leaves(values: Mapping[str, Any] | ml_collections.ConfigDict, prefix: str = '') -> set[str]:
    leaves: set[str] = set()
    for key, value in values.items():
        if isinstance(value, Mapping | ml_collections.ConfigDict):
            leaves |= _leaves(value, f'{prefix}{key}.')
        else:
            leaves.add(f'{prefix}{key}')
    return leaves
