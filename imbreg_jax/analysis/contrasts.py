"""What is asked of remedies beyond whether each is better than none: pairs, each of one question.

- `missing`: on targets that training had none of, each remedy against no remedy.
- `parameters`: remedies that differ in one parameter alone, against the first value in the study.
- `laws`: under the same remedy and setting, each law against the test law, which needs no cure.
- `settings`: what a remedy gives under the reference's setting against what it gives under another:
  the ratio of two ratios to no remedy.
- `averaged`: the mean of the predictions of a remedied network and of a plain one of the same
  repeat, against either; and, where the study has `ensemble(size=2)`, against the mean of two plain
  ones, which is what averaging alone gives. No network is trained for it. The two share their first
  weights, images and shuffles, so that less is averaged out between them than in an ensemble.

All is paired by repeat, on log ratios, two-sided; a family is what is held against one thing under
one law and setting, on one test law, in one metric (of laws: under one remedy), and Holm's
correction runs over it.
"""

import collections
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import (
    comparison,
    dose_response,
    finished,
    leaderboard,
    places,
    remedy_names,
    statistics,
)
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.leaderboard import (
    BETTER,
    MANY,
    RANKED,
    RAREST,
    SAME,
    UNDECIDED,
    WORSE,
)
from imbreg_jax.analysis.places import REMEDY, TASK, Entry, Place
from imbreg_jax.evaluation.metrics import METRICS, fit
from imbreg_jax.evaluation.metrics.metric import EVERY_EPOCH
from imbreg_jax.evaluation.strata import strata
from imbreg_jax.results import kept_tables
from imbreg_jax.study import laws as target_laws

ZERO_SHOT = 'mae_zero'
# What `averaged` compares.
ALONE, MEAN, MEAN_TO_ALONE = 'remedy to none', 'mean to none', 'mean to remedy'
MEAN_TO_TWO = 'mean to two plain'
_TABLE = (
    'setting law what against test_distribution metric repeats first_mean second_mean ratio low '
    'high p holm_p flip_p same_p holm_same_p flip_same_p detectable repeats_needed verdict source'
).split()

Row = dict[str, Any]
# Of a study and its places, and of its networks as they are ('cnn') or times the factor that fits
# their test images best ('cnn_scaled').
Ask = Callable[[FinishedStudy, Sequence[Place], str], list[Row]]


def table(study: FinishedStudy, rows: Sequence[Row], neutral: bool = False) -> pd.DataFrame:
    """Compares what a question asks for.

    Args:
      study: the loaded study.
      rows: of one of the questions below: its keys, `pair` ([n] errors, [n] errors) and `family`.
      neutral: see `leaderboard.verdicts`.

    Returns:
      A row per pair with two repeats or more: setting, law (spec), what, against,
      test_distribution, metric, the columns of a comparison, ratio (first to second), holm_p,
      holm_same_p, verdict, source.
    """
    kept = [row for row in rows if row['pair'][0].size]
    keys = [(row['family'], row['test_distribution'], row['metric']) for row in kept]
    sizes = collections.Counter(keys)
    compared = statistics.compare_many(
        [row['pair'] for row in kept],
        margin=comparison.margin(study),
        level=comparison.level(study),
        tests=[sizes[key] for key in keys],
        seed=study.option('seed', 0),
    )
    found = []
    for row, key, result in zip(kept, keys, compared, strict=True):
        columns = comparison.columns(result)
        found.append(row | columns | {'ratio': columns['effect'], 'key': key})
    frame = pd.DataFrame(found, columns=[*_TABLE, 'key'])
    for p in ('p', 'same_p') if len(frame) else ():
        frame[f'holm_{p}'] = frame.groupby('key')[p].transform(statistics.holm)
    verdict = leaderboard.verdicts(frame, comparison.level(study), neutral)
    return frame.assign(verdict=verdict)[_TABLE]


def _row(
    study: FinishedStudy, place: tuple[str, str], what: str, against: str, conditions: tuple,
    test: str, metric: str, family: tuple, predictor: str,
) -> Row:  # fmt: skip
    """Returns what is compared of the errors in results.csv of two conditions."""
    first, second = (study.values(predictor, name, test, metric) for name in conditions)
    said = [study.source(predictor, name, test, metric) for name in conditions]
    return {
        'setting': place[0],
        'law': place[1],
        'what': what,
        'against': against,
        'test_distribution': test,
        'metric': metric,
        'pair': tuple(finished.joint([first, second])[1]),
        'family': family,
        'source': '; '.join(said),
    }


