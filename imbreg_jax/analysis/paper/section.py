"""The paper: its claims tested, its tables beside ours, its figures redrawn.

Shown for studies that have a condition of the paper's, whatever else they have.
"""

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import canvas, comparison, formats, look, statistics
from imbreg_jax.analysis.canvas import Drawing
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.paper import claims, printed
from imbreg_jax.analysis.paper import tables as paper_tables
from imbreg_jax.analysis.section import (
    Badge,
    Column,
    Content,
    Figure,
    Section,
    Table,
    enumerated,
    listed,
)
from imbreg_jax.analysis.sections import comparisons, results

# ------------------------------------------------------------------------------------------------
# Tables


def _settings(variants: pd.Series) -> list[Column]:
    """Returns the column of what sets variants apart, where there are several."""
    column = Column('variant', 'setting', formats.TEXT, labels={'': 'as configured'})
    return [column] if variants.nunique() > 1 else []


def verdict_frame(found: Sequence[claims.Verdict]) -> pd.DataFrame:
    """Returns a row per verdict, with the fields of `claims.Verdict` but the evidence."""
    fields = ('claim', 'statement', 'variant', 'predictor', 'metric', 'status', 'reason', 'note')
    return pd.DataFrame([{f: getattr(v, f) for f in fields} for v in found], columns=fields)


def _overview(found: pd.DataFrame) -> Table:
    """A row per claim and setting, with a status for each metric and predictor."""
    frame = found.assign(
        column=[
            comparison.METRIC_NAMES[metric] + ('' if predictor == 'cnn' else ' calibrated')
            for metric, predictor in zip(found['metric'], found['predictor'], strict=True)
        ]
    )
    rows = ['variant', 'claim', 'statement']
    table = frame.pivot_table('status', rows, 'column', aggfunc='first', sort=False)
    order = sorted(table.columns, key=lambda name: 'calibrated' in name)
    table = table[order].fillna(formats.NOTHING).reset_index()
    columns = [
        Column('claim', 'claim', formats.COUNT),
        *_settings(table['variant']),
        Column('statement', 'statement', formats.TEXT),
        *(Column(name, name, formats.STATUS) for name in order),
    ]
    notes = [
        'An order is the same within the margin where each of its steps is shown or within the '
        'margin, and not all are shown.'
    ]
    if any('calibrated' in name for name in order):
        notes.append(
            'Calibrated: each network’s predictions times the one factor that fits its validation '
            'split best; it shows which verdicts are about scale alone.'
        )
    title = "The paper's claims, one verdict for each metric"
    return Table('claims', title, table, columns, notes)


def _verdicts(found: pd.DataFrame) -> Table:
    # What is not as the paper has it is what a reader wants to see at once.
    order = {claims.FAILS: 0, claims.UNDECIDED: 1, claims.SAME: 1}
    frame = found.sort_values('status', key=lambda s: s.map(order).fillna(2), kind='stable')
    columns = [
        Column('claim', 'claim', formats.COUNT),
        *_settings(frame['variant']),
        Column('metric', 'metric', labels=comparison.METRIC_NAMES),
        Column('predictor', 'predictor'),
        Column('status', 'verdict', formats.STATUS),
        Column('reason', 'because', formats.TEXT),
        Column('note', 'what could have been shown', formats.TEXT),
    ]
    return Table('verdicts', 'The numbers behind the verdicts', frame, columns, evidence=True)


def evidence_frame(found: Sequence[claims.Verdict]) -> pd.DataFrame:
    """Returns a row per comparison behind a verdict, named as `comparison.table` names them."""
    return pd.DataFrame(
        [
            {
                **{f: getattr(v, f) for f in ('claim', 'variant', 'predictor', 'metric')},
                'first': e.first,
                'second': e.second,
                **comparison.columns(e.comparison),
                'source': e.source,
            }
            for v in found
            for e in v.evidence
        ]
    )


def _evidence(found: Sequence[claims.Verdict]) -> Table:
    columns = [
        Column('claim', 'claim', formats.COUNT),
        Column('predictor', 'predictor'),
        Column('metric', 'metric', labels=comparison.METRIC_NAMES),
        Column('first', 'first'),
        Column('second', 'second'),
        *comparisons.statistics_columns(),
    ]
    title = 'Every comparison behind the verdicts: first to second, one-sided'
    return Table('evidence', title, evidence_frame(found), columns, evidence=True)


