"""Tables: what a study measured, beside what the paper prints.

`results_table` works on the rows of a `results.csv` alone and is what the main job prints at its
end; `paper_tables` regenerates the paper's Tables 1 to 5 from a loaded study.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import loading, paper, statistics
from imbreg_jax.results import files

METRICS = ('mse', 'mape', 'mpe')
PREDICTORS = ('cnn', 'cnn_calibrated', 'random_guess')
UNDEFINED = 'n/a'


class _Printable(dict[int, int]):
    """Code point -> what to print for it, found when it is first met."""

    def __missing__(self, code: int) -> int:
        character = chr(code)
        if character.isprintable() or unicodedata.category(character) == 'Zs':
            found = code
        else:
            found = ord(' ') if character.isspace() else 0xFFFD
        self[code] = found
        return found


_PRINTABLE = _Printable()

_PAPER, _NOTHING = 'paper', '-'  # A heading, and a cell without a value.


def printable(text: str) -> str:
    """Returns `text` on one line, without characters that command a terminal or hide text.

    Labels and names come from a config that may be a stranger's. Line breaks and tabs become
    spaces; escapes, marks of direction, lone surrogates and the like become U+FFFD.
    """
    return text if text.isprintable() else text.translate(_PRINTABLE)


def as_printed(study: loading.Study) -> frozenset[str]:
    """Returns the conditions of a study that the paper's numbers may stand beside.

    See `paper.as_printed`; '' is the random guess.
    """
    found = [paper.as_printed(h['config'], h['conditions']) for h in study.headers]
    guess = all('' in names for names in found)
    return frozenset().union(*found) - (set() if guess else {''})


def _in_order(values: pd.Series, first: Sequence[str] = ()) -> list[str]:
    """Returns the distinct values, `first` before the others, else as they appear."""
    seen = list(dict.fromkeys(values))
    return [v for v in first if v in seen] + [v for v in seen if v not in first]


def _diverged(results: pd.DataFrame) -> set[tuple[str, int]]:
    rows = results[results['metric'] == 'diverged_epoch']
    return {(row.condition, int(row.repeat)) for row in rows.itertuples()}


def results_table(results: pd.DataFrame, as_printed: Collection[str] = ()) -> pd.DataFrame:
    """Summarises a study: mean and standard deviation over repeats beside the paper's value.

    Args:
      results: rows of `results.csv`: columns condition, train_distribution, predictor, repeat,
        test_distribution, metric, value. Missing conditions may be '' or NaN.
      as_printed: conditions whose settings are the paper's, '' for the random guess: what
        `paper.as_printed` finds in the config. The rows themselves do not tell, so nothing of the
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
    diverged = _diverged(results)
    scores = results[results['metric'].isin(METRICS) & (results['test_distribution'] != '')]
    lost = [(row.condition, int(row.repeat)) in diverged for row in scores.itertuples()]
    lost = np.array(lost, dtype=bool) & (scores['predictor'] != 'random_guess').to_numpy()
    predictors = _in_order(scores['predictor'], PREDICTORS)
    # Arrays: a study has thousands of cells, each a handful of numbers.
    train_names, repeats, metric_names, all_values = (
        scores[name].to_numpy() for name in ('train_distribution', 'repeat', 'metric', 'value')
    )
    cells = scores.groupby(['predictor', 'condition', 'test_distribution'], sort=False).indices
    begun: dict[tuple[str, str], int] = {}
    for (predictor, condition, _), places in cells.items():
        begun[predictor, condition] = min(places[0], begun.get((predictor, condition), places[0]))
    ordered = sorted(
        cells.items(),
        key=lambda cell: (predictors.index(cell[0][0]), begun[cell[0][:2]], cell[1][0]),
    )
    rows = []
    for (predictor, condition, test), places in ordered:
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
            printed = None
            if condition in as_printed and predictor != 'cnn_calibrated':
                printed = paper.cell(train, test, metric)
            if metric in paper.METRICS:
                row[f'{metric}_paper'] = printed.mean if printed else np.nan
                row[f'{metric}_paper_std'] = printed.std if printed else np.nan
        rows.append(row)
    columns = [
        'condition',
        'train_distribution',
        'predictor',
        'test_distribution',
        'repeats',
        'diverged',
        'mse_mean',
        'mse_std',
        'mse_paper',
        'mse_paper_std',
        'mape_mean',
        'mape_std',
        'mape_paper',
        'mape_paper_std',
        'mpe_mean',
        'mpe_std',
    ]
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
            for i, (entry, width) in enumerate(zip(entries, widths, strict=True))
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
    header = ['trained on', 'tested on', 'MSE', _PAPER, 'MAPE %', _PAPER, 'MPE %', 'repeats']
    body: list[list[str]] = []
    notes: list[str] = []
    for predictor in predictors:
        for row in table[table['predictor'] == predictor].to_dict('records'):
            condition = row['condition'] or 'random guess'
            name = printable(labels.get(condition, condition))
            if row['condition'] and predictor != 'cnn':
                name = f'{name} ({predictor})'
            body.append(
                [
                    name,
                    printable(labels.get(row['test_distribution'], row['test_distribution'])),
                    mean_and_std(row['mse_mean'], row['mse_std']),
                    _paper_text(row, 'mse', notes),
                    mean_and_std(row['mape_mean'], row['mape_std']),
                    _paper_text(row, 'mape', notes),
                    mean_and_std(row['mpe_mean'], row['mpe_std']),
                    f'{row["repeats"]}'
                    + (f' ({row["diverged"]} diverged)' if row['diverged'] else ''),
                ]
            )
    # A column of what the paper prints, where it prints something.
    shown = [
        i
        for i, heading in enumerate(header)
        if heading != _PAPER or any(row[i] != _NOTHING for row in body)
    ]
    lines = [_grid([header[i] for i in shown], [[row[i] for i in shown] for row in body], 2)]
    lines.append('Mean ± standard deviation over repeats; MAPE and MPE in percent of the target.')
    chosen = table[table['predictor'].isin(predictors)]
    if len(chosen) and (chosen['repeats'] < 2).any():
        lines.append(f'{UNDEFINED}: a spread needs at least two repeats that did not diverge.')
    if notes:
        lines.append('*: the paper contradicts itself in this cell.')
    return '\n'.join(lines)


