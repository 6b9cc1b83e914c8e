"""Which conditions are compared with which: many with one, and never two changes at once.

One condition of a study is its reference (`analysis.reference`). Every other one is compared, for
each field that sets it apart from the reference, with the condition that has the reference's value
of that field and is like it in everything else; the law of the training targets is a field like any
other. So of laws under several settings each law is held against the reference's law under the same
setting, and each setting against the reference's setting under the same law.

Settings that tell the same conditions apart, such as those that a sweep changes together, are one
change: nothing that the study has trained can say which of them did it.
"""

import collections
import functools
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from imbreg_jax.analysis import finished, statistics
from imbreg_jax.evaluation.metrics import METRICS

METRIC_NAMES = {name: metric.label for name, metric in METRICS.items()}
# What stands behind a value in a sentence: a unit of images has no sign of its own.
UNITS = {name: ' %' if metric.unit[:1] == '%' else '' for name, metric in METRICS.items()}

LAW = 'train_distribution'
# What tells the families of a table apart.
FAMILY = ['metric', 'second', 'changed']
_UNIFORM = re.compile(r'uniform\(([^,()]+), ([^,()]+)\)')


class Pair(NamedTuple):
    """A condition, the one that it is held against, and the one change between them.

    The change is as `changes` has it, its fields joined by ', '; '' if they differ in name alone.
    """

    first: str
    second: str
    changed: str


def level(study: finished.FinishedStudy) -> float:
    """Returns the level of every test: 1 − `analysis.confidence`."""
    return 1 - study.option('confidence', 0.95)


def margin(study: finished.FinishedStudy) -> float:
    """Returns how far from 1 a ratio may be and still count as the same."""
    return study.option('equivalence_margin', 0.1)


def reference(study: finished.FinishedStudy) -> str:
    """Returns the name of the condition that others are compared with.

    The one that the study declares; else the first that is trained on the widest uniform law that
    the study tests on (the paper's balanced condition), else the first.
    """
    for header in study.headers:
        declared = (header['config'].get('analysis') or {}).get('reference')
        if isinstance(declared, str) and declared in study.conditions:
            return declared
    uniform = filter(None, (_UNIFORM.fullmatch(t.spec) for t in study.test_distributions.values()))
    widths = {match.group(): float(match.group(2)) - float(match.group(1)) for match in uniform}
    widest = max(widths, key=widths.__getitem__, default='')
    balanced = (c.name for c in study.conditions.values() if c.train.spec == widest)
    return next(balanced, next(iter(study.conditions)))


def settings(study: finished.FinishedStudy) -> dict[str, dict[str, Hashable]]:
    """Returns condition -> field -> its value, for the law and every setting."""
    return {
        name: {LAW: condition.train.spec}
        | {field: _hashable(value) for field, value in condition.settings.items()}
        for name, condition in study.conditions.items()
    }


def chosen(own: Mapping[str, Hashable], change: tuple[str, ...]) -> tuple[Hashable, ...]:
    """Returns the values of a change's fields in a condition's settings."""
    return tuple(own.get(field) for field in change)


def alike(
    fields: Mapping[str, Mapping[str, Hashable]], changes: Sequence[tuple[str, ...]]
) -> dict[tuple, list[str]]:
    """Returns the conditions that have the same values of these changes, by these."""
    found: dict[tuple, list[str]] = {}
    for name, own in fields.items():
        found.setdefault(tuple(chosen(own, change) for change in changes), []).append(name)
    return found


def changes(fields: Mapping[str, Mapping[str, Hashable]]) -> list[tuple[str, ...]]:
    """Returns what conditions differ in, each as the fields that tell the same of them apart.

    Args:
      fields: condition -> field -> its value, as `settings` has them.

    Returns:
      One tuple a change, in the order of the fields; the law is a change of its own.
    """
    found: dict[Hashable, tuple[str, ...]] = {}
    for field in dict.fromkeys(field for own in fields.values() for field in own):
        values = [own.get(field) for own in fields.values()]
        first = tuple(map(values.index, values))  # Equal for fields that part conditions alike.
        if any(first):
            key = LAW if field == LAW else first
            found[key] = (*found.get(key, ()), field)
    return list(found.values())


def pairs(study: finished.FinishedStudy) -> tuple[list[Pair], list[str]]:
    """Returns which conditions are compared, and which have no partner.

    Returns:
      The pairs in the order of the study's conditions, and the names of conditions that differ from
      the reference, and from all others between it and them, in more than one change.
    """
    base = reference(study)
    fields = settings(study)
    varied = changes(fields)
    keys = {name: tuple(chosen(own, one) for one in varied) for name, own in fields.items()}
    wanted = keys[base]
    # Of conditions that differ in nothing but the name the first stands for all.
    places = {wanted: base}
    for name, key in keys.items():
        places.setdefault(key, name)
    found: list[Pair] = []
    lone: list[str] = []
    for name, key in keys.items():
        if name == base:
            continue
        partners = [
            Pair(name, other, ', '.join(changed))
            for i, changed in enumerate(varied)
            if key[i] != wanted[i]
            and (other := places.get((*key[:i], wanted[i], *key[i + 1 :]))) is not None
        ]
        if key == wanted:
            partners = [Pair(name, base, '')]
        found += partners
        if not partners:
            lone.append(name)
    return found, lone