# --- the questions ------------------------------------------------------------------------------


def missing(study: FinishedStudy, found: Sequence[Place], predictor: str = 'cnn') -> list[Row]:
    """Returns each remedy against none on targets that training had none of."""
    names = study.remedy_labels
    return [
        _row(
            study, (place.setting, place.law), names[entry.remedy], remedy_names.NO_REMEDY,
            (entry.condition, place.entries[0].condition), test, ZERO_SHOT,
            (place.setting, place.law), predictor,
        )
        for place in found
        for entry in place.entries[1:]
        for test in study.test_distributions
    ]  # fmt: skip


def parameters(study: FinishedStudy, found: Sequence[Place], predictor: str = 'cnn') -> list[Row]:
    """Returns remedies that differ in one parameter alone from one before them in the study."""
    rows = []
    test = dose_response.reference_test(study)
    known = [metric for metric in leaderboard.metrics(study) if metric in (*RANKED, *RAREST, MANY)]
    for place in found:
        first_of: dict[tuple, Entry] = {}
        for entry in place.entries[1:]:
            parts = remedy_names.parts_of(entry.remedy)
            values = {(name, key): value for name, own in parts for key, value in own.items()}
            for changed in values:
                rest = tuple((key, value) for key, value in values.items() if key != changed)
                named = tuple(name for name, _ in parts)
                other = first_of.setdefault((named, changed, rest), entry)
                if other is entry:
                    continue
                before = dict(remedy_names.parts_of(other.remedy))[changed[0]][changed[1]]
                base = ' + '.join(named)
                told = [f'{key}={v}' for (_, key), v in rest if _told(place, named, key)]
                what = f'{", ".join([base, *told])}: {changed[1]}={values[changed]}'
                rows += [
                    _row(
                        study, (place.setting, place.law), what, f'{changed[1]}={before}',
                        (entry.condition, other.condition), test, metric,
                        (place.setting, place.law, changed[1]), predictor,
                    )
                    for metric in known
                ]  # fmt: skip
    return rows


def _told(place: Place, named: tuple[str, ...], key: str) -> bool:
    """Whether remedies of these names differ in a parameter at a place."""
    values = set()
    for entry in place.entries[1:]:
        parts = remedy_names.parts_of(entry.remedy)
        if tuple(name for name, _ in parts) == named:
            values |= {own[key] for _, own in parts if key in own}
    return len(values) > 1


def laws(study: FinishedStudy, found: Sequence[Place] = (), predictor: str = 'cnn') -> list[Row]:
    """Returns each law against the reference's test law under the same remedy and setting.

    But where networks under that law have not learnt, which imbalance cannot cost; see `unlearnt`.
    """
    del found
    test = dose_response.reference_test(study)
    return [
        _row(
            study, (task, spec), what, study.labels[test], (name, balanced), test, metric,
            (task, what), predictor,
        )
        for task, what, balanced, others in _by_law(study)
        if study.learnt(balanced, test, 'mse')
        for spec, name in others.items()
        for metric in RANKED
    ]  # fmt: skip


def unlearnt(study: FinishedStudy) -> list[str]:
    """Returns remedies and settings whose networks, trained under the test law, have not learnt.

    They err no less than the constant that is best for their training targets.
    """
    test = dose_response.reference_test(study)
    return [
        f'{what} ({task})' for task, what, balanced, _ in _by_law(study)
        if not study.learnt(balanced, test, 'mse')
    ]  # fmt: skip


def _by_law(study: FinishedStudy) -> list[tuple[str, str, str, dict[str, str]]]:
    """Returns conditions alike in all but the law: task, what they are, that of the test law.

    And those of other laws, by spec.
    """
    if 'by_law' not in study.memo:
        study.memo['by_law'] = _grouped_by_law(study)
    return study.memo['by_law']


