"""Reads what one or several workdirs hold, as one study.

Three single-condition workdirs of the same seed are one study of three conditions: keys hang on
(seed, repeat) and never on the condition, so their repeats are paired as in a single workdir.
"""

import dataclasses
import json
import pathlib
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import paper

FORMAT = 1
_KEY = ['condition', 'predictor', 'repeat', 'test_distribution', 'metric']
_TEXT = ['condition', 'train_distribution', 'predictor', 'test_distribution', 'metric']
_SETTING_SECTIONS = ('task', 'data', 'model', 'training')
# How images are stored changes no number.
_NO_SETTING = ('data.cache',)


class AnalysisError(Exception):
    """Workdirs that cannot be analysed; the message is one sentence that says why."""


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A target distribution: registry name, label to print, and canonical expression."""

    name: str
    label: str
    spec: str


@dataclasses.dataclass(frozen=True)
class Condition:
    """One condition: its name, the law it was trained on, and its settings.

    Attributes:
      name: as in `results.csv`.
      train: the training distribution.
      settings: dotted config field -> value, everything that shapes a training but the law.
    """

    name: str
    train: Distribution
    settings: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What to call the condition: the law's label, with the name where that says more."""
        if self.name in (self.train.name, self.train.spec, self.train.label):
            return self.train.label
        if self.train.name in self.name:
            return self.name.replace(self.train.name, self.train.label)
        return f'{self.name} [{self.train.label}]'


