"""Tables: what a study measured, beside what the paper prints.

`results_table` works on the rows of a `results.csv` alone and is what the main job prints at its
end; `paper_tables` regenerates the paper's Tables 1 to 5 from a loaded study.
"""

from typing import Mapping, Sequence

import numpy as np
import pandas as pd

from imbreg_jax.analysis import paper

METRICS = ('mse', 'mape', 'mpe')
PREDICTORS = ('cnn', 'cnn_calibrated', 'random_guess')
UNDEFINED = 'n/a'


def _in_order(values: pd.Series, first: Sequence[str] = ()) -> list[str]:
  """Returns the distinct values, `first` before the others, else as they appear."""
  seen = list(dict.fromkeys(values))
  return [v for v in first if v in seen] + [v for v in seen if v not in first]


def _diverged(results: pd.DataFrame) -> set[tuple[str, int]]:
  rows = results[results['metric'] == 'diverged_epoch']
  return {(row.condition, int(row.repeat)) for row in rows.itertuples()}


def results_table(results: pd.DataFrame) -> pd.DataFrame:
  """Summarises a study: mean and standard deviation over repeats beside the paper's value.

  Args:
    results: rows of `results.csv`: columns condition, train_distribution, predictor, repeat,
      test_distribution, metric, value. Missing conditions may be '' or NaN.

  Returns:
    One row per condition, predictor and test distribution, with columns condition,
    train_distribution, predictor, test_distribution, repeats (runs that count), diverged (runs
    left out) and, for each of mse (squared intensity), mape and mpe (percent), `<metric>_mean`
    and `<metric>_std` (n − 1; NaN with a single repeat), and for mse and mape `<metric>_paper`
    and `<metric>_paper_std` (NaN where the paper prints nothing to compare with).

  Raises:
    ValueError: a column is missing.
  """
  needed = ['condition', 'train_distribution', 'predictor', 'repeat', 'test_distribution',
            'metric', 'value']
  missing = [column for column in needed if column not in results.columns]
  if missing:
    raise ValueError(f'results have no column {missing[0]!r}; needed are {", ".join(needed)}')
  text = ['condition', 'train_distribution', 'predictor', 'test_distribution', 'metric']
  results = results[needed].copy()
  results[text] = results[text].astype(object).where(results[text].notna(), '').astype(str)
  diverged = _diverged(results)
  scores = results[results['metric'].isin(METRICS) & (results['test_distribution'] != '')]
  lost = [(row.condition, int(row.repeat)) in diverged for row in scores.itertuples()]
  lost = np.array(lost, dtype=bool) & (scores['predictor'] != 'random_guess').to_numpy()
  rows = []
  for predictor in _in_order(scores['predictor'], PREDICTORS):
    of_predictor = scores['predictor'] == predictor
    for condition in _in_order(scores['condition'][of_predictor]):
      of_condition = of_predictor & (scores['condition'] == condition)
      for test in _in_order(scores['test_distribution'][of_condition]):
        chosen = of_condition & (scores['test_distribution'] == test)
        kept = scores[chosen & ~lost]
        train = scores['train_distribution'][chosen].iloc[0]
        row = {
            'condition': condition,
            'train_distribution': train,
            'predictor': predictor,
            'test_distribution': test,
            'repeats': kept['repeat'].nunique(),
            'diverged': scores['repeat'][chosen & lost].nunique(),
        }
        for metric in METRICS:
          values = kept['value'][kept['metric'] == metric].to_numpy(dtype=float)
          row[f'{metric}_mean'] = values.mean() if values.size else np.nan
          row[f'{metric}_std'] = values.std(ddof=1) if values.size > 1 else np.nan
          printed = paper.cell(train, test, metric)
          if metric in paper.METRICS:
            row[f'{metric}_paper'] = printed.mean if printed else np.nan
            row[f'{metric}_paper_std'] = printed.std if printed else np.nan
        rows.append(row)
  columns = ['condition', 'train_distribution', 'predictor', 'test_distribution', 'repeats',
             'diverged', 'mse_mean', 'mse_std', 'mse_paper', 'mse_paper_std', 'mape_mean',
             'mape_std', 'mape_paper', 'mape_paper_std', 'mpe_mean', 'mpe_std']
  return pd.DataFrame(rows, columns=columns)


