"""A config, checked and taken apart into the fields of its conditions.

The fields, each with its own rule, are declared in `settings`; `rules` tie several together.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import ml_collections
import numpy as np

from imbreg_jax.study import laws, naming, rules, suggestions
from imbreg_jax.study import sweep as sweep_lib
from imbreg_jax.study.errors import MISSING, ConfigError, short_text
from imbreg_jax.study.fields import NAME, NAME_RULE, Parse, checked
from imbreg_jax.study.settings import (
    CONDITION_SECTIONS,
    FIELDS,
    OVERRIDABLE,
    SECTIONS,
    SYNONYMS,
    leaves,
)

_CHANGEABLE = (
    f'{", ".join(name for name in OVERRIDABLE if "." not in name)}, and of '
    f'{", ".join(CONDITION_SECTIONS)} most fields'
)
_MOST_CONDITIONS = 1000
# Fields that no result hung on and that nothing asks for any more.
_GONE = frozenset({'analysis.bootstrap_resamples'})


class _Config(ml_collections.ConfigDict):
    """A `ConfigDict` that takes numpy's numbers for Python's, as a config built from arrays has.

    And for a sweep, which is an expression, {field: values}.
    """

    def __setitem__(self, key: Any, value: Any) -> None:
        if key == 'sweep' and isinstance(value, Mapping):
            try:
                value = sweep_lib.spec({k: _without_numpy(v) for k, v in value.items()})
            except ValueError as error:
                raise ConfigError('sweep', value, str(error)) from None
        super().__setitem__(key, _without_numpy(value))


def _without_numpy(value: Any) -> Any:
    """Python's numbers and strings for numpy's, also within lists and tuples."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if type(value) in (list, tuple):
        return type(value)(_without_numpy(item) for item in value)
    return value