def _grouped_by_law(study: FinishedStudy) -> list[tuple[str, str, str, dict[str, str]]]:
    balanced = study.test_distributions[dose_response.reference_test(study)].spec
    names, groups = study.remedy_labels, []
    every = {name: own for name, own in comparison.settings(study).items() if name in study.trained}
    for task in dict.fromkeys(own.get(TASK) for own in every.values()):
        fields = {name: own for name, own in every.items() if own.get(TASK) == task}
        changes = comparison.changes(fields)
        rated = places.of_rate(changes)
        rest = [c for c in changes if comparison.LAW not in c and c != rated]
        # The remedy first: a label that is shortened keeps both of its ends.
        rest.sort(key=lambda change: REMEDY not in change)
        for values, members in comparison.alike(fields, rest).items():
            of_law: dict[str, list[str]] = {}
            for name in members:
                of_law.setdefault(study.conditions[name].train.spec, []).append(name)
            if balanced not in of_law:
                continue
            # As the leaderboard has them: each at the rate that was chosen for it.
            specs = {
                spec: places.chosen(study, fields, own).condition for spec, own in of_law.items()
            }
            told = [
                names[str(study.conditions[members[0]].settings.get(REMEDY) or '')]
                if REMEDY in change
                else dose_response.named(study, members[0], change, value)
                for change, value in zip(rest, values, strict=True)
            ]
            what = ', '.join(told) or remedy_names.NO_REMEDY
            others = {spec: name for spec, name in specs.items() if spec != balanced}
            groups.append((str(task or ''), what, specs[balanced], others))
    return groups


def settings(study: FinishedStudy, found: Sequence[Place], predictor: str = 'cnn') -> list[Row]:
    """Returns what remedies give under the reference's setting against under another."""
    names, rows = study.remedy_labels, []
    test, base = dose_response.reference_test(study), comparison.reference(study)
    groups: dict[tuple, list[Place]] = {}
    for place in found:
        task = study.conditions[place.entries[0].condition].settings.get(TASK)
        groups.setdefault((task, place.law), []).append(place)
    fields = comparison.settings(study)

    def away(place: Place) -> int:
        # By the place's own settings, as the reference's law may have no remedy.
        own = fields[place.entries[0].condition]
        return sum(own.get(field) != value for field, value in fields[base].items())

    for (_, law), those in groups.items():
        first = min(those, key=away)
        for other in those:
            if other is first:
                continue
            partners = {entry.remedy: entry for entry in other.entries}
            for entry in first.entries[1:]:
                if entry.remedy not in partners:
                    continue
                for metric in RANKED:
                    conditions = (
                        entry.condition, first.entries[0].condition,
                        partners[entry.remedy].condition, other.entries[0].condition,
                    )  # fmt: skip
                    a, a0, b, b0 = _joint(study, predictor, conditions, test, metric)
                    with np.errstate(all='ignore'):
                        pair = (a / a0, b / b0)
                    said = [study.source(predictor, name, test, metric) for name in conditions]
                    rows.append({
                        'setting': other.setting, 'law': law, 'what': names[entry.remedy],
                        'against': f'{first.setting} to {other.setting}', 'pair': pair,
                        'test_distribution': test, 'metric': metric,
                        'family': (first.setting, other.setting, law), 'source': '; '.join(said),
                    })  # fmt: skip
    return rows


def _joint(
    study: FinishedStudy, predictor: str, conditions: Sequence[str], test: str, metric: str
) -> np.ndarray:
    return finished.joint([study.values(predictor, name, test, metric) for name in conditions])[1]


def averaged(study: FinishedStudy, found: Sequence[Place], predictor: str = 'cnn') -> list[Row]:
    """Returns means of a plain and a remedied network, and that network, against either."""
    names, rows, test = study.remedy_labels, [], dose_response.reference_test(study)
    for place in found:
        none = place.entries[0].condition
        control = next((e for e in place.entries if _is_two(e.remedy)), None)
        for entry in place.entries[1:]:
            if entry is control:
                continue
            sides = errors(study, place.law, (entry.condition, none), test, predictor)
            for metric, (alone, plain, mean) in sides.items():
                pairs = [
                    (ALONE, alone, plain),
                    (MEAN, mean, plain),
                    (MEAN_TO_ALONE, mean, alone),
                ]
                if control:
                    two = study.values(predictor, control.condition, test, metric)
                    pairs.append((MEAN_TO_TWO, mean, two))
                for against, one, other in pairs:
                    rows.append({
                        'setting': place.setting, 'law': place.law, 'what': names[entry.remedy],
                        'against': against, 'test_distribution': test, 'metric': metric,
                        'pair': tuple(finished.joint([one, other])[1]),
                        'family': (place.setting, place.law, against),
                        'source': f'predictions.npz: test_prediction of {entry.condition} and '
                        f'{none}, test_distribution={test}',
                    })  # fmt: skip
    return rows


