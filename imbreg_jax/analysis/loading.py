"""Reads what one or several workdirs hold, as one study.

Three single-condition workdirs of the same seed are one study of three conditions: keys hang on
(seed, repeat) and never on the condition, so their repeats are paired as in a single workdir.
"""

import dataclasses
import functools
import io
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import paper
from imbreg_jax.results import files as files_lib
from imbreg_jax.results import workdir as workdir_lib
from imbreg_jax.results.epoch_rows import ended_far_above as ended_far_above

FORMAT = 1
BASELINE = 'random_guess'
_KEY = ['condition', 'predictor', 'repeat', 'test_distribution', 'metric']
_TEXT = ['condition', 'train_distribution', 'predictor', 'test_distribution', 'metric']
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


class AnalysisError(Exception):
    """Workdirs that cannot be analysed; the message is one sentence that says why."""


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A target distribution: registry name, label to print, and canonical expression.

    Two are equal whatever they are called in print: one table may come from files of other names.
    """

    name: str
    label: str = dataclasses.field(compare=False)
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
class _Values:
    """What `results.csv` says of one condition, predictor, test distribution and metric: [n] each.

    Attributes:
      repeat: numbers of the repeats.
      value: the values.
      source: index of the workdir that each is from.
      line: its line there.
    """

    repeat: np.ndarray
    value: np.ndarray
    source: np.ndarray
    line: np.ndarray


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
      folders: the workdirs themselves, for the tables of targets that they keep.
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
    _groups: Mapping[tuple[str, str, str, str], _Values] = dataclasses.field(repr=False)
    folders: tuple[pathlib.Path, ...] = ()

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved config of the first workdir."""
        return self.headers[0]['config']

    def option(self, name: str, default: Any) -> Any:
        """Returns the config's `analysis.<name>`, or `default` for a config without it."""
        return self.config.get('analysis', {}).get(name, default)

    @functools.cached_property
    def predictors(self) -> tuple[str, ...]:
        """The networks' predictors that the results hold: cnn, and cnn_calibrated where present."""
        present = set(self.results['predictor'])
        return tuple(p for p in ('cnn', 'cnn_calibrated') if p in present)

    def repeats(self, condition: str) -> list[int]:
        """Returns the repeats of `condition` that count: trained and not diverged."""
        return list(self._repeats.get(condition, ()))

    @functools.cached_property
    def _repeats(self) -> Mapping[str, list[int]]:
        found: dict[str, list[int]] = {}
        for condition, repeat in sorted(set(self.runs) - set(self.diverged)):
            found.setdefault(condition, []).append(repeat)
        return found

    def values(self, predictor: str, condition: str, test: str, metric: str) -> pd.Series:
        """Returns one value per repeat, indexed by repeat; diverged runs are left out.

        Args:
          predictor: 'cnn', 'cnn_calibrated' or 'random_guess' (then the condition is '', or one
            that has guesses of its own: see `baseline`).
          condition: name of the condition.
          test: name of a test distribution, or 'all' for the mean over those of the paper (over all
            of the study's where it lacks one of them).
          metric: 'mse', 'mape', 'mpe' or 'mae'.
        """
        key = (predictor, condition, test, metric)
        if key not in self._series:
            self._series[key] = self._select(*key)
        return self._series[key]

    @functools.cached_property
    def _series(self) -> dict[tuple[str, str, str, str], pd.Series]:
        return {}

    def _select(self, predictor: str, condition: str, test: str, metric: str) -> pd.Series:
        if test == paper.ALL_TESTS:
            parts = [self.values(predictor, condition, t, metric) for t in self.averaged_tests()]
            shared, values = joint(parts)
            return pd.Series(values.mean(axis=0), index=shared)
        rows = self._groups.get((predictor, condition, test, metric))
        if rows is None:
            return pd.Series(dtype=float)
        kept = np.isfinite(rows.value)
        if predictor != BASELINE:
            kept &= [(condition, r) not in self.diverged for r in rows.repeat]
        repeat, value = rows.repeat[kept], rows.value[kept]
        order = np.argsort(repeat, kind='stable')
        return pd.Series(value[order], index=repeat[order])

    def baseline(self, condition: str, test: str, metric: str) -> pd.Series:
        """Returns the random guess that the networks of `condition` are held against, by repeat.

        Its own where it has one (a condition whose targets are defined by themselves, or whose
        workdir guessed otherwise than those before it); else the one common to the study.
        """
        common = self.values(BASELINE, '', test, metric)
        if not self.baseline_condition(condition, test, metric):
            return common
        own = self.values(BASELINE, condition, test, metric)
        # Repeats of one condition may come from several workdirs.
        others = common[~common.index.isin(own.index)]
        return pd.concat([own, others]).sort_index() if len(others) else own

    def baseline_condition(self, condition: str, test: str, metric: str) -> str:
        """Returns under whose name `baseline` is kept: the condition's own, or '', the common."""
        return condition if (BASELINE, condition, test, metric) in self._groups else ''

    def averaged_tests(self) -> list[str]:
        """Returns the test distributions that an average over 'all' means."""
        wanted = paper.test_distributions()
        if all(name in self.test_distributions for name in wanted):
            return list(wanted)
        return list(self.test_distributions)

    def averages_as_the_paper(self) -> bool:
        """Whether an average over 'all' is over the test distributions of the paper."""
        return set(self.averaged_tests()) == set(paper.test_distributions())

    def source(self, predictor: str, condition: str, test: str, metric: str) -> str:
        """Returns where a number comes from: file, lines and the rows to filter for."""
        tests = self.averaged_tests() if test == paper.ALL_TESTS else [test]
        found = [self._groups.get((predictor, condition, t, metric)) for t in tests]
        held = [rows for rows in found if rows is not None]
        source, line = (
            np.concatenate([getattr(rows, name) for rows in held] or [np.zeros(0, dtype=int)])
            for name in ('source', 'line')
        )
        named = f'condition={condition}, ' if condition else ''
        return (
            f'{self._describe(source, line)} ({len(line)} rows: {named}predictor={predictor}, '
            f'test_distribution={" and ".join(tests)}, metric={metric})'
        )

    def describe(self, rows: pd.DataFrame, file: str = 'results.csv') -> str:
        """Returns 'file lines first–last' for rows that carry columns source and line."""
        return self._describe(rows['source'].to_numpy(), rows['line'].to_numpy(), file)

    def _describe(self, source: np.ndarray, line: np.ndarray, file: str = 'results.csv') -> str:
        parts = []
        for i in sorted(set(source.tolist())):
            prefix = f'{self.sources[i]}/' if len(self.sources) > 1 else ''
            lines = line[source == i]
            parts.append(f'{prefix}{file} lines {lines.min()}–{lines.max()}')
        return ' and '.join(parts) or 'no rows'

    def variants(self) -> list[Variant]:
        """Returns the groups of conditions that share all settings but the training law."""
        return list(self._variants)

    @functools.cached_property
    def _variants(self) -> Sequence[Variant]:
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


