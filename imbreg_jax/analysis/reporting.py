"""Puts tables, figures and verdicts together: files, one self-contained page, terminal text."""

import base64
import dataclasses
import functools
import hashlib
import importlib.resources
import math
import os
import pathlib
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jinja2
import pandas as pd

from imbreg_jax.analysis import comparison, decomposition, figures, folder, loading, paper, tables
from imbreg_jax.analysis.paper import claims
from imbreg_jax.analysis.tables import number

# What a page shows of a large study; the tables in CSV hold all of it.
_MOST_ROWS = 200
_MOST_VERDICTS = 40
_MOST_NAMED = 12
_MOST_SETTINGS_IN_TERMINAL = 20


@dataclasses.dataclass(frozen=True)
class Report:
    """A finished report.

    Attributes:
      path: the `report.html`.
      study: what it is about.
      results_table: what `tables.results_table` returned.
      verdicts: one for each claim, metric, predictor and variant.
    """

    path: pathlib.Path
    study: loading.Study
    results_table: pd.DataFrame
    verdicts: list[claims.Verdict]

    def terminal_summary(self) -> str:
        """Returns the verdicts as text for a terminal and what would decide the rest."""
        lines = [_verdict_summary(self.verdicts)]
        seen: dict[tuple[str, int], list[claims.Verdict]] = {}
        for verdict in self.verdicts:
            if verdict.predictor == 'cnn':
                seen.setdefault((verdict.variant, verdict.claim), []).append(verdict)
        settings = list(dict.fromkeys(variant for variant, _ in seen))
        for (variant, claim), group in seen.items():
            if variant in settings[_MOST_SETTINGS_IN_TERMINAL:]:
                continue
            where = f' [{variant}]' if variant else ''
            lines.append(f'  {claim}. {claims.STATEMENTS[claim]}{where}')
            if all(v.status == claims.UNTESTED for v in group):
                lines.append(f'     not tested: {group[0].reason}')
                continue
            if variant:
                # A study of many settings would bury its verdicts under their numbers.
                lines.append(
                    '     '
                    + ', '.join(f'{claims.METRIC_NAMES[v.metric]} {v.status}' for v in group)
                )
                continue
            for verdict in group:
                lines.append(
                    f'     {claims.METRIC_NAMES[verdict.metric]} {verdict.status}: {verdict.reason}'
                )
                if verdict.note:
                    # One note for each pair that was compared: the page has them all.
                    first, *others = verdict.note.rstrip('.').split('. ')
                    more = f' (more such notes in the report: {len(others)})' if others else ''
                    lines.append(f'       {first}{more}.')
        if len(settings) > _MOST_SETTINGS_IN_TERMINAL:
            left = len(settings) - _MOST_SETTINGS_IN_TERMINAL
            lines.append(f'  The verdicts of {left:,} more settings are in the report.')
        lines.append(f'Report: {self.path}')
        return '\n'.join(map(tables.printable, lines))


@dataclasses.dataclass(frozen=True)
class _Cell:
    text: str
    key: float | str | None = None
    source: str = ''
    kind: str = ''


@dataclasses.dataclass(frozen=True)
class _Table:
    """A table of the page; `key` of a cell is what sorting goes by, the text where it is None."""

    id: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[_Cell]]
    notes: Sequence[str] = ()
    title: str = ''

    @property
    def sources(self) -> list[str]:
        return list(dict.fromkeys(cell.source for row in self.rows for cell in row if cell.source))


def _text(value: object, kind: str = '') -> _Cell:
    return _Cell(str(value), None, '', kind)


def _number(value: float, source: str, digits: int = 4, suffix: str = '') -> _Cell:
    known = value is not None and math.isfinite(value)
    text = number(value, digits) + (suffix if known else '')
    return _Cell(text, float(value) if known else '', source, 'number')


def _spread(mean: float, std: float, source: str) -> _Cell:
    return _Cell(
        tables.mean_and_std(mean, std), float(mean) if math.isfinite(mean) else '', source, 'number'
    )


def _range(low: float, high: float, source: str) -> _Cell:
    return _Cell(
        tables.interval(low, high), float(low) if math.isfinite(low) else '', source, 'number'
    )


def _p(value: float, source: str) -> _Cell:
    if not math.isfinite(value):
        return _Cell(tables.UNDEFINED, '', source, 'number')
    return _Cell('< 0.001' if value < 0.001 else f'{value:.3f}', value, source, 'number')


def _status(text: str) -> _Cell:
    return _Cell(text, None, '', text.split(' ')[0] if text else '')


