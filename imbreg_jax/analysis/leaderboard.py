"""Which remedy against imbalance helps: each against no remedy, on the same law and settings.

Compared are conditions alike in everything but the remedy, paired by repeat, on log ratios (see
`statistics`). A family is what is compared on one test law, in one metric, under one law and
setting: every remedy against no remedy, which Holm's correction runs over. Tests are two-sided: a
remedy may harm. Ranks are of the mean log error among all that a law was trained with, no remedy
among them; their spread is that over resampled repeats, the same for every remedy and law.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from imbreg_jax.analysis import comparison, finished, places, statistics
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.places import Entry, Place
from imbreg_jax.evaluation.metrics import METRICS, shots

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
    tests = places.informed_tests(study)
    if not tests or not (frame['rates_tried'] > 1).any():
        empty = pd.DataFrame(columns=['setting', 'remedy', 'test_distribution'])
        return Informed(frame, empty, empty)
    keys = [*FAMILY, 'remedy']
    parts, sums, helping = [], [], []
    for test in tests:
        found, _ = places.places(study, test)
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
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
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
                        pairs.append((first, second))
                    rows[-1] |= {'repeats': first.size, 'source': '; '.join(said)}
    frame = pd.DataFrame(rows, columns=_TABLE)
    compared = _compared(study, pairs, frame.loc[frame['remedy'] != '', FAMILY])
    # What is not a remedy has repeats of its own.
    shown = [name for name in compared.columns if name in _TABLE and name != 'repeats']
    frame = frame.assign(**{name: compared[name] for name in shown})
    return _with_ranks(judged(frame, comparison.level(study)), made, comparison.level(study))


def _compared(
    study: FinishedStudy, pairs: Sequence[tuple[np.ndarray, np.ndarray]], families: pd.DataFrame
) -> pd.DataFrame:
    """Compares the errors of each pair, with Holm's correction within its family.

    Args:
      study: the loaded study.
      pairs: (errors with a remedy, without), paired by repeat.
      families: a row per pair, of the columns `FAMILY`.

    Returns:
      `comparison.columns` of each pair, its effect called ratio, and holm_p and holm_same_p, in the
      rows of `families`.
    """
    keys = [families[name] for name in FAMILY]
    compared = statistics.compare_many(
        pairs,
        margin=comparison.margin(study),
        level=comparison.level(study),
        tests=list(families.groupby(keys)[FAMILY[0]].transform('size')),
        seed=study.option('seed', 0),
    )
    shown = pd.DataFrame(map(comparison.columns, compared), index=families.index)
    shown = shown.rename(columns={'effect': 'ratio'})
    for p in ('p', 'same_p') if len(shown) else ():
        shown[f'holm_{p}'] = shown[p].astype(float).groupby(keys).transform(statistics.holm)
    return shown


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
    shown = _compared(study, pairs, own[FAMILY])
    anew = [name for name in own.columns if name in shown.columns]
    own = own.assign(before=own['verdict'], **{name: shown[name] for name in anew})
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
