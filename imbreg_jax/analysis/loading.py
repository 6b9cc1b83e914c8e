"""Reads what one or several workdirs hold, as one study.

Three single-condition workdirs of the same seed are one study of three conditions: keys hang on
(seed, repeat) and never on the condition, so their repeats are paired as in a single workdir.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import paper
from imbreg_jax.analysis.finished import (
    BASELINE,
    Condition,
    Distribution,
    FinishedStudy,
    Run,
    Values,
    get,
    show,
)
from imbreg_jax.analysis.reader import KEY, AnalysisError, read
from imbreg_jax.study.config import completed

_SETTING_SECTIONS = ('task', 'data', 'model', 'training')
# How images are stored changes no number.
_NO_SETTING = ('data.cache',)
# Beside the task, what the values of a random guess hang on.
_GUESS_FIELDS = (
    'evaluation.guess_low',
    'evaluation.guess_high',
    'data.test_size',
    'data.image_size',
)


def _flatten(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f'{prefix}{key}.'))
        else:
            flat[f'{prefix}{key}'] = value
    return flat


def _settings(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    # A config of before there was a field has its default.
    held = completed(config)
    flat = _flatten({name: held[name] for name in (*_SETTING_SECTIONS, 'remedy')})
    flat.update({k: v for k, v in _flatten(overrides).items() if k != 'train_distribution'})
    return {k: v for k, v in flat.items() if k not in _NO_SETTING}


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
    again = results.duplicated(KEY, keep='first')
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
    again = guesses & results[guesses].duplicated(KEY, keep='first').reindex(
        results.index, fill_value=False
    )
    if not again.any():
        return results, []
    differing = results[again][~_as_before(results, again)]
    parts, notes = [results], []
    for source in sorted(set(differing['source'])):
        of_source = results['source'] == source
        moved = results[of_source & guesses]
        parts[0] = parts[0].drop(moved.index)
        held = results[of_source & (results['condition'] != '')]
        own = set(held['condition'][held['predictor'] == BASELINE])
        parts += [
            moved.assign(condition=name)
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
    configs = first['config'], other['config']
    fields = [*_GUESS_FIELDS]
    fields += [f'task.{name}' for config in configs for name in config.get('task') or {}]
    changed = [
        f'{field} is {show(get(configs[1], field))} there and {show(get(configs[0], field))} here'
        for field in dict.fromkeys(fields)
        if get(configs[0], field) != get(configs[1], field)
    ]
    return ', '.join(changed) or 'although their configs name no reason'


def _in_reading_order(
    conditions: Mapping[str, Condition], base: Mapping[str, Any]
) -> dict[str, Condition]:
    """Returns the conditions in the order of the paper, whatever order a config keeps them in.

    Those with the settings `base` (no overrides but the law) come first, then variant by variant;
    within one, the paper's laws come before others.
    """
    laws = list(paper.test_distributions())
    variants = [json.dumps(base, sort_keys=True)]
    ranks = {}
    for i, (name, condition) in enumerate(conditions.items()):
        key = json.dumps(condition.settings, sort_keys=True)
        if key not in variants:
            variants.append(key)
        law = condition.train.name
        ranks[name] = (variants.index(key), laws.index(law) if law in laws else len(laws), i)
    return {name: conditions[name] for name in sorted(conditions, key=ranks.__getitem__)}


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
    sources = _short_names(paths)
    held = [read(path) for path in paths]
    headers = tuple(each.header for each in held)
    seeds = [header['config'].get('seed') for header in headers]
    for name, seed in zip(sources, seeds, strict=True):
        if seed != seeds[0]:
            raise AnalysisError(
                f'workdir {name!r} has seed {seed} and {sources[0]!r} has {seeds[0]}: '
                'their repeats are '
                'not paired, so analyse them apart'
            )
    results = pd.concat(
        [each.results.assign(source=i) for i, each in enumerate(held)], ignore_index=True
    )
    results, notes = _drop_repeated(results, sources, headers)
    metrics = pd.concat(
        [each.metrics.assign(source=i) for i, each in enumerate(held)], ignore_index=True
    ).drop_duplicates(['condition', 'repeat', 'epoch'])
    conditions: dict[str, Condition] = {}
    tests: dict[str, Distribution] = {}
    runs: dict[tuple[str, int], Run] = {}
    for header, each, source in zip(headers, held, sources, strict=True):
        overrides = header['config'].get('conditions') or {}
        for name, entry in header['conditions'].items():
            condition = Condition(
                name,
                Distribution(entry['train_distribution'], entry['label'], entry['spec']),
                _settings(header['config'], overrides.get(name) or {}),
            )
            if conditions.setdefault(name, condition) != condition:
                raise AnalysisError(
                    f'condition {name!r} of workdir {source!r} has other settings than '
                    'the condition of '
                    'that name in a workdir before it; give each a name of its own'
                )
        for name, entry in header['test_distributions'].items():
            test = Distribution(name, entry['label'], entry['spec'])
            if tests.setdefault(name, test) != test:
                raise AnalysisError(
                    f'test distribution {name!r} of workdir {source!r} is {entry["spec"]} and not '
                    f'{tests[name].spec}, as in a workdir before it; analyse them apart'
                )
        for key, run in each.runs.items():
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
        sources=sources,
        headers=headers,
        results=results,
        metrics=metrics,
        conditions=conditions,
        test_distributions=tests,
        runs=runs,
        diverged=diverged,
        notes=tuple(notes),
        _groups=groups,
        folders=tuple(paths),
    )
