"""What a study measured, cell by cell, beside what the paper prints.

Works on the rows of a `results.csv` alone: the main job prints it at its end, and neither
matplotlib nor jinja2 is loaded for it.
"""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import formats
from imbreg_jax.analysis.finished import BASELINE, REFERENCES
from imbreg_jax.analysis.paper import printed
from imbreg_jax.analysis.render import terminal
from imbreg_jax.analysis.section import Column, Table
from imbreg_jax.results import files

METRICS = ('mse', 'mape', 'mpe')
PREDICTORS = ('cnn', 'cnn_calibrated', 'random_guess')
# In results.csv for questions to remedies alone.
_UNSHOWN = 'cnn_scaled'
_PER_METRIC = ('mean', 'std', 'paper', 'paper_std')
_IF_ANY = formats.Kind('number', lambda count: f'{count:,}' if count else formats.NOTHING)


def results_table(results: pd.DataFrame, as_printed: Collection[str] = ()) -> pd.DataFrame:
    """Summarises a study: mean and standard deviation over repeats beside the paper's value.

    Args:
      results: rows of `results.csv`: columns condition, train_distribution, predictor, repeat,
        test_distribution, metric, value. Missing conditions may be '' or NaN.
      as_printed: conditions whose settings are the paper's, '' for the random guess: what
        `printed.as_printed` finds in the config. The rows themselves do not tell, so nothing of the
        paper's stands beside others, nor beside calibrated networks, which it does not have.

    Returns:
      One row per condition, predictor and test distribution, with columns condition,
      train_distribution, predictor, test_distribution, repeats (runs that count), diverged (runs
      left out) and, for each of mse (squared intensity), mape and mpe (percent), `<metric>_mean`
      and `<metric>_std` (n − 1; NaN with a single repeat), and for mse and mape `<metric>_paper`
      and `<metric>_paper_std` (NaN where the paper prints nothing to compare with).

    Raises:
      ValueError: a column is missing.
    """
    missing = [column for column in files.COLUMNS if column not in results.columns]
    if missing:
        raise ValueError(
            f'results have no column {missing[0]!r}; needed are {", ".join(files.COLUMNS)}'
        )
    text = ['condition', 'train_distribution', 'predictor', 'test_distribution', 'metric']
    results = results[list(files.COLUMNS)].copy()
    results[text] = results[text].astype(object).where(results[text].notna(), '').astype(str)
    run = pd.MultiIndex.from_frame(results[['condition', 'repeat']])
    diverged = run.isin(run[results['metric'] == 'diverged_epoch'])
    results['lost'] = diverged & (results['predictor'] != BASELINE)
    scores = results[results['metric'].isin(METRICS) & (results['test_distribution'] != '')]
    # The other references have a table of their own.
    scores = scores[~scores['predictor'].isin({*REFERENCES, _UNSHOWN} - {BASELINE})]
    # Predictor by predictor, and the conditions of each in the order in which they begin.
    predictors = list(dict.fromkeys([*PREDICTORS, *scores['predictor']]))
    scores = scores.assign(rank=scores['predictor'].map(predictors.index), row=range(len(scores)))
    scores['begun'] = scores.groupby(['predictor', 'condition'])['row'].transform('min')
    scores = scores.sort_values(['rank', 'begun', 'row'])
    cells = scores.groupby(['predictor', 'condition', 'test_distribution']).indices
    # Arrays: a study has thousands of cells, each a handful of numbers.
    train_names, repeats, metric_names, all_values, lost = (
        scores[name].to_numpy()
        for name in ('train_distribution', 'repeat', 'metric', 'value', 'lost')
    )
    rows = []
    for (predictor, condition, test), places in sorted(cells.items(), key=lambda cell: cell[1][0]):
        train = train_names[places[0]]
        repeat, named, value = repeats[places], metric_names[places], all_values[places]
        left_out = lost[places]
        row = {
            'condition': condition,
            'train_distribution': train,
            'predictor': predictor,
            'test_distribution': test,
            'repeats': len(np.unique(repeat[~left_out])),
            'diverged': len(np.unique(repeat[left_out])),
        }
        for metric in METRICS:
            values = value[~left_out & (named == metric)].astype(float)
            row[f'{metric}_mean'] = values.mean() if values.size else np.nan
            row[f'{metric}_std'] = values.std(ddof=1) if values.size > 1 else np.nan
            if metric in printed.METRICS:
                known = condition in as_printed and predictor != 'cnn_calibrated'
                cell = printed.cell(train, test, metric) if known else None
                row[f'{metric}_paper'] = cell.mean if cell else np.nan
                row[f'{metric}_paper_std'] = cell.std if cell else np.nan
        rows.append(row)
    columns = ['condition', 'train_distribution', 'predictor', 'test_distribution', 'repeats']
    columns += ['diverged', *(f'{m}_{what}' for m in ('mse', 'mape') for what in _PER_METRIC)]
    return pd.DataFrame(rows, columns=[*columns, 'mpe_mean', 'mpe_std'])