@dataclasses.dataclass(frozen=True)
class Run:
    """Arrays of one trained network; n test images, v validation images, m dense ones.

    Attributes:
      test_generating: test distribution -> [n] generating values.
      test_target: test distribution -> [n] targets.
      test_prediction: test distribution -> [n] predictions, dropout off.
      dense_generating: [m] generating values of the dense set.
      dense_target: [m] targets of the dense set, as the run's condition defines them.
      dense_prediction: [m] predictions.
      validation_target: [v] targets of the validation split.
      validation_prediction: [v] predictions.
      calibration_factor: the scale that fits the validation split best.
      moments: moment name -> value over training images; empty where none were recorded.
    """

    test_generating: Mapping[str, np.ndarray]
    test_target: Mapping[str, np.ndarray]
    test_prediction: Mapping[str, np.ndarray]
    dense_generating: np.ndarray
    dense_target: np.ndarray
    dense_prediction: np.ndarray
    validation_target: np.ndarray
    validation_prediction: np.ndarray
    calibration_factor: float
    moments: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Variant:
    """Conditions that differ in nothing but the law of their training targets.

    Attributes:
      name: what sets the variant apart from the study's first one; '' for the first.
      conditions: training distribution name -> condition name.
    """

    name: str
    conditions: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Study:
    """Everything that analysis knows.

    Attributes:
      sources: names of the workdirs, as they appear in source notes.
      headers: the parsed `config.json` of each workdir.
      results: rows of every `results.csv` with columns source (index into sources) and line.
      metrics: rows of every `metrics.jsonl` with columns source and line.
      conditions: by name, in order.
      test_distributions: by name, in order.
      runs: (condition, repeat) -> arrays.
      diverged: (condition, repeat) -> epoch.
      notes: sentences on what merging had to decide.
    """

    sources: tuple[str, ...]
    headers: tuple[Mapping[str, Any], ...]
    results: pd.DataFrame
    metrics: pd.DataFrame
    conditions: Mapping[str, Condition]
    test_distributions: Mapping[str, Distribution]
    runs: Mapping[tuple[str, int], Run]
    diverged: Mapping[tuple[str, int], int]
    notes: tuple[str, ...]
    _groups: Mapping[tuple[str, str, str, str], pd.DataFrame] = dataclasses.field(repr=False)

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved config of the first workdir."""
        return self.headers[0]['config']

    def option(self, name: str, default: Any) -> Any:
        """Returns the config's `analysis.<name>`, or `default` for a config without it."""
        return self.config.get('analysis', {}).get(name, default)

    @property
    def predictors(self) -> tuple[str, ...]:
        """The networks' predictors that the results hold: cnn, and cnn_calibrated where present."""
        present = set(self.results['predictor'])
        return tuple(p for p in ('cnn', 'cnn_calibrated') if p in present)

    def repeats(self, condition: str) -> list[int]:
        """Returns the repeats of `condition` that count: trained and not diverged."""
        return sorted(k for c, k in self.runs if c == condition and (c, k) not in self.diverged)

    def values(self, predictor: str, condition: str, test: str, metric: str) -> pd.Series:
        """Returns one value per repeat, indexed by repeat; diverged runs are left out.

        Args:
          predictor: 'cnn', 'cnn_calibrated' or 'random_guess' (then the condition is '').
          condition: name of the condition.
          test: name of a test distribution, or 'all' for the mean over those of the paper (over all
            of the study's where it lacks one of them).
          metric: 'mse', 'mape', 'mpe' or 'mae'.
        """
        if test == paper.ALL_TESTS:
            parts = [self.values(predictor, condition, t, metric) for t in self.averaged_tests()]
            return pd.concat(parts, axis=1, join='inner').mean(axis=1, skipna=False)
        rows = self._groups.get((predictor, condition, test, metric))
        if rows is None:
            return pd.Series(dtype=float)
        kept = [
            (condition, r) not in self.diverged and np.isfinite(v)
            for r, v in zip(rows['repeat'], rows['value'], strict=True)
        ]
        rows = rows[kept]
        return pd.Series(
            rows['value'].to_numpy(float), index=rows['repeat'].to_numpy(int)
        ).sort_index()

    def averaged_tests(self) -> list[str]:
        """Returns the test distributions that an average over 'all' means."""
        wanted = paper.test_distributions()
        if all(name in self.test_distributions for name in wanted):
            return list(wanted)
        return list(self.test_distributions)

    def source(self, predictor: str, condition: str, test: str, metric: str) -> str:
        """Returns where a number comes from: file, lines and the rows to filter for."""
        tests = self.averaged_tests() if test == paper.ALL_TESTS else [test]
        found = [self._groups.get((predictor, condition, t, metric)) for t in tests]
        rows = pd.concat([f for f in found if f is not None] or [self.results[:0]])
        named = f'condition={condition}, ' if condition else ''
        return (
            f'{self.describe(rows)} ({len(rows)} rows: {named}predictor={predictor}, '
            f'test_distribution={" and ".join(tests)}, metric={metric})'
        )

    def describe(self, rows: pd.DataFrame, file: str = 'results.csv') -> str:
        """Returns 'file lines first–last' for rows that carry columns source and line."""
        parts = []
        for source, group in rows.groupby('source'):
            prefix = f'{self.sources[int(source)]}/' if len(self.sources) > 1 else ''
            parts.append(f'{prefix}{file} lines {group["line"].min()}–{group["line"].max()}')
        return ' and '.join(parts) or 'no rows'

    def variants(self) -> list[Variant]:
        """Returns the groups of conditions that share all settings but the training law."""
        groups: dict[str, dict[str, str]] = {}
        settings: dict[str, Mapping[str, Any]] = {}
        for condition in self.conditions.values():
            key = json.dumps(condition.settings, sort_keys=True)
            # Two conditions alike in everything, name aside, are kept apart.
            while condition.train.name in groups.get(key, {}):
                key += ' '
            groups.setdefault(key, {})[condition.train.name] = condition.name
            settings[key] = condition.settings
        found: list[Variant] = []
        first = next(iter(settings.values()), {})
        for key, members in groups.items():
            changed = [
                f'{field} = {_show(value)}'
                for field, value in settings[key].items()
                if first.get(field) != value
            ]
            name = ', '.join(changed) or ('' if not found else ', '.join(members.values()))
            found.append(Variant(name, members))
        return found

    def departures(self) -> list[str]:
        """Says each setting in which the study's first variant leaves the paper."""
        first = next(iter(self.conditions.values()))
        found = []
        for field, printed in paper.settings().items():
            value = first.settings.get(field, _get(self.config, field))
            if value is not None and value != printed:
                found.append(f'{field} is {_show(value)}; the paper has {_show(printed)}')
        return found


# A run whose validation MSE ends at more than so many times what it was before training.
FAR_ABOVE = 3.0


def ended_far_above(rows: pd.DataFrame) -> pd.DataFrame:
    """The runs that training left far worse than it found them.

    Args:
      rows: epochs' rows with columns condition, repeat, epoch, validation_mse and diverged; epoch
        0 is before training.

    Returns:
      A row per run, of those that did not diverge, whose last validation MSE is more than
      `FAR_ABOVE` times its first: condition, repeat, before, after.
    """
    run = ['condition', 'repeat']
    last = rows.sort_values('epoch', kind='stable').drop_duplicates(run, keep='last')
    first = rows.loc[rows['epoch'] == 0, [*run, 'validation_mse']]
    ends = last.merge(first, on=run, suffixes=('', '_before'))
    ends = ends.rename(columns={'validation_mse_before': 'before', 'validation_mse': 'after'})
    # An error that is no number is no small one.
    far = ~(ends['after'] <= FAR_ABOVE * ends['before']) & ~ends['diverged'].eq(True)
    return ends.loc[far, [*run, 'before', 'after']]


