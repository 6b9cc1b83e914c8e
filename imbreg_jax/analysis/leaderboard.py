"""Which remedy against imbalance helps: each against no remedy, on the same law and settings.

Compared are conditions alike in everything but the remedy, paired by repeat, on log ratios (see
`statistics`). A family is what is compared on one test law, in one metric, under one law and
setting: every remedy against no remedy, which Holm's correction runs over. Tests are two-sided: a
remedy may harm. Ranks are of the mean log error among all that a law was trained with, no remedy
among them; their spread is that over resampled repeats, the same for every remedy and law.

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
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from imbreg_jax.analysis import comparison, dose_response, finished, statistics
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.evaluation.metrics import METRICS, shots

REMEDY, TASK, RATE = 'remedy', 'task.name', 'training.learning_rate'
# What a rate is chosen by: a column of metrics.jsonl, and a metric of results.csv where a study has
# validation images of its test laws too.
CRITERION = 'validation_mse'
BETTER, WORSE, SAME, UNDECIDED = 'better', 'worse', 'same within the margin', 'undecided'
# What tables call the number of each.
COUNTED = dict(
    zip(('better', 'worse', 'same', 'undecided'), (BETTER, WORSE, SAME, UNDECIDED), strict=True)
)
MANY = 'mae_many'
# From what training had nothing of to what it had some of: the first that a test law has is what is
# rarest there.
RAREST = ('mae_zero', 'mae_few', 'mae_medium')
STRATA = shots.NAMES
RANKED = ('mse', 'mape')
_RESAMPLES = 2000
# (setting, law, test law, metric) -> remedy -> its rank [b] in each resample.
Ranks = Mapping[tuple[str, str, str, str], Mapping[str, np.ndarray]]
# What the rows of a family of comparisons share.
FAMILY = ['setting', 'law', 'test_distribution', 'metric']
_TABLE = (
    'setting law remedy condition test_distribution metric balanced repeats lost mean std '
    'ratio low high p holm_p flip_p same_p holm_same_p flip_same_p detectable repeats_needed '
    'verdict neutrality rank rank_low rank_high rate rates_tried source'
).split()


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
        alike: dict[tuple, dict[str, list[str]]] = {}
        for name, own in fields.items():
            key = tuple(comparison.chosen(own, change) for change in rest)
            alike.setdefault(key, {}).setdefault(_remedy(own), []).append(name)
        telling = [c for c in rest if comparison.LAW not in c]
        for names in alike.values():
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


# What `informed` has of a comparison, under these names with 'informed_' before them.
INFORMED = ('ratio', 'low', 'high', 'verdict', 'rate', 'source')
_SUMMED = ('ratio', 'low', 'high', 'better', 'worse', 'source')


class Informed(NamedTuple):
    """What remedies come to at the rates of least error on validation images of the test law.

    Attributes:
      table: `table` with `INFORMED` columns beside its own, NaN or '' where nothing is known; as it
        came where nothing was chosen, and then the others are empty.
      summary: a row per setting, remedy and `informed_tests`: setting, remedy, test_distribution,
        then, as `summary` has them of MSE or of the first metric there is, informed_ratio,
        informed_low, informed_high, informed_better, informed_worse, informed_source.
      answers: `answers` of the same metric on each of `informed_tests`.
    """

    table: pd.DataFrame
    summary: pd.DataFrame
    answers: pd.DataFrame


def informed(study: FinishedStudy, frame: pd.DataFrame) -> Informed:
    """Compares remedies at the rates of least error on validation images of the test law.

    Args:
      study: the loaded study.
      frame: its `table`.
    """
    tests = informed_tests(study)
    if not tests or not (frame['rates_tried'] > 1).any():
        empty = pd.DataFrame(columns=['setting', 'remedy', 'test_distribution'])
        return Informed(frame, empty, empty)
    keys = [*FAMILY, 'remedy']
    parts, sums, helping = [], [], []
    for test in tests:
        found, _ = places(study, test)
        own = table(dataclasses.replace(study, test_distributions={
            test: study.test_distributions[test]}), found, {})  # fmt: skip
        parts.append(own[[*keys, *INFORMED]])
        metric = own['metric'].iloc[0]
        helping.append(answers(study, found, own, test, metric))
        rows = summary(study, found, own, {}, test, metric)
        rows = rows[['setting', 'remedy', *_SUMMED]].rename(columns=_informed(_SUMMED))
        sums.append(rows.assign(test_distribution=test))
    beside = pd.concat(parts).rename(columns=_informed(INFORMED))
    merged = frame.merge(beside, how='left', on=keys, validate='one_to_one')
    merged['informed_verdict'] = merged['informed_verdict'].fillna('')
    return Informed(merged, *(pd.concat(rows, ignore_index=True) for rows in (sums, helping)))


def _informed(keys: Sequence[str]) -> dict[str, str]:
    return {key: f'informed_{key}' for key in keys}


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


def same_rate(frame: pd.DataFrame) -> dict[bool, tuple[int, int]]:
    """Returns how often both choices are the same rate, by whether the law is the test law.

    Args:
      frame: the table that `informed` returned, or some of its rows.

    Returns:
      Whether training has the test law -> (how often the same, of how many), a choice being that of
      one remedy, or of none, under one setting, law and test law, among several rates.
    """
    rows = frame[(frame['rates_tried'] > 1) & frame['informed_rate'].notna()]
    rows = rows.drop_duplicates(['setting', 'law', 'test_distribution', 'remedy'])
    same = rows['rate'] == rows['informed_rate']
    balanced = rows['balanced'].astype(bool)
    return {
        even: (int(same[balanced == even].sum()), int((balanced == even).sum()))
        for even in (False, True)
    }


def metrics(study: FinishedStudy) -> list[str]:
    """Returns the errors that remedies are compared in: all that are, and those of strata."""
    results = study.results
    there = set(results.loc[results['test_distribution'] != '', 'metric'].unique())
    compared = [n for n, m in METRICS.items() if m.compared and m.better == 'less']
    return [name for name in dict.fromkeys([*compared, *STRATA]) if name in there]


def table(study: FinishedStudy, found: Sequence[Place], made: Ranks) -> pd.DataFrame:
    """Compares each remedy with no remedy.

    Args:
      study: the loaded study.
      found: its `places`.
      made: their `ranks`.

    Returns:
      A row per place, entry, test law and metric that has values: setting, law (spec), remedy,
      condition, test_distribution, metric, balanced (whether the law is the test law), repeats
      (pairs; of no remedy its own), lost (repeats that diverged), mean and std of the error; then,
      of remedies alone, ratio to no remedy, low, high (t interval), p, holm_p, flip_p, same_p,
      holm_same_p, flip_same_p, detectable, repeats_needed, verdict and neutrality (see `judged`);
      then of `RANKED` metrics rank, rank_low, rank_high (see `rank_interval`); rate, rates_tried,
      source.
    """
    names = metrics(study)
    source = functools.cache(functools.partial(study.source, 'cnn'))
    keys: list[tuple[Place, Entry, str, str]] = []
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    sizes: collections.Counter = collections.Counter()
    rows: list[dict[str, Any]] = []
    for place in found:
        none = place.entries[0]
        for test in study.test_distributions:
            for metric in names:
                base = study.values('cnn', none.condition, test, metric)
                for entry in place.entries:
                    own = study.values('cnn', entry.condition, test, metric)
                    if not len(own):
                        continue
                    first, second = finished.joint([own, base])[1]
                    rows.append(_row(study, place, entry, test, metric, own.to_numpy(float)))
                    said = [source(entry.condition, test, metric)]
                    if entry.remedy:
                        said.append(source(none.condition, test, metric))
                        keys.append((place, entry, test, metric))
                        pairs.append((first, second))
                        sizes[place.setting, place.law, test, metric] += 1
                    rows[-1] |= {'repeats': first.size, 'source': '; '.join(said)}
    compared = statistics.compare_many(
        pairs,
        margin=comparison.margin(study),
        level=comparison.level(study),
        tests=[sizes[place.setting, place.law, test, metric] for place, _, test, metric in keys],
        seed=study.option('seed', 0),
    )
    results = iter(compared)
    for row in rows:
        if row['remedy']:
            columns = comparison.columns(next(results))
            row |= {k: v for k, v in columns.items() if k in _TABLE} | {'ratio': columns['effect']}
    frame = pd.DataFrame(rows, columns=_TABLE)
    for p in ('p', 'same_p'):
        frame[p] = frame[p].astype(float)
        if len(frame):
            frame[f'holm_{p}'] = frame.groupby(FAMILY)[p].transform(statistics.holm)
    return _with_ranks(judged(frame, comparison.level(study)), made, comparison.level(study))


def _row(
    study: FinishedStudy, place: Place, entry: Entry, test: str, metric: str, own: np.ndarray
) -> dict[str, Any]:
    return {
        'setting': place.setting,
        'law': place.law,
        'remedy': entry.remedy,
        'condition': entry.condition,
        'test_distribution': test,
        'metric': metric,
        'balanced': place.law == study.test_distributions[test].spec,
        'lost': sum(condition == entry.condition for condition, _ in study.diverged),
        'mean': own.mean(),
        'std': own.std(ddof=1) if own.size > 1 else math.nan,
        'rate': entry.rate,
        'rates_tried': len(entry.tried),
    }


def judged(frame: pd.DataFrame, level: float) -> pd.DataFrame:
    """Returns a table with what each comparison shows at the level, in two ways.

    `verdict` asks whether a remedy helps: better or worse (the ratio is shown to be another than
    1), else the same within the margin, else undecided. `neutrality` asks whether it leaves alone
    what needs no cure: the same within the margin first, however small a difference is shown. Both
    are '' of no remedy.
    """
    of_remedy = frame['remedy'] != ''
    shown = {'verdict': verdicts(frame, level), 'neutrality': verdicts(frame, level, neutral=True)}
    return frame.assign(**{key: np.where(of_remedy, own, '') for key, own in shown.items()})


def verdicts(frame: pd.DataFrame, level: float, neutral: bool = False) -> np.ndarray:
    """Returns what each row's ratio, holm_p and holm_same_p show.

    Args:
      frame: rows of comparisons.
      level: of the tests.
      neutral: whether the same within the margin is what is asked for, however small a difference
        is shown beside; else whether there is a difference.
    """
    ratio, p, same_p = (frame[key].astype(float) for key in ('ratio', 'holm_p', 'holm_same_p'))
    differs, same = p < level, same_p < level
    side = np.where(ratio < 1, BETTER, WORSE)
    if neutral:
        return np.where(same, SAME, np.where(differs, side, UNDECIDED))
    return np.where(differs, side, np.where(same, SAME, UNDECIDED))


def least_repeats(level: float) -> int:
    """Returns the fewest repeats of which ranks are given an interval.

    Of two remedies that are equal in truth, all n repeats favour the same one with chance
    2^(1 − n), and then so do all resamples: below, a sure winner would be no news at the level.
    """
    return math.ceil(1 + math.log2(1 / level))


def resamples(study: FinishedStudy) -> tuple[np.ndarray, np.ndarray]:
    """Returns the repeats [n] of a study, and how often each is in each of so many resamples.

    Where repeats are the folds of data sets, these, as in `FinishedStudy.values`.
    """
    every = [number for name in study.trained for number in study.data_sets(name)]
    repeats = np.unique(np.array(every, int))
    rng = np.random.default_rng([study.option('seed', 0), len(repeats)])
    if not len(repeats):  # Such as of data sets of which none has all of its folds.
        return repeats, np.zeros((_RESAMPLES, 0))
    share = np.full(len(repeats), 1 / len(repeats))
    return repeats, rng.multinomial(len(repeats), share, _RESAMPLES).astype(float)


def resampled(logs: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Returns the ranks [b, k] of k mean log errors in each of b resamples; 1 is the least.

    Args:
      logs: [k, n] log errors, n repeats.
      times: [b, n] how often each repeat is in a resample; without any of them ranks are NaN.
    """
    sums = times @ logs.T
    found = stats.rankdata(sums, axis=1)
    found[times.sum(axis=1) == 0] = np.nan
    return found