def default_config() -> ml_collections.ConfigDict:
    """The paper's balanced condition, as a locked config.

    `name` is empty, which means a name made from the study's law and all that departs from the
    defaults, such as u1_10 or u1_10-epochs_30. `conditions` is empty, which means one condition,
    named likewise after its own fields. To compare several, set
    `config.conditions = {name: {field: value, …}, …}` with nested fields, such as
    {'relu_first': {'model': {'order': 'relu_pool'}}}.

    Returns:
        A locked `ConfigDict` with every field of `FIELDS`, and `conditions`.
    """
    nested: dict[str, Any] = {}
    for name, field in FIELDS.items():
        *section, leaf = name.split('.')
        holder = nested.setdefault(section[0], {}) if section else nested
        holder[leaf] = field.default
    config = _Config()
    for name, value in nested.items():
        config[name] = _Config(value) if isinstance(value, dict) else value
    config.conditions = _Config()
    return config.lock()


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier version wrote down, with the default of every field that came later."""
    defaults = nested({name: field.default for name, field in FIELDS.items()})
    return defaults | {
        key: {
            **defaults[key],
            **{leaf: held for leaf, held in value.items() if f'{key}.{leaf}' not in _GONE},
        }
        if key in SECTIONS and isinstance(value, Mapping)
        else value
        for key, value in values.items()
    }


def validate(config: ml_collections.ConfigDict | Mapping[str, Any]) -> None:
    """Checks every rule.

    Args:
        config: a config, or its nested plain form.

    Raises:
        ConfigError: for the first field that cannot work, with one sentence.
    """
    flat_conditions(config, parser())


def parser(source: laws.TableSource | None = None) -> Parse:
    """`laws.parse` with this source of tables, which parses each expression once."""
    return functools.cache(lambda spec: laws.parse(spec, source))


def flat_conditions(
    config: ml_collections.ConfigDict | Mapping[str, Any], parse: Parse
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Checks a config and takes it apart.

    Args:
        config: a config, or its nested plain form.
        parse: makes distributions, as `parser` does.

    Returns:
        The dotted fields of the config as plain Python values; and for each condition's name the
        same with that condition's overrides. A name may be empty: that of the study as of the only
        condition, which `naming` then makes.

    Raises:
        ConfigError: for the first field that cannot work, with one sentence.
    """
    values = plain(config)
    overrides = values.pop('conditions', {})
    flat = _checked_fields(values, parse)
    conditions = _checked_conditions(flat, overrides, parse)
    swept = swept_fields(flat['sweep'])
    if swept:
        conditions = _swept(conditions, flat['sweep'], overrides, parse)
        flat['sweep'] = ''  # From here on the conditions say it all.
    rules.check_study(flat, len(conditions))
    rules.check_reference(flat['analysis.reference'], conditions)
    for name, fields in conditions.items():
        named = {
            key: f'sweep, {key}' if key in swept else f'conditions.{name}.{key}'
            for key in fields
            if key in swept or fields[key] != flat[key]
        }
        rules.check_condition(fields, named, parse)
    rules.check_work(flat, conditions)
    return flat, conditions


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The nested form of dotted fields, with lists for tuples, as JSON has it."""
    result: dict[str, Any] = {}
    for name, value in flat.items():
        *section, leaf = name.split('.')
        holder = result.setdefault(section[0], {}) if section else result
        holder[leaf] = list(value) if isinstance(value, tuple) else value
    return result


def hint(field: str, known: Iterable[str]) -> str:
    """What to say of a field that does not exist, as the end of a sentence."""
    return suggestions.hint(field, known, SYNONYMS)


def unknown_field(field: str, value: Any, known: Iterable[str], prefix: str = '') -> ConfigError:
    """The error for a field that does not exist, with the nearest one that does."""
    return ConfigError(prefix + field, value, f'there is no such field; {hint(field, known)}')


def plain(config: Any) -> dict[str, Any]:
    """Nested dicts for nested configs; other values as they are.

    Raises:
        ConfigError: it is no config.
    """
    if isinstance(config, ml_collections.ConfigDict):
        # Conditions keep the order in which they are written. A dict that is assigned to a field
        # becomes a ConfigDict that sorts by name in all its public views, and only _fields does
        # not; without it the names come sorted, which changes an order and no number.
        config = {key: config[key] for key in getattr(config, '_fields', config.keys())}
    if not isinstance(config, Mapping):
        raise ConfigError(
            '', config, 'must be what imbreg_jax.study.default_config() returns, changed'
        )
    return {
        key: plain(value) if isinstance(value, Mapping | ml_collections.ConfigDict) else value
        for key, value in config.items()
    }


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted fields of a nested mapping; sections stay whole where they hold no mapping.

    Raises:
        ConfigError: the name of a field is no string.
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise ConfigError(short_text(key), value, 'the name of a field must be a string')
        if isinstance(value, Mapping) and value:
            flat |= {f'{key}.{leaf}': inner for leaf, inner in flatten(value).items()}
        else:
            flat[key] = value
    return flat


def _checked_fields(values: Mapping[str, Any], parse: Parse) -> dict[str, Any]:
    for section in SECTIONS:
        if section not in values:
            raise ConfigError(section, MISSING, f'it needs {", ".join(leaves(section))}')
        if not isinstance(values[section], Mapping):
            raise ConfigError(
                section,
                values[section],
                f'it must be a section with the fields {", ".join(leaves(section))}',
            )
    # An empty section stays out, so that what is missing in it is named.
    flat = flatten(
        {
            key: value
            for key, value in values.items()
            if not (key in SECTIONS and isinstance(value, Mapping) and not value)
        }
    )
    for key, value in flat.items():
        if key not in FIELDS:
            raise unknown_field(key, value, FIELDS)
    for key, field in FIELDS.items():
        if key not in flat:
            raise ConfigError(key, MISSING, f'it must be {field.rule}')
    return {key: checked(key, flat[key], field, parse) for key, field in FIELDS.items()}


def _checked_conditions(
    flat: dict[str, Any], overrides: Any, parse: Parse
) -> dict[str, dict[str, Any]]:
    if not isinstance(overrides, Mapping):
        raise ConfigError(
            'conditions',
            overrides,
            "it must map each condition's name to the fields that it changes, such as "
            "{'u1_5': {'train_distribution': 'u1_5'}}",
        )
    if not overrides:
        return {'': dict(flat)}
    if len(overrides) > _MOST_CONDITIONS:
        raise ConfigError('conditions', len(overrides), f'a study has at most {_MOST_CONDITIONS}')
    conditions: dict[str, dict[str, Any]] = {}
    for name, changes in overrides.items():
        where = f'conditions.{name}'
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise ConfigError('conditions', name, f'the name of a condition {NAME_RULE}')
        if not isinstance(changes, Mapping):
            raise ConfigError(
                where,
                changes,
                'it must hold the fields that it changes, such as '
                "{'train_distribution': 'u1_5'}, or {} for none",
            )
        fields = dict(flat)
        for key, value in flatten(changes).items():
            if key in FIELDS and key not in OVERRIDABLE:
                raise ConfigError(
                    f'{where}.{key}',
                    value,
                    f'a condition may change {_CHANGEABLE}; this one holds for the whole study',
                )
            if key not in OVERRIDABLE:
                if key in SECTIONS and value == {}:
                    continue
                raise unknown_field(key, value, OVERRIDABLE, prefix=f'{where}.')
            fields[key] = checked(f'{where}.{key}', value, FIELDS[key], parse)
        for other, others in conditions.items():
            if others == fields:
                raise ConfigError(
                    where, changes, f'it must differ from the condition {other} in some field'
                )
        conditions[name] = fields
    return conditions


def swept_fields(sweep: str) -> frozenset[str]:
    """The fields of a sweep that has been checked, or of none."""
    parts = sweep_lib.parse(sweep) if sweep else ()
    return frozenset(field for part in parts for field in part.fields)


def _swept(
    conditions: dict[str, dict[str, Any]], text: str, overrides: Any, parse: Parse
) -> dict[str, dict[str, Any]]:
    """Each condition anew for every combination of the values of a sweep."""
    parts = sweep_lib.parse(text)
    for field in (field for part in parts for field in part.fields):
        if field in FIELDS and field not in OVERRIDABLE:
            raise ConfigError(
                'sweep',
                text,
                f'a condition may change {_CHANGEABLE}; {field} holds for the whole study',
            )
        if field not in OVERRIDABLE:
            raise ConfigError(
                'sweep', text, f'there is no field {field}; {hint(field, OVERRIDABLE)}'
            )
        for name in conditions:
            if name and field in flatten(overrides[name]):
                raise ConfigError('sweep', text, f'the condition {name} sets {field} for itself')
    count = len(conditions) * math.prod(len(part.values) for part in parts)
    if count > _MOST_CONDITIONS:
        raise ConfigError(
            'sweep', text, f'it makes {count} conditions; a study has at most {_MOST_CONDITIONS}'
        )
    found: dict[str, dict[str, Any]] = {}
    for name, fields in conditions.items():
        for combination in sweep_lib.combinations(parts):
            changes = {
                field: checked(f'sweep, {field}', value, FIELDS[field], parse)
                for field, value in combination.items()
            }
            swept = naming.swept_name(name, changes, parse)
            if swept in found:
                raise ConfigError('sweep', text, f'it makes {swept} twice')
            found[swept] = fields | changes | {'sweep': ''}
    return found
