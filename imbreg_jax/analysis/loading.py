"""Reads what one or several workdirs hold, as one study.

Three single-condition workdirs of the same seed are one study of three conditions: keys hang on
(seed, repeat) and never on the condition, so their repeats are paired as in a single workdir.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import remedy_names
from imbreg_jax.analysis.finished import (
    BASELINE,
    Condition,
    Distribution,
    FinishedStudy,
    Run,
    Values,
    settings_key,
    show,
)
from imbreg_jax.analysis.paper import printed
from imbreg_jax.analysis.reader import KEY, AnalysisError, Contents, read
from imbreg_jax.study.config import completed, flatten

_SETTING_SECTIONS = ('task', 'data', 'model', 'training')
# How images are stored changes no number; the law is told by itself.
_NO_SETTING = ('data.cache', 'train_distribution')
# Beside the task, what the values of a random guess hang on.
_GUESS_FIELDS = (
    'evaluation.guess_low',
    'evaluation.guess_high',
    'data.test_size',
    'data.image_size',
)


def _settings(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    # A config of before there was a field has its default.
    held = completed(config)
    sections = {name: held[name] for name in (*_SETTING_SECTIONS, 'remedy')}
    flat = flatten(sections) | flatten(overrides)
    return {field: value for field, value in flat.items() if field not in _NO_SETTING}


def _short_names(paths: Sequence[pathlib.Path]) -> tuple[str, ...]:
    """Returns the folders' own names, numbered where two are alike."""
    names = [path.resolve().name for path in paths]
    return tuple(
        name if names.count(name) == 1 else f'{name} ({i + 1})' for i, name in enumerate(names)
    )


def _drop_repeated(
    results: pd.DataFrame, sources: Sequence[str], headers: Sequence[Mapping[str, Any]]
) -> tuple[pd.DataFrame, list[str]]:
    """Keeps one row for each value that several workdirs hold, and says what had to be decided."""
    results, notes = _own_baselines(results, sources, headers)
    again = results.duplicated(KEY)
    if not again.any():
        return results, notes
    same = _as_before(results, again)
    if not same.all():
        row = results[again][~same].iloc[0]
        of = f'condition {row["condition"]!r}' if row['condition'] else 'the random guess'
        raise AnalysisError(
            f'{of}, repeat {row["repeat"]}, has other values in '
            f'{sources[int(row["source"])]!r} than in a workdir before it; give each condition '
            'a name of its own or leave one of the workdirs out'
        )
    return results[~again], notes


def _as_before(results: pd.DataFrame, again: pd.Series) -> np.ndarray:
    """Whether each of the rows `again` holds the value of the first row of its key."""
    first = results[~again].set_index(KEY)['value']
    later = results[again].set_index(KEY)['value']
    return np.isclose(first.loc[later.index], later, rtol=1e-5, atol=0, equal_nan=True)


def _own_baselines(
    results: pd.DataFrame, sources: Sequence[str], headers: Sequence[Mapping[str, Any]]
) -> tuple[pd.DataFrame, list[str]]:
    """Gives conditions a baseline of their own where their workdir guessed otherwise.

    A network is to be held against the guess on its own test images. The first workdir's guess is
    the common one; that of a later workdir which holds other values becomes the own one of each of
    the workdir's conditions.
    """
    guesses = (results['predictor'] == BASELINE) & (results['condition'] == '')
    again = guesses & results.duplicated(KEY)
    if not again.any():
        return results, []
    differing = results[again][~_as_before(results, again)]
    parts, notes = [results[~(guesses & results['source'].isin(differing['source']))]], []
    for source in sorted(set(differing['source'])):
        of_source = results['source'] == source
        held = results[of_source & (results['condition'] != '')]
        own = set(held['condition'][held['predictor'] == BASELINE])
        parts += [
            results[of_source & guesses].assign(condition=name)
            for name in dict.fromkeys(held['condition'])
            if name not in own
        ]
        notes.append(
            f'Workdir {sources[int(source)]!r} holds other random guesses than {sources[0]!r} '
            f'({_why_guesses_differ(headers[0], headers[int(source)])}); each network is held '
            'against the guess of its own workdir.'
        )
    return pd.concat(parts, ignore_index=True), notes