def _hashable(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, list) else value


def _positive(metric: str) -> bool:
    """Whether a metric is an error, of which there are ratios; others may be 0 or below."""
    return metric in METRICS and METRICS[metric].better == 'less'


def _metrics(study: finished.FinishedStudy) -> list[str]:
    """Returns the metrics that a study has and that are compared (`Metric`), errors first."""
    there = study.results.loc[study.results['test_distribution'] != '', 'metric'].unique()
    compared = [name for name in there if name in METRICS and METRICS[name].compared]
    return sorted(compared, key=lambda metric: not _positive(metric))


def columns(comparison: statistics.Comparison) -> dict[str, Any]:
    """Returns a comparison as columns of a table.

    Returns:
      repeats, first_mean, second_mean, scale ('ratio' or 'difference'), effect (first over second,
      or first − second), low, high (its interval), p (paired t), flip_p (sign flips), same_p (TOST:
      the ratio is within the margin), flip_same_p, detectable, repeats_needed.
    """
    c = comparison
    return {
        'repeats': c.repeats,
        'first_mean': c.first_mean,
        'second_mean': c.second_mean,
        'scale': 'ratio' if c.ratio else 'difference',
        'effect': c.effect,
        'low': c.low,
        'high': c.high,
        'p': c.p_value,
        'flip_p': c.flip_p_value,
        'same_p': c.equivalence_p_value,
        'flip_same_p': c.flip_equivalence_p_value,
        'detectable': c.detectable,
        'repeats_needed': c.repeats_needed,
    }


def table(study: finished.FinishedStudy, predictor: str = 'cnn') -> pd.DataFrame:
    """Compares each condition with its reference, on every test distribution.

    A family is what is held against one condition for one changed field, in one metric: Holm's
    correction runs over it, and what it says to be detectable and needed is at its strictest step.

    Returns:
      A row per pair, test distribution and metric: first, second, changed, test_distribution,
      metric, those of `columns`, holm_p and holm_same_p (p and same_p corrected), source.
    """
    keys = [
        (metric, pair, test)
        for metric in _metrics(study)
        for pair in pairs(study)[0]
        for test in study.test_distributions
    ]
    families = [(metric, pair.second, pair.changed) for metric, pair, _ in keys]
    sizes = collections.Counter(families)

    def values(metric: str, pair: Pair, test: str) -> np.ndarray:
        sides = [study.values(predictor, name, test, metric) for name in pair[:2]]
        return finished.joint(sides)[1]

    compared = statistics.compare_many(
        [tuple(values(*key)) for key in keys],
        ratio=[_positive(metric) for metric, _, _ in keys],
        margin=margin(study),
        level=level(study),
        tests=[sizes[family] for family in families],
        seed=study.option('seed', 0),
    )
    # A reference is named as often as it is compared with.
    source = functools.cache(functools.partial(study.source, predictor))
    frame = pd.DataFrame(
        [
            {
                **pair._asdict(),
                'test_distribution': test,
                'metric': metric,
                **columns(comparison),
                'source': '; '.join(source(name, test, metric) for name in pair[:2]),
            }
            for (metric, pair, test), comparison in zip(keys, compared, strict=True)
        ]
    )
    for p in ('p', 'same_p') if len(frame) else ():
        corrected = frame.groupby(FAMILY)[p].transform(statistics.holm)
        frame.insert(frame.columns.get_loc('source'), f'holm_{p}', corrected)
    return frame


def families(compared: pd.DataFrame) -> int:
    """Returns how many families of comparisons a table holds that are tested at all."""
    return len(compared.dropna(subset='p').drop_duplicates(FAMILY)) if len(compared) else 0


def expected_errors(verdicts: int, families: int, level: float) -> str:
    """Says how many verdicts a page makes, and how many of them to expect to be false.

    Args:
      verdicts: how many claims were tested.
      families: how many families of comparisons, each at the level.
      level: of all tests.
    """
    parts = []
    if verdicts:
        parts.append(
            f'{verdicts:,} verdicts are given, each at the level {100 * level:g} %: up to '
            f'{level * verdicts:.2g} false ones are to be expected, and up to twice as many if all '
            'the errors compared are in truth equal.'
        )
    if families:
        parts.append(
            f'Beside them stand {families:,} families of comparisons'
            if verdicts
            else f'{families:,} families of comparisons are made'
        )
        parts[-1] += (
            f', Holm-corrected to {100 * level:g} % each: up to {level * families:.2g} of them are '
            'to be expected to show a difference that is not there, and as many to call the same '
            'what differs by more than the margin.'
        )
    return ' '.join(parts)