# ------------------------------------------------------------------------------------------------
# Tables of the page


def _first(table: _Table, total: int, file: str) -> _Table:
    """Returns the first rows of a table, and says how many there are and where the others are."""
    if total <= _MOST_ROWS:
        return table
    note = f'The first {_MOST_ROWS:,} of {total:,} rows; tables/{file}.csv has all of them.'
    return dataclasses.replace(table, rows=table.rows[:_MOST_ROWS], notes=[note, *table.notes])


def _some(lines: Sequence[str], what: str) -> list[str]:
    """The first of some lines on a condition each, and of how many more the same is true."""
    more = len(lines) - _MOST_NAMED
    rest = [f'Networks of {more:,} more conditions {what}.'] if more > 0 else []
    return [*lines[:_MOST_NAMED], *rest]


def _listed(parts: Sequence[str], what: str, glue: str = ' ') -> str:
    """Returns the first of many parts of a sentence, and how many more there are."""
    if len(parts) <= _MOST_NAMED:
        return glue.join(parts)
    return glue.join([*parts[:_MOST_NAMED], f'and {len(parts) - _MOST_NAMED:,} more {what}'])


def _results(study: loading.Study, table: pd.DataFrame) -> _Table:
    rows, doubtful = [], False
    for row in table.to_dict('records'):
        condition, test = row['condition'], row['test_distribution']

        def source(metric: str, row: dict[str, Any] = row) -> str:
            return study.source(
                row['predictor'], row['condition'], row['test_distribution'], metric
            )

        def printed(metric: str, row: dict[str, Any] = row) -> _Cell:
            cell = paper.cell(row['train_distribution'], row['test_distribution'], metric)
            if cell is None or not math.isfinite(row[f'{metric}_paper']):
                return _Cell('—', '', '', 'number')
            where = f'the paper, Table {cell.table}'
            return _Cell(cell.text(), cell.mean, where, 'number')

        for metric in paper.METRICS:
            doubtful = doubtful or '[' in printed(metric).text
        rows.append(
            [
                _text(_trained_on(study, row['predictor'], condition)),
                _text(study.test_distributions[test].label),
                _text(row['predictor']),
                _spread(row['mse_mean'], row['mse_std'], source('mse')),
                printed('mse'),
                _spread(row['mape_mean'], row['mape_std'], source('mape')),
                printed('mape'),
                _spread(row['mpe_mean'], row['mpe_std'], source('mpe')),
                _Cell(str(row['repeats']), row['repeats'], source('mse'), 'number'),
                _Cell(str(row['diverged']), row['diverged'], source('mse'), 'number'),
            ]
        )
    notes = [
        'MSE in squared intensity units; MAPE and MPE in percent of the true target; mean ± '
        'standard deviation (n − 1) over repeats that did not diverge.'
    ]
    if (table['repeats'] < 2).any():
        notes.append(f'{tables.UNDEFINED}: with fewer than two repeats a spread is not defined.')
    if doubtful:
        notes.append('Letters in brackets: what cannot be right in the printed tables (below).')
    return _Table(
        'results-table',
        'Every condition on every test distribution',
        [
            'trained on',
            'tested on',
            'predictor',
            'MSE',
            'paper MSE',
            'MAPE %',
            'paper MAPE %',
            'MPE %',
            'repeats',
            'diverged',
        ],
        rows,
        notes,
    )


def _trained_on(study: loading.Study, predictor: str, condition: str) -> str:
    if predictor != loading.BASELINE:
        return study.conditions[condition].title
    # A condition's own guess is on its own targets.
    return 'random guess' + (f' for {study.conditions[condition].title}' if condition else '')


def _paper_table(study: loading.Study, index: int, table: pd.DataFrame, predictor: str) -> _Table:
    rows = []
    for row in table.to_dict('records'):
        source, where = row['source'], f'the paper, Table {index}'
        rows.append(
            [
                _text(row['trained_on']),
                _text(row['tested_on']),
                _text(claims.METRIC_NAMES[row['metric']]),
                _spread(row['mean'], row['std'], source),
                _range(row['low'], row['high'], source),
                _Cell(tables.printed(row), row['paper_mean'], where, 'number'),
                _number(row['difference'], f'{source}; {where}', 3),
                _range(row['expected_low'], row['expected_high'], source),
                _status(row['paper_inside'] if predictor == 'cnn' else '—'),
            ]
        )
    marked = table['paper_marks'].any()
    notes = []
    if marked:
        notes.append(
            'Letters in brackets: what cannot be right in the printed tables (listed after '
            'Table 5).'
        )
    if index == 5:
        notes.append(tables.spread_sentence(index))
    if predictor != 'cnn':
        notes.append('The paper did not calibrate its networks, so its means are no yardstick.')
    confidence = f'{100 * study.option("confidence", 0.95):g} %'
    return _Table(
        f'table-{index}-{predictor.replace("_", "-")}',
        f'Predictor {predictor}',
        [
            'trained on',
            'tested on',
            'metric',
            'ours',
            f'{confidence} interval',
            'paper',
            'difference',
            f'range for {paper.repeats()} repeats',
            'paper inside?',
        ],
        rows,
        notes,
        f'Table {index}: {paper.title(index)}',
    )