def _show(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _get(tree: Mapping[str, Any], field: str) -> Any:
    for part in field.split('.'):
        if not isinstance(tree, Mapping) or part not in tree:
            return None
        tree = tree[part]
    return tree


def _flatten(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f'{prefix}{key}.'))
        else:
            flat[f'{prefix}{key}'] = value
    return flat


def _settings(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    sections = {name: config[name] for name in _SETTING_SECTIONS if name in config}
    flat = _flatten(sections)
    flat.update({k: v for k, v in _flatten(overrides).items() if k != 'train_distribution'})
    return {k: v for k, v in flat.items() if k not in _NO_SETTING}


def _read_json(path: pathlib.Path) -> dict[str, Any]:
    try:
        header = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise AnalysisError(
            f'{path} is not there: the folder is no finished workdir of imbreg_jax'
        ) from None
    except (OSError, ValueError) as error:
        raise AnalysisError(f'{path} cannot be read: {error}') from error
    if header.get('format') != FORMAT:
        raise AnalysisError(
            f'{path} has format {header.get("format")!r}; this version reads format {FORMAT}'
        )
    return header


def _read_results(path: pathlib.Path) -> pd.DataFrame:
    try:
        rows = pd.read_csv(path, dtype=dict.fromkeys([*_TEXT, 'value'], str), keep_default_na=False)
    except FileNotFoundError:
        raise AnalysisError(
            f'{path} is not there: the study in this folder has not ended'
        ) from None
    except (OSError, ValueError) as error:
        raise AnalysisError(f'{path} cannot be read: {error}') from error
    missing = [name for name in [*_TEXT, 'repeat', 'value'] if name not in rows.columns]
    if missing:
        raise AnalysisError(f'{path} has no column {missing[0]!r}')
    try:
        # Python's float, not the parser's: it is exact whatever the version of pandas.
        rows['value'] = [float(text or 'nan') for text in rows['value']]
    except ValueError as error:
        raise AnalysisError(f'{path} has a value that is no number: {error}') from error
    # Line 1 of the file is the header.
    return rows.assign(line=np.arange(len(rows)) + 2)


def _read_metrics(path: pathlib.Path) -> pd.DataFrame:
    rows = []
    try:
        for line, text in enumerate(path.read_text(encoding='utf-8').splitlines(), start=1):
            if text.strip():
                rows.append({**json.loads(text), 'line': line})
    except FileNotFoundError:
        raise AnalysisError(
            f'{path} is not there: the study in this folder has not ended'
        ) from None
    except (OSError, ValueError) as error:
        raise AnalysisError(f'{path} cannot be read: {error}') from error
    columns = [
        'condition',
        'repeat',
        'epoch',
        'train_loss',
        'validation_mse',
        'validation_mape',
        'validation_mpe',
        'diverged',
        'line',
    ]
    frame = pd.DataFrame(rows, columns=columns)
    for name in columns[3:7]:
        frame[name] = pd.to_numeric(frame[name])
    return frame


def _read_runs(path: pathlib.Path) -> dict[tuple[str, int], Run]:
    try:
        # Opened here: numpy leaves the file open where it finds no archive in it.
        with open(path, 'rb') as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise AnalysisError(
            f'{path} is not there: the study in this folder has not ended'
        ) from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise AnalysisError(f'{path} cannot be read: {error}') from error
    tests = [str(t) for t in arrays['test_distributions']]
    repeat_index = {int(k): i for i, k in enumerate(arrays['repeats'])}
    condition_index = {str(c): i for i, c in enumerate(arrays['conditions'])}
    # [m] in files of before conditions could differ in their target.
    dense_target = np.broadcast_to(
        arrays['dense_target'], (len(condition_index), len(arrays['dense_generating']))
    )
    names = [str(n) for n in arrays.get('moment_names', [])]
    runs = {}
    for r, (condition, repeat) in enumerate(
        zip(arrays['condition'], arrays['repeat'], strict=True)
    ):
        c, k = condition_index[str(condition)], repeat_index[int(repeat)]
        runs[str(condition), int(repeat)] = Run(
            test_generating={t: arrays['test_generating'][i, k] for i, t in enumerate(tests)},
            test_target={t: arrays['test_target'][c, i, k] for i, t in enumerate(tests)},
            test_prediction={t: arrays['test_prediction'][r, i] for i, t in enumerate(tests)},
            dense_generating=arrays['dense_generating'],
            dense_target=dense_target[c],
            dense_prediction=arrays['dense_prediction'][r],
            validation_target=arrays['validation_target'][r],
            validation_prediction=arrays['validation_prediction'][r],
            calibration_factor=float(arrays['calibration_factor'][r]),
            moments=dict(zip(names, map(float, arrays['moments'][r]), strict=True))
            if names
            else {},
        )
    return runs


def _short_names(paths: Sequence[pathlib.Path]) -> tuple[str, ...]:
    """Returns the folders' own names, numbered where two are alike."""
    names = [path.resolve().name for path in paths]
    return tuple(
        name if names.count(name) == 1 else f'{name} ({i + 1})' for i, name in enumerate(names)
    )


def _drop_repeated(results: pd.DataFrame, sources: Sequence[str], notes: list[str]) -> pd.DataFrame:
    """Keeps one row for each value that several workdirs hold."""
    again = results.duplicated(_KEY, keep='first')
    if not again.any():
        return results
    first = results[~again].set_index(_KEY)
    later = results[again].set_index(_KEY)
    before = first.loc[later.index]
    same = np.isclose(before['value'], later['value'], rtol=1e-5, atol=0, equal_nan=True)
    if not same.all():
        differing = later[~same].reset_index()
        networks = differing[differing['condition'] != '']
        if len(networks):
            row = networks.iloc[0]
            raise AnalysisError(
                f'condition {row["condition"]!r}, repeat {row["repeat"]}, has other values in '
                f'{sources[int(row["source"])]!r} than in a workdir before it; give each condition '
                'a name of its own or leave one of the workdirs out'
            )
        notes.append(
            'The workdirs hold different random_guess values (their targets are defined '
            'differently); those of the first are used.'
        )
    return results[~again]


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


def load(workdirs: Sequence[str | pathlib.Path]) -> Study:
    """Reads one or several workdirs as one study.

    Args:
      workdirs: folders that hold `config.json`, `results.csv`, `metrics.jsonl`, `predictions.npz`.

    Raises:
      AnalysisError: a file is missing or damaged, or the workdirs do not belong together: other
        seeds (repeats would not be paired) or one condition with two sets of values.
    """
    paths = [pathlib.Path(workdir) for workdir in workdirs]
    if not paths:
        raise AnalysisError('no workdir is given: name at least one')
    sources = _short_names(paths)
    headers = tuple(_read_json(path / 'config.json') for path in paths)
    seeds = [header['config'].get('seed') for header in headers]
    for name, seed in zip(sources, seeds, strict=True):
        if seed != seeds[0]:
            raise AnalysisError(
                f'workdir {name!r} has seed {seed} and {sources[0]!r} has {seeds[0]}: '
                'their repeats are '
                'not paired, so analyse them apart'
            )
    notes: list[str] = []
    results = pd.concat(
        [_read_results(path / 'results.csv').assign(source=i) for i, path in enumerate(paths)],
        ignore_index=True,
    )
    results = _drop_repeated(results, sources, notes)
    metrics = pd.concat(
        [_read_metrics(path / 'metrics.jsonl').assign(source=i) for i, path in enumerate(paths)],
        ignore_index=True,
    ).drop_duplicates(['condition', 'repeat', 'epoch'])
    conditions: dict[str, Condition] = {}
    tests: dict[str, Distribution] = {}
    runs: dict[tuple[str, int], Run] = {}
    for header, path, source in zip(headers, paths, sources, strict=True):
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
            tests.setdefault(name, Distribution(name, entry['label'], entry['spec']))
        for key, run in _read_runs(path / 'predictions.npz').items():
            runs.setdefault(key, run)
    conditions = _in_reading_order(conditions, _settings(headers[0]['config'], {}))
    marks = results[results['metric'] == 'diverged_epoch']
    diverged = {(str(row.condition), int(row.repeat)): int(row.value) for row in marks.itertuples()}
    groups = {
        (str(predictor), str(condition), str(test), str(metric)): rows
        for (predictor, condition, test, metric), rows in results.groupby(
            ['predictor', 'condition', 'test_distribution', 'metric'], sort=False
        )
    }
    return Study(
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
    )