def _paper_text(row: Mapping[str, Any], metric: str, notes: list[str]) -> str:
    if not np.isfinite(row[f'{metric}_paper']):
        return _NOTHING
    printed = paper.cell(row['train_distribution'], row['test_distribution'], metric)
    doubt = '' if printed is None or printed.usable else '*'
    if doubt:
        notes.append(row['test_distribution'])
    return f'{row[f"{metric}_paper"]:g} ± {row[f"{metric}_paper_std"]:g}{doubt}'


def _cell_row(study: loading.Study, predictor: str, condition: str, cell: paper.Cell) -> dict:
    """Returns ours, the paper's and the difference for one printed cell."""
    used = predictor if condition else 'random_guess'
    values = study.values(used, condition, cell.tested_on, cell.metric).to_numpy(float)
    confidence = study.option('confidence', 0.95)
    mean = values.mean() if values.size else np.nan
    # Table 5 pools repeats and test distributions, so its ± is that of all the values together.
    pooled = values
    if cell.tested_on == paper.ALL_TESTS:
        pooled = np.concatenate(
            [
                study.values(used, condition, test, cell.metric).to_numpy(float)
                for test in study.averaged_tests()
            ]
        )
    low, high = statistics.mean_interval(values, confidence)
    expected = statistics.prediction_interval(values, paper.repeats(), confidence)
    on = study.test_distributions.get(cell.tested_on)
    return {
        'trained_on': study.conditions[condition].title if condition else 'Baseline',
        'tested_on': on.label if on else 'all three',
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
        'p_value': statistics.prediction_p_value(values, paper.repeats(), cell.mean),
        'source': study.source(used, condition, cell.tested_on, cell.metric),
    }


def _inside(cell: paper.Cell, expected: statistics.Interval) -> str:
    if not np.isfinite(expected[0]):
        return 'no spread'
    answer = 'yes' if expected[0] <= cell.mean <= expected[1] else 'no'
    return answer if cell.usable else f'{answer} (doubtful cell)'


def paper_tables(
    study: loading.Study, predictor: str = 'cnn', variant: loading.Variant | None = None
) -> dict[int, pd.DataFrame]:
    """Regenerates the paper's Tables 1 to 5.

    Args:
      study: the loaded study.
      predictor: 'cnn' or 'cnn_calibrated'.
      variant: the group of conditions to take; the study's first by default.

    Returns:
      Table number -> a row per printed cell that the study has: trained_on, tested_on, metric,
      repeats, mean, std (over repeats; Table 5: over repeats and test distributions), low and high
      (interval of the mean), paper_mean, paper_std, paper_marks (`paper.inconsistencies()`),
      difference, expected_low and expected_high (where the mean of as many repeats as the paper's
      falls), paper_inside, p_value, source. Tables without a trained condition are left out.
    """
    variant = variant or study.variants()[0]
    found = {}
    for table in range(1, 6):
        rows = []
        trained = False
        for cell in paper.table(table):
            tests = (
                paper.test_distributions()
                if cell.tested_on == paper.ALL_TESTS
                else [cell.tested_on]
            )
            if any(test not in study.test_distributions for test in tests):
                continue
            if cell.trained_on and cell.trained_on not in variant.conditions:
                continue
            trained = trained or bool(cell.trained_on)
            condition = variant.conditions[cell.trained_on] if cell.trained_on else ''
            rows.append(_cell_row(study, predictor, condition, cell))
        if trained:
            found[table] = pd.DataFrame(rows)
    return found


