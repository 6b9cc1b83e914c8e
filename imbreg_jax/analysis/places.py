"""Where remedies stand beside no remedy, each at the rate that was chosen for it.

If a study sweeps the learning rate beside remedies, each remedy and no remedy are given, before
anything is compared, the rate of their least mean validation error under the training law, out of
the same rates and over the repeats that all of them were tried in: the same effort of tuning for
all, and none on test images. Rates at which repeats diverged come last, and count as tried.
"""

import collections
import dataclasses
import functools
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import comparison, dose_response
from imbreg_jax.analysis.finished import FinishedStudy

REMEDY, TASK, RATE = 'remedy', 'task.name', 'training.learning_rate'
# What a rate is chosen by: a column of metrics.jsonl, and a metric of results.csv where a study has
# validation images of its test laws too.
CRITERION = 'validation_mse'


@dataclasses.dataclass(frozen=True)
class Entry:
    """What stands for one remedy under one law and setting.

    Attributes:
      remedy: its expression; '' is none.
      condition: the condition.
      rate: its learning rate.
      tried: the rates that it was chosen from, ascending.
      conditions: the conditions at these rates, in their order.
    """

    remedy: str
    condition: str
    rate: float
    tried: tuple[float, ...]
    conditions: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Place:
    """Conditions alike in everything but the remedy, and in a rate that is chosen for each.

    Attributes:
      setting: its task, and what else sets it apart from other places of its law.
      law: spec of the law of its training targets.
      entries: no remedy first, then remedies in the order of the study.
    """

    setting: str
    law: str
    entries: tuple[Entry, ...]


def places(study: FinishedStudy, chosen_under: str = '') -> tuple[list[Place], list[str]]:
    """Returns where remedies stand beside no remedy, and which conditions stand beside none.

    Args:
      study: the loaded study.
      chosen_under: on validation images of which law the mean error of trained networks chooses
        the rate: '' for the training law, or a test distribution of `informed_tests`.

    Returns:
      The places in the order of the study; and the names of conditions with a remedy that have no
      partner without one, or that tried other rates than it.
    """
    key = 'places', chosen_under
    if key not in study.memo:
        study.memo[key] = _places(study, chosen_under)
    return study.memo[key]


def _places(study: FinishedStudy, chosen_under: str) -> tuple[list[Place], list[str]]:
    settings = comparison.settings(study)
    # A rate at which all repeats diverged was tried as well.
    lost = {condition for condition, _ in study.diverged}
    every = {n: own for n, own in settings.items() if n in lost or n in study.trained}
    choose = functools.partial(chosen, study, every, chosen_under=chosen_under)
    of_task: dict[Hashable, dict[str, dict[str, Hashable]]] = {}
    for name, own in every.items():
        of_task.setdefault(own.get(TASK), {})[name] = own
    found: list[Place] = []
    lone: list[str] = []
    for task, fields in of_task.items():
        # A task's own: what differs between tasks, such as their budgets, is no change here.
        changes = comparison.changes(fields)
        rated = of_rate(changes)
        # What always changes with the remedy is another change all the same.
        rest = [tuple(f for f in c if f != REMEDY) for c in changes if c != rated]
        rest = [c for c in rest if c]
        telling = [c for c in rest if comparison.LAW not in c]
        for members in comparison.alike(fields, rest).values():
            names: dict[str, list[str]] = {}
            for name in members:
                names.setdefault(_remedy(fields[name]), []).append(name)
            entries = [choose(own) for own in names.values()]
            none = next((entry for entry in entries if not entry.remedy), None)
            fair = [e for e in entries if e.remedy and none and e.tried == none.tried]
            kept = {entry.remedy for entry in fair}
            for remedy, those in names.items():
                if remedy and remedy not in kept:
                    lone += [name for name in those if name in study.trained]
            fair = [entry for entry in fair if entry.condition in study.trained]
            if none and fair and none.condition in study.trained:
                first = none.condition
                parts = [str(task or '')] + [
                    dose_response.named(study, first, c, comparison.chosen(every[first], c))
                    for c in telling
                ]
                law = study.conditions[first].train.spec
                found.append(Place(', '.join(filter(None, parts)), law, (none, *fair)))
    return found, lone


def _remedy(own: Mapping[str, Any]) -> str:
    return str(own.get(REMEDY) or '')