def rank_interval(found: np.ndarray, level: float) -> tuple[float, float, float]:
    """Returns the mean of [b] ranks, and the ends between which 1 − level of them lie."""
    known = found[np.isfinite(found)]
    if not known.size:
        return math.nan, math.nan, math.nan
    low = np.quantile(known, level / 2, method='lower')
    high = np.quantile(known, 1 - level / 2, method='higher')
    return float(known.mean()), float(low), float(high)


def ranks(study: FinishedStudy, found: Sequence[Place]) -> Ranks:
    """Returns (setting, law, test law, metric) -> remedy -> its rank [b] in each resample.

    Ranked are those that lost at most half of the repeats that no remedy has, on the repeats that
    all of them have; nothing is, of fewer repeats than `least_repeats`.
    """
    repeats, times = resamples(study)
    least = least_repeats(comparison.level(study))
    made: dict[tuple[str, str, str, str], dict[str, np.ndarray]] = {}
    known = [metric for metric in RANKED if metric in metrics(study)]
    for place in found:
        for test in study.test_distributions:
            for metric in known:
                series = {
                    e.remedy: study.values('cnn', e.condition, test, metric) for e in place.entries
                }
                base = series['']
                kept = {r: s for r, s in series.items() if len(s) and 2 * len(s) >= len(base)}
                if '' not in kept or len(kept) < 2:
                    continue
                shared, values = finished.joint(list(kept.values()))
                if len(shared) < least or not (values > 0).all():
                    continue
                own = resampled(np.log(values), times[:, np.searchsorted(repeats, shared)])
                made[place.setting, place.law, test, metric] = dict(zip(kept, own.T, strict=True))
    return made


