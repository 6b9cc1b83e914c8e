"""What is asked of remedies beyond which is best: a section each, with a table and a figure."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from imbreg_jax.analysis import (
    canvas,
    comparison,
    contrasts,
    dose_response,
    formats,
    leaderboard,
    look,
    places,
    remedy_names,
)
from imbreg_jax.analysis.canvas import Drawing
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.leaderboard import BETTER, SAME, UNDECIDED, WORSE
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
from imbreg_jax.analysis.sections.comparisons import NEEDED

_MOST_SAID = 3
# More would be too narrow to read beside one another, or too long.
_MOST_PANELS, _MOST_ROWS = 3, 40
# Characters of a line beside a row, and of all its lines.
_LINE, _LABEL = 30, 56
_LEGEND = 'shaded: the margin within which errors count as the same'


class Question(NamedTuple):
    """One question.

    Attributes:
      name: of its table and figure, and of `contrasts.QUESTIONS`.
      title: what it shows.
      ratio: what its ratios are of, behind 'ratio of'.
      tell: (study, its table, the same of networks times their best factors) to sentences: the
        first for the headline. The last has no rows where nothing is known of such networks.
    """

    name: str
    title: str
    ratio: str
    tell: Callable[[FinishedStudy, pd.DataFrame, pd.DataFrame], list[str]]


# --- sentences ----------------------------------------------------------------------------------


_KINDS = (BETTER, WORSE, SAME, UNDECIDED)


def _counts(frame: pd.DataFrame) -> str:
    counts = frame['verdict'].value_counts()
    return ', '.join(f'{counts[kind]:,} {kind}' for kind in _KINDS if kind in counts)


def _sizes(frame: pd.DataFrame) -> str:
    """Returns how often the first of two ratios is what, where neither need be a gain."""
    counts = frame['verdict'].value_counts()
    words = zip(_KINDS, ('less', 'greater', SAME, UNDECIDED), strict=True)
    return ', '.join(f'{word} in {counts[kind]:,}' for kind, word in words if kind in counts)


def _said(study: FinishedStudy, row: pd.Series, on: str = '') -> str:
    """Returns a row as part of a sentence: what, where, its ratio and interval."""
    law = look.law_labels(study)[row['law']]
    where = ', '.join(filter(None, (str(row['setting']), f'trained on {law}', on)))
    low, high = formats.number(row['low'], 3), formats.number(row['high'], 3)
    ratio = formats.number(row['ratio'], 3)
    return f'{row["what"]} ({where}): {ratio} [{low}, {high}]'


def _extreme(frame: pd.DataFrame, verdict: str) -> pd.Series | None:
    """Returns the row of a verdict whose ratio is the farthest from 1."""
    own = frame[frame['verdict'] == verdict]
    return None if not len(own) else own.loc[np.log(own['ratio'].astype(float)).abs().idxmax()]


def _most(study: FinishedStudy, frame: pd.DataFrame, words: Sequence[tuple[str, str]]) -> list[str]:
    """Returns a sentence on the farthest row of each (verdict, its words) that there is."""
    found = []
    for verdict, word in words:
        row = _extreme(frame, verdict)
        if row is not None:
            found.append(f'{word}: {_said(study, row)}.')
    return found


def _of(study: FinishedStudy, frame: pd.DataFrame, metric: str = 'mse') -> pd.DataFrame:
    test = dose_response.reference_test(study)
    return frame[(frame['test_distribution'] == test) & (frame['metric'] == metric)]


def _judged(study: FinishedStudy, question: Question, frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows that the first sentence of a question counts."""
    own = _of(study, frame, contrasts.ZERO_SHOT if question.name == 'missing' else 'mse')
    return own[own['against'] == contrasts.MEAN] if question.name == 'averaged' else own


# A remedy may change no more than a common factor on predictions, such as dropout takes from them.
_ONCE = 'each at its best factor'
_SCALED = (
    'Best factor: the one that makes a network’s predictions fit the test images best; what is '
    'left then is more than a common factor.'
)
_SIDES = ((BETTER, 'Most better'), (WORSE, 'Most worse'))
# What stands in a question's ratio for what all of its rows are held against, where that is one.
_FIRST = 'first setting'


