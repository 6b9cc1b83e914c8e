"""Reads one finished workdir, and refuses what its study cannot have left there."""

import io
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis.finished import Run
from imbreg_jax.results import files as files_lib
from imbreg_jax.results import workdir as workdir_lib
from imbreg_jax.study.config import flatten

FORMAT = 1
# What tells one value of `results.csv` from the others.
KEY = ['condition', 'predictor', 'repeat', 'test_distribution', 'metric']
_TEXT = ['condition', 'train_distribution', 'predictor', 'test_distribution', 'metric']


class AnalysisError(Exception):
    """Workdirs that cannot be analysed; the message is one sentence that says why."""


# The parsed `config.json`, rows of `results.csv` and of `metrics.jsonl` with their line, and
# (condition, repeat) -> arrays.
Contents = tuple[dict[str, Any], pd.DataFrame, pd.DataFrame, dict[tuple[str, int], Run]]


def read(path: pathlib.Path) -> Contents:
    """Reads a finished workdir: its files are those that the study left, and fit one another.

    Raises:
      AnalysisError: it is not finished, or a file is missing, damaged or not as the study left it.
    """
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise AnalysisError(
            f'workdir {str(path)!a} has a name that is not UTF-8, which a page cannot show; give '
            'the folder another'
        ) from None
    paths = [path / name for name in ('results.csv', 'metrics.jsonl', 'predictions.npz')]
    try:
        header = workdir_lib.read_config(path / 'config.json', 'put it back')
        _check_header(path / 'config.json', header)
        contents = [workdir_lib.read_result(path, header, each.name) for each in paths]
    except workdir_lib.WorkdirError as error:
        raise AnalysisError(str(error)) from error
    results = result_rows(paths[0], contents[0])
    metrics = _read_metrics(paths[1], contents[1])
    for each, rows in zip(paths, (results, metrics), strict=False):
        _check_runs(each, rows, header)
    return header, results, metrics, _read_runs(paths[2], contents[2], header)


def _check_header(path: pathlib.Path, header: Mapping[str, Any]) -> None:
    if header.get('format') != FORMAT:
        raise AnalysisError(
            f'{path} has format {header.get("format")!r}; this version reads format {FORMAT}'
        )
    fault = _header_fault(header)
    if fault:
        raise AnalysisError(f'{path} is damaged: {fault}; put it back')


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
    if not _are_costs((header.get('timing') or {}).get('conditions', {})):
        return 'timing.conditions must have images and seconds of each'
    if not isinstance(header.get('devices', []), list):
        return 'devices must be a list'
    flat = flatten(config | {'timing': header.get('timing')})
    for field, kinds in _NUMBERS.items():
        if type(flat.get(field)) not in kinds:
            return f'{field} must be a number'
    if not 1 <= config['repeats'] <= _MOST_REPEATS:
        return f'repeats must be from 1 to {_MOST_REPEATS}'
    return None


def _are_costs(value: Any) -> bool:
    """Whether a value says of conditions what each took."""
    return isinstance(value, dict) and all(
        isinstance(entry, dict)
        and all(type(entry.get(part)) in _NUMBER_IF_ANY for part in ('images', 'seconds'))
        for entry in value.values()
    )


# More than any config may ask for; whoever writes more into a config.json only costs time.
_MOST_REPEATS = 10**6
# Fields of config.json that analysis reckons with.
_INTEGER, _NUMBER_IF_ANY = (int,), (int, float, type(None))
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
    'analysis.seed': _NUMBER_IF_ANY,
    'timing.seconds': _NUMBER_IF_ANY,
    'timing.compile_seconds': _NUMBER_IF_ANY,
}


def _repeats(header: Mapping[str, Any]) -> range:
    first = header['config']['first_repeat']
    return range(first, first + header['config']['repeats'])


def result_rows(path: pathlib.Path, content: bytes) -> pd.DataFrame:
    """Returns the rows of a `results.csv`, with their line; the path is for messages alone.

    Raises:
      AnalysisError: they are not what a study leaves.
    """
    try:
        rows = pd.read_csv(
            io.BytesIO(content), dtype=dict.fromkeys([*_TEXT, 'value'], str), keep_default_na=False
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
    again = np.flatnonzero(rows.duplicated(KEY))
    if len(again):
        raise AnalysisError(f'{path} has in line {again[0] + 2} a value that it has before')
    # Line 1 of the file is the header.
    return rows.assign(line=np.arange(len(rows)) + 2)


def _read_metrics(path: pathlib.Path, content: bytes) -> pd.DataFrame:
    rows = []
    errors = ['train_loss', 'validation_mse', 'validation_mape', 'validation_mpe']
    try:
        for line, text in enumerate(content.decode().splitlines(), start=1):
            if text.strip():
                row = json.loads(text)
                if not isinstance(row, dict) or not all(
                    type(row.get(name)) is kind
                    for name, kind in (('condition', str), ('repeat', int), ('epoch', int))
                ):
                    raise ValueError(f'line {line} has no condition, repeat and epoch')
                for name in errors:
                    if type(row.get(name)) not in (int, float, type(None)):
                        raise ValueError(f'line {line} has a {name} that is no number')
                rows.append({**row, 'line': line})
        columns = ['condition', 'repeat', 'epoch', *errors, 'diverged', 'line']
        of_members = any('member' in row for row in rows)
        frame = pd.DataFrame(rows, columns=columns)
        frame[errors] = frame[errors].apply(pd.to_numeric)
        if of_members:
            frame = _of_ensembles(frame, errors)
    except (ValueError, RecursionError) as error:
        raise AnalysisError(f'{path} cannot be read: {" ".join(str(error).split())}') from error
    return frame


def _of_ensembles(rows: pd.DataFrame, errors: list[str]) -> pd.DataFrame:
    """Returns a row per condition, repeat and epoch: the mean of an ensemble's members."""
    key = ['condition', 'repeat', 'epoch']
    means = rows.groupby(key, sort=False, as_index=False)
    return means.agg({**dict.fromkeys(errors, 'mean'), 'diverged': 'any', 'line': 'first'})


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
            # Of an ensemble there are none.
            if names and np.isfinite(arrays['moments'][r][0])
            else {},
        )
    return runs


def _most_validated(config: Mapping[str, Any]) -> int:
    """Validation images of the condition that has most; rows of the others end in nan."""
    base = config['data']['validation_size']
    sections = [own.get('data') for own in (config.get('conditions') or {}).values()]
    sizes = [own.get('validation_size', base) for own in sections if isinstance(own, Mapping)]
    sizes += [base] * (len(sections) - len(sizes))
    return max([size for size in sizes if type(size) is int] or [base])


def _arrays_fault(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> str | None:
    """What in predictions.npz is not of the study's runs and sizes, or None."""
    config = header['config']
    conditions, repeats = sorted(header['conditions']), list(_repeats(header))
    tests = sorted(header['test_distributions'])
    labels = {
        'conditions': conditions,
        'test_distributions': tests,
        'repeats': repeats,
        'condition': sorted(conditions * len(repeats)),
        'repeat': sorted(repeats * len(conditions)),
    }
    for name, wanted in labels.items():
        if name not in arrays or sorted(arrays[name].ravel().tolist()) != wanted:
            return f'{name} is not what the study has'
    pairs = set(zip(arrays['condition'].tolist(), arrays['repeat'].tolist(), strict=True))
    c, k, t, r = len(conditions), len(repeats), len(tests), len(conditions) * len(repeats)
    if len(pairs) != r:
        return 'condition and repeat name a run twice'
    n, v = config['data']['test_size'], _most_validated(config)
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
