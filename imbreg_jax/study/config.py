"""A config, checked: its defaults, and the rules that tie several fields together.

The fields themselves, each with its own rule, are declared in `settings`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import ml_collections
import numpy as np

from imbreg_jax.study import laws, suggestions
from imbreg_jax.study.architecture import Architecture
from imbreg_jax.study.errors import MISSING, ConfigError, short_text
from imbreg_jax.study.fields import NAME, NAME_RULE, Parse, checked, looked_up
from imbreg_jax.study.settings import (
    CONDITION_SECTIONS,
    FIELDS,
    LARGEST_SEED,
    MOST_RUNS,
    OVERRIDABLE,
    SECTIONS,
    SYNONYMS,
    leaves,
    section_of,
)

_CHANGEABLE = (
    f'{", ".join(name for name in OVERRIDABLE if "." not in name)}, and of '
    f'{", ".join(CONDITION_SECTIONS)} most fields'
)
_MOST_CONDITIONS = 1000
_MOST_TRAINED_IMAGES = 10**12
_MOST_PREDICTIONS = 2 * 10**9
_MOST_PARAMETERS = 10**8
_MOST_BATCH_VALUES = 2**31 - 1
# Of a law's targets, the share that may lie where a task has none.
_MOST_OUTSIDE = 1e-6
_PAPER_PIXELS = 52 * 52
# Fields that no result hung on and that nothing asks for any more.
_GONE = frozenset({'analysis.bootstrap_resamples'})


class _Config(ml_collections.ConfigDict):
    """A `ConfigDict` that takes numpy's numbers for Python's, as a config built from arrays has."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, _without_numpy(value))


def _without_numpy(value: Any) -> Any:
    """Python's numbers and strings for numpy's, also within lists and tuples."""
    if isinstance(value, np.generic):
        return value.item()
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
    _check_study(flat, len(conditions))
    _check_reference(flat['analysis.reference'], conditions)
    for name, fields in conditions.items():
        named = {key: f'conditions.{name}.{key}' for key in fields if fields[key] != flat[key]}
        _check_condition(fields, named, parse)
    _check_work(flat, conditions)
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


def _check_study(flat: Mapping[str, Any], condition_count: int) -> None:
    """Rules between fields that hold for the whole study."""
    for low, high in (('dense_low', 'dense_high'), ('guess_low', 'guess_high')):
        low, high = f'evaluation.{low}', f'evaluation.{high}'
        if not flat[low] < flat[high]:
            raise ConfigError(low, flat[low], f'it must be below {high}, which is {flat[high]:g}')
    last = flat['first_repeat'] + flat['repeats'] - 1
    if last > LARGEST_SEED:
        raise ConfigError(
            'first_repeat',
            flat['first_repeat'],
            f'it must be at most {LARGEST_SEED - flat["repeats"] + 1}, so that the last repeat '
            f'has a number of at most {LARGEST_SEED}',
        )
    runs = flat['repeats'] * condition_count
    if runs > MOST_RUNS:
        raise ConfigError(
            'repeats',
            flat['repeats'],
            f'with {condition_count} conditions that makes {runs} runs; a study has at most '
            f'{MOST_RUNS}',
        )


def _check_reference(reference: str, conditions: Iterable[str]) -> None:
    """The condition that others are compared with is one of the study."""
    if reference and reference not in conditions:
        near = suggestions.nearest(reference, filter(None, conditions))
        known = f'did you mean {near}' if near else "or '' for the balanced or first one"
        raise ConfigError(
            'analysis.reference', reference, f'it must be the name of a condition; {known}'
        )


def _check_condition(fields: Mapping[str, Any], named: Mapping[str, str], parse: Parse) -> None:
    """Rules between fields that a condition may override; `named` says where it does."""
    task = looked_up('imbreg_jax.data.tasks:TASKS')[fields['task.name']]
    network = section_of(fields, 'model').architecture(fields['data.image_size'], task.channels)
    _check_sizes(fields, named, network)
    _check_statistics(fields, named, network)
    widest = network.widest
    for field in ('training.batch_size', 'evaluation.batch_size'):
        if fields[field] * widest > _MOST_BATCH_VALUES:
            raise _refused(
                fields,
                named,
                field,
                f'a layer of a batch would have {fields[field] * widest} values; with these '
                f'images and this network it must be at most {_MOST_BATCH_VALUES // widest}',
            )
    _check_domain(fields, named, task, parse)


def _refused(
    fields: Mapping[str, Any], named: Mapping[str, str], field: str, message: str
) -> ConfigError:
    return ConfigError(named.get(field, field), fields[field], message)