def _verdict_table(found: Sequence[claims.Verdict]) -> _Table:
    by_key: dict[tuple[str, int], dict[tuple[str, str], str]] = {}
    for v in found:
        by_key.setdefault((v.variant, v.claim), {})[v.predictor, v.metric] = v.status
    predictors = list(dict.fromkeys(v.predictor for v in found))
    several = len({v.variant for v in found}) > 1
    columns = [(p, m) for p in predictors for m in paper.METRICS]
    header = [
        'claim',
        *(['setting'] if several else []),
        'statement',
        *(claims.METRIC_NAMES[m] + (' calibrated' if p != 'cnn' else '') for p, m in columns),
    ]
    rows = [
        [
            _Cell(str(claim), claim, '', 'number'),
            *([_text(variant or 'as configured', 'text')] if several else []),
            _text(claims.STATEMENTS[claim], 'text'),
            *(_status(statuses.get(column, '—')) for column in columns),
        ]
        for (variant, claim), statuses in by_key.items()
    ]
    return _Table('verdict-table', 'One verdict for each claim and metric', header, rows)


# Columns of a paired comparison, behind a verdict or not.
_STATISTICS = (
    'pairs',
    'first / second',
    'interval',
    'p (t)',
    'p (sign flips)',
    'p (same)',
    'p (same, sign flips)',
    'detectable',
    'repeats needed',
)


def _statistics_cells(row: Mapping[Hashable, Any]) -> list[_Cell]:
    """Returns the cells under `_STATISTICS` for a row of a comparison."""
    s = row['source']
    return [
        _Cell(str(row['repeats']), row['repeats'], s, 'number'),
        _number(row['effect'], s, suffix='' if row['scale'] == 'ratio' else ' (difference)'),
        _range(row['low'], row['high'], s),
        _p(row['p'], s),
        _p(row['flip_p'], s),
        _p(row['same_p'], s),
        _p(row['flip_same_p'], s),
        _number(row['detectable'], s),
        _needed(row['repeats_needed'], s),
    ]


def _evidence_table(table: pd.DataFrame) -> _Table:
    rows = [
        [
            _Cell(str(row['claim']), row['claim'], '', 'number'),
            _text(row['predictor']),
            _text(claims.METRIC_NAMES[row['metric']]),
            _text(row['first']),
            _text(row['second']),
            *_statistics_cells(row),
        ]
        for row in table.to_dict('records')
    ]
    return _Table(
        'evidence-table',
        'First over second; a claim of order expects more than 1, and its tests are one-sided',
        [
            'claim',
            'predictor',
            'metric',
            'first',
            'second',
            *_STATISTICS,
        ],
        rows,
    )


def _needed(needed: float, source: str) -> _Cell:
    if math.isnan(needed):
        return _Cell(tables.UNDEFINED, '', source, 'number')
    if math.isinf(needed):
        return _Cell('> 10,000', 1e9, source, 'number')
    return _Cell(f'{int(needed):,}', float(needed), source, 'number')


def _comparison_table(study: loading.Study, table: pd.DataFrame, predictor: str) -> _Table:
    rows = [
        [
            _text(study.conditions[row['first']].title),
            _text(study.conditions[row['second']].title),
            _text(study.test_distributions[row['test_distribution']].label),
            _text(claims.METRIC_NAMES[row['metric']]),
            *_statistics_cells(row),
            _p(row['holm_p'], row['source']),
        ]
        for row in table.to_dict('records')
    ]
    return _Table(
        f'comparisons-{predictor.replace("_", "-")}',
        f'Conditions and their references, predictor {predictor}',
        [
            'first',
            'second',
            'tested on',
            'metric',
            *_STATISTICS,
            'p (t, Holm)',
        ],
        rows,
        [
            'first / second: the ratio of the errors (of MPE, which has a sign, their difference). '
            'p (same): that the ratio is within the margin. detectable: the smallest ratio that '
            'these repeats could have shown; repeats needed: to show one of 1 + margin; both with '
            "power 0.8 at the strictest step of Holm's correction."
        ],
    )


