"""Dose and response: errors along what a study turns up or down, and what a step of it costs.

A dial is a numeric setting, or settings that change together, or the law of the training targets.
Its groups are conditions alike in everything else. A law stands on its dial where a measure of
imbalance puts it. Tests are those of `comparison`; none is added.
"""

import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import comparison, finished, statistics
from imbreg_jax.analysis.finished import FinishedStudy

# A dial, or an error, of which the largest value is more than so many times the smallest is drawn
# on a logarithmic axis.
WIDE = 20
# A line explains so much of the mean curve, or is said to be none.
LEAST_EXPLAINED = 0.9
_FEWEST_VALUES = 3
_NUMBERS = re.compile(r'[-+]?\d[\d.]*(e[-+]?\d+)?')
# A group that differs from the others in that nothing of it was changed.
AS_REFERENCE = 'as the reference'
_KEYS = ['dial', 'group', 'test_distribution', 'metric']
_TABLE = (
    'dial group condition value reference test_distribution metric mean std mean_low mean_high '
    'repeats ratio low high holm_p holm_same_p source'
).split()
_LINES = [*_KEYS, *'step values repeats explained cost low high loss source'.split()]


@dataclasses.dataclass(frozen=True)
class Group:
    """Conditions alike in everything but a dial.

    Attributes:
      label: what sets it apart from the dial's other groups; '' of a single one.
      conditions: their names, by the dial's value.
      side: where its laws lack targets, if that is what sets it apart.
    """

    label: str
    conditions: tuple[str, ...]
    side: str = ''


@dataclasses.dataclass(frozen=True)
class Dial:
    """What a study turns up or down.

    Attributes:
      changed: its name in `comparison.table`.
      title: what to call it.
      values: condition -> its value; NaN where a law has no measure.
      groups: each of two conditions or more.
      step: what a change of `per` is called.
      per: the change that a cost is given for, but for a dial that `doubles`.
      unordered: whether laws of a group are alike in how far they are from balance, or differ in
        more than their numbers, so that this is one of several things that tell them apart: no
        line joins them.
    """

    changed: str
    title: str
    values: Mapping[str, float]
    groups: tuple[Group, ...]
    step: str = 'unit'
    per: float = 1.0
    unordered: bool = False

    @property
    def of_law(self) -> bool:
        """Whether it is the law of the training targets."""
        return self.changed == comparison.LAW

    @property
    def of_sides(self) -> bool:
        """Whether groups differ in where their laws lack targets."""
        return any(group.side for group in self.groups)

    @property
    def known(self) -> np.ndarray:
        """Its distinct finite values, in increasing order."""
        values = np.array([self.values[name] for group in self.groups for name in group.conditions])
        return np.unique(values[np.isfinite(values)])

    @property
    def curved(self) -> bool:
        """Whether a group has enough values for a curve."""
        return any(
            len({self.values[name] for name in group.conditions} & {*self.known}) >= _FEWEST_VALUES
            for group in self.groups
        )

    @property
    def doubles(self) -> bool:
        """Whether its step is a doubling: a setting's whose values are all above 0."""
        return not self.of_law and bool((self.known > 0).all())

    @property
    def logarithmic(self) -> bool:
        """Whether it spans more than a factor of `WIDE`."""
        return wide(self.known)


def wide(values: np.ndarray) -> bool:
    """Whether [n] values are above 0 and the largest is more than `WIDE` times the smallest."""
    return bool(values.size and values.min() > 0 and values.max() > WIDE * values.min())


def reference_test(study: FinishedStudy) -> str:
    """Returns the test law that laws are measured against: the reference's own, or the first."""
    own = study.conditions[comparison.reference(study)].train.spec
    tests = study.test_distributions
    return next((name for name, test in tests.items() if test.spec == own), next(iter(tests)))


# Of a condition's law: missing share, 1-Wasserstein distance, and where it lacks targets.
Measure = Callable[[str], tuple[float, float, str] | None]