def _missing(study: FinishedStudy, frame: pd.DataFrame, scaled: pd.DataFrame) -> list[str]:
    own = _of(study, frame, contrasts.ZERO_SHOT)
    if not len(own):
        return []
    helped = (own['verdict'] == BETTER).any()
    start = 'Something helps' if helped else 'Nothing is shown to help'
    first = f'{start} on targets that training has none of: of {len(own):,} ratios of MAE to '
    first += f'no remedy {_counts(own)}'
    first += _once_scaled(study, scaled, remedy_names.NO_REMEDY, contrasts.ZERO_SHOT)
    return [first, *_most(study, own, _SIDES)]


def _once_scaled(
    study: FinishedStudy,
    scaled: pd.DataFrame,
    against: str,
    metric: str = 'mse',
    told: Callable[[pd.DataFrame], str] = _counts,
) -> str:
    """Returns the end of a sentence on what is held against something: the same scaled."""
    left = _of(study, scaled, metric)
    left = left[left['against'] == against]
    return f'; {_ONCE}, {told(left)}.' if len(left) else '.'


def _parameters(study: FinishedStudy, frame: pd.DataFrame, scaled: pd.DataFrame) -> list[str]:
    own = _of(study, frame)
    found = []
    for against, part in own.groupby('against', sort=False):
        first = f'Held against {against}, another value makes the MSE {_counts(part)}'
        first += f' (of {len(part):,})'
        found.append(first + _once_scaled(study, scaled, against))
        found += _most(study, part, _SIDES)
    return found


def _laws(study: FinishedStudy, frame: pd.DataFrame, scaled: pd.DataFrame) -> list[str]:
    own = _of(study, frame)
    if not len(own):
        return []
    first = (
        f'Imbalance is shown to be irrelevant to the MSE (same within the margin as under '
        f'{own["against"].iloc[0]}) in {(own["verdict"] == SAME).sum():,} of {len(own):,} cases'
    )
    plain = own[own['what'] == remedy_names.NO_REMEDY]
    if 0 < len(plain) < len(own):
        first += f', without a remedy in {(plain["verdict"] == SAME).sum():,} of {len(plain):,}'
    left = _of(study, scaled)
    first += f'; {_ONCE}, in {(left["verdict"] == SAME).sum():,}.' if len(left) else '.'
    groups = own.groupby(['setting', 'what'], sort=False)['verdict']
    always = [f'{what} ({task})' for (task, what), kinds in groups if (kinds == SAME).all()]
    every = 'With none is it under all.'
    if always:
        every = f'It is under every law with {listed(always, most=_MOST_SAID)}.'
    idle = contrasts.unlearnt(study)
    if idle:
        every += (
            f' Not counted are {listed(idle, most=_MOST_SAID)}, whose networks err under '
            f'{own["against"].iloc[0]} no less than the best constant: what they have not learnt, '
            'imbalance cannot cost.'
        )
    percent = _of(study, frame, 'mape')
    if len(percent):
        irrelevant = (percent['verdict'] == SAME).sum()
        every += f' To the MAPE it is irrelevant in {irrelevant:,} of {len(percent):,} cases.'
    return [first, every, *_most(study, own, [(WORSE, 'Most costly')])]


def _settings(study: FinishedStudy, frame: pd.DataFrame, scaled: pd.DataFrame) -> list[str]:
    own = _of(study, frame)
    found = []
    for against, part in own.groupby('against', sort=False):
        first = (
            f'From {against}: of {len(part):,} ratios of MSE to no remedy the first is '
            f'{_sizes(part)}'
        )
        found.append(first + _once_scaled(study, scaled, against, told=_sizes))
        row = _extreme(part, BETTER)
        if row is not None:
            a, b = (formats.number(row[side], 3) for side in ('first_mean', 'second_mean'))
            found.append(
                f'Most: {_said(study, row)}, from a ratio to no remedy of {a} to one of {b} '
                '(means over repeats).'
            )
    return found


