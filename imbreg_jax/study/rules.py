"""Rules that tie several fields together: of a study, of a condition, and of the work it makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from imbreg_jax.study import suggestions
from imbreg_jax.study.architecture import Architecture
from imbreg_jax.study.errors import ConfigError
from imbreg_jax.study.fields import Parse, looked_up
from imbreg_jax.study.settings import (
    FIELDS,
    LARGEST_SEED,
    MOST_RUNS,
    as_trained,
    remedy_of,
    section_of,
)

_MOST_TRAINED_IMAGES = 10**12
_MOST_PREDICTIONS = 2 * 10**9
_MOST_PARAMETERS = 10**8
_MOST_BATCH_VALUES = 2**31 - 1
# Of a law's targets, the share that may lie where a task has none.
_MOST_OUTSIDE = 1e-6
_PAPER_PIXELS = 52 * 52


def check_study(flat: Mapping[str, Any], condition_count: int) -> None:
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


def check_reference(reference: str, conditions: Iterable[str]) -> None:
    """The condition that others are compared with is one of the study."""
    if reference and reference not in conditions:
        near = suggestions.nearest(reference, filter(None, conditions))
        known = f'did you mean {near}' if near else "or '' for the balanced or first one"
        raise ConfigError(
            'analysis.reference', reference, f'it must be the name of a condition; {known}'
        )


def check_condition(fields: Mapping[str, Any], named: Mapping[str, str], parse: Parse) -> None:
    """Rules between fields that a condition may override; `named` says where it does."""
    task = looked_up('imbreg_jax.data.tasks:TASKS')[fields['task.name']]
    fields = as_trained(fields)
    network = section_of(fields, 'model').architecture(fields['data.image_size'], task.channels)
    _check_sizes(fields, named, network)
    _check_statistics(fields, named, network)
    _check_room(fields, named, task)
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
    try:
        remedy_of(fields).check(fields, task, parse(fields['train_distribution']))
    except ValueError as error:
        raise _refused(fields, named, 'remedy', str(error)) from None


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
    folds, part = fields['data.folds'], fields['data.validation_size']
    if folds == 1:
        raise _refused(fields, named, 'data.folds', 'it must be 0, or at least 2')
    if folds and part * (folds - 1) != fields['data.train_size']:
        raise _refused(
            fields,
            named,
            'data.folds',
            f'{folds} parts of data.validation_size, which is {part}, leave {part * (folds - 1)} '
            f'images to train on, and data.train_size is {fields["data.train_size"]}; it must be '
            'that number',
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


def _check_room(fields: Mapping[str, Any], named: Mapping[str, str], task: Any) -> None:
    """Refuses images too small for what the task draws in them."""
    size, least = fields['data.image_size'], task.least_image_size
    if size >= least:
        return
    if 'task.name' in named and 'data.image_size' not in named:
        raise _refused(
            fields,
            named,
            'task.name',
            f'its images have at least {least} pixels along each side, and data.image_size is '
            f'{size}',
        )
    raise _refused(
        fields,
        named,
        'data.image_size',
        f'images of the task {fields["task.name"]} must have at least {least} pixels along each '
        'side',
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
        least, greatest = law.support
        outside = float(law.cdf(low)) if least <= low else 0.0
        outside += 1.0 - float(law.cdf(high)) if greatest > high else 0.0
        if not outside <= _MOST_OUTSIDE:
            raise _refused(
                fields,
                named,
                field,
                f'targets of {law.name} lie between {least:.6g} and {greatest:.6g}, with '
                f'probability {outside:.3g} outside of {low:g} to {high:g}, where those of the '
                f'task {fields["task.name"]} must lie; that may be at most {_MOST_OUTSIDE:g}, and '
                'cut(law, low, high) keeps a law to a range',
            )
    for field in ('evaluation.dense_low', 'evaluation.dense_high'):
        if not low < fields[field] < high:
            raise _refused(
                fields,
                named,
                field,
                f'targets of the task {fields["task.name"]} lie between {low:g} and {high:g}',
            )


def check_work(flat: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]) -> None:
    """Bounds on the whole study's time and disk, which no field breaks alone."""
    trained = sum(
        flat['repeats']
        * remedy_of(fields).members
        * remedy_of(fields).views
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
    validated = 1
    if flat['evaluation.validation_under_test']:
        validated += len(flat['test_distributions'])
    sizes = {
        'data.test_size': len(flat['test_distributions']) * flat['data.test_size'],
        'data.validation_size': validated * largest('data.validation_size'),
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
