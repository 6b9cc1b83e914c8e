"""From what each run leaves to the tables and arrays of a study's result files."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from imbreg_jax.evaluation import baseline, evaluator
from imbreg_jax.evaluation.metrics import METRICS, fit, metrics, shots
from imbreg_jax.evaluation.references import FITTED, floors
from imbreg_jax.evaluation.strata import strata
from imbreg_jax.results import files
from imbreg_jax.study import Condition, Run, Study, relevance


class Outcome(NamedTuple):
    """What the runs of one unit leave.

    Attributes:
      runs: which.
      arrays: [runs, ...]: what `Evaluator.finish` returns, `diverged_epoch`, and the weights as
        '<layer>/<kind>'.
    """

    runs: Sequence[Run]
    arrays: dict[str, np.ndarray]


# What networks say of images: an ensemble says their mean.
_PREDICTIONS = (
    'test_prediction',
    'dense_prediction',
    'validation_prediction',
    'selection_prediction',
)
# What may be chosen by, in results.csv: on the validation images of the test distribution that a
# row names, or of the training law where it names none.
CHOSEN_BY = 'validation_mse'


def run_columns(study: Study, run: Run) -> dict[str, Any]:
    """What an epoch's row says of its run; the number of a member only where there are several."""
    condition = study.conditions[run.condition_index]
    member = {'member': run.member} if condition.remedy.members > 1 else {}
    return {
        'condition': condition.name,
        'train_distribution': condition.distribution.name,
        'repeat': run.repeat,
        **member,
    }