def ruled_out(study: loading.Study, predictor: str = 'cnn') -> pd.DataFrame:
    """Says for each condition which of the paper's printed tables rule it out.

    A table rules a condition out if one of its cells is too far from what the condition predicts
    for the mean of 10 repeats: Student's t on the prediction, Holm-corrected over all cells of the
    condition, at the level 1 − confidence. Cells in which the paper contradicts itself and the
    baseline do not count.

    Args:
      study: the loaded study.
      predictor: 'cnn' or 'cnn_calibrated'.

    Returns:
      A row per condition and table: variant, condition, table, ruled_out ('yes', 'no' or 'no
      spread'), tested_on, metric, mean, paper_mean, holm_p (these four of the cell that fits
      worst), source.
    """
    alpha = 1 - study.option('confidence', 0.95)
    rows = []
    for variant in study.variants():
        for train, condition in variant.conditions.items():
            cells = [
                c
                for c in paper.cells()
                if c.trained_on == train
                and c.usable
                and (
                    c.tested_on in study.test_distributions
                    or (
                        c.tested_on == paper.ALL_TESTS
                        and set(paper.test_distributions()) <= set(study.test_distributions)
                    )
                )
            ]
            # Tables 1 and 4 (3 and 4) print the same number: one test, not two.
            distinct = {(c.tested_on, c.metric, c.mean): c for c in cells}
            compared = {
                key: _cell_row(study, predictor, condition, c) for key, c in distinct.items()
            }
            corrected = dict(
                zip(
                    compared,
                    statistics.holm([r['p_value'] for r in compared.values()]),
                    strict=True,
                )
            )
            for table in sorted({c.table for c in cells}):
                keys = [(c.tested_on, c.metric, c.mean) for c in cells if c.table == table]
                worst = min(keys, key=lambda key: np.nan_to_num(corrected[key], nan=2.0))
                p, row = corrected[worst], compared[worst]
                verdict = 'no spread' if not np.isfinite(p) else 'yes' if p < alpha else 'no'
                rows.append(
                    {
                        'variant': variant.name,
                        'condition': condition,
                        'table': table,
                        'ruled_out': verdict,
                        'tested_on': row['tested_on'],
                        'metric': row['metric'],
                        'mean': row['mean'],
                        'paper_mean': row['paper_mean'],
                        'holm_p': p,
                        'source': row['source'],
                    }
                )
    columns = [
        'variant',
        'condition',
        'table',
        'ruled_out',
        'tested_on',
        'metric',
        'mean',
        'paper_mean',
        'holm_p',
        'source',
    ]
    return pd.DataFrame(rows, columns=columns)


def paper_table_markdown(
    number_of_table: int, table: pd.DataFrame, predictor: str, confidence: float = 0.95
) -> str:
    """Returns one of `paper_tables` as Markdown, with the notes that its marks refer to."""
    header = [
        'trained on',
        'tested on',
        'metric',
        'ours',
        f'{100 * confidence:g} % interval of the mean',
        'paper',
        'difference',
        f'range for the mean of {paper.repeats()} repeats',
        'paper inside?',
        'source',
    ]
    body = [
        [
            row['trained_on'],
            row['tested_on'],
            row['metric'],
            mean_and_std(row['mean'], row['std']),
            interval(row['low'], row['high']),
            printed(row),
            number(row['difference'], 3),
            interval(row['expected_low'], row['expected_high']),
            row['paper_inside'] if predictor == 'cnn' else '—',
            row['source'],
        ]
        for row in table.to_dict('records')
    ]
    marks = sorted({m for marks in table['paper_marks'] for m in marks.split(',') if m})
    notes = [f'- [{mark}] {paper.inconsistencies()[mark]}' for mark in marks]
    return '\n'.join(
        [
            f'# Table {number_of_table}: {paper.title(number_of_table)}',
            '',
            f'Predictor: `{predictor}`. {spread_sentence(number_of_table)}',
            '',
            markdown(header, body),
            '',
            *notes,
            '',
        ]
    )


def spread_sentence(number_of_table: int) -> str:
    """Returns what the ± of one of the paper's tables is taken over."""
    if number_of_table == 5:
        return (
            'Mean ± standard deviation (n − 1) over all repeats and test distributions together; '
            'interval and range are over the means of repeats.'
        )
    return 'Mean ± standard deviation (n − 1) over repeats.'


def printed(row: Mapping[str, object]) -> str:
    """Returns the paper's value of a `paper_tables` row with its marks."""
    marks = f' [{row["paper_marks"]}]' if row['paper_marks'] else ''
    return f'{row["paper_mean"]:g} ± {row["paper_std"]:g}{marks}'


def interval(low: float, high: float) -> str:
    """Returns 'low to high', or that it is undefined."""
    if not np.isfinite(low):
        return UNDEFINED
    return f'{number(low)} to {number(high)}'


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Returns a Markdown table; every entry is text: no element, no link, no second cell."""
    lines = [header, ['---'] * len(header), *rows]
    return '\n'.join(
        '| ' + ' | '.join(markdown_text(str(entry)) for entry in line) + ' |' for line in lines
    )


def markdown_text(text: str) -> str:
    """Returns `text` as Markdown that shows it: no element, no link, no end of a table's cell."""
    return re.sub(r'\||<(?=[A-Za-z/!?])|(?<=])\(', r'\\\g<0>', printable(text))
