"""Studies of remedies with networks of a known bias, written as training would leave them."""

import json
import pathlib
import zlib

import numpy as np
import pandas as pd

import simulated_study
from imbreg_jax.analysis import leaderboard, loading


def of(remedy='', law='u1_10', **fields):
    """Returns the fields of a condition; '__' stands for '.'."""
    return {
        'remedy': remedy,
        'train_distribution': law,
        **{k.replace('__', '.'): v for k, v in fields.items()},
    }


def grid(remedies, laws=('u1_10', 'u1_5'), **fields):
    """Returns a condition for each remedy under each law."""
    return {f'{law} {r or "none"}': of(r, law, **fields) for law in laws for r in remedies}


def write(
    workdir,
    conditions,
    bias=lambda own: 0.1,
    strata=None,
    validation=None,
    selection=None,
    **options,
):
    """Writes a study whose networks predict (1 − bias) of the target, each with noise of its own.

    Args:
      workdir: its folder.
      conditions: condition -> its fields.
      bias: fields of a condition -> its bias.
      strata: (fields of a condition, metric of a stratum) -> factor on its MAE, None for no such
        target, and 1 for networks times their best factor; without, there are no metrics of strata.
      validation: fields of a condition -> its validation MSE at the last epoch.
      selection: (fields of a condition, test law, '' for the training law) -> MSE on validation
        images; without, results.csv has none.
      options: those of `simulated_study.write`.
    """
    workdir = pathlib.Path(workdir)
    networks = {name: (1 - bias(own), 0.004, 0.01) for name, own in conditions.items()}
    options = {'repeats': 8, 'images': 40, 'test_distributions': ('u1_10',), **options}
    simulated_study.write(workdir, conditions, networks, **options)
    path = workdir / 'results.csv'
    frame = pd.read_csv(path, keep_default_na=False, na_values={'value': ['']})
    # No network repeats another's noise.
    keys = frame[['condition', 'repeat', 'metric']].astype(str).agg('/'.join, axis=1)
    own = keys.map(lambda key: zlib.crc32(key.encode()) / 2**32)
    shown = frame['predictor'].str.startswith('cnn') & (frame['metric'] != 'diverged_epoch')
    frame['value'] = frame['value'] * np.where(shown, np.exp(0.02 * (own - 0.5)), 1)
    parts = [frame]
    for metric in leaderboard.STRATA if strata else ():
        rows = frame[(frame['metric'] == 'mae') & frame['predictor'].isin(['cnn', 'cnn_scaled'])]
        factors = {name: strata(fields, metric) for name, fields in conditions.items()}
        factor = rows['condition'].map(factors).astype(float)
        # Times its best factor, a network's error on a stratum is that on all targets.
        factor = factor.mask((rows['predictor'] == 'cnn_scaled') & factor.notna(), 1)
        parts.append(rows.assign(metric=metric, value=rows['value'] * factor))
    for law in ('', *options['test_distributions']) if selection else ():
        rows = frame[(frame['metric'] == 'mse') & (frame['predictor'] == 'cnn')]
        rows = rows[rows['test_distribution'] == options['test_distributions'][0]]
        values = {name: selection(fields, law) for name, fields in conditions.items()}
        value = rows['condition'].map(values).astype(float)
        parts.append(rows.assign(test_distribution=law, metric='validation_mse', value=value))
    pd.concat(parts).to_csv(path, index=False)
    if validation:
        path = workdir / 'metrics.jsonl'
        rows = [json.loads(line) for line in path.read_text('utf-8').splitlines()]
        for row in rows:
            if row['epoch'] == 15:
                row['validation_mse'] = validation(conditions[row['condition']])
        path.write_text(''.join(f'{json.dumps(row)}\n' for row in rows), 'utf-8')
    simulated_study.seal(workdir)
    return loading.load([workdir])


def strata(own, metric):
    """Factors of a remedy that gives to what is missing and takes from what is frequent."""
    if own['train_distribution'] == 'u1_10':
        return 1.0 if metric == 'mae_many' else None
    factors = {'mae_many': 1.25, 'mae_zero': 0.5, 'mae_extrapolation': 0.5}
    return factors.get(metric) if own['remedy'] else 1.0 if metric in factors else None