def joint(columns: Sequence[pd.Series]) -> tuple[pd.Index, np.ndarray]:
    """Returns the repeats that all of k series have, [n], and their values there, [k, n]."""
    shared = columns[0].index
    if not all(shared.equals(column.index) for column in columns[1:]):
        for column in columns[1:]:
            shared = shared.intersection(column.index)
        columns = [column.loc[shared] for column in columns]
    return shared, np.stack([column.to_numpy(float) for column in columns])


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


@dataclasses.dataclass(frozen=True)
class _Held:
    """What one workdir holds.

    Attributes:
      header: the parsed `config.json`.
      results: rows of `results.csv` with their line.
      metrics: rows of `metrics.jsonl` with their line.
      runs: (condition, repeat) -> arrays.
    """

    header: dict[str, Any]
    results: pd.DataFrame
    metrics: pd.DataFrame
    runs: dict[tuple[str, int], Run]


def _read(path: pathlib.Path) -> _Held:
    """Reads a finished workdir: its files are those that the study left, and fit one another."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise AnalysisError(
            f'workdir {str(path)!a} has a name that is not UTF-8, which a page cannot show; give '
            'the folder another'
        ) from None
    header = _read_json(path / 'config.json')

    def content(name: str) -> bytes:
        try:
            return workdir_lib.read_result(path, header, name)
        except workdir_lib.WorkdirError as error:
            raise AnalysisError(str(error)) from error

    results = _read_results(path / 'results.csv', content('results.csv'))
    metrics = _read_metrics(path / 'metrics.jsonl', content('metrics.jsonl'))
    for name, rows in (('results.csv', results), ('metrics.jsonl', metrics)):
        _check_runs(path / name, rows, header)
    runs = _read_runs(path / 'predictions.npz', content('predictions.npz'), header)
    return _Held(header, results, metrics, runs)


def _read_json(path: pathlib.Path) -> dict[str, Any]:
    try:
        header = workdir_lib.read_config(path, 'put it back')
    except workdir_lib.WorkdirError as error:
        raise AnalysisError(str(error)) from error
    if header.get('format') != FORMAT:
        raise AnalysisError(
            f'{path} has format {header.get("format")!r}; this version reads format {FORMAT}'
        )
    fault = _header_fault(header)
    if fault:
        raise AnalysisError(f'{path} is damaged: {fault}; put it back')
    return header


def _header_fault(header: Mapping[str, Any]) -> str | None:
    """What in a config.json is not of the kind that analysis takes, or None."""
    config = header['config']
    fields = (
        ('conditions', ('train_distribution', 'label', 'spec')),
        ('test_distributions', ('label', 'spec')),
    )
    for name, parts in fields:
        entries = header.get(name)
        if not isinstance(entries, dict) or not entries:
            return f'it names no {name}'
        for key, entry in entries.items():
            if not isinstance(entry, dict) or not all(
                isinstance(entry.get(part), str) for part in parts
            ):
                return f'{name}.{key} must have {", ".join(parts)}, as strings'
    for holder, name in (
        (config, 'conditions'), (config, 'analysis'), (header, 'versions'), (header, 'timing')
    ):  # fmt: skip
        if not isinstance(holder.get(name, {}), dict):
            return f'{name} must be an object'
    for name, override in config.get('conditions', {}).items():
        if not isinstance(override, dict):
            return f'conditions.{name} must be an object'
    if not isinstance(header.get('devices', []), list):
        return 'devices must be a list'
    for field, kinds in _NUMBERS.items():
        value = _get(header if field.startswith('timing') else config, field)
        if type(value) not in kinds:
            return f'{field} must be a number'
    if not 1 <= config['repeats'] <= _MOST_REPEATS:
        return f'repeats must be from 1 to {_MOST_REPEATS}'
    return None


# More than any config may ask for; whoever writes more into a config.json only costs time.
_MOST_REPEATS = 10**6
# Fields of config.json that analysis reckons with.
_INTEGER, _NUMBER, _NUMBER_IF_ANY = (int,), (int, float), (int, float, type(None))
_NUMBERS: dict[str, tuple[type, ...]] = {
    'seed': _INTEGER,
    'repeats': _INTEGER,
    'first_repeat': _INTEGER,
    'data.image_size': _INTEGER,
    'data.test_size': _INTEGER,
    'data.validation_size': _INTEGER,
    'evaluation.dense_size': _INTEGER,
    'analysis.equivalence_margin': _NUMBER_IF_ANY,
    'analysis.confidence': _NUMBER_IF_ANY,
    'analysis.bootstrap_resamples': _NUMBER_IF_ANY,
    'analysis.seed': _NUMBER_IF_ANY,
    'timing.seconds': _NUMBER_IF_ANY,
    'timing.compile_seconds': _NUMBER_IF_ANY,
}


def _repeats(header: Mapping[str, Any]) -> range:
    first = header['config']['first_repeat']
    return range(first, first + header['config']['repeats'])


def _read_results(path: pathlib.Path, content: bytes) -> pd.DataFrame:
    try:
        rows = pd.read_csv(
            io.BytesIO(content),
            dtype=dict.fromkeys([*_TEXT, 'value'], str),
            keep_default_na=False,
        )
    except (ValueError, OverflowError) as error:
        raise AnalysisError(f'{path} cannot be read: {" ".join(str(error).split())}') from error
    missing = [name for name in [*_TEXT, 'repeat', 'value'] if name not in rows.columns]
    if missing:
        raise AnalysisError(f'{path} has no column {missing[0]!r}')
    if not pd.api.types.is_integer_dtype(rows['repeat']):
        raise AnalysisError(f'{path} has a repeat that is no integer')
    try:
        # Python's float, not the parser's: it is exact whatever the version of pandas.
        rows['value'] = [float(text or 'nan') for text in rows['value']]
    except (ValueError, TypeError) as error:
        raise AnalysisError(f'{path} has a value that is no number: {error}') from error
    epochs = rows['value'][rows['metric'] == 'diverged_epoch']
    if not all(value >= 1 and value.is_integer() for value in epochs):
        raise AnalysisError(f'{path} has a diverged_epoch that is no epoch')
    again = np.flatnonzero(rows.duplicated(_KEY))
    if len(again):
        raise AnalysisError(f'{path} has in line {again[0] + 2} a value that it has before')
    # Line 1 of the file is the header.
    return rows.assign(line=np.arange(len(rows)) + 2)


def _read_metrics(path: pathlib.Path, content: bytes) -> pd.DataFrame:
    rows = []
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
    try:
        for line, text in enumerate(content.decode().splitlines(), start=1):
            if text.strip():
                row = json.loads(text)
                if not isinstance(row, dict) or not all(
                    type(row.get(name)) is kind
                    for name, kind in (('condition', str), ('repeat', int), ('epoch', int))
                ):
                    raise ValueError(f'line {line} has no condition, repeat and epoch')
                for name in columns[3:7]:
                    if type(row.get(name)) not in (int, float, type(None)):
                        raise ValueError(f'line {line} has a {name} that is no number')
                rows.append({**row, 'line': line})
        frame = pd.DataFrame(rows, columns=columns)
        for name in columns[3:7]:
            frame[name] = pd.to_numeric(frame[name])
    except (ValueError, RecursionError) as error:
        raise AnalysisError(f'{path} cannot be read: {" ".join(str(error).split())}') from error
    return frame


def _check_runs(path: pathlib.Path, rows: pd.DataFrame, header: Mapping[str, Any]) -> None:
    """Refuses rows of conditions, repeats or test distributions that the study does not have."""
    known = {
        'condition': {'', *header['conditions']},
        'repeat': set(_repeats(header)),
        'test_distribution': {'', *header['test_distributions']},
    }
    for column in known.keys() & set(rows.columns):
        strangers = set(rows[column]) - known[column]
        if strangers:
            raise AnalysisError(
                f'{path} has rows of {column} {sorted(strangers)[0]!r}, which the study in '
                'config.json does not have'
            )
    present = set(zip(rows['condition'], rows['repeat'], strict=True))
    for condition in header['conditions']:
        for repeat in _repeats(header):
            if (condition, repeat) not in present:
                raise AnalysisError(
                    f'{path} has no row of condition {condition!r}, repeat {repeat}'
                )


def _read_runs(
    path: pathlib.Path, content: bytes, header: Mapping[str, Any]
) -> dict[tuple[str, int], Run]:
    try:
        arrays = files_lib.read_arrays(content)
    except ValueError as error:
        raise AnalysisError(f'{path} cannot be read: {" ".join(str(error).split())}') from error
    fault = _arrays_fault(arrays, header)
    if fault:
        raise AnalysisError(f"{path} does not fit its study's config.json: {fault}")
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


def _arrays_fault(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> str | None:
    """What in predictions.npz is not of the study's runs and sizes, or None."""
    config = header['config']
    conditions, repeats = sorted(header['conditions']), list(_repeats(header))
    tests = sorted(header['test_distributions'])
    labels = {
        'conditions': (arrays.get('conditions'), conditions),
        'test_distributions': (arrays.get('test_distributions'), tests),
        'repeats': (arrays.get('repeats'), repeats),
        'condition': (arrays.get('condition'), sorted(conditions * len(repeats))),
        'repeat': (arrays.get('repeat'), sorted(repeats * len(conditions))),
    }
    for name, (found, wanted) in labels.items():
        if found is None or sorted(found.ravel().tolist()) != wanted:
            return f'{name} is not what the study has'
    pairs = set(zip(arrays['condition'].tolist(), arrays['repeat'].tolist(), strict=True))
    c, k, t, r = len(conditions), len(repeats), len(tests), len(conditions) * len(repeats)
    if len(pairs) != r:
        return 'condition and repeat name a run twice'
    n, v = config['data']['test_size'], config['data']['validation_size']
    m = config['evaluation']['dense_size']
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        'dense_generating': ((m,),),
        'dense_target': ((c, m), (m,)),
        'dense_prediction': ((r, m),),
        'test_generating': ((t, k, n),),
        'test_target': ((c, t, k, n),),
        'test_prediction': ((r, t, n),),
        'validation_target': ((r, v),),
        'validation_prediction': ((r, v),),
        'calibration_factor': ((r,),),
    }
    if 'moment_names' in arrays:
        shapes['moments'] = ((r, arrays['moment_names'].size),)
    for name, allowed in shapes.items():
        if name not in arrays:
            return f'it has no {name}'
        if arrays[name].shape not in allowed or arrays[name].dtype.kind not in 'fiu':
            return f'{name} are no numbers of shape {list(allowed[0])}'
    return None


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
    again = results.duplicated(_KEY, keep='first')
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
    first = results[~again].set_index(_KEY)['value']
    later = results[again].set_index(_KEY)['value']
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
    again = guesses & results[guesses].duplicated(_KEY, keep='first').reindex(
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
        f'{field} is {_show(_get(configs[1], field))} there and {_show(_get(configs[0], field))} '
        'here'
        for field in dict.fromkeys(fields)
        if _get(configs[0], field) != _get(configs[1], field)
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


def load(workdirs: Sequence[str | pathlib.Path]) -> Study:
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
    held = [_read(path) for path in paths]
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
        [each.results.assign(source=i) for i, each in enumerate(held)],
        ignore_index=True,
    )
    results, notes = _drop_repeated(results, sources, headers)
    metrics = pd.concat(
        [each.metrics.assign(source=i) for i, each in enumerate(held)],
        ignore_index=True,
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
        (str(predictor), str(condition), str(test), str(metric)): _Values(
            **{name: column[rows] for name, column in columns.items()}
        )
        for (predictor, condition, test, metric), rows in places.indices.items()
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
        folders=tuple(paths),
    )