def _comparison_sentence(study: loading.Study) -> str:
    """Says which conditions are compared with which."""
    if len(study.conditions) < 2:
        return 'The study has one condition: there is nothing to compare it with.'
    _, lone = comparison.pairs(study)
    title = study.conditions[comparison.reference(study)].title
    text = (
        f'The reference is {title}. Each condition is compared, for each thing that sets it apart '
        'from the reference, with the condition that differs from it in that thing alone.'
    )
    if lone:
        titles = [study.conditions[name].title for name in lone]
        text += f' Without a partner of that kind: {_listed(titles, "conditions", ", ")}.'
    return text


def _decomposition_table(study: loading.Study, table: pd.DataFrame, predictor: str) -> _Table:
    rows = []
    for row in table.to_dict('records'):
        s = row['source']
        share = [
            _Cell(
                f'{number(row[part], 3)} ({100 * row[part] / row["total"]:.1f} %)',
                row[part],
                s,
                'number',
            )
            if row['total']
            else _number(row[part], s, 3)
            for part in (*decomposition.PARTS, *decomposition.REVERSED)
        ]
        rows.append(
            [
                _text(study.conditions[row['condition']].title),
                _text(study.test_distributions[row['test_distribution']].label),
                *share,
                _number(row['total'], s),
                _number(
                    row['mse'],
                    study.source(predictor, row['condition'], row['test_distribution'], 'mse'),
                ),
                _number(row['factor'], s),
            ]
        )
    return _Table(
        f'decomposition-{predictor.replace("_", "-")}',
        f'MSE taken apart (squared intensity and share), predictor {predictor}',
        [
            'trained on',
            'tested on',
            *decomposition.PART_LABELS.values(),
            *decomposition.REVERSED_LABELS.values(),
            'sum',
            'MSE in results.csv',
            'factor',
        ],
        rows,
        [
            'factor: the common c in prediction ≈ c · target. About '
            f'{decomposition.NODES}/n of the scatter between the n images of a run counts as '
            'difference between repeats. Constant offset: what a constant explains beyond the '
            "factor, common to all runs; a run's own offset is a difference between repeats. Taken "
            'first, the offset has all that a constant explains, and the factor what is left; the '
            'sum is that of the first five columns.'
        ],
    )


def _shrinkage_table(study: loading.Study, summary: pd.DataFrame) -> _Table:
    rows = []
    for row in summary.to_dict('records'):
        s = (
            f'predictions.npz: moments and calibration_factor of condition={row["condition"]} '
            f'({row["runs"]} runs)'
        )
        rows.append(
            [
                _text(study.conditions[row['condition']].title),
                *(
                    _number(row[name], s, 3)
                    for name in (
                        'measured',
                        'predicted_dense',
                        'share_dense',
                        'mean_prediction',
                        'predicted_both',
                        'share_both',
                        'validation',
                        'correlation',
                        'stationary',
                    )
                ),
                _Cell(str(row['runs']), row['runs'], s, 'number'),
            ]
        )
    return _Table(
        'shrinkage-table',
        'Shrinkage in percent, mean over repeats',
        [
            'trained on',
            'measured, dropout off',
            'predicted, last layer',
            'share of measured %',
            'measured, mean over masks',
            'predicted, both dropouts',
            'share of that %',
            'on validation split',
            'correlation',
            'factor left to train',
            'runs',
        ],
        rows,
        [
            'Measured: by how much Σwᵢhᵢ falls short of its best fit to the training targets. '
            'Mean over masks: the same of the prediction averaged over channel masks, '
            'which is what '
            'the prediction for both dropouts is about. On validation split: 1 − 1/s with s the '
            'calibration factor. Correlation: over networks, predicted (both) with '
            'measured (dropout '
            'off). Factor left to train: 1 once training has settled on the scale.'
        ],
    )