def printed_table(study: FinishedStudy, number: int, frame: pd.DataFrame) -> Table:
    """Returns one of `paper_tables.paper_tables` to show, with the notes that its marks mean.

    Where a network's settings are not the paper's, the printed numbers stand there to be read, and
    ours are not measured by them.
    """
    where = f'the paper, Table {number}'
    theirs, expected = ('paper_mean', 'paper_std', 'paper_marks'), ('expected_low', 'expected_high')
    heading = f'range for {printed.REPEATS} repeats'
    confidence = f'{100 * study.option("confidence", 0.95):g} %'
    columns = [
        Column('trained_on', 'trained on'),
        Column('tested_on', 'tested on'),
        Column('metric', 'metric', labels=comparison.METRIC_NAMES),
        Column(('mean', 'std'), 'ours', formats.SPREAD, 'source'),
        Column(('low', 'high'), f'{confidence} interval', formats.INTERVAL, 'source'),
        Column(theirs, 'paper', formats.PRINTED, lambda row: where),
    ]
    if frame['as_printed'].all():
        columns += [
            Column('difference', 'difference', formats.ROUGH, lambda r: f'{r["source"]}; {where}'),
            Column(expected, heading, formats.INTERVAL, 'source'),
            Column('paper_inside', 'paper inside?', formats.STATUS),
        ]
    marks = sorted({m for marks in frame['paper_marks'] for m in marks.split(',') if m})
    notes = [
        paper_tables.spread_sentence(number),
        *(f'[{mark}] {printed.INCONSISTENCIES[mark]}' for mark in marks),
    ]
    title = f'Table {number}: {printed.TITLES[number]}'
    return Table(f'table_{number}', title, frame, columns, notes)


def _ruled_out(study: FinishedStudy) -> list[Table]:
    frame = paper_tables.ruled_out(study)
    if not len(frame):
        return []
    columns = [
        Column('condition', 'condition', labels=study.titles),
        *_settings(frame['variant']),
        Column('table', 'table', formats.COUNT),
        Column('ruled_out', 'ruled out?'),
        Column('tested_on', 'tested on'),
        Column('metric', 'metric', labels=comparison.METRIC_NAMES),
        Column('mean', 'ours', formats.NUMBER, 'source'),
        Column('paper_mean', 'paper', formats.NUMBER, lambda r: f'the paper, Table {r["table"]}'),
        Column('holm_p', 'p (Holm)', formats.P_VALUE, 'source'),
    ]
    notes = [
        f'Is a printed mean too far from what the condition predicts for {printed.REPEATS} repeats '
        '(t on the prediction, Holm over the condition’s cells)? Cells in which the paper '
        'contradicts itself do not count. Shown is the cell that fits worst.',
        listed(_ruled_out_sentences(study, frame), 'conditions in the table.', ' '),
    ]
    title = 'Does a printed table rule the condition out?'
    return [Table('ruled_out', title, frame, columns, notes)]


def _ruled_out_sentences(study: FinishedStudy, frame: pd.DataFrame) -> list[str]:
    found = []
    for condition, rows in frame.groupby('condition', sort=False):
        out = [str(t) for t in rows['table'][rows['ruled_out'] == 'yes']]
        title = study.titles[str(condition)]
        if (rows['ruled_out'] == 'no spread').all():
            found.append(f'{title}: not tested (a single repeat has no spread).')
        else:
            found.append(f'{title}: ruled out by {"Table " + ", ".join(out) if out else "none"}.')
    return found


# ------------------------------------------------------------------------------------------------
# Figures


def draw_samples(study: FinishedStudy) -> Drawing:
    """Draws two images of the paper's task, of generating values 2 and 10."""
    size = int(study.config['data']['image_size'])
    rng = np.random.default_rng(study.option('seed', 0))
    drawing, grid = canvas.canvas(2.9, 1, 2)
    drawn: Any = None
    for axes, std in zip(grid[0], (2, 10), strict=True):
        pixels = std * rng.standard_normal((size, size))
        drawn = axes.imshow(pixels, cmap='gray', vmin=-30, vmax=30, interpolation='nearest')
        axes.set_title(f'N(0, {std}²)')
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
    bar = drawing.colorbar(drawn, ax=list(grid[0]), orientation='horizontal', shrink=0.7, aspect=30)
    bar.set_label('pixel intensity')
    return drawing


def _row(
    study: FinishedStudy, label: str, condition: str, test: str, like: set[str]
) -> results.Row:
    """Returns a row of a figure, with what the paper prints where the settings are its own."""
    cells = {}
    for metric in printed.METRICS if condition in like else ():
        if cell := printed.cell(study.conditions[condition].train.name, test, metric):
            cells[metric] = (cell.mean, cell.std, cell.usable)
    return results.Row(canvas.wrap(label, look.TICK_WIDTH), condition, test, cells)


_FIRST = 'figure_7_performance_on_u1_10'


