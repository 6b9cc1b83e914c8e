"""Conditions compared with the study's reference, one change at a time."""

from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import canvas, comparison, formats, look, marks, statistics
from imbreg_jax.analysis.canvas import INK, MUTED, Drawing, ticker
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.section import (
    Column,
    Content,
    Figure,
    Section,
    Table,
    counted,
    listed,
    only,
)

NEEDED = formats.count_or_more(statistics.MOST_REPEATS)
DIFFERS, SAME, UNDECIDED = 'differs', 'same within the margin', 'undecided'
_DRAWN = ('mse', 'mape')


def statistics_columns() -> list[Column]:
    """Returns the columns of a paired comparison, behind a verdict or not."""
    return [
        Column('repeats', 'pairs', formats.COUNT, 'source'),
        Column('scale', 'as'),
        Column('effect', 'ratio', formats.NUMBER, 'source'),
        Column(('low', 'high'), 't interval', formats.INTERVAL, 'source'),
        Column('p', 'p (t)', formats.P_VALUE, 'source'),
        Column('flip_p', 'p (sign flips)', formats.P_VALUE, 'source'),
        Column('same_p', 'p (same)', formats.P_VALUE, 'source'),
        Column('flip_same_p', 'p (same, sign flips)', formats.P_VALUE, 'source'),
        Column('detectable', 'detectable', formats.NUMBER, 'source'),
        Column('repeats_needed', 'repeats needed', NEEDED, 'source'),
    ]


def judged(compared: pd.DataFrame, level: float) -> pd.DataFrame:
    """Returns a table of comparisons with a column answer: what each shows at the level."""
    same = np.where(compared['holm_same_p'] < level, SAME, UNDECIDED)
    return compared.assign(answer=np.where(compared['holm_p'] < level, DIFFERS, same))


def draw(study: FinishedStudy, frame: pd.DataFrame) -> Drawing:
    """Draws ratio and interval of MSE and MAPE, a row for each pair and test, over the margin."""
    styles, titles, tests = look.styles(study), look.titles(study), look.test_labels(study)
    parts = [frame[frame['metric'] == metric] for metric in _DRAWN]
    margin, rows = comparison.margin(study), len(parts[0])
    labels = [
        look.row_label(titles[row['first']], tests[row['test_distribution']])
        for row in parts[0].to_dict('records')
    ]
    height = 1.2 + 2 * (0.42 + look.row_height(labels, 0.36) * rows)
    drawing, grid = canvas.canvas(height, 2, 1)
    for axes, metric, part in zip(grid[:, 0], _DRAWN, parts, strict=True):
        for i, row in enumerate(part.to_dict('records')):
            style = styles[row['first']]
            bar = axes.plot([row['low'], row['high']], [i, i], color=style.color, linewidth=3)
            filled = style.color if row['answer'] == DIFFERS else 'none'
            mark: Any = {'color': style.color, 'markerfacecolor': filled, 'markersize': 7}
            effect = axes.plot(row['effect'], i, style.marker, markeredgecolor=INK, **mark)
            marks.shows(bar, kind='intervals')
            marks.shows([bar, effect], condition=titles[row['first']])
        axes.axvspan(1 - margin, 1 + margin, color=MUTED, alpha=0.15, linewidth=0)
        axes.axvline(1, color=MUTED, linewidth=0.8)
        look.name_rows(axes, labels)
        label = f'ratio of {comparison.METRIC_NAMES[metric]}'
        # Of two repeats an interval may go from nothing to anything: what it is of is to be seen.
        ends = [*part['effect'], 1 - margin, 1 + margin]
        low = max(np.nanmin([*part['low'], *ends]), min(ends) / 4)
        high = min(np.nanmax([*part['high'], *ends]), max(ends) * 4)
        limits = (low / 1.05, high * 1.05)
        axes.set(xscale='log', xlim=limits, ylim=(rows - 0.5, -0.5), xlabel=label)
        wide, narrow = ticker.LogLocator(subs=(1, 2, 5)), ticker.MaxNLocator(5, steps=[1, 2, 5, 10])
        axes.xaxis.set_major_locator(wide if high > 4 * low else narrow)
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f'{v:g}'))
        axes.xaxis.set_minor_locator(ticker.NullLocator())
        axes.grid(axis='y', visible=False)
    return drawing


