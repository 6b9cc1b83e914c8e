"""Conditions compared with the study's reference, one change at a time."""

import numpy as np
import pandas as pd

from imbreg_jax.analysis import comparison, formats, statistics
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.section import Column, Content, Section, Table, listed

NEEDED = formats.count_or_more(statistics.MOST_REPEATS)


def statistics_columns() -> list[Column]:
    """Returns the columns of a paired comparison, behind a verdict or not."""
    return [
        Column('repeats', 'pairs', formats.COUNT, 'source'),
        Column('scale', 'as'),
        Column('effect', 'first to second', formats.NUMBER, 'source'),
        Column(('low', 'high'), 't interval', formats.INTERVAL, 'source'),
        Column('p', 'p (t)', formats.P_VALUE, 'source'),
        Column('flip_p', 'p (sign flips)', formats.P_VALUE, 'source'),
        Column('same_p', 'p (same)', formats.P_VALUE, 'source'),
        Column('flip_same_p', 'p (same, sign flips)', formats.P_VALUE, 'source'),
        Column('detectable', 'detectable', formats.NUMBER, 'source'),
        Column('repeats_needed', 'repeats needed', NEEDED, 'source'),
    ]


def _table(study: FinishedStudy, frame: pd.DataFrame, predictor: str) -> Table:
    columns = [
        Column('first', 'first', labels=study.titles),
        Column('second', 'second', labels=study.titles),
        Column('changed', 'differ in'),
        Column('test_distribution', 'tested on', labels=study.labels),
        Column('metric', 'metric', labels=comparison.METRIC_NAMES),
        *statistics_columns(),
        Column('holm_p', 'p (t, Holm)', formats.P_VALUE, 'source'),
    ]
    suffix = '' if predictor == 'cnn' else '_calibrated'
    title = f'Conditions and what they are held against, predictor {predictor}'
    return Table(f'comparisons{suffix}', title, frame, columns, _NOTES, bool(suffix))


_NOTES = (
    'First to second: the ratio of their errors, paired by repeat (of MPE, which has a sign, the '
    'difference). p (same): that the ratio is within the margin. Detectable: the smallest ratio '
    'that these repeats could have shown; repeats needed: to show one of 1 + margin; both with '
    "power 0.8 at the strictest step of Holm's correction, which runs over what is held against "
    'one condition for one thing in one metric.',
)


def _build(study: FinishedStudy) -> Content:
    frames = {p: comparison.table(study, p) for p in study.predictors}
    _, lone = comparison.pairs(study)
    alone = f' Without a partner: {listed([study.titles[n] for n in lone])}.' if lone else ''
    return Content(
        _headline(study, frames['cnn']) + alone,
        [_table(study, frame, predictor) for predictor, frame in frames.items()],
        notes=[
            'Each condition is compared, for each thing that sets it apart from the reference, '
            'with the condition that differs from it in that thing alone.',
            comparison.expected_errors(
                0, sum(map(comparison.families, frames.values())), comparison.level(study)
            ),
        ],
    )


def _headline(study: FinishedStudy, frame: pd.DataFrame) -> str:
    """Says how many comparisons show a difference, and the largest ratio among them."""
    text = f'The reference is {study.titles[comparison.reference(study)]}.'
    if not len(frame):
        return text
    shown = frame[frame['holm_p'] < comparison.level(study)]
    text += f' Of {len(frame):,} comparisons {len(shown):,} show a difference'
    ratios = shown[shown['scale'] == 'ratio']
    if not len(ratios):
        return f'{text}.'
    row = ratios.loc[np.log(ratios['effect']).abs().idxmax()]
    first, second = study.titles[row['first']], study.titles[row['second']]
    metric, on = comparison.METRIC_NAMES[row['metric']], study.labels[row['test_distribution']]
    ends = formats.interval(row['low'], row['high'])
    return (
        f'{text}, the largest in {metric} on {on}: {first} has {formats.number(row["effect"])} '
        f'times ({ends}) that of {second}.'
    )


SECTION = Section(
    'comparisons', 'Conditions compared', lambda study: len(study.trained) > 1, _build
)