def _shrinkage_runs_table(study: loading.Study, runs: pd.DataFrame) -> _Table:
    rows = []
    for row in runs.to_dict('records'):
        rows.append(
            [
                _text(study.conditions[row['condition']].title),
                _Cell(str(row['repeat']), row['repeat'], row['source'], 'number'),
                *(
                    _number(100 * (1 - row[name]), row['source'], 3)
                    for name in (
                        'measured',
                        'predicted_dense',
                        'mean_prediction',
                        'predicted_both',
                        'validation',
                    )
                ),
                _number(row['stationary'], row['source']),
            ]
        )
    return _Table(
        'shrinkage-runs-table',
        'Shrinkage in percent, network by network',
        [
            'trained on',
            'repeat',
            'measured, dropout off',
            'predicted, last layer',
            'measured, mean over masks',
            'predicted, both dropouts',
            'on validation split',
            'factor left to train',
        ],
        rows,
    )


def _survival_table(table: pd.DataFrame) -> _Table:
    several = table['variant'].nunique() > 1
    rows = [
        [
            _Cell(str(row['claim']), row['claim'], '', 'number'),
            *([_text(row['variant'] or 'as configured', 'text')] if several else []),
            _text(row['statement'], 'text'),
            _text(claims.METRIC_NAMES[row['metric']]),
            _status(row['cnn']),
            _status(row['cnn_calibrated']),
            _status(row['survives'] or '—'),
        ]
        for row in table.to_dict('records')
    ]
    return _Table(
        'survival-table',
        'Verdicts before and after calibration',
        [
            'claim',
            *(['setting'] if several else []),
            'statement',
            'metric',
            'as trained',
            'calibrated',
            'survives?',
        ],
        rows,
    )


def _ruled_out_table(study: loading.Study, table: pd.DataFrame) -> _Table:
    rows = []
    for row in table.to_dict('records'):
        s = row['source']
        rows.append(
            [
                _text(study.conditions[row['condition']].title),
                _text(row['variant'] or 'as configured', 'text'),
                _Cell(str(row['table']), row['table'], '', 'number'),
                # Being ruled out is the bad news here.
                _Cell(
                    row['ruled_out'],
                    None,
                    '',
                    {'yes': 'fails', 'no': 'stands'}.get(row['ruled_out'], 'undecided'),
                ),
                _text(row['tested_on']),
                _text(claims.METRIC_NAMES[row['metric']]),
                _number(row['mean'], s),
                _Cell(
                    f'{row["paper_mean"]:g}',
                    row['paper_mean'],
                    f'the paper, Table {row["table"]}',
                    'number',
                ),
                _p(row['holm_p'], s),
            ]
        )
    return _Table(
        'ruled-out-table',
        'Does a printed table rule the condition out?',
        [
            'condition',
            'setting',
            'table',
            'ruled out?',
            'tested on',
            'metric',
            'ours',
            'paper',
            'p (Holm)',
        ],
        rows,
    )


# ------------------------------------------------------------------------------------------------
# Sentences


def _verdict_summary(found: Sequence[claims.Verdict]) -> str:
    main = [v for v in found if v.predictor == 'cnn' and v.status != claims.UNTESTED]
    if not main:
        return "None of the paper's claims can be tested with these conditions."
    counts = {
        s: sum(v.status == s for v in main)
        for s in (claims.STANDS, claims.FAILS, claims.SAME, claims.UNDECIDED)
    }
    untested = sum(v.predictor == 'cnn' and v.status == claims.UNTESTED for v in found)
    text = (
        "Verdicts on the paper's claims (one for each claim and metric): "
        f'{counts["stands"]} stand, '
        f'{counts["fails"]} fail, {counts[claims.SAME]} the same within the margin, '
        f'{counts["undecided"]} undecided'
    )
    return text + (f', {untested} not tested.' if untested else '.')


def _most_telling(verdicts: Sequence[claims.Verdict]) -> list[claims.Verdict]:
    """Returns the verdicts to print; of too many those that a reader wants to see at once."""
    if len(verdicts) <= _MOST_VERDICTS:
        return list(verdicts)
    order = (claims.FAILS, claims.UNDECIDED, claims.SAME, claims.STANDS, claims.UNTESTED)
    return sorted(verdicts, key=lambda v: order.index(v.status))[:_MOST_VERDICTS]


def _survival_sentence(table: pd.DataFrame) -> str:
    def named(answer: str) -> str:
        chosen = table[table['survives'] == answer]
        return ', '.join(
            f'{row.claim} ({claims.METRIC_NAMES[row.metric]})' for row in chosen.itertuples()
        )

    parts = [
        f'{opening}: {named(answer)}.'
        for answer, opening in (
            ('yes', 'Claims that stand before and after'),
            ('no', 'Claims that stood and fail after it'),
            (claims.SAME, 'Claims that stood and are the same within the margin after it'),
            ('undecided', 'Claims that stood and are undecided after it'),
        )
        if named(answer)
    ]
    return ' '.join(parts) or 'No claim stood before it.'


