"""From what each run leaves to the tables and arrays of a study's result files."""

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from imbreg_jax.evaluation import baseline, evaluator
from imbreg_jax.evaluation.metrics import metrics
from imbreg_jax.evaluation.references import FITTED, floors
from imbreg_jax.evaluation.strata import strata
from imbreg_jax.results import files
from imbreg_jax.study import Condition, Study, relevance


class Outcome(NamedTuple):
    """What the runs of one unit leave.

    Attributes:
      runs: (condition, repeat) of each.
      arrays: [runs, ...]: what `Evaluator.finish` returns, `diverged_epoch`, and the weights as
        '<layer>/<kind>'.
    """

    runs: Sequence[tuple[int, int]]
    arrays: dict[str, np.ndarray]


def in_order(study: Study, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Epoch rows in the study's order: epoch, condition, repeat."""
    places = {condition.name: i for i, condition in enumerate(study.conditions)}
    return sorted(rows, key=lambda row: (row['epoch'], places[row['condition']], row['repeat']))


def merge(study: Study, outcomes: Sequence[Outcome]) -> list[dict[str, np.ndarray]]:
    """Each run's arrays, in the study's order."""
    found = {
        run: {name: values[i] for name, values in outcome.arrays.items()}
        for outcome in outcomes
        for i, run in enumerate(outcome.runs)
    }
    return [found[(run.condition_index, run.repeat)] for run in study.runs]


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
        calibration(run['validation_prediction'], run['validation_target']) for run in merged
    ]
    return {
        'condition': np.array([study.conditions[r.condition_index].name for r in study.runs]),
        'train_distribution': np.array(
            [study.conditions[r.condition_index].distribution.name for r in study.runs]
        ),
        'repeat': np.array([r.repeat for r in study.runs]),
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
    """The arrays of weights.npz, '<condition>/<repeat>/<layer>/<kind>'."""
    return {
        f'{study.conditions[run.condition_index].name}/{run.repeat}/{name}': value
        for run, parts in zip(study.runs, merged, strict=True)
        for name, value in parts.items()
        if '/' in name
    }


def calibration(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The factor on predictions [..., n] that fits targets [..., n] best in squares."""
    predictions = np.asarray(predictions, np.float64)
    targets = np.asarray(targets, np.float64)
    with np.errstate(divide='ignore', invalid='ignore'):
        return (predictions * targets).sum(-1) / (predictions**2).sum(-1)


def results(study: Study, merged: list[dict[str, np.ndarray]]) -> pd.DataFrame:
    """The rows of results.csv: `files.COLUMNS`, and the fields in which conditions differ."""
    rows: list[tuple[Any, ...]] = []
    beside: list[tuple[Any, ...]] = []
    laws = study.test_distributions
    for run, parts in zip(study.runs, merged, strict=True):
        condition = study.conditions[run.condition_index]
        head = (condition.name, condition.distribution.name)
        diverged = int(parts['diverged_epoch'])
        factor = calibration(parts['validation_prediction'], parts['validation_target'])
        # A unit that an earlier version finished has no references and no points.
        points = parts.get('relevance_points', np.full(3, np.nan))
        relevances = relevance.by_whiskers(parts['test_target'], points)
        known = strata(condition.distribution, laws, parts['test_generating'], relevances)
        score = functools.partial(_scores, study, targets=parts['test_target'], known=known)
        predicted = np.asarray(parts['test_prediction'], np.float64)
        for predictor, values in (('cnn', predicted), ('cnn_calibrated', factor * predicted)):
            scores = score((*head, predictor, run.repeat), values)
            rows += [(*row[:-1], float('nan')) for row in scores] if diverged else scores
        if diverged:
            rows.append((*head, 'cnn', run.repeat, '', 'diverged_epoch', float(diverged)))
        for reference in FITTED:
            if reference in parts:
                values = np.broadcast_to(parts[reference], predicted.shape)
                beside += score((*head, reference, run.repeat), values)
    rows += _guesses(study, merged) + beside + _floors(study)
    table = pd.DataFrame(rows, columns=list(files.COLUMNS))
    by_name = {condition.name: condition for condition in study.conditions}
    for field in study.varied:
        told = {name: _text(condition.value(field)) for name, condition in by_name.items()}
        table[field] = table['condition'].map(told).fillna('')
    return table


def _scores(
    study: Study,
    head: tuple[Any, ...],
    predictions: np.ndarray,
    targets: np.ndarray,
    known: Mapping[str, np.ndarray],
) -> list[tuple[Any, ...]]:
    """The rows of one predictor's predictions [T, n]: its metrics on every test distribution.

    The networks have every metric; what stands beside them those that are compared, since a study
    of a thousand conditions is to stay a file that can be looked at.
    """
    scores = metrics(predictions, targets, known, compared=head[2] != 'cnn')
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
    for run, parts in zip(study.runs, merged, strict=True):
        condition = study.conditions[run.condition_index]
        if condition is not first and _images_of(condition) == _images_of(first):
            continue
        guess = baseline.random_guess(
            study.seed, run.repeat, study.test_size, settings.guess_low, settings.guess_high
        )
        # Of no training: the common guess stands beside conditions of all laws.
        known = strata(None, study.test_distributions, parts['test_generating'])
        name = '' if condition is first else condition.name
        head = (name, '', 'random_guess', run.repeat)
        rows += _scores(study, head, guess, parts['test_target'], known)
    return rows


def _floors(study: Study) -> list[tuple[Any, ...]]:
    """The floor's rows: one MSE for all repeats, where it is known."""
    found: dict[tuple[Any, ...], np.ndarray] = {}
    rows = []
    for run in study.runs:
        condition = study.conditions[run.condition_index]
        key = _images_of(condition)
        if key not in found:
            found[key] = floors(condition, study.test_distributions)
        rows += [
            (
                condition.name, condition.distribution.name, 'floor', run.repeat, law.name, 'mse',
                float(value),
            )
            for law, value in zip(study.test_distributions, found[key], strict=True)
            if not np.isnan(value)
        ]  # fmt: skip
    return rows