def _averaged(study: FinishedStudy, frame: pd.DataFrame, scaled: pd.DataFrame) -> list[str]:
    own = _of(study, frame)
    if not len(own):
        return []
    found = []
    kept, left = (contrasts.kept(_on_reference(study, rows)) for rows in (frame, scaled))
    if len(kept):
        mean, alone = _keeping(kept)
        first = (
            f'Averaged with a plain network, {mean:,} of {len(kept):,} remedied ones are shown to '
            'be better than it on the rarest targets and no worse on frequent ones, alone '
            f'{alone:,}'
        )
        again = '{:,} and {:,}'.format(*_keeping(left))
        found.append(f'{first}; {_ONCE}, {again}.' if len(left) else f'{first}.')
    for against, other in (
        (contrasts.MEAN, 'the plain network'),
        (contrasts.MEAN_TO_ALONE, 'the remedied one'),
        (contrasts.MEAN_TO_TWO, 'the mean of two plain ones'),
    ):
        part = own[own['against'] == against]
        if len(part):
            first = f'Their mean prediction’s MSE against {other}: {_counts(part)}'
            found.append(f'{first} (of {len(part):,}){_once_scaled(study, scaled, against)}')
    to_none = own[own['against'] == contrasts.MEAN]
    return [*found, *_most(study, to_none, _SIDES)]


def _keeping(kept: pd.DataFrame) -> tuple[int, int]:
    """Returns how many keep both sides, averaged and alone."""
    mean, alone = ((kept[f'keeps_{of}'] == 'stands').sum() for of in ('mean', 'alone'))
    return mean, alone


def _on_reference(study: FinishedStudy, frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame['test_distribution'] == dose_response.reference_test(study)]


QUESTIONS = (
    Question('missing', 'Where training targets are missing', 'MAE to no remedy', _missing),
    Question(
        'parameters', 'Remedies by one parameter', 'MSE to that with the first value',
        _parameters,
    ),
    Question(
        'laws', 'What imbalance costs, by remedy and setting', 'MSE to that under the test law',
        _laws,
    ),
    Question(
        'settings', 'What remedies give, by setting',
        f'ratios of MSE to no remedy, {_FIRST} to this', _settings,
    ),
    Question(
        'averaged', 'Remedied and plain networks averaged', 'MSE or MAE to no remedy', _averaged
    ),
)  # fmt: skip


# --- figures ------------------------------------------------------------------------------------