def _check_sizes(
    fields: Mapping[str, Any], named: Mapping[str, str], network: Architecture
) -> None:
    image_size, kernel_size = network.image_size, network.kernel_size
    if min(network.sides) < 1:
        least = network.least_image_size
        shrinking = ('model.kernel_size', 'model.conv_features', 'model.pool')
        blamed = [field for field in shrinking if field in named]
        if blamed and 'data.image_size' not in named:
            raise _refused(
                fields,
                named,
                blamed[0],
                f'it leaves no pixel of images with data.image_size {image_size}, which would have '
                f'to be at least {least}',
            )
        raise _refused(
            fields,
            named,
            'data.image_size',
            'the network leaves no pixel of it: with model.conv_features '
            f'{network.conv_features} and model.kernel_size {kernel_size} it must be at least '
            f'{least}',
        )
    if fields['training.batch_size'] > fields['data.train_size']:
        if 'data.train_size' in named and 'training.batch_size' not in named:
            raise _refused(
                fields,
                named,
                'data.train_size',
                'it must be at least training.batch_size, which is '
                f'{fields["training.batch_size"]}',
            )
        raise _refused(
            fields,
            named,
            'training.batch_size',
            f'it must be at most data.train_size, which is {fields["data.train_size"]}',
        )
    if network.parameters > _MOST_PARAMETERS:
        widest = max(
            ('model.dense_features', 'model.conv_features'),
            key=lambda name: np.max(fields[name]) / np.max(FIELDS[name].default),
        )
        raise _refused(
            fields,
            named,
            widest,
            f'the network would have {network.parameters} parameters; it may have at most '
            f'{_MOST_PARAMETERS}',
        )


def _check_statistics(
    fields: Mapping[str, Any], named: Mapping[str, str], network: Architecture
) -> None:
    """Refuses to normalise what has a single value, which leaves nothing of it."""
    kind = network.normalization
    last = network.convolutions[-1]
    values = {
        'none': 2,
        'input': network.image_size**2 * network.channels,
        'layer': last.side**2 * last.outputs,
        'instance': last.side**2,
        'batch': last.side**2 * fields['training.batch_size'],
    }[kind]
    if values < 2:
        raise _refused(
            fields,
            named,
            'model.normalization',
            f'with these images and this network it would normalise single values; {kind} '
            'normalisation needs more of them',
        )


def _check_domain(
    fields: Mapping[str, Any], named: Mapping[str, str], task: Any, parse: Parse
) -> None:
    """Refuses targets that the task's images cannot have."""
    low, high = task.domain
    laws = [('train_distribution', fields['train_distribution'])]
    laws += [('test_distributions', spec) for spec in fields['test_distributions']]
    for field, spec in laws:
        law = parse(spec)
        if not law.known:
            continue
        outside = float(law.cdf(low)) + 1.0 - float(law.cdf(high))
        if not outside <= _MOST_OUTSIDE:
            raise _refused(
                fields,
                named,
                field,
                f'targets of {law.name} lie with probability {outside:.3g} outside of '
                f'{low:g} to {high:g}, where those of the task {fields["task.name"]} must lie; '
                f'that may be at most {_MOST_OUTSIDE:g}',
            )
    for field in ('evaluation.dense_low', 'evaluation.dense_high'):
        if not low < fields[field] < high:
            raise _refused(
                fields,
                named,
                field,
                f'targets of the task {fields["task.name"]} lie between {low:g} and {high:g}',
            )


def _check_work(flat: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]) -> None:
    """Bounds on the whole study's time and disk, which no field breaks alone."""
    trained = sum(
        flat['repeats']
        * fields['data.train_size']
        * fields['training.epochs']
        * max(1.0, fields['data.image_size'] ** 2 / _PAPER_PIXELS)
        for fields in conditions.values()
    )

    def largest(field: str) -> Any:
        return max(fields[field] for fields in conditions.values())

    if trained > _MOST_TRAINED_IMAGES:
        wanted = ('repeats', 'data.train_size', 'training.epochs')
        field = max(wanted, key=lambda name: largest(name) / FIELDS[name].default)
        raise ConfigError(
            field,
            largest(field),
            f'the study would train on {trained:.3g} images (in images of 52×52), counting '
            f'conditions, repeats and epochs; it must be at most {_MOST_TRAINED_IMAGES:.3g}, which '
            'takes days on the fastest accelerators',
        )
    sizes = {
        'data.test_size': len(flat['test_distributions']) * flat['data.test_size'],
        'data.validation_size': largest('data.validation_size'),
        'evaluation.dense_size': flat['evaluation.dense_size'],
    }
    predictions = flat['repeats'] * len(conditions) * sum(sizes.values())
    if predictions > _MOST_PREDICTIONS:
        field = max(sizes, key=lambda name: sizes[name])
        raise ConfigError(
            field,
            largest(field),
            f'the study would keep {predictions} predictions, counting conditions, repeats and '
            f'splits; it must be at most {_MOST_PREDICTIONS} ({_MOST_PREDICTIONS * 4 / 1e9:g} GB)',
        )
