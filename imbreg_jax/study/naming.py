"""What studies and conditions are called where nobody names them.

A name says in what a study departs from the defaults, or from a config file, in the fields that
determine results. So two settings can be told apart in folders, tables and reports, and whoever
writes the same study in another way finds its folder again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from imbreg_jax.study import laws
from imbreg_jax.study.fields import Parse
from imbreg_jax.study.settings import FIELDS, OVERRIDABLE, determines_results

_LONGEST = 100
_DIGITS = 8

# Checked fields of a study, and of each of its conditions; see `config.flat_conditions`.
_Conditions = Mapping[str, Mapping[str, Any]]


_DETERMINING = tuple(filter(determines_results, FIELDS))
_SHARED = tuple(field for field in _DETERMINING if field not in OVERRIDABLE)
_SETTINGS = tuple(field for field in OVERRIDABLE if field != 'train_distribution')


def condition_name(fields: Mapping[str, Any], parse: Parse) -> str:
    """The name of a study's only condition: its law, and what departs from the defaults.

    Args:
        fields: the condition's fields.
        parse: makes distributions.

    Returns:
        Such as `u1_10` or `u1_10-order_relu_pool`.
    """
    parts = [law_name(parse(fields['train_distribution']))]
    parts += [
        _part(field, fields[field], parse)
        for field in _SETTINGS
        if fields[field] != FIELDS[field].default
    ]
    return shortened('-'.join(parts))


def swept_name(name: str, changes: Mapping[str, Any], parse: Parse) -> str:
    """The name of a condition that a sweep made.

    Args:
        name: that of the condition it was made from; empty where the study names none.
        changes: the fields that the sweep sets, by their dotted names.
        parse: makes distributions.

    Returns:
        Such as `u1_10-conv_dropout_rate_0.2`; where a law is swept alone, the law's name.
    """
    parts = [
        law_name(parse(value)) if field == 'train_distribution' else _part(field, value, parse)
        for field, value in changes.items()
    ]
    return shortened('-'.join(filter(None, [name, *parts])))


def law_name(law: laws.Distribution) -> str:
    """A law's name as a part of a file's name: an expression with _ for its brackets."""
    return slug(law.name)


def slug(text: str) -> str:
    """An expression as a part of a file's name."""
    return re.sub(r'[^A-Za-z0-9_.-]+', '_', text).strip('_.-')


def study_name(flat: Mapping[str, Any], conditions: _Conditions, parse: Parse) -> str:
    """The name of a study that has none.

    Args:
        flat: the study's fields.
        conditions: those of its conditions; the name of an only one may be empty.
        parse: makes distributions.

    Returns:
        Of one condition its law and all that departs from the defaults, such as
        `u1_10-repeats_3-epochs_30`; of several their names, and what all of them depart in. Where
        the conditions' names do not say what they are, a digest does.
    """
    flat = _with_most_images(flat, conditions)
    common = _common(conditions, {field: FIELDS[field].default for field in _SETTINGS})
    defaults = {**flat, **{field: FIELDS[field].default for field in _SHARED}}
    shared = _changed_shared(defaults, flat, parse)
    departures = [
        _part(field, (common | shared)[field], parse)
        for field in _DETERMINING
        if field in common or field in shared
    ]
    if list(conditions) == ['']:
        ((_, fields),) = conditions.items()
        return shortened('-'.join([law_name(parse(fields['train_distribution'])), *departures]))
    names = list(conditions)
    expected = [
        condition_name({**fields, **{field: FIELDS[field].default for field in common}}, parse)
        for fields in conditions.values()
    ]
    told = [] if names == expected else [_digest(_settings(conditions, parse))]
    return shortened('-'.join([*names, *told, *departures]))