def _with_ranks(frame: pd.DataFrame, made: Ranks, level: float) -> pd.DataFrame:
    rows = [
        rank_interval(made.get((setting, law, test, metric), {}).get(remedy, np.zeros(0)), level)
        for setting, law, test, metric, remedy in frame[[*FAMILY, 'remedy']].itertuples(index=False)
    ]
    columns = ['rank', 'rank_low', 'rank_high']
    return frame.assign(**dict(zip(columns, np.array(rows).reshape(-1, 3).T, strict=True)))


def summary(
    study: FinishedStudy,
    found: Sequence[Place],
    frame: pd.DataFrame,
    made: Ranks,
    test: str,
    metric: str,
) -> pd.DataFrame:
    """Returns what each remedy comes to in each setting, over its laws that are imbalanced.

    Args:
      study: the loaded study.
      found: its `places`.
      frame: their `table`.
      made: their `ranks`.
      test: a test law; laws that equal it are balanced.
      metric: an error.

    Returns:
      A row per setting and remedy, no remedy among them, the least rank first: setting, remedy,
      laws (how many), ratio (geometric mean over laws), low, high (t interval over repeats of the
      mean log ratio), better, worse, same, undecided (laws by verdict), rank, rank_low, rank_high
      (mean over laws of its rank in each resample), rarest and many (geometric means over laws of
      the ratio on the stratum that training had least of, and most), balanced (the ratio under the
      balanced law), source.
    """
    confidence = 1 - comparison.level(study)
    own = frame[frame['test_distribution'] == test]
    strata = rarest(own[~own['balanced'].astype(bool)])
    rows = []
    for setting, remedy in own[['setting', 'remedy']].drop_duplicates().itertuples(index=False):
        part = own[(own['setting'] == setting) & (own['remedy'] == remedy)]
        main = part[(part['metric'] == metric) & ~part['balanced'].astype(bool)]
        logs = []
        for place in found:
            entry = next((e for e in place.entries if e.remedy == remedy), None)
            if place.setting == setting and entry and place.law in set(main['law']):
                both = (entry.condition, place.entries[0].condition)
                logs.append(_log_ratio(study, *both, test, metric))
        mean = finished.joint(logs)[1].mean(axis=0) if logs else np.zeros(0)
        low, high = statistics.mean_interval(mean, confidence)
        of_laws = (made.get((setting, law, test, metric), {}) for law in main['law'])
        ranked = [of_law[remedy] for of_law in of_laws if remedy in of_law]
        mean_rank = np.mean(ranked, axis=0) if ranked else np.zeros(0)
        rank = rank_interval(mean_rank, comparison.level(study))
        counts = main['verdict'].value_counts()
        parts = strata[(strata['setting'] == setting) & (strata['remedy'] == remedy)]
        even = part[(part['metric'] == metric) & part['balanced'].astype(bool)]['ratio']
        row = {
            'setting': setting,
            'remedy': remedy,
            'laws': len(main),
            'ratio': math.exp(mean.mean()) if mean.size and remedy else math.nan,
            'low': math.exp(low) if remedy else math.nan,
            'high': math.exp(high) if remedy else math.nan,
            **{key: counts.get(verdict, 0) for key, verdict in COUNTED.items()},
            **dict(zip(('rank', 'rank_low', 'rank_high'), rank, strict=True)),
            'rarest': _geometric(parts['rarest']),
            'many': _geometric(parts['many']),
            'balanced': _geometric(even),
            'source': f'results.csv: predictor=cnn, test_distribution={test}, metric={metric} and '
            f'those of strata, conditions {", ".join(dict.fromkeys(part["condition"]))}',
        }
        rows.append(row)
    made_of = pd.DataFrame(rows)
    if not len(made_of):
        return made_of
    order = {setting: i for i, setting in enumerate(dict.fromkeys(made_of['setting']))}
    made_of = made_of.assign(place=made_of['setting'].map(order))
    # Of too few repeats there are no ranks: then by the ratio, no remedy's being 1.
    made_of['size'] = made_of['ratio'].where(made_of['remedy'] != '', 1.0)
    made_of = made_of.sort_values(['place', 'rank', 'size'], kind='stable')
    return made_of.drop(columns=['place', 'size']).reset_index(drop=True)