def of_rate(changes: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Returns the one of `comparison.changes` that a rate is chosen along, () if there is none."""
    return next((change for change in changes if RATE in change and REMEDY not in change), ())


def chosen(
    study: FinishedStudy,
    fields: Mapping[str, Mapping[str, Any]],
    names: Sequence[str],
    chosen_under: str = '',
) -> Entry:
    """Returns which of the conditions of a remedy, or of none, stands for it.

    Args:
      study: the loaded study.
      fields: condition -> its settings.
      names: the conditions, alike in everything but the rate.
      chosen_under: see `places`.
    """
    rates = {name: float(fields[name].get(RATE) or math.nan) for name in names}
    # Of conditions that differ in nothing but the name the first stands for all.
    tried: dict[float, str] = {}
    for name, rate in rates.items():
        tried.setdefault(rate, name)
    ascending = sorted(tried)
    name = names[0]
    if len(tried) > 1:
        name = _least(study, list(tried.values()), _validation(study, chosen_under))
    conditions = tuple(tried[rate] for rate in ascending)
    return Entry(_remedy(fields[name]), name, rates[name], tuple(ascending), conditions)


def _least(study: FinishedStudy, names: Sequence[str], errors: Mapping[str, pd.Series]) -> str:
    """Returns the condition of the least mean error, of those that lost the fewest repeats.

    Of the repeats that all were trained in: a rate may have been tried in fewer than others.
    """
    folds = study.folds or 1
    lost = {name: {r // folds for c, r in study.diverged if c == name} for name in names}
    kept = {name: errors.get(name, pd.Series(dtype=float)) for name in names}
    shared = set.intersection(*({*kept[name].index} | lost[name] for name in names))

    def order(name: str) -> tuple[int, float]:
        values = kept[name][kept[name].index.isin(shared - lost[name])].to_numpy(float)
        known = values.size and np.isfinite(values).all()
        return len(lost[name] & shared), float(values.mean()) if known else math.inf

    return min(names, key=order)


def _validation(study: FinishedStudy, chosen_under: str) -> dict[str, pd.Series]:
    key = 'validation', chosen_under
    if key not in study.memo:
        study.memo[key] = _held(study, chosen_under)
    return study.memo[key]


def _held(study: FinishedStudy, chosen_under: str) -> dict[str, pd.Series]:
    """Returns condition -> errors after training of its networks that did not diverge, by repeat.

    From results.csv where that has them, which of an ensemble is the error of its mean prediction;
    else, under the training law, from metrics.jsonl.
    """
    found: dict[str, pd.Series] = {}
    if not chosen_under and CRITERION in study.metrics:
        rows = study.metrics
        last = rows[rows['epoch'] == rows.groupby('condition')['epoch'].transform('max')]
        runs = zip(last['condition'], last['repeat'], strict=True)
        last = last[[run not in study.diverged for run in runs]]
        for name, own in last.groupby('condition'):
            by_repeat = own.groupby('repeat')[CRITERION]
            means = by_repeat.agg(lambda members: np.mean(members.to_numpy(float)))
            found[str(name)] = study.of_data_sets(means)
    for name in study.trained:
        held = study.values('cnn', name, chosen_under, CRITERION)
        if len(held):
            found[name] = held
    return found


def informed_tests(study: FinishedStudy) -> list[str]:
    """Returns the test laws of which every network has an error on validation images."""
    return [
        test
        for test in study.test_distributions
        if study.trained
        and all(len(study.values('cnn', name, test, CRITERION)) for name in study.trained)
    ]


def unfinished(study: FinishedStudy) -> pd.DataFrame:
    """Returns the conditions that were chosen for their rate and have fewer repeats than others.

    A choice takes fewer repeats than a comparison, so it may be made first and these trained then.

    Returns:
      A row per condition: condition, repeats (how many were trained), most (how many of the one
      that has most at its place), chosen_under (the laws on whose validation images it was chosen:
      '' is the training law, others are of `informed_tests`).
    """
    trained = collections.Counter(condition for condition, _ in study.runs)
    under: dict[tuple[str, int], list[str]] = {}
    for law in ('', *informed_tests(study)):
        for place in places(study, law)[0]:
            most = max(trained[name] for entry in place.entries for name in entry.conditions)
            for entry in place.entries:
                if len(entry.tried) > 1 and trained[entry.condition] < most:
                    under.setdefault((entry.condition, most), []).append(law)
    rows = [[name, trained[name], most, tuple(laws)] for (name, most), laws in under.items()]
    return pd.DataFrame(rows, columns=['condition', 'repeats', 'most', 'chosen_under'])


def at_ends(found: Sequence[Place]) -> tuple[int, int, int]:
    """Returns how often the least rate was chosen and how often the greatest, of how many choices.

    Args:
      found: the places of a choice.
    """
    made = [entry for place in found for entry in place.entries if len(entry.tried) > 1]
    least, greatest = (sum(entry.rate == entry.tried[end] for entry in made) for end in (0, -1))
    return least, greatest, len(made)