def dials(study: FinishedStudy, measure: Measure) -> list[Dial]:
    """Returns the dials of which a study has three values or more in otherwise like conditions.

    Args:
      study: the loaded study.
      measure: condition -> missing share and 1-Wasserstein distance of its law from that of
        `reference_test`, and where it lacks targets ('' where it lacks none); None where they are
        not known.

    Returns:
      The law first, and it already with two values where it has several groups, which say when
      imbalance matters; then settings in the order of the config. Laws that lack as much as others
      are groups by where they lack it, each with what lacks nothing.
    """
    every = comparison.settings(study)
    changes = sorted(comparison.changes(every), key=lambda change: comparison.LAW not in change)
    fields = {name: every[name] for name in study.trained}
    numeric = {change: _numeric(change, fields) for change in changes}
    found = []
    for change in changes:
        rest = [other for other in changes if other != change]
        rest.sort(key=lambda other: (comparison.LAW not in other, bool(numeric[other])))
        if comparison.LAW in change:
            dial = _law_dial(study, fields, measure)
        elif numeric[change]:
            values = numeric[change]
            low, high = min(values.values()), max(values.values())
            step, title = f'step from {low:g} to {high:g}', _title(change, fields)
            dial = Dial(', '.join(change), title, values, (), step, high - low or 1.0)
        else:
            continue
        groups = _groups(study, fields, change, rest, dial.values, numeric)
        if dial.of_law and dial.per != 1.0:
            sides = {name: (measure(name) or ('',))[-1] for name in fields}
            groups = _by_side(groups, dial.values, sides)
        unordered = dial.of_law and any(_unordered(study, own, dial.values) for own in groups)
        dial = dataclasses.replace(dial, groups=groups, unordered=unordered)
        if dial.curved or (dial.of_law and len(dial.groups) > 1):
            found.append(dial)
    return found