def number(value: float, digits: int = 4) -> str:
  """Returns `value` with `digits` significant digits, without exponent where it is readable."""
  if value is None or not np.isfinite(value):
    return UNDEFINED
  if value == 0:
    return '0'
  magnitude = int(np.floor(np.log10(abs(value))))
  if magnitude < -4 or magnitude > 6:
    return f'{value:.{digits - 1}e}'
  return f'{value:.{max(digits - 1 - magnitude, 0)}f}'


def mean_and_std(mean: float, std: float, places: int = 3) -> str:
  """Returns 'mean ± std' with `places` decimals; says so where the spread is undefined."""
  if not np.isfinite(mean):
    return UNDEFINED
  spread = f'{std:.{places}f}' if np.isfinite(std) else UNDEFINED
  return f'{mean:.{places}f} ± {spread}'


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]], numeric_from: int) -> str:
  widths = [max(len(str(line[i])) for line in [header, *rows]) for i in range(len(header))]

  def line(entries: Sequence[str]) -> str:
    parts = [
        str(entry).ljust(width) if i < numeric_from else str(entry).rjust(width)
        for i, (entry, width) in enumerate(zip(entries, widths))
    ]
    return '  '.join(parts).rstrip()

  return '\n'.join([line(header), line(['-' * width for width in widths]), *map(line, rows)])


def format_results_table(
    table: pd.DataFrame,
    labels: Mapping[str, str] | None = None,
    predictors: Sequence[str] = ('cnn', 'random_guess'),
) -> str:
  """Returns a results table as text for a terminal.

  Args:
    table: what `results_table` returned.
    labels: distribution name -> label to print instead, for instance 'U(1, 10)'.
    predictors: which predictors to print, in this order.
  """
  labels = labels or {}
  header = ['trained on', 'tested on', 'MSE', 'paper', 'MAPE %', 'paper', 'MPE %', 'repeats']
  body, notes = [], []
  for predictor in predictors:
    for row in table[table['predictor'] == predictor].to_dict('records'):
      condition = row['condition'] or 'random guess'
      name = labels.get(condition, condition)
      if row['condition'] and predictor != 'cnn':
        name = f'{name} ({predictor})'
      body.append([
          name,
          labels.get(row['test_distribution'], row['test_distribution']),
          mean_and_std(row['mse_mean'], row['mse_std']),
          _paper_text(row, 'mse', notes),
          mean_and_std(row['mape_mean'], row['mape_std']),
          _paper_text(row, 'mape', notes),
          mean_and_std(row['mpe_mean'], row['mpe_std']),
          f'{row["repeats"]}' + (f' ({row["diverged"]} diverged)' if row['diverged'] else ''),
      ])
  lines = [_grid(header, body, 2)]
  lines.append('Mean ± standard deviation over repeats; MAPE and MPE in percent of the target.')
  chosen = table[table['predictor'].isin(predictors)]
  if len(chosen) and (chosen['repeats'] < 2).any():
    lines.append(f'{UNDEFINED}: a spread needs at least two repeats that did not diverge.')
  if notes:
    lines.append('*: the paper contradicts itself in this cell.')
  return '\n'.join(lines)


def _paper_text(row: Mapping[str, float], metric: str, notes: list[str]) -> str:
  if not np.isfinite(row[f'{metric}_paper']):
    return '-'
  printed = paper.cell(row['train_distribution'], row['test_distribution'], metric)
  doubt = '' if printed is None or printed.usable else '*'
  if doubt:
    notes.append(row['test_distribution'])
  return f'{row[f"{metric}_paper"]:g} ± {row[f"{metric}_paper_std"]:g}{doubt}'