def _why_guesses_differ(first: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Says which settings that a random guess hangs on differ between two workdirs."""
    here, there = (flatten(header['config']) for header in (first, other))
    fields = [*_GUESS_FIELDS, *(field for field in here | there if field.startswith('task.'))]
    changed = [
        f'{field} is {show(there.get(field))} there and {show(here.get(field))} here'
        for field in fields
        if here.get(field) != there.get(field)
    ]
    return ', '.join(changed) or 'although their configs name no reason'


def _in_reading_order(
    conditions: Mapping[str, Condition], base: Mapping[str, Any]
) -> dict[str, Condition]:
    """Returns the conditions in the order of the paper, whatever order a config keeps them in.

    Those with the settings `base` (no overrides but the law) come first, then variant by variant;
    within one, the paper's laws come before others.
    """
    every = [base, *(condition.settings for condition in conditions.values())]
    variants = {key: i for i, key in enumerate(dict.fromkeys(map(settings_key, every)))}
    laws = {law: i for i, law in enumerate(printed.TEST_DISTRIBUTIONS)}

    def rank(condition: Condition) -> tuple[int, int]:
        return variants[settings_key(condition.settings)], laws.get(condition.train.name, len(laws))

    return {each.name: each for each in sorted(conditions.values(), key=rank)}


def _predicts_first(condition: Condition) -> bool:
    """Whether moments, which are of a network's first output, are of what it predicts.

    Earlier versions kept moments where they are not.
    """
    spec = str(condition.settings.get('remedy') or '')
    if not spec:  # For which no remedy needs to be known, nor JAX be loaded.
        return True
    remedy = remedy_names.known(spec)
    # One that is not known says so by itself, as its networks' moments are missing.
    return remedy is None or remedy.predicts_first


def load(workdirs: Sequence[str | pathlib.Path]) -> FinishedStudy:
    """Reads one or several workdirs as one study.

    Args:
      workdirs: folders that hold `config.json`, `results.csv`, `metrics.jsonl`, `predictions.npz`.

    Raises:
      AnalysisError: a study is not finished, a file is missing, damaged or not as the study left
        it, or the workdirs do not belong together: other seeds (repeats would not be paired) or one
        condition with two sets of values.
    """
    paths = [pathlib.Path(workdir) for workdir in workdirs]
    if not paths:
        raise AnalysisError('no workdir is given: name at least one')
    return joined(_short_names(paths), [*map(read, paths)], paths)


def joined(
    sources: Sequence[str],
    studies: Sequence[Contents],
    folders: Sequence[pathlib.Path] = (),
) -> FinishedStudy:
    """Joins what was read of one or several workdirs.

    Args:
      sources: what to call each.
      studies: its header, rows of results and of metrics, and runs, as `reader.read` has them.
      folders: the workdirs, for the tables of targets that they keep.

    Raises:
      AnalysisError: they do not belong together.
    """
    headers, results_of, metrics_of, runs_of = zip(*studies, strict=True)
    seeds = [header['config'].get('seed') for header in headers]
    for name, seed in zip(sources, seeds, strict=True):
        if seed != seeds[0]:
            raise AnalysisError(
                f'workdir {name!r} has seed {seed} and {sources[0]!r} has {seeds[0]}: their '
                'repeats are not paired, so analyse them apart'
            )
    results, metrics = (
        pd.concat([rows.assign(source=i) for i, rows in enumerate(every)], ignore_index=True)
        for every in (results_of, metrics_of)
    )
    results, notes = _drop_repeated(results, sources, headers)
    metrics = metrics.drop_duplicates(['condition', 'repeat', 'epoch'])
    conditions: dict[str, Condition] = {}
    tests: dict[str, Distribution] = {}
    runs: dict[tuple[str, int], Run] = {}
    for header, own, source in zip(headers, runs_of, sources, strict=True):
        overrides = header['config'].get('conditions') or {}
        for name, entry in header['conditions'].items():
            condition = Condition(
                name,
                Distribution(entry['train_distribution'], entry['label'], entry['spec']),
                _settings(header['config'], overrides.get(name) or {}),
            )
            if conditions.setdefault(name, condition) != condition:
                raise AnalysisError(
                    f'condition {name!r} of workdir {source!r} has other settings than the '
                    'condition of that name in a workdir before it; give each a name of its own'
                )
        for name, entry in header['test_distributions'].items():
            test = Distribution(name, entry['label'], entry['spec'])
            if tests.setdefault(name, test) != test:
                raise AnalysisError(
                    f'test distribution {name!r} of workdir {source!r} is {entry["spec"]} and not '
                    f'{tests[name].spec}, as in a workdir before it; analyse them apart'
                )
        indirect = {name for name, _ in own if not _predicts_first(conditions[name])}
        for key, run in own.items():
            if run.moments and key[0] in indirect:
                run = dataclasses.replace(run, moments={})
            runs.setdefault(key, run)
    conditions = _in_reading_order(conditions, _settings(headers[0]['config'], {}))
    marks = results[results['metric'] == 'diverged_epoch']
    diverged = {(str(row.condition), int(row.repeat)): int(row.value) for row in marks.itertuples()}
    columns = {
        name: results[name].to_numpy(kind)
        for name, kind in (('repeat', int), ('value', float), ('source', int), ('line', int))
    }
    # Positions, not frames: a study has tens of thousands of groups.
    places = results.reset_index(drop=True).groupby(
        ['predictor', 'condition', 'test_distribution', 'metric'], sort=False
    )
    groups = {
        (str(predictor), str(condition), str(test), str(metric)): Values(
            **{name: column[rows] for name, column in columns.items()}
        )
        for (predictor, condition, test, metric), rows in places.indices.items()
    }
    return FinishedStudy(
        sources=tuple(sources),
        headers=headers,
        results=results,
        metrics=metrics,
        conditions=conditions,
        test_distributions=tests,
        runs=runs,
        diverged=diverged,
        notes=tuple(notes),
        _groups=groups,
        folders=tuple(folders),
    )