def overridden_name(
    before: tuple[Mapping[str, Any], _Conditions],
    after: tuple[Mapping[str, Any], _Conditions],
    parse: Parse,
) -> str:
    """The name of a study whose fields were overridden.

    Args:
        before: the study as its file has it: its fields and those of its conditions.
        after: the same with the overrides.
        parse: makes distributions.

    Returns:
        The file's name and each field that determines results and changed, in the order of
        `FIELDS` whatever the order of the overrides: `paper-repeats_3-epochs_30`. Where the file's
        name is what its study would be called anyway, the new study's is too.
    """
    (flat_before, conditions_before), (flat, conditions) = before, after
    flat_before = _with_most_images(flat_before, conditions_before)
    flat = _with_most_images(flat, conditions)
    if flat_before['name'] == study_name(flat_before, conditions_before, parse):
        return study_name(flat, conditions, parse)
    was, now = _settings(conditions_before, parse), _settings(conditions, parse)
    if len(was) == len(now) == 1:
        # The name of an only condition may follow its fields, and is no news.
        was = dict(zip(now, was.values(), strict=True))
    base = _settings({'': flat_before}, parse)['']

    def before_it(name: str) -> Mapping[str, Any]:
        """What a condition was, or that which a sweep made it from."""
        stems = [old for old in was if old and name.startswith(f'{old}-')]
        return was.get(name) or (was[max(stems, key=len)] if stems else base)

    changes = {
        name: [field for field in OVERRIDABLE if before_it(name)[field] != fields[field]]
        for name, fields in now.items()
    }
    first = next(iter(now))
    common = {
        field: conditions[first][field]
        for field in changes[first]
        if all(
            field in changes[name] and fields[field] == now[first][field]
            for name, fields in now.items()
        )
    }
    shared = _changed_shared(flat_before, flat, parse)
    parts = [
        _part(field, (common | shared)[field], parse)
        for field in _DETERMINING
        if field in common or field in shared
    ]
    own = {
        name: [field for field in changed if field not in common]
        for name, changed in changes.items()
    }
    parts += [
        f'{name}.{_part(field, conditions[name][field], parse)}'
        for name, fields in own.items()
        if name in was
        for field in fields
    ]
    # Conditions that are new are told together, by the values that they have.
    new = [name for name in now if name not in was]
    for field in dict.fromkeys(field for name in new for field in own[name]):
        told = dict.fromkeys(conditions[name][field] for name in new)
        parts.append(_part(field, tuple(told), parse))
    return shortened('-'.join([flat_before['name'], *parts]))


def _with_most_images(flat: Mapping[str, Any], conditions: _Conditions) -> dict[str, Any]:
    """A study's fields with the training images of the condition that has most.

    No more images than that can moments be measured on.
    """
    most = max(fields['data.train_size'] for fields in conditions.values())
    return {**flat, 'data.train_size': most}


def _common(conditions: _Conditions, base: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in which all conditions have the same value, another than `base` has."""
    first = next(iter(conditions.values()))
    return {
        field: first[field]
        for field, value in base.items()
        if first[field] != value
        and all(fields[field] == first[field] for fields in conditions.values())
    }


def _settings(conditions: _Conditions, parse: Parse) -> dict[str, dict[str, Any]]:
    """What determines results of each condition, however it is written."""
    return {
        name: {field: _meant(field, fields, parse) for field in OVERRIDABLE}
        for name, fields in conditions.items()
    }


def _meant(field: str, fields: Mapping[str, Any], parse: Parse) -> Any:
    """A field's value as it counts: laws by what they are, and no more images than there are."""
    value = fields[field]
    if field == 'train_distribution':
        return parse(value).identity
    if field == 'test_distributions':
        return tuple(parse(spec).identity for spec in value)
    if field == 'evaluation.moment_images':
        return min(value, fields['data.train_size'])
    return value


def _changed_shared(
    before: Mapping[str, Any], after: Mapping[str, Any], parse: Parse
) -> dict[str, Any]:
    """The fields that all conditions share and that changed, with their new values."""
    laws = ('test_distributions',)
    return {
        field: after[field] if field in laws else _meant(field, after, parse)
        for field in _SHARED
        if _meant(field, {**after, field: before[field]}, parse) != _meant(field, after, parse)
    }


def _part(field: str, value: Any, parse: Parse) -> str:
    """A field and its value as a part of a name."""
    section, _, leaf = field.rpartition('.')
    # `task.name` is the task; a batch size is that of training unless its section says else.
    same = [name for name in _DETERMINING if name.rpartition('.')[2] == leaf]
    label = section if leaf == 'name' else leaf if same[0] == field else f'{section}_{leaf}'
    values = value if isinstance(value, tuple) else (value,)
    if field in ('train_distribution', 'test_distributions'):
        texts = [law_name(parse(spec)) for spec in values]
    else:
        texts = [re.sub(r'[^A-Za-z0-9_.-]+', '_', str(item)) for item in values]
    return '_'.join([label, *texts])


def shortened(name: str) -> str:
    """A name of at most 100 characters, as a study may have; a digest stands for what is cut."""
    if len(name) <= _LONGEST:
        return name
    return f'{name[: _LONGEST - _DIGITS - 1]}-{_digest(name)}'


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:_DIGITS]
