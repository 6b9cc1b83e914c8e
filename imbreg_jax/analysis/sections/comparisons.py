"""Conditions compared with each other, pair by pair."""

import pandas as pd

from imbreg_jax.analysis import claims, formats
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.section import Column, Content, Section, Table, listed

NEEDED = formats.count_or_more(10_000)


def statistics_columns() -> list[Column]:
    """Returns the columns of a paired comparison, behind a verdict or not."""
    return [
        Column('repeats', 'pairs', formats.COUNT, 'source'),
        Column('difference', 'difference', formats.ROUGH, 'source'),
        Column(('t_low', 't_high'), 't interval', formats.INTERVAL, 'source'),
        Column(('bca_low', 'bca_high'), 'BCa interval', formats.INTERVAL, 'source'),
        Column('holm_p', 'p (t, Holm)', formats.P_VALUE, 'source'),
        Column('wilcoxon_p', 'p (Wilcoxon, uncorrected)', formats.P_VALUE, 'source'),
        Column('cohens_d', "Cohen's d", formats.ROUGH, 'source'),
        Column('cliffs_delta', "Cliff's delta", formats.ROUGH, 'source'),
        Column('tost_p', 'p (TOST)', formats.P_VALUE, 'source'),
        Column('repeats_needed', 'repeats needed', NEEDED, 'source'),
    ]


def _table(study: FinishedStudy, frame: pd.DataFrame, predictor: str) -> Table:
    columns = [
        Column('first', 'first', labels=study.titles),
        Column('second', 'second', labels=study.titles),
        Column('test_distribution', 'tested on', labels=study.labels),
        Column('metric', 'metric', labels=claims.METRIC_NAMES),
        *statistics_columns(),
    ]
    suffix = '' if predictor == 'cnn' else '_calibrated'
    title = f'Paired differences, predictor {predictor}'
    return Table(f'comparisons{suffix}', title, frame, columns, folded=bool(suffix))


def _build(study: FinishedStudy) -> Content:
    frames = {p: claims.comparisons(study, p) for p in study.predictors}
    _, lone = claims.compared_pairs(study)
    alone = f' Without a partner: {listed([study.titles[n] for n in lone])}.' if lone else ''
    return Content(
        f'{len(frames["cnn"])} comparisons.{alone}',
        [_table(study, frame, predictor) for predictor, frame in frames.items()],
    )


SECTION = Section(
    'comparisons', 'Conditions compared', lambda study: len(study.trained) > 1, _build
)