def _ruled_out_sentence(study: loading.Study, table: pd.DataFrame) -> str:
    parts = []
    for condition, rows in table.groupby('condition', sort=False):
        out = [str(t) for t in rows['table'][rows['ruled_out'] == 'yes']]
        title = study.conditions[str(condition)].title
        if (rows['ruled_out'] == 'no spread').all():
            parts.append(f'{title}: not tested (a single repeat has no spread).')
        elif out:
            parts.append(f'{title}: ruled out by Table {", ".join(out)}.')
        else:
            parts.append(f'{title}: ruled out by none.')
    return _listed(parts, 'conditions in the table.')


def _shrinkage_sentence(study: loading.Study, summary: pd.DataFrame) -> str:
    parts = [
        f'{study.conditions[row["condition"]].title}: {row["measured"]:.1f} % measured '
        'with dropout '
        f'off, {row["predicted_dense"]:.1f} % predicted from the last layer alone '
        f'({row["share_dense"]:.0f} % of it); {row["predicted_both"]:.1f} % predicted from both '
        f'dropouts of {row["mean_prediction"]:.1f} % measured over masks '
        f'({row["share_both"]:.0f} %).'
        for row in summary.to_dict('records')
    ]
    return _listed(parts, 'conditions in the table.')


def _warnings(study: loading.Study) -> list[str]:
    found = list(study.notes)
    known = any(c.train.name in paper.test_distributions() for c in study.conditions.values())
    departures = study.departures() if known else []
    if departures:
        found.append(
            "The settings are not the paper's, so its numbers are no yardstick here: "
            + '; '.join(departures)
            + '.'
        )
    by_condition: dict[str, dict[int, int]] = {}
    for (name, repeat), epoch in sorted(study.diverged.items()):
        by_condition.setdefault(name, {})[repeat] = epoch
    diverged = []
    for name, condition in study.conditions.items():
        lost = by_condition.get(name)
        if lost:
            which = [f'{k} (epoch {epoch})' for k, epoch in lost.items()]
            diverged.append(
                f'{condition.title}: {len(lost)} diverged and left out, repeat '
                f'{_listed(which, "repeats", ", ")}.'
            )
    found += _some(diverged, 'diverged and are left out; tables/results.csv counts them')
    far = []
    for name, rows in loading.ended_far_above(study.metrics).groupby('condition', sort=False):
        which = [
            f'{row.repeat} (validation MSE {number(row.after)}, {number(row.before)} before)'
            for row in rows.itertuples()
        ]
        far.append(
            f'{study.conditions[str(name)].title}: {len(rows)} ended far above where training '
            f'began and count all the same, repeat {_listed(which, "repeats", ", ")}.'
        )
    found += _some(far, 'ended far above where training began and count all the same')
    counts = {len(study.repeats(name)) for name in study.conditions}
    if min(counts, default=0) < 2:
        found.append(
            'With fewer than two repeats that count, standard deviations, intervals and '
            'tests are undefined; such places say n/a or undecided.'
        )
    return found


def _provenance(study: loading.Study) -> list[str]:
    lines = []
    for name, header in zip(study.sources, study.headers, strict=True):
        versions = ', '.join(f'{k} {v}' for k, v in header.get('versions', {}).items())
        timing = header.get('timing') or {}
        took = f'; {timing["seconds"]:.0f} s' if timing.get('seconds') is not None else ''
        if took and timing.get('compile_seconds') is not None:
            took += f', of which {timing["compile_seconds"]:.0f} s compilation'
        lines.append(
            f'{name}: {header.get("backend")} ({", ".join(map(str, header.get("devices", [])))}); '
            f'{versions}; commit {header.get("git_commit") or "unknown"}; seed '
            f'{header["config"].get("seed")}{took}.'
        )
    lines.append(
        'Only config.json, results.csv, metrics.jsonl and predictions.npz were read. '
        'Hover, click or '
        'focus a number for its file and lines (line 1 of results.csv is its header).'
    )
    return lines


# ------------------------------------------------------------------------------------------------


def _markdown(table: _Table) -> str:
    body = [[cell.text for cell in row] for row in table.rows]
    sources = [
        f'{i}. {tables.markdown_text(source)}' for i, source in enumerate(table.sources, start=1)
    ]
    return '\n'.join(
        [
            f'# {table.caption}',
            '',
            tables.markdown(table.header, body),
            '',
            *(f'- {note}' for note in table.notes),
            '',
            *(['Where these numbers come from:', '', *sources, ''] if sources else []),
        ]
    )