def _numeric(change: tuple[str, ...], fields: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Returns condition -> value of a change's first number; {} where it is one of categories."""
    for own in fields.values():
        if any(isinstance(value, str | bool) for value in comparison.chosen(own, change)):
            return {}
    for field in change:
        values = {
            name: float(own[field])
            for name, own in fields.items()
            if isinstance(own.get(field), int | float)
        }
        if len(values) == len(fields):
            return values
    return {}


def _title(change: tuple[str, ...], fields: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the field that gives the dial its values, and those that change with it."""
    first = next(field for field in change if _numeric((field,), fields))
    others = [field for field in change if field != first]
    return f'{first} (with {", ".join(others)})' if others else first


def _law_dial(
    study: FinishedStudy,
    names: Iterable[str],
    measure: Measure,
) -> Dial:
    """Returns the dial of laws, whose groups are still to be found."""
    specs = {name: study.conditions[name].train.spec for name in names}
    measured: dict[str, tuple[float, float, str]] = {}
    for name, spec in specs.items():
        if spec not in measured:
            measured[spec] = measure(name) or (math.nan, math.nan, '')
    missing = {name: measured[spec][0] for name, spec in specs.items()}
    distance = {name: measured[spec][1] for name, spec in specs.items()}
    test = study.labels[reference_test(study)]
    if len({share for share in missing.values() if math.isfinite(share)}) >= _FEWEST_VALUES:
        percent = {name: 100 * share for name, share in missing.items()}
        title = f'share of {test} without training targets (%)'
        return Dial(comparison.LAW, title, percent, (), '10 % of the test targets missing', 10.0)
    title = f'1-Wasserstein distance from {test}'
    return Dial(comparison.LAW, title, distance, (), 'unit of distance')


def _groups(
    study: FinishedStudy,
    fields: Mapping[str, Mapping[str, Any]],
    change: tuple[str, ...],
    rest: Sequence[tuple[str, ...]],
    values: Mapping[str, float],
    numeric: Mapping[tuple[str, ...], Mapping[str, float]],
) -> tuple[Group, ...]:
    alike: dict[tuple, dict[tuple, str]] = {}
    for name, own in fields.items():
        key = tuple(comparison.chosen(own, other) for other in rest)
        # Of conditions that differ in nothing but the name the first stands for all.
        alike.setdefault(key, {}).setdefault(comparison.chosen(own, change), name)
    kept = {key: list(names.values()) for key, names in alike.items() if len(names) > 1}
    telling: list[int] = []
    for i in range(len(rest)):
        # What is told by those before it needs no saying again.
        told = {tuple(key[j] for j in telling) for key in kept}
        if len({tuple(key[j] for j in [*telling, i]) for key in kept}) > len(told):
            telling.append(i)
    base = fields.get(comparison.reference(study))
    held = {i: comparison.chosen(base, rest[i]) for i in telling} if base else {}
    away = {key: [i for i in telling if key[i] != held.get(i)] for key in kept}
    # Where one thing at a time was changed, that one is what tells a group.
    single = len(telling) > 1 and all(len(own) <= 1 for own in away.values())
    found: dict[str, Group] = {}

    def place(group: tuple[tuple, list[str]]) -> list[float]:
        return [numeric[rest[i]].get(group[1][0], 0.0) for i in telling]

    for key, names in sorted(kept.items(), key=place):
        said = away[key] if single else telling
        label = ', '.join(named(study, names[0], rest[i], key[i]) for i in said)
        label = label if label or not single else AS_REFERENCE
        # Laws of other tables may be called the same.
        label = f'{label} #{len(found) + 1}' if label in found else label
        names.sort(key=lambda name: (math.isnan(values[name]), values[name]))
        found[label] = Group(label, tuple(names))
    return tuple(found.values())


def _unordered(study: FinishedStudy, group: Group, values: Mapping[str, float]) -> bool:
    """Whether a group's laws are of several families, or alike in how far they are from balance."""
    away = [name for name in group.conditions if values[name] > 0]
    families = {_NUMBERS.sub('#', study.conditions[name].train.spec) for name in away}
    # Measures are right to a millionth.
    return len(families) > 1 or len({round(values[name], 5) for name in away}) < len(away)


def _by_side(
    groups: Sequence[Group], values: Mapping[str, float], sides: Mapping[str, str]
) -> tuple[Group, ...]:
    """Cuts groups in which laws lack as much as others by where they lack it."""
    found = []
    for group in groups:
        lacking = [round(values[name], 6) for name in group.conditions if sides[name]]
        if len(set(lacking)) == len(lacking):
            found.append(group)
            continue
        for side in dict.fromkeys(sides[name] for name in group.conditions if sides[name]):
            names = tuple(name for name in group.conditions if sides[name] in ('', side))
            label = ', '.join(filter(None, (group.label, f'missing {side}')))
            found.append(Group(label, names, side))
    return tuple(found)


def named(study: FinishedStudy, name: str, change: tuple[str, ...], values: tuple) -> str:
    """Returns a condition's value of a change: of its first text, else number, else field."""

    def kind(place: int) -> tuple[bool, bool]:
        return not isinstance(values[place], str), not isinstance(values[place], int | float)

    place = min(range(len(values)), key=kind)
    field, value = change[place].rpartition('.')[2], values[place]
    if field == comparison.LAW:
        return study.conditions[name].train.label
    if field == 'remedy':
        return study.remedy_labels[str(value or '')]
    text = f'{value:.4g}' if isinstance(value, float) else finished.show(value)
    return text if field == 'name' else f'{field} = {text}' if text else f'no {field}'


def table(study: FinishedStudy, dials: Sequence[Dial], metrics: Sequence[str]) -> pd.DataFrame:
    """Returns errors along dials, and their ratios to the reference's value of the same dial.

    Args:
      study: the loaded study.
      dials: some of its dials.
      metrics: errors, of which there are ratios.

    Returns:
      A row per dial, group, condition, test distribution and metric: dial (`Dial.changed`), group,
      condition, value, reference (whether that is the reference's), test_distribution, metric,
      mean, std, mean_low, mean_high (Student's interval), repeats, ratio, low, high, holm_p,
      holm_same_p (those of `comparison.table`, NaN at the reference's value and in groups without
      it), source.
    """
    compared = comparison.table(study)
    compared = compared[compared['metric'].isin(metrics)] if len(compared) else compared
    ratios = {
        (row['changed'], row['first'], row['test_distribution'], row['metric']): row
        for row in compared.to_dict('records')
    }
    confidence = study.option('confidence', 0.95)
    settings = comparison.settings(study)
    base = settings[comparison.reference(study)]
    nothing = dict.fromkeys(('effect', 'low', 'high', 'holm_p', 'holm_same_p'), math.nan)
    rows = []
    places = itertools.chain.from_iterable(
        itertools.product([dial], [group], group.conditions, study.test_distributions, metrics)
        for dial in dials
        for group in dial.groups
    )
    for dial, group, name, test, metric in places:
        errors = study.values('cnn', name, test, metric).to_numpy(float)
        if not errors.size:
            continue
        change = tuple(dial.changed.split(', '))
        at, wanted = (comparison.chosen(own, change) for own in (settings[name], base))
        ratio = ratios.get((dial.changed, name, test, metric), nothing)
        low, high = statistics.mean_interval(errors, confidence)
        rows.append(
            {
                'dial': dial.changed,
                'group': group.label,
                'condition': name,
                'value': dial.values[name],
                'reference': at == wanted,
                'test_distribution': test,
                'metric': metric,
                'mean': errors.mean(),
                'std': errors.std(ddof=1) if errors.size > 1 else math.nan,
                'mean_low': low,
                'mean_high': high,
                'repeats': errors.size,
                'ratio': ratio['effect'],
                'low': ratio['low'],
                'high': ratio['high'],
                'holm_p': ratio['holm_p'],
                'holm_same_p': ratio['holm_same_p'],
                'source': ratio.get('source') or study.source('cnn', name, test, metric),
            }
        )
    return pd.DataFrame(rows, columns=_TABLE)


def lines(study: FinishedStudy, dials: Sequence[Dial], frame: pd.DataFrame) -> pd.DataFrame:
    """Returns a straight line through log errors, and where a loss begins to be one.

    Args:
      study: the loaded study.
      dials: some of its dials.
      frame: their `table`.

    Returns:
      A row per group of three values or more, test distribution and metric, but for laws that
      are `unordered`: dial, group, test_distribution, metric, step, values (their number),
      repeats, explained (R² of a straight line through the mean of log errors), cost (the factor
      by which the error grows in a step, fitted per repeat), low, high (Student's interval over
      repeats; with cost NaN where the line explains less than `LEAST_EXPLAINED`), loss (see `loss`;
      '' without ratios), source.
    """
    margin, confidence = comparison.margin(study), study.option('confidence', 0.95)
    rows = []
    by_name = {dial.changed: dial for dial in dials}
    for (changed, group, test, metric), part in frame[np.isfinite(frame['value'])].groupby(
        _KEYS, sort=False
    ):
        dial = by_name[changed]
        if dial.unordered:
            continue
        names, x = list(part['condition']), part['value'].to_numpy(float)
        if np.unique(x).size < _FEWEST_VALUES:
            continue
        shared, errors = finished.joint([study.values('cnn', name, test, metric) for name in names])
        slopes, explained = fitted(np.log2(x) if dial.doubles else x / dial.per, errors)
        cost = np.full(3, math.nan)
        if explained >= LEAST_EXPLAINED:
            cost = np.exp([slopes.mean(), *statistics.mean_interval(slopes, confidence)])
        at = x[part['reference']]
        rows.append(
            {
                'dial': dial.changed,
                'group': group,
                'step': 'doubling' if dial.doubles else dial.step,
                'test_distribution': test,
                'metric': metric,
                'values': np.unique(x).size,
                'repeats': len(shared),
                'explained': explained,
                'cost': cost[0],
                'low': cost[1],
                'high': cost[2],
                'loss': loss(x, part['low'].to_numpy(float), at[0], margin) if at.size else '',
                'source': f'results.csv: predictor=cnn, test_distribution={test}, '
                f'metric={metric}, conditions {", ".join(names)}',
            }
        )
    return pd.DataFrame(rows, columns=_LINES)


def fitted(x: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns slopes of log errors on a dial, one a repeat, and R² of the line through their mean.

    Args:
      x: [k] values, not all the same.
      errors: [k, n] errors at them.

    Returns:
      [n] slopes; the share of the variance of the mean log error that its line explains, NaN where
      there is no such variance, or no mean.
    """
    nothing = np.full(errors.shape[1], math.nan), math.nan
    if not errors.size or not (np.isfinite(errors) & (errors > 0)).all():
        return nothing
    logs, centred = np.log(errors), x - x.mean()
    slopes = centred @ logs / (centred @ centred)
    mean = logs.mean(axis=1) - logs.mean()
    # Of equal errors rounding alone is left.
    if np.ptp(mean) < 1e-12:
        return slopes, math.nan
    return slopes, float(slopes.mean() ** 2 * (centred @ centred) / (mean @ mean))


def loss(values: np.ndarray, lows: np.ndarray, reference: float, margin: float) -> str:
    """Says from which value of a dial on a loss is shown to exceed the margin.

    It does at a value where the lower end of the interval of the ratio is above 1 + margin, and
    from there on where it does at every value that is farther from the reference's on that side.

    Args:
      values: [k] values of the dial.
      lows: [k] lower ends of the ratios' intervals there; NaN at the reference.
      reference: the reference's value.
      margin: how far from 1 a ratio may be and still count as the same.
    """
    said = []
    for side, words in ((1, 'from {:.3g} on'), (-1, 'from {:.3g} down')):
        beyond = np.unique(side * values[side * values > side * reference])[::-1]
        exceeds = [bool((lows[side * values == v] > 1 + margin).all()) for v in beyond]
        # How many, from the farthest value inwards, exceed without a gap.
        run = exceeds.index(False) if False in exceeds else len(exceeds)
        if run:
            said.append(words.format(side * beyond[run - 1]))
        apart = [f'{side * v:.3g}' for v in beyond[run:][np.array(exceeds[run:], dtype=bool)]]
        if apart:
            said.append(f'at {", ".join(reversed(apart))} but not beyond')
    return '; '.join(said) or 'nowhere'