def answers(
    study: FinishedStudy,
    found: Sequence[Place],
    frame: pd.DataFrame,
    test: str,
    metric: str,
    predictor: str = 'cnn',
) -> pd.DataFrame:
    """Returns whether anything helps at each place, and what has the least ratio there.

    That is the least of those that are shown to be better, no more: nothing is held against the
    next. As it is the best of many, its interval holds for all of them at once (Bonferroni): each
    is at the level over their number.

    Args:
      study: the loaded study.
      found: its `places`.
      frame: their `table`, or of 'cnn_scaled' what `scaled` returned.
      test: a test law.
      metric: an error.
      predictor: whose ratios the frame has.

    Returns:
      A row per place: setting, law, test_distribution, compared (how many remedies are), better,
      worse, same, undecided (how many, by verdict), slight (how many of the better are shown to be
      so by less than the margin), detectable (the median over remedies of the ratio that so many
      repeats could have shown), best (the remedy; '' where none is shown to help), of it condition,
      ratio, low and high, NaN or '' where there is none; source.
    """
    own = frame[(frame['test_distribution'] == test) & (frame['metric'] == metric)]
    rows = []
    for place in found:
        here = (own['setting'] == place.setting) & (own['law'] == place.law)
        part = own[here & (own['remedy'] != '')]
        counts = part['verdict'].value_counts()
        row: dict[str, Any] = {'setting': place.setting, 'law': place.law}
        row |= {'test_distribution': test, 'compared': len(part)}
        row |= {key: counts.get(verdict, 0) for key, verdict in COUNTED.items()}
        helping = part[part['verdict'] == BETTER]
        within = helping['holm_same_p'].astype(float) < comparison.level(study)
        row |= {'slight': int(within.sum()), 'detectable': part['detectable'].median()}
        row |= {'best': '', 'condition': '', 'ratio': math.nan, 'low': math.nan, 'high': math.nan}
        row['source'] = (
            f'results.csv: predictor={predictor}, test_distribution={test}, metric={metric}, '
            f'conditions {", ".join(entry.condition for entry in place.entries)}'
        )
        if len(helping):
            best = helping.loc[helping['ratio'].astype(float).idxmin()]
            both = best['condition'], place.entries[0].condition
            logs = _log_ratio(study, *both, test, metric, predictor).to_numpy()
            level = comparison.level(study) / len(part)
            low, high = statistics.mean_interval(logs, 1 - level)
            row |= {'best': best['remedy'], 'condition': best['condition'], 'ratio': best['ratio']}
            row |= {'low': math.exp(low), 'high': math.exp(high)}
        rows.append(row)
    return pd.DataFrame(rows)