def in_order(study: Study, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Epoch rows in the study's order: epoch, condition, repeat, member."""
    return sorted(rows, key=order(study))


def order(study: Study) -> Callable[[dict[str, Any]], tuple[int, ...]]:
    """What a study's epoch rows are sorted by."""
    places = {condition.name: i for i, condition in enumerate(study.conditions)}

    def place(row: dict[str, Any]) -> tuple[int, ...]:
        return row['epoch'], places[row['condition']], row['repeat'], row.get('member', 0)

    return place


def merge(study: Study, outcomes: Sequence[Outcome]) -> list[dict[str, np.ndarray]]:
    """The arrays of each of `Study.results`: a network's, or those of an ensemble's members.

    Moments are of a single network's first output, and there are none (nan) where that is not the
    prediction, whatever a unit has kept of it.
    """
    found = {
        run: {name: values[i] for name, values in outcome.arrays.items()}
        for outcome in outcomes
        for i, run in enumerate(outcome.runs)
    }
    members: dict[tuple[int, int], list[dict[str, np.ndarray]]] = {}
    for run in study.runs:
        members.setdefault(run.result, []).append(found[run])
    merged = []
    for (place, _), parts in members.items():
        arrays = parts[0] if len(parts) == 1 else _averaged(parts)
        if len(parts) > 1 or not study.conditions[place].remedy.predicts_first:
            arrays = arrays | {'moments': np.full_like(parts[0]['moments'], np.nan)}
        merged.append(arrays)
    return merged


def _averaged(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of an ensemble: the mean prediction, and weights [members, ...].

    It diverged where a member did. All else but moments, which are a member's, is of the training
    set, and the same for each member.
    """
    found = dict(parts[0])
    for name in parts[0]:
        stacked = np.stack([part[name] for part in parts])
        if '/' in name:
            found[name] = stacked
        elif name in _PREDICTIONS:
            found[name] = stacked.mean(axis=0, dtype=np.float64).astype(stacked.dtype)
        elif name == 'diverged_epoch':
            found[name] = min(stacked[stacked > 0], default=stacked[0])
    return found


def predictions(study: Study, merged: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of predictions.npz.

    Returns:
      Names by run, condition (C of them), repeat (K) and test distribution (T), and, with n test,
      v validation and m dense images: `dense_generating` [m], `dense_target` [C, m],
      `dense_prediction` [runs, m], `test_generating` [T, K, n], `test_target` [C, T, K, n],
      `test_prediction` [runs, T, n], `validation_target` and `validation_prediction` [runs, v],
      `calibration_factor` [runs], `moments` [runs, `moment_names`]. Where conditions have fewer
      validation images than others, theirs are followed by nan.
    """
    conditions, repeats = len(study.conditions), len(study.repeats)
    settings = study.evaluation

    def of_runs(name):
        return np.stack([run[name] for run in merged])

    def by_run(name):
        stacked = of_runs(name)
        return stacked.reshape(conditions, repeats, *stacked.shape[1:])

    def by_condition(name):
        return by_run(name).swapaxes(1, 2)

    factors = [
        fit.calibration_factor(run['validation_prediction'], run['validation_target'])
        for run in merged
    ]
    return {
        'condition': np.array([study.conditions[c].name for c, _ in study.results]),
        'train_distribution': np.array(
            [study.conditions[c].distribution.name for c, _ in study.results]
        ),
        'repeat': np.array([repeat for _, repeat in study.results]),
        'conditions': np.array([c.name for c in study.conditions]),
        'repeats': np.array(study.repeats),
        'test_distributions': np.array([law.name for law in study.test_distributions]),
        'dense_generating': np.linspace(
            settings.dense_low, settings.dense_high, settings.dense_size, dtype=np.float32
        ),
        # On the same images in every repeat, but a condition may define its target differently.
        'dense_target': by_run('dense_target')[:, 0],
        'dense_prediction': of_runs('dense_prediction'),
        'test_generating': by_condition('test_generating')[0],
        'test_target': by_condition('test_target'),
        'test_prediction': of_runs('test_prediction'),
        'validation_target': _padded([run['validation_target'] for run in merged]),
        'validation_prediction': _padded([run['validation_prediction'] for run in merged]),
        'calibration_factor': np.stack(factors),
        'moment_names': np.array(evaluator.MOMENTS),
        'moments': of_runs('moments'),
    }


def _padded(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of any lengths as [rows, the longest], filled up with nan."""
    longest = max(map(len, rows))
    return np.stack([np.pad(row, (0, longest - len(row)), constant_values=np.nan) for row in rows])


def weights(study: Study, merged: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of weights.npz, '<condition>/<repeat>/<layer>/<kind>'; see `merge`."""
    return {
        f'{study.conditions[c].name}/{repeat}/{name}': value
        for (c, repeat), parts in zip(study.results, merged, strict=True)
        for name, value in parts.items()
        if '/' in name
    }


def results(study: Study, merged: list[dict[str, np.ndarray]]) -> pd.DataFrame:
    """The rows of results.csv: `files.COLUMNS`, and the fields in which conditions differ."""
    rows: list[tuple[Any, ...]] = []
    beside: list[tuple[Any, ...]] = []
    laws = study.test_distributions
    for (place, repeat), parts in zip(study.results, merged, strict=True):
        condition = study.conditions[place]
        head = (condition.name, condition.distribution.name)
        diverged = int(parts['diverged_epoch'])
        factor = fit.calibration_factor(parts['validation_prediction'], parts['validation_target'])
        # A unit that an earlier version finished has no references and no points.
        points = parts.get('relevance_points', np.full(3, np.nan))
        relevances = relevance.by_whiskers(parts['test_target'], points)
        known = strata(condition.distribution, laws, parts['test_generating'], relevances)
        score = functools.partial(_scores, study, targets=parts['test_target'], known=known)
        predicted = np.asarray(parts['test_prediction'], np.float64)
        best = fit.calibration_factor(predicted, parts['test_target'])[:, np.newaxis]
        for predictor, values in (
            ('cnn', predicted),
            ('cnn_calibrated', factor * predicted),
            ('cnn_scaled', best * predicted),
        ):
            scores = score((*head, predictor, repeat), values)
            rows += [(*row[:-1], float('nan')) for row in scores] if diverged else scores
        if diverged:
            rows.append((*head, 'cnn', repeat, '', 'diverged_epoch', float(diverged)))
        rows += [
            (*head, 'cnn', repeat, law, CHOSEN_BY, float('nan') if diverged else error)
            for law, error in _validation(study, parts).items()
        ]
        for reference in FITTED:
            if reference in parts:
                values = np.broadcast_to(parts[reference], predicted.shape)
                beside += score((*head, reference, repeat), values)
    rows += _guesses(study, merged) + beside + _floors(study)
    table = pd.DataFrame(rows, columns=list(files.COLUMNS))
    by_name = {condition.name: condition for condition in study.conditions}
    for field in study.varied:
        told = {name: _text(condition.value(field)) for name, condition in by_name.items()}
        table[field] = table['condition'].map(told).fillna('')
    return table


def _validation(study: Study, parts: Mapping[str, np.ndarray]) -> dict[str, float]:
    """MSE on validation images of the training law ('') and of each test distribution.

    None where the study does not ask for those of the test distributions.
    """
    if 'selection_prediction' not in parts:
        return {}
    own = metrics(parts['validation_prediction'], parts['validation_target'])['mse']
    others = metrics(parts['selection_prediction'], parts['selection_target'])['mse']
    names = [law.name for law in study.test_distributions]
    return {'': float(own)} | dict(zip(names, map(float, others), strict=True))


def _scores(
    study: Study,
    head: tuple[Any, ...],
    predictions: np.ndarray,
    targets: np.ndarray,
    known: Mapping[str, np.ndarray],
) -> list[tuple[Any, ...]]:
    """The rows of one predictor's predictions [T, n]: its metrics on every test distribution.

    The networks have every metric; what stands beside them those that are compared, since a study
    of a thousand conditions is to stay a file that can be looked at. Times its best factor a
    network has those of strata, too: whether a remedy helps on rare targets may hang on a factor.
    """
    compared = [name for name, metric in METRICS.items() if metric.compared]
    names = {'cnn': None, 'cnn_scaled': [*compared, *shots.NAMES]}.get(head[2], compared)
    scores = metrics(predictions, targets, known, names)
    return [
        (*head, law.name, metric, float(values[i]))
        for i, law in enumerate(study.test_distributions)
        for metric, values in scores.items()
    ]


def _images_of(condition: Condition) -> tuple[Any, ...]:
    """What a condition's test images and targets follow from, but for the law."""
    return condition.task, condition.data.image_size, condition.data.pixel_law


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _guesses(study: Study, merged: list[dict[str, np.ndarray]]) -> list[tuple[Any, ...]]:
    """The random guess's rows: on the first condition's targets, under no condition's name.

    A condition that defines its targets otherwise has its own, under its name.
    """
    settings = study.evaluation
    first = study.conditions[0]
    rows = []
    for (place, repeat), parts in zip(study.results, merged, strict=True):
        condition = study.conditions[place]
        if condition is not first and _images_of(condition) == _images_of(first):
            continue
        guess = baseline.random_guess(
            study.seed, repeat, study.test_size, settings.guess_low, settings.guess_high
        )
        # Of no training: the common guess stands beside conditions of all laws.
        known = strata(None, study.test_distributions, parts['test_generating'])
        name = '' if condition is first else condition.name
        head = (name, '', 'random_guess', repeat)
        rows += _scores(study, head, guess, parts['test_target'], known)
    return rows


def _floors(study: Study) -> list[tuple[Any, ...]]:
    """The floor's rows: one MSE for all repeats, where it is known."""
    found: dict[tuple[Any, ...], np.ndarray] = {}
    rows = []
    for place, repeat in study.results:
        condition = study.conditions[place]
        key = _images_of(condition)
        if key not in found:
            found[key] = floors(condition, study.test_distributions)
        rows += [
            (
                condition.name, condition.distribution.name, 'floor', repeat, law.name, 'mse',
                float(value),
            )
            for law, value in zip(study.test_distributions, found[key], strict=True)
            if not np.isnan(value)
        ]  # fmt: skip
    return rows