def drawn(study: FinishedStudy, question: Question, frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of a question's figure with their panel, row and series."""
    laws = look.law_labels(study)
    named = frame['law'].map(laws)
    if question.name == 'missing':
        own = _of(study, frame, contrasts.ZERO_SHOT)
        return own.assign(panel=own['setting'], row=own['what'], series=named)
    if question.name != 'averaged':
        own = _of(study, frame)
        if question.name == 'parameters':  # What changes the same stands together.
            places = {against: i for i, against in enumerate(own['against'].unique())}
            own = own.sort_values('against', key=lambda of: of.map(places), kind='stable')
        return own.assign(panel=own['setting'], row=own['what'], series=named)
    own = _on_reference(study, frame)
    own = own[own['against'].isin([contrasts.ALONE, contrasts.MEAN])]
    first = own['setting'].iloc[0] if len(own) else ''
    own = own[own['setting'] == first]
    strata = dict.fromkeys(leaderboard.RAREST, 'rarest targets') | {
        leaderboard.MANY: 'frequent targets',
        'mse': 'all targets (MSE)',
    }
    own = own[own['metric'].isin(strata)]
    rank = {metric: i for i, metric in enumerate((*leaderboard.RAREST, leaderboard.MANY, 'mse'))}
    own = own.assign(panel=own['metric'].map(strata), order=own['metric'].map(rank))
    own = own.sort_values('order', kind='stable')
    own = own.drop_duplicates(['panel', 'law', 'what', 'against'])
    kinds = {contrasts.ALONE: 'alone', contrasts.MEAN: 'averaged'}
    series = own['law'].map(laws) + ', ' + own['against'].map(kinds)
    return own.assign(row=own['what'], series=series)


def draw(study: FinishedStudy, rows: pd.DataFrame, label: str) -> Drawing:
    """Draws ratios with their intervals, what is asked about from top to bottom.

    Args:
      study: the loaded study.
      rows: of `drawn`.
      label: what the ratios are of.
    """
    panels, names = (list(dict.fromkeys(rows[key])) for key in ('panel', 'row'))
    laws = list(dict.fromkeys(rows['law']))
    of_laws = {law: rows[rows['law'] == law]['series'] for law in laws}
    series = [one for law in laws for one in dict.fromkeys(of_laws[law])]
    of_law = {c.train.spec: c.train.name for c in study.conditions.values()}
    styles = dict(zip(laws, look.styles_of([of_law[law] for law in laws]), strict=True))
    law_of = {one: law for law in laws for one in of_laws[law]}
    short = canvas.short_labels({name: name for name in names}, _LABEL)
    return look.ratios_by_row(
        rows, panels, {name: canvas.wrap(label, _LINE) for name, label in short.items()},
        {one: styles[law_of[one]] for one in series}, comparison.margin(study),
        f'ratio of {label}', [one for one in series if one.endswith(', alone')],
    )  # fmt: skip


def _figures(study: FinishedStudy, question: Question, frame: pd.DataFrame) -> list[Figure]:
    rows = drawn(study, question, frame)
    rows = rows[rows['ratio'].astype(float).gt(0) & np.isfinite(rows['ratio'].astype(float))]
    rows = rows.assign(remedy=rows['what'])
    if not len(rows):
        return []
    panels, names = (list(dict.fromkeys(rows[key])) for key in ('panel', 'row'))
    shown = rows[rows['panel'].isin(panels[:_MOST_PANELS]) & rows['row'].isin(names[:_MOST_ROWS])]
    ratio = question.ratio
    if rows['against'].nunique() == 1:
        ratio = ratio.replace(_FIRST, str(rows['against'].iloc[0]))
    caption = (
        f'Tested on {study.labels[dose_response.reference_test(study)]}: ratio of {ratio},'
        f' paired by repeat, with its t interval, on a logarithmic axis; {_LEGEND}. '
        + ('Open: alone; filled: averaged. From predictions.npz.' if question.name == 'averaged'
           else 'From results.csv.')
    )  # fmt: skip
    settings = frame['setting'].nunique()
    if question.name == 'averaged':
        caption += f' Of {rows["setting"].iloc[0]}.' + only(1, settings, 'settings')
    else:
        caption += only(min(len(panels), _MOST_PANELS), len(panels), 'settings')
    caption += only(min(len(names), _MOST_ROWS), len(names), 'rows')
    short = canvas.short_labels({name: name for name in names}, _LABEL)
    laws = look.law_labels(study)
    full = {laws[c.train.spec]: c.train.label for c in study.conditions.values()}
    caption += canvas.shortened_sentence([*((short[n], n) for n in names), *full.items()])
    draws = functools.partial(draw, study, shown, ratio)
    return [Figure(f'questions_{question.name}', question.title, caption, draws)]


def _table(
    study: FinishedStudy, question: Question, frame: pd.DataFrame, predictor: str = 'cnn'
) -> Table:
    suffix = '' if predictor == 'cnn' else '_scaled'
    laws = {c.train.spec: c.train.label for c in study.conditions.values()}
    columns = [
        Column('setting', 'task'),
        Column('law', 'trained on', labels=laws),
        Column('test_distribution', 'tested on', labels=study.labels),
        Column('metric', 'metric', labels=comparison.METRIC_NAMES),
        Column('what', 'what'),
        Column('against', 'against'),
        Column('verdict', 'verdict', formats.STATUS),
        Column('ratio', 'ratio', formats.NUMBER, 'source'),
        Column(('low', 'high'), 't interval', formats.INTERVAL, 'source'),
        Column('repeats', 'pairs', formats.COUNT, 'source'),
        Column('p', 'p (t)', formats.P_VALUE, 'source'),
        Column('holm_p', 'p (t, Holm)', formats.P_VALUE, 'source'),
        Column('flip_p', 'p (sign flips)', formats.P_VALUE, 'source'),
        Column('holm_same_p', 'p (same, Holm)', formats.P_VALUE, 'source'),
        Column('flip_same_p', 'p (same, sign flips)', formats.P_VALUE, 'source'),
        Column('detectable', 'detectable', formats.NUMBER, 'source'),
        Column('repeats_needed', 'repeats needed', NEEDED, 'source'),
    ]
    title = f'{question.title}, predictor {predictor}'
    return Table(f'questions_{question.name}{suffix}', title, frame, columns, evidence=True)


def _kept_table(study: FinishedStudy, frame: pd.DataFrame) -> Table:
    laws = {c.train.spec: c.train.label for c in study.conditions.values()}
    columns = [
        Column('setting', 'task'),
        Column('law', 'trained on', labels=laws),
        Column('test_distribution', 'tested on', labels=study.labels),
        Column('what', 'remedy'),
        Column('stratum', 'rarest', labels=comparison.METRIC_NAMES),
        *(
            Column(f'{side}_{of}', heading, kind, lambda row: 'predictions.npz: test_prediction')
            for of, whose in (('alone', 'alone'), ('mean', 'averaged'))
            for side, heading, kind in (
                ('rarest', f'rarest, {whose}', formats.ROUGH),
                ('many', f'frequent, {whose}', formats.ROUGH),
                ('keeps', f'both, {whose}', formats.STATUS),
            )
        ),
    ]
    notes = [
        'Ratios of MAE to no remedy, of the remedied network and of the mean of its predictions '
        'and the plain one’s. Both stands where the first is shown to be below 1, and the second '
        'below 1 or the same within the margin; it fails where either is shown to be above 1.'
    ]
    return Table('questions_kept', 'What averaging keeps', contrasts.kept(frame), columns, notes)


def _asked(study: FinishedStudy, question: Question, predictor: str = 'cnn') -> list[contrasts.Row]:
    """Returns the pairs of a question, which whether it applies hangs on as well."""
    key = 'pairs', question.name, predictor
    if key not in study.memo:
        found, _ = places.places(study)
        ask = contrasts.QUESTIONS[question.name]
        study.memo[key] = ask(study, found, predictor) if found else []
    return study.memo[key]


def _applies(question: Question, study: FinishedStudy) -> bool:
    """Whether a study has remedies beside none, and pairs that a question asks for."""
    return any(row['pair'][0].size for row in _asked(study, question))


def _build(question: Question, study: FinishedStudy) -> Content:
    frame, scaled = (
        contrasts.table(study, _asked(study, question, predictor), question.name == 'laws')
        for predictor in ('cnn', 'cnn_scaled')
    )
    told = question.tell(study, frame, scaled)
    first, *others = told or ['Not asked on the test law of the reference.']
    tables = [_table(study, question, frame)]
    if len(scaled):
        tables.append(_table(study, question, scaled, 'cnn_scaled'))
    if question.name == 'averaged':
        kept = _kept_table(study, frame)
        tables = [*([kept] if len(kept.frame) else []), *tables]
    keys = ['setting', 'law', 'against', 'test_distribution', 'metric']
    families = sum(len(rows.dropna(subset='p').drop_duplicates(keys)) for rows in (frame, scaled))
    errors = comparison.expected_errors(0, families, comparison.level(study))
    explained = _SCALED if len(scaled) else ''
    notes = list(filter(None, [' '.join(others), explained, errors]))
    badges = counted(_judged(study, question, frame)['verdict'], (BETTER, WORSE, SAME, UNDECIDED))
    return Content(first, tables, _figures(study, question, frame), notes, badges)


SECTIONS = tuple(
    Section(
        f'remedies-{question.name}',
        question.title,
        functools.partial(_applies, question),
        functools.partial(_build, question),
    )
    for question in QUESTIONS
)