def build(workdirs: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> Report:
    """Analyses workdirs and writes `tables/`, `figures/` and `report.html`.

    Every file appears whole or not at all, `report.html` last. `report_files.json` lists them; what
    it lists of an earlier report and this one does not write is removed.

    Args:
      workdirs: one or several finished workdirs of one seed.
      out: folder to write to, made if it is not there: one of the workdirs, or a folder that holds
        nothing, or nothing but an earlier report.

    Returns:
      The report, with its verdicts as text and its results as a DataFrame.

    Raises:
      AnalysisError: a workdir cannot be read, the workdirs do not belong together, or somebody
        else keeps files in `out`.
      OSError: `out` cannot be written.
    """
    paths, out = [pathlib.Path(workdir) for workdir in workdirs], pathlib.Path(out)
    study = loading.load(paths)
    folder.check(out, paths)
    confidence = study.option('confidence', 0.95)
    results = tables.results_table(study.results, tables.as_printed(study))
    found = claims.verdicts(study)
    decomposed = {p: decomposition.table(study, p) for p in study.predictors}
    shrunk = decomposition.shrinkage(study)
    compared = {p: comparison.table(study, p) for p in study.predictors}
    printed = {p: tables.paper_tables(study, p) for p in study.predictors}
    survives = claims.survival(found)
    excluded = tables.ruled_out(study)
    summary = decomposition.shrinkage_summary(shrunk)
    drawn = figures.draw(study, decomposed['cnn'], shrunk)

    evidence = claims.evidence_frame(found)
    page: dict[str, _Table] = {}

    def show(
        name: str, make: Callable[[pd.DataFrame], _Table], frame: pd.DataFrame, file: str = ''
    ) -> None:
        """Puts the first rows of a frame on the page, and all of them into a file."""
        page[name] = _first(make(frame.head(_MOST_ROWS)), len(frame), file or name)
        frames[file or name] = frame

    frames: dict[str, pd.DataFrame] = {'verdicts': claims.frame(found)}
    by_claim = _verdict_table(found)
    page['verdicts'] = _first(by_claim, len(by_claim.rows), 'verdicts')
    show('results', functools.partial(_results, study), results)
    show('evidence', _evidence_table, evidence)
    files: dict[str, str | bytes] = {}
    for predictor in study.predictors:
        suffix = '' if predictor == 'cnn' else '_calibrated'
        show(
            f'comparisons{suffix}',
            functools.partial(_comparison_table, study, predictor=predictor),
            compared[predictor],
        )
        show(
            f'decomposition{suffix}',
            functools.partial(_decomposition_table, study, predictor=predictor),
            decomposed[predictor],
        )
        for index, table in printed[predictor].items():
            files[f'tables/table_{index}{suffix}.md'] = tables.paper_table_markdown(
                index, table, predictor, confidence
            )
            frames[f'table_{index}{suffix}'] = table
    if len(survives):
        show('survival', _survival_table, survives)
    if len(excluded):
        show('ruled_out', functools.partial(_ruled_out_table, study), excluded)
    if len(shrunk):
        by_condition = functools.partial(_shrinkage_table, study)
        show('shrinkage', by_condition, summary, 'shrinkage_summary')
        show('shrinkage_runs', functools.partial(_shrinkage_runs_table, study), shrunk, 'shrinkage')
    for name, shown in page.items():
        if shown.rows:
            files[f'tables/{name}.md'] = _markdown(shown)
    for name, frame in frames.items():
        if len(frame):
            files[f'tables/{name}.csv'] = frame.to_csv(index=False)
    for figure in drawn:
        files[f'figures/{figure.name}.svg'] = figure.svg
        files[f'figures/{figure.name}.png'] = figure.png

    files['report.html'] = _render(
        study, found, page, printed, drawn, survives, excluded, summary, compared
    )
    folder.write(
        out,
        {
            name: content.encode(errors='backslashreplace') if isinstance(content, str) else content
            for name, content in files.items()
        },
    )
    return Report(out / 'report.html', study, results, found)


def _printed_text(value: Any) -> Any:
    """What the page prints of a value; text that is markup by now is left as it is."""
    plain = isinstance(value, str) and not hasattr(value, '__html__')
    return tables.printable(value) if plain else value


def _render(
    study: loading.Study,
    found: list[claims.Verdict],
    page: dict[str, _Table],
    printed: dict[str, dict[int, pd.DataFrame]],
    drawn: list[figures.Figure],
    survives: pd.DataFrame,
    excluded: pd.DataFrame,
    summary: pd.DataFrame,
    compared: dict[str, pd.DataFrame],
) -> str:
    def paper_tables(predictor: str) -> list[_Table]:
        return [
            _paper_table(study, index, table, predictor)
            for index, table in printed.get(predictor, {}).items()
        ]

    groups: dict[int, list[claims.Verdict]] = {}
    for verdict in found:
        groups.setdefault(verdict.claim, []).append(verdict)
    calibrated = 'cnn_calibrated' in study.predictors
    sections = [
        ('verdicts', 'Verdicts', True),
        ('results', 'Results', True),
        ('paper-tables', "The paper's tables", bool(printed['cnn'])),
        ('figures', 'Figures', True),
        ('comparisons', 'Comparisons', True),
        ('why', 'Why the error is what it is', True),
        ('calibrated', 'After calibration', calibrated),
        ('ruled-out', 'What the paper rules out', len(excluded) > 0),
        ('provenance', 'Where this comes from', True),
    ]
    several = len(study.conditions) > 1
    counts = sorted({len(study.repeats(name)) for name in study.conditions})
    repeats = f'{counts[0]}' if len(counts) == 1 else f'{counts[0]} to {counts[-1]}'
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_printed_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # A law's label should not be torn apart at its comma.
    environment.filters['nb'] = lambda text: re.sub(r'(\d), (\d)', '\\1,\u00a0\\2', str(text))
    resources = importlib.resources.files('imbreg_jax.analysis')
    source = resources.joinpath('report.html.jinja').read_text(encoding='utf-8')
    script = resources.joinpath('report.js').read_text(encoding='utf-8')
    return environment.from_string(source).render(
        script=script,
        # The page's policy allows this one script and no other, whoever wrote the labels.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        title=f'Imbalanced targets and regression CNNs: {study.config.get("name") or "a study"}',
        subtitle=(
            f'{len(study.conditions)} condition{"s" if several else ""} ('
            + _listed([c.title for c in study.conditions.values()], 'conditions', ', ')
            + f'), {repeats} repeat{"" if repeats == "1" else "s"} each; tested on '
            + _listed([t.label for t in study.test_distributions.values()], 'laws', ', ')
            + '.'
        ),
        sections=[(id_, name) for id_, name, present in sections if present],
        warnings=_warnings(study),
        verdict_summary=_verdict_summary(found),
        verdict_table=page['verdicts'],
        claim_groups=[
            {
                'claim': claim,
                'statement': claims.STATEMENTS[claim],
                'verdicts': _most_telling(verdicts),
                'more': len(verdicts) - len(_most_telling(verdicts)),
                # What is not as the paper has it is what a reader wants to see at once.
                'open': any(
                    v.status in (claims.FAILS, claims.SAME, claims.UNDECIDED)
                    for v in verdicts
                    if v.predictor == 'cnn'
                ),
            }
            for claim, verdicts in groups.items()
        ],
        evidence_table=page['evidence'],
        results_table=page['results'],
        confidence=f'{100 * study.option("confidence", 0.95):g} %',
        margin=f'{100 * study.option("equivalence_margin", 0.1):g} %',
        paper_repeats=paper.repeats(),
        paper_tables=paper_tables('cnn'),
        calibrated_tables=paper_tables('cnn_calibrated'),
        inconsistencies=list(paper.inconsistencies().items()),
        figures=drawn,
        comparison_tables=[
            page[name]
            for name in ('comparisons', 'comparisons_calibrated')
            if name in page and page[name].rows
        ],
        comparison_sentence=_comparison_sentence(study),
        expected_errors=comparison.expected_errors(
            sum(v.status != claims.UNTESTED for v in found),
            sum(map(comparison.families, compared.values())),
            comparison.level(study),
        ),
        decomposition_tables=[
            page[name] for name in ('decomposition', 'decomposition_calibrated') if name in page
        ],
        shrinkage_table=page.get('shrinkage'),
        shrinkage_runs_table=page.get('shrinkage_runs'),
        shrinkage_sentence=_shrinkage_sentence(study, summary),
        survival_table=page.get('survival') if calibrated else None,
        survival_sentence=_survival_sentence(survives) if calibrated else '',
        ruled_out_table=page.get('ruled_out'),
        ruled_out_sentence=_ruled_out_sentence(study, excluded),
        provenance=_provenance(study),
    )