def scaled(
    study: FinishedStudy, found: Sequence[Place], frame: pd.DataFrame, test: str, metric: str
) -> pd.DataFrame:
    """Compares each remedy with no remedy once more, up to a factor.

    A remedy may help by no more than a common factor on predictions, such as dropout takes from
    them, which imbalance has no part in; and what else it gives may be hidden by how that factor
    spreads. So each network's predictions are multiplied by the factor that fits its test images
    best: one that fits validation images of the training law would undo a remedy wherever the best
    factor is another there.

    Args:
      study: the loaded study.
      found: its `places`.
      frame: their `table`.
      test: a test law.
      metric: an error.

    Returns:
      The rows of `table` of remedies under this test law and metric, with ratio, low, high, p,
      same_p, holm_p, holm_same_p of the networks so scaled, as verdict what these show, the same
      within the margin before how small a difference, and as before their verdict in `table`. None
      where a network has no such values.
    """
    own = frame[(frame['test_distribution'] == test) & (frame['metric'] == metric)]
    own = own[own['remedy'] != '']
    none = {(place.setting, place.law): place.entries[0].condition for place in found}
    partners = [none[place] for place in zip(own['setting'], own['law'], strict=True)]
    pairs = []
    for names in zip(own['condition'], partners, strict=True):
        errors = [study.values('cnn_scaled', name, test, metric) for name in names]
        first, second = finished.joint(errors)[1]
        pairs.append((first, second))
    if not all(first.size for first, _ in pairs):
        return own.iloc[:0].assign(before='')
    sizes = own.groupby(FAMILY)['remedy'].transform('size')
    compared = statistics.compare_many(
        pairs,
        margin=comparison.margin(study),
        level=comparison.level(study),
        tests=list(sizes),
        seed=study.option('seed', 0),
    )
    shown = pd.DataFrame(map(comparison.columns, compared), index=own.index)
    shown = shown.rename(columns={'effect': 'ratio'})
    anew = [name for name in own.columns if name in shown.columns]
    own = own.assign(before=own['verdict'], **{name: shown[name] for name in anew})
    for p in ('p', 'same_p'):
        own[f'holm_{p}'] = own.astype({p: float}).groupby(FAMILY)[p].transform(statistics.holm)
    return own.assign(verdict=verdicts(own, comparison.level(study), neutral=True))