def _figures(study: FinishedStudy, frame: pd.DataFrame) -> list[Figure]:
    known = frame[frame['metric'].isin(_DRAWN) & frame['effect'].between(0, np.inf, 'neither')]
    keys = known[['first', 'second', 'changed', 'test_distribution']]
    both = known[keys.duplicated(keep=False)]
    shown = both.groupby('metric', sort=False).head(look.MOST_ROWS)
    if not len(shown):
        return []
    caption = (
        'Condition → test distribution; ratio of its error to that of the condition that it is '
        'held against, with its interval, on a logarithmic axis. Filled: it differs (Holm); '
        'shaded: the margin within which errors count as the same. From results.csv.'
    )
    caption += only(len(shown) // 2, len(both) // 2, 'rows')
    firsts, tests = (list(dict.fromkeys(shown[k])) for k in ('first', 'test_distribution'))
    title = 'Errors as ratios to the reference'
    return [
        look.figure(study, 'comparisons', title, caption, lambda: draw(study, shown), firsts, tests)
    ]


def _table(study: FinishedStudy, frame: pd.DataFrame, predictor: str) -> Table:
    columns = [
        Column('first', 'condition', labels=study.titles),
        Column('second', 'held against', labels=study.titles),
        Column('test_distribution', 'tested on', labels=study.labels),
        Column('metric', 'metric', labels=comparison.METRIC_NAMES),
        Column('answer', 'verdict', formats.STATUS),
        *statistics_columns(),
        Column('holm_p', 'p (t, Holm)', formats.P_VALUE, 'source'),
        Column('holm_same_p', 'p (same, Holm)', formats.P_VALUE, 'source'),
    ]
    suffix = '' if predictor == 'cnn' else '_calibrated'
    title = f'Conditions and what they are held against, predictor {predictor}'
    return Table(f'comparisons{suffix}', title, frame, columns, _NOTES, bool(suffix))


_NOTES = (
    'Ratio: of the condition’s error to that of what it is held against, paired by repeat (of MPE, '
    'which has a sign, the difference). The verdict follows from the two columns of Holm’s '
    'correction, which runs over the rows with the same metric, change and condition held against. '
    'p (same): of the test that the ratio is within the margin. Detectable: the smallest ratio '
    'that these repeats would show with power 0.8; repeats needed: to show one of 1 + margin; both '
    'allow for the correction.',
)


def _build(study: FinishedStudy) -> Content:
    level = comparison.level(study)
    frames = {p: comparison.table(study, p) for p in study.predictors}
    frames = {p: judged(frame, level) for p, frame in frames.items() if len(frame)}
    _, lone = comparison.pairs(study)
    alone = [f'Without a partner: {listed([study.titles[n] for n in lone])}.'] if lone else []
    tables = [_table(study, frame, predictor) for predictor, frame in frames.items()]
    if 'cnn' not in frames:
        return Content('No condition differs from another in one thing alone.', notes=alone)
    tested = sum(map(comparison.families, frames.values()))
    return Content(
        _headline(study, frames['cnn']),
        tables,
        _figures(study, frames['cnn']),
        [
            'Each condition is compared, for each thing that sets it apart from the reference, '
            'with the condition that differs from it in that thing alone.',
            comparison.expected_errors(0, tested, level),
            *alone,
        ],
        counted(_main(frames['cnn'])['answer'], (DIFFERS, SAME, UNDECIDED)),
    )


def _main(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame['metric'].isin(_DRAWN)]


def _headline(study: FinishedStudy, frame: pd.DataFrame) -> str:
    """Counts the answers, and gives the largest ratio that is shown."""
    main = _main(frame)
    counts = main['answer'].value_counts()
    same, open_ = (counts.get(answer, 0) for answer in (SAME, UNDECIDED))
    shown = main[main['answer'] == DIFFERS]
    larger = int((shown['effect'] > 1).sum())
    against = list(main['second'].unique())
    if len(against) == 1:
        start = f'Against {study.titles[against[0]]}, of {len(main):,} comparisons of MSE and MAPE'
    else:
        start = (
            f'Of {len(main):,} comparisons of MSE and MAPE, each of two conditions that differ in '
            'one thing,'
        )
    found = {
        'larger': larger,
        'smaller': len(shown) - larger,
        'the same within the margin': same,
        'undecided': open_,
    }
    text = f'{start} {", ".join(f"{count:,} {what}" for what, count in found.items() if count)}'
    if not len(shown):
        return f'{text}.'
    row = shown.loc[np.log(shown['effect']).abs().idxmax()]
    metric, on = comparison.METRIC_NAMES[row['metric']], study.labels[row['test_distribution']]
    first, second = study.titles[row['first']], study.titles[row['second']]
    ratio = formats.number(row['effect'], 3)
    return f'{text}. Most in {metric} on {on}: {first} has {ratio} times that of {second}.'


SECTION = Section(
    'comparisons', 'Conditions compared', lambda study: len(study.trained) > 1, _build
)