def _is_two(remedy: str) -> bool:
    return remedy_names.parts_of(remedy) == [('ensemble', {'size': '2'})]


def errors(
    study: FinishedStudy, law: str, conditions: tuple[str, str], test: str, predictor: str = 'cnn'
) -> dict[str, tuple[pd.Series, ...]]:
    """Returns errors of two conditions' networks and of the mean of their predictions.

    Args:
      study: the loaded study.
      law: spec of the law that both were trained on.
      conditions: two, of the same targets.
      test: name of a test distribution.
      predictor: 'cnn', or 'cnn_scaled' for predictions times the factor that fits best, the mean's
        as well.

    Returns:
      metric -> the errors by repeat of the first, of the second, and of the mean of their
      predictions; of strata those that have test images in every repeat.
    """
    shared = [r for r in study.repeats(conditions[0]) if r in study.repeats(conditions[1])]
    if not shared:
        return {}
    runs = [[study.runs[name, repeat] for repeat in shared] for name in conditions]
    first, second = (
        np.stack([run.test_prediction[test] for run in own]).astype(np.float64) for own in runs
    )
    values = np.stack([first, second, (first + second) / 2])
    targets = np.stack([run.test_target[test] for run in runs[0]]).astype(np.float64)
    if predictor == 'cnn_scaled':
        values *= fit.calibration_factor(values, targets)[..., np.newaxis]
    known = _strata(study, law, test, np.stack([run.test_generating[test] for run in runs[0]]))
    compared = [name for name, m in METRICS.items() if m.compared and m.better == 'less']
    found: dict[str, tuple[pd.Series, ...]] = {}
    for name in [*compared, *leaderboard.STRATA] if known else EVERY_EPOCH:
        made = METRICS[name].compute(values, targets, known)
        if METRICS[name].better == 'less' and np.isfinite(made).all():
            found[name] = tuple(study.of_data_sets(pd.Series(row, index=shared)) for row in made)
    return found


def _strata(
    study: FinishedStudy, law: str, test: str, generating: np.ndarray
) -> Mapping[str, np.ndarray]:
    """Returns what is known of test images [repeats, n]; nothing where the laws are not."""
    source = kept_tables.source(study.folders)
    try:
        own, other = (
            target_laws.parse(spec, source) for spec in (law, study.test_distributions[test].spec)
        )
        return strata(own, [other] * len(generating), generating)
    except ValueError:
        return {}


# --- what averaging keeps -----------------------------------------------------------------------


def kept(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns whether remedies, alone and averaged with no remedy, keep both sides.

    That stands where it is shown that the error on the targets that training had least of is less
    than without a remedy, and that on those it had most of less or the same within the margin; each
    part at the level, so that both are. It fails where a part is shown to be worse.

    Args:
      frame: the `table` of `averaged`.

    Returns:
      A row per setting, law, remedy (what) and test law that has both strata: these, stratum (the
      first of `RAREST` there), rarest_<of> and many_<of> (ratios) and keeps_<of> ('stands', 'fails'
      or 'undecided') for <of> alone and mean.
    """
    rows = []
    keys = ['setting', 'law', 'what', 'test_distribution']
    for key, part in frame.groupby(keys, sort=False):
        row: Row = dict(zip(keys, key, strict=True))
        for name, against in (('alone', ALONE), ('mean', MEAN)):
            own = part[part['against'] == against].set_index('metric')
            stratum = next((metric for metric in RAREST if metric in own.index), None)
            if stratum is None or MANY not in own.index:
                break
            rare, many = own.loc[stratum], own.loc[MANY]
            stands = rare['verdict'] == BETTER and many['verdict'] in (BETTER, SAME)
            fails = WORSE in (rare['verdict'], many['verdict'])
            row |= {
                'stratum': stratum,
                f'rarest_{name}': rare['ratio'],
                f'many_{name}': many['ratio'],
                f'keeps_{name}': 'stands' if stands else 'fails' if fails else UNDECIDED,
            }
        else:
            rows.append(row)
    columns = [f'{side}_{of}' for of in ('alone', 'mean') for side in ('rarest', 'many', 'keeps')]
    return pd.DataFrame(rows, columns=[*keys, 'stratum', *columns])


QUESTIONS: Mapping[str, Ask] = {
    'missing': missing,
    'parameters': parameters,
    'laws': laws,
    'settings': settings,
    'averaged': averaged,
}