def _log_ratio(
    study: FinishedStudy, first: str, second: str, test: str, metric: str, predictor: str = 'cnn'
) -> pd.Series:
    shared, (own, base) = finished.joint(
        [study.values(predictor, name, test, metric) for name in (first, second)]
    )
    with np.errstate(all='ignore'):
        return pd.Series(np.log(own) - np.log(base), index=shared)


def _geometric(ratios: Iterable[float]) -> float:
    values = np.array(list(ratios), float)
    values = values[np.isfinite(values) & (values > 0)]
    return float(np.exp(np.log(values).mean())) if values.size else math.nan


def rarest(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns ratios on what training had least of, beside those on what it had most of.

    Args:
      frame: rows of `table`.

    Returns:
      A row per setting, law, remedy and test law that has both: these, stratum (the first metric of
      `RAREST` that the law has there), rarest, rarest_low, rarest_high, many, many_low, many_high.
    """
    keys = ['setting', 'law', 'test_distribution']
    ends = 'rarest rarest_low rarest_high many many_low many_high'.split()
    known = frame[np.isfinite(frame['mean'].astype(float))]
    # Of no remedy, so that all remedies are compared on the same targets.
    none = known[known['remedy'] == '']
    held = none.groupby(keys)['metric'].agg(set).to_dict()
    rows = []
    for key, part in frame[frame['remedy'] != ''].groupby([*keys, 'remedy'], sort=False):
        stratum = next((metric for metric in RAREST if metric in held.get(key[:3], ())), None)
        own = part[np.isfinite(part['ratio'].astype(float))].set_index('metric')
        if stratum not in own.index or MANY not in own.index:
            continue
        of = [own.loc[m, k] for m in (stratum, MANY) for k in ('ratio', 'low', 'high')]
        rows.append([*key, stratum, *of])
    keys.append('remedy')
    return pd.DataFrame(rows, columns=[*keys, 'stratum', *ends])


def order(frame: pd.DataFrame, test: str, metric: str) -> list[str]:
    """Returns the remedies, the least geometric mean ratio over imbalanced laws first.

    Of a study without an imbalanced law, over all.
    """
    known = frame[
        (frame['test_distribution'] == test) & (frame['metric'] == metric) & (frame['remedy'] != '')
    ]
    imbalanced = known[~known['balanced'].astype(bool)]
    means = {
        remedy: _geometric(part['ratio'])
        for remedy, part in (imbalanced if len(imbalanced) else known).groupby('remedy', sort=False)
    }
    every = dict.fromkeys(known['remedy'])
    return sorted(every, key=lambda remedy: np.nan_to_num(means.get(remedy, np.inf), nan=np.inf))


def sure_winners(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of a table whose interval of the rank holds 1 alone."""
    return frame[(frame['rank_low'] == 1) & (frame['rank_high'] == 1)]