def results(
    frame: pd.DataFrame,
    titles: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    source: Callable[[dict[str, Any], str], str] | None = None,
) -> Table:
    """Returns a results table to show.

    Args:
      frame: what `results_table` returned.
      titles: condition -> what to call it; as it is named where it is not among them.
      labels: test distribution -> what to call it, for instance 'U(1, 10)'.
      source: (row, metric) -> where the values come from.
    """
    titles = titles or {}

    def trained_on(predictor: str, condition: str) -> str:
        title = titles.get(condition, condition)
        if predictor != 'random_guess':
            return title
        # A condition's own guess is on its own targets.
        return f'random guess for {title}' if condition else 'random guess'

    def of(metric: str) -> Callable[[dict[str, Any]], str] | None:
        return None if source is None else lambda row: source(row, metric)

    def paper_table(metric: str) -> Callable[[dict[str, Any]], str]:
        return lambda row: f'the paper, Table {c.table}' if (c := _beside(row, metric)) else ''

    frame, doubtful = frame.copy(), False
    columns = [
        Column(('predictor', 'condition'), 'trained on', formats.Kind('label', trained_on)),
        Column('test_distribution', 'tested on', labels=labels or {}),
    ]
    if frame['predictor'].nunique() > 2:
        columns.append(Column('predictor', 'predictor'))
    for metric, heading in (('mse', 'MSE'), ('mape', 'MAPE %'), ('mpe', 'MPE %')):
        shown = (f'{metric}_mean', f'{metric}_std')
        columns.append(Column(shown, heading, formats.SPREAD, of(metric)))
        if metric in printed.METRICS and frame[f'{metric}_paper'].notna().any():
            cells = [_beside(row, metric) for row in frame.to_dict('records')]
            frame[f'{metric}_paper_marks'] = [
                ','.join(cell.marks) if cell and not cell.usable else '' for cell in cells
            ]
            doubtful = doubtful or frame[f'{metric}_paper_marks'].any()
            keys = (f'{metric}_paper', f'{metric}_paper_std', f'{metric}_paper_marks')
            columns.append(Column(keys, f'paper {heading}', formats.PRINTED, paper_table(metric)))
    columns += [
        Column('repeats', 'repeats', formats.COUNT, of('mse')),
        Column('diverged', 'diverged', _IF_ANY, of('mse')),
    ]
    notes = [
        'Mean ± standard deviation over repeats; MAPE and MPE, which has a sign, in percent of the '
        'target. Calibrated: the network’s predictions times the one factor that fits its '
        'validation images best.'
    ]
    if len(frame) and (frame['repeats'] < 2).any():
        notes.append(
            f'{formats.UNDEFINED}: a spread needs at least two repeats that did not diverge.'
        )
    if doubtful:
        notes.append('Letters in brackets: the report says what cannot be right in that number.')
    return Table('results', 'Every condition on every test distribution', frame, columns, notes)


def _beside(row: dict[str, Any], metric: str) -> printed.Cell | None:
    """Returns the printed cell that stands in a row beside the measured value, if one does."""
    if not math.isfinite(row[f'{metric}_paper']):
        return None
    return printed.cell(row['train_distribution'], row['test_distribution'], metric)


def format_results_table(table: pd.DataFrame, labels: Mapping[str, str] | None = None) -> str:
    """Returns the rows of networks and of the random guess as text for a terminal.

    Args:
      table: what `results_table` returned.
      labels: distribution name -> label to print instead, for instance 'U(1, 10)'.
    """
    parts = [table[table['predictor'] == predictor] for predictor in ('cnn', 'random_guess')]
    return terminal.table(results(pd.concat(parts), labels=labels, titles=labels))