def _figures(study: FinishedStudy) -> list[Figure]:
    titles, labels = look.titles(study), look.test_labels(study)
    like = set(paper_tables.as_printed(study))
    baseline = printed.BALANCED if printed.BALANCED in labels else None
    found = []
    if study.config['task']['name'] == 'std':
        caption = (
            'Pixels of two images with generating values 2 and 10, on one grey scale (an '
            'illustration drawn with analysis.seed, not images of a split).'
        )
        title = 'Figure 2: samples N(0, 2²) and N(0, 10²)'
        found.append(Figure('figure_2_samples', title, caption, lambda: draw_samples(study)))

    def add(
        name: str, title: str, rows: list[results.Row], tests: Sequence[str], more: str = ''
    ) -> None:
        more = (' Faint: the paper contradicts itself.' if like else '') + more
        found.extend(results.performance(study, name, title, rows, tests, more, 'paper', baseline))

    def of_all(test: str) -> list[results.Row]:
        return [_row(study, title, name, test, like) for name, title in titles.items()]

    first = study.variants()[0].conditions
    for number, law in ((4, printed.BALANCED), (5, printed.MISSING), (6, printed.NORMAL)):
        if law in first:
            name = first[law]
            rows = [_row(study, f'on {on}', name, test, like) for test, on in labels.items()]
            trained = look.law_labels(study)[study.conditions[name].train.spec]
            heading = f'Figure {number}: networks trained on {trained}'
            add(f'figure_{number}_performance_{law}', heading, rows, [*labels])
    if baseline:
        heading = f'Figure 7: all networks, tested on {labels[baseline]}'
        add(_FIRST, heading, of_all(baseline), [baseline])
    if study.averages_as_the_paper():
        averaged = study.averaged_tests()
        over = enumerated([labels[test] for test in averaged])
        heading = f'Figure 8: all networks, averaged over {over}'
        more = (
            f' Here a mark is the mean over the tests: {over}. The paper’s ± is over repeats and '
            'tests.'
        )
        rows = of_all(printed.ALL_TESTS)
        add('figure_8_performance_all_tests', heading, rows, averaged, more)
    # What the claims are about stands first; the others follow by number.
    return sorted(found, key=lambda figure: figure.name != _FIRST)


# ------------------------------------------------------------------------------------------------


def headline(found: Sequence[claims.Verdict]) -> str:
    """Says how many verdicts there are of each kind."""
    main = [v for v in found if v.predictor == 'cnn']
    if not main:
        return "None of the paper's claims can be tested with these conditions."
    if not any(np.isfinite(e.comparison.p_value) for v in main for e in v.evidence):
        return "None of the paper's claims can be tested: a single repeat has no spread."
    counts = collections.Counter(verdict.status for verdict in main)
    return (
        "Verdicts on the paper's claims (one for each claim and metric): "
        f'{counts["stands"]} stand, {counts["fails"]} fail, {counts[claims.SAME]} the same within '
        f'the margin, {counts["undecided"]} undecided.'
    )


def badges(found: Sequence[claims.Verdict]) -> list[Badge]:
    """Returns a badge for each claim and kind of verdict on it, of networks as they are."""
    kinds: dict[tuple[int, str], list[claims.Verdict]] = {}
    for verdict in found:
        if verdict.predictor == 'cnn':
            kinds.setdefault((verdict.claim, verdict.status), []).append(verdict)
    several = len({verdict.variant for verdict in found}) > 1
    result = []
    for (_, status), own in sorted(kinds.items(), key=lambda item: item[0][0]):
        metrics = enumerated([comparison.METRIC_NAMES[verdict.metric] for verdict in own])
        of = own[0].statement + ('' if several else f' ({metrics})')
        result.append(Badge(status, len(own), of))
    return result


_RULES = (
    'Stands or fails: shown by a one-sided t test on log ratios paired by repeat; an order of '
    'several is claimed of each pair, and fails where the reverse of one is shown (Holm). Same '
    'within the margin: the order is open, but the ratio is shown to be within the margin. '
    'Undecided: these repeats cannot tell. The sign-flip test, exact up to '
    f'{statistics.MOST_ENUMERATED} repeats, stands beside and decides nothing.'
)


def _notes(study: FinishedStudy, verdicts: int) -> list[str]:
    found = []
    if verdicts:
        found += [_RULES, comparison.expected_errors(verdicts, 0, comparison.level(study))]
    departures = study.departures()
    if departures:
        found.append(
            "The settings are not the paper's, so its numbers are no yardstick here: "
            f'{"; ".join(departures)}.'
        )
    return found


def _build(study: FinishedStudy) -> Content:
    found = [v for v in claims.verdicts(study) if v.status != claims.UNTESTED]
    verdicts = verdict_frame(found)
    tables = [_overview(verdicts), _verdicts(verdicts), _evidence(found)] if found else []
    tables += [
        printed_table(study, number, frame)
        for number, frame in paper_tables.paper_tables(study).items()
    ]
    tables += _ruled_out(study)
    return Content(
        headline(found), tables, _figures(study), _notes(study, len(found)), badges(found)
    )


SECTION = Section('paper', 'The paper', claims.applies, _build)
