"""The paper's Tables 1 to 5 regenerated from a study, and which of them rule it out."""

from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import statistics
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.paper import printed


def as_printed(study: FinishedStudy) -> frozenset[str]:
    """Returns the conditions of a study that the paper's numbers may stand beside.

    See `printed.as_printed`; '' is the random guess.
    """
    if as_printed not in study.memo:
        found = [printed.as_printed(h['config'], h['conditions']) for h in study.headers]
        guess = all('' in names for names in found)
        study.memo[as_printed] = frozenset().union(*found) - (set() if guess else {''})
    return study.memo[as_printed]


def _cell_row(study: FinishedStudy, condition: str, cell: printed.Cell) -> dict[str, Any]:
    """Returns ours, the paper's and the difference for one printed cell."""
    key = ('cnn' if condition else 'random_guess', condition)
    values = study.values(*key, cell.tested_on, cell.metric).to_numpy(float)
    # Table 5 pools repeats and test distributions, so its ± is that of all the values together.
    every = cell.tested_on == printed.ALL_TESTS
    tests = study.averaged_tests() if every else [cell.tested_on]
    pooled = np.concatenate(
        [study.values(*key, test, cell.metric).to_numpy(float) for test in tests]
    )
    mean = values.mean() if values.size else np.nan
    confidence = study.option('confidence', 0.95)
    low, high = statistics.mean_interval(values, confidence)
    expected = statistics.prediction_interval(values, printed.REPEATS, confidence)
    return {
        'trained_on': study.titles.get(condition, 'Baseline'),
        'tested_on': study.labels.get(cell.tested_on, 'all three'),
        'as_printed': condition in as_printed(study),
        'metric': cell.metric,
        'repeats': values.size,
        'mean': mean,
        'std': pooled.std(ddof=1) if values.size > 1 else np.nan,
        'low': low,
        'high': high,
        'paper_mean': cell.mean,
        'paper_std': cell.std,
        'paper_marks': ','.join(cell.marks),
        'difference': mean - cell.mean,
        'expected_low': expected[0],
        'expected_high': expected[1],
        'paper_inside': _inside(cell, expected),
        'p_value': statistics.prediction_p_value(values, printed.REPEATS, cell.mean),
        'source': study.source(*key, cell.tested_on, cell.metric),
    }


def _inside(cell: printed.Cell, expected: statistics.Interval) -> str:
    if not np.isfinite(expected[0]):
        return 'no spread'
    answer = 'yes' if expected[0] <= cell.mean <= expected[1] else 'no'
    return answer if cell.usable else f'{answer} (doubtful cell)'


def paper_tables(study: FinishedStudy) -> dict[int, pd.DataFrame]:
    """Regenerates the paper's Tables 1 to 5 from the study's first group of conditions.

    Returns:
      Table number -> a row per printed cell that the study has: trained_on, tested_on, as_printed
      (whether its settings are the paper's, so that the two may be compared), metric, repeats,
      mean, std (over repeats; Table 5: over repeats and test distributions), low and high (interval
      of the mean), paper_mean, paper_std, paper_marks (`printed.INCONSISTENCIES`), difference,
      expected_low and expected_high (where the mean of as many repeats as the paper's falls),
      paper_inside, p_value, source. Tables without a trained condition are left out.
    """
    conditions = study.variants()[0].conditions
    found = {}
    for table in printed.TITLES:
        cells = [
            cell
            for cell in printed.cells()
            if cell.table == table and cell.trained_on in ('', *conditions) and _tested(study, cell)
        ]
        if any(cell.trained_on for cell in cells):
            rows = [_cell_row(study, conditions.get(cell.trained_on, ''), cell) for cell in cells]
            found[table] = pd.DataFrame(rows)
    return found


_RULED_OUT = [
    'variant', 'condition', 'table', 'ruled_out', 'tested_on', 'metric', 'mean', 'paper_mean',
    'holm_p', 'source',
]  # fmt: skip


def ruled_out(study: FinishedStudy) -> pd.DataFrame:
    """Says for each condition with the paper's settings which printed tables rule it out.

    A table rules a condition out if one of its cells is too far from what the condition predicts
    for the mean of 10 repeats: Student's t on the prediction, Holm-corrected over all cells of the
    condition, at the level 1 − confidence. Cells in which the paper contradicts itself and the
    baseline do not count.

    Returns:
      A row per condition and table: variant, condition, table, ruled_out ('yes', 'no' or 'no
      spread'), tested_on, metric, mean, paper_mean, holm_p (these four of the cell that fits
      worst), source.
    """
    alpha = 1 - study.option('confidence', 0.95)
    rows = []
    for variant in study.variants():
        for train, condition in variant.conditions.items():
            if condition not in as_printed(study):
                continue
            cells = [
                cell
                for cell in printed.cells()
                if cell.trained_on == train and cell.usable and _tested(study, cell)
            ]
            # Tables 1 and 4 (3 and 4) print the same number: one test, not two.
            compared = {
                (cell.tested_on, cell.metric, cell.mean): _cell_row(study, condition, cell)
                for cell in cells
            }
            corrected = statistics.holm([row['p_value'] for row in compared.values()])
            for row, p in zip(compared.values(), corrected, strict=True):
                row['holm_p'] = p
            for table in sorted({cell.table for cell in cells}):
                own = [compared[c.tested_on, c.metric, c.mean] for c in cells if c.table == table]
                worst = min(own, key=lambda row: np.nan_to_num(row['holm_p'], nan=2.0))
                p = worst['holm_p']
                verdict = 'no spread' if not np.isfinite(p) else 'yes' if p < alpha else 'no'
                named = {'variant': variant.name, 'condition': condition, 'table': table}
                rows.append(worst | named | {'ruled_out': verdict})
    # Columns also where the paper printed nothing on what the study was tested on.
    return pd.DataFrame(rows, columns=_RULED_OUT)


def _tested(study: FinishedStudy, cell: printed.Cell) -> bool:
    """Whether the study tests on what a cell is about."""
    tests = printed.TEST_DISTRIBUTIONS if cell.tested_on == printed.ALL_TESTS else [cell.tested_on]
    return set(tests) <= set(study.test_distributions)


def spread_sentence(number_of_table: int) -> str:
    """Returns what the ± of one of the paper's tables is taken over."""
    if number_of_table == 5:
        return (
            'Mean ± standard deviation (n − 1) over all repeats and test distributions together; '
            'interval and range are over the means of repeats.'
        )
    return 'Mean ± standard deviation (n − 1) over repeats.'
