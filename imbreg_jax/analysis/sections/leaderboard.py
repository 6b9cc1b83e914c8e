"""Remedies against imbalance beside no remedy: what they give, what they take, which is best."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import (
    canvas,
    comparison,
    cost,
    dose_response,
    formats,
    leaderboard,
    look,
    marks,
    places,
    remedy_names,
    statistics,
)
from imbreg_jax.analysis.canvas import MUTED, Axes, Drawing
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.leaderboard import BETTER, SAME, UNDECIDED, WORSE
from imbreg_jax.analysis.places import Place
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

# More would be too narrow to read beside one another, or too long below.
_MOST_PANELS, _MOST_REMEDIES, _MOST_SCATTERS = 3, 40, 6
# Of more points the intervals of each would hide the others.
_MOST_INTERVALS = 12
_MOST_SAID = 3
_LABEL = 26
_SHADED = 'shaded: the margin within which errors count as the same'


def _specs(study: FinishedStudy, rows: pd.DataFrame) -> dict[str, look.Style]:
    """Returns spec -> style of the laws of rows, in the order of the study."""
    there = set(rows['law'])
    laws = {c.train.spec: c.train.name for c in study.conditions.values() if c.train.spec in there}
    return dict(zip(laws, look.styles_of(list(laws.values())), strict=True))


def numbered(remedies: Sequence[str], names: Mapping[str, str]) -> dict[str, str]:
    """Returns remedy -> its number and what to call it, short enough to be drawn."""
    short = canvas.short_labels({remedy: names[remedy] for remedy in remedies}, _LABEL)
    return {remedy: f'{short[remedy]}  {i}' for i, remedy in enumerate(remedies, 1)}


def draw_ratios(
    study: FinishedStudy,
    frame: pd.DataFrame,
    settings: Sequence[str],
    remedies: Sequence[str],
    names: Mapping[str, str],
) -> Drawing:
    """Draws ratios to no remedy, a row for each remedy, a panel for each setting.

    Args:
      study: the loaded study.
      frame: rows of `leaderboard.table` of one test law and metric.
      settings: what to draw, from left to right.
      remedies: what to draw, from top to bottom.
      names: remedy -> what to call it.
    """
    known = frame[(frame['remedy'] != '') & frame['ratio'].notna()]
    shown = known[known['setting'].isin(settings) & known['remedy'].isin(remedies)]
    laws, labels, margin = _specs(study, known), look.law_labels(study), comparison.margin(study)
    shown = shown.assign(
        panel=shown['setting'],
        row=shown['remedy'],
        series=shown['law'].map(labels),
        remedy=shown['remedy'].map(names),
    )
    metric = comparison.METRIC_NAMES[frame['metric'].iloc[0]]
    series = {labels[law]: style for law, style in laws.items()}
    return look.ratios_by_row(
        shown, settings, numbered(remedies, names), series, margin,
        f'ratio of {metric} to no remedy',
    )  # fmt: skip


def draw_gains(
    study: FinishedStudy,
    frame: pd.DataFrame,
    settings: Sequence[str],
    remedies: Sequence[str],
    names: Mapping[str, str],
) -> Drawing:
    """Draws the ratio on what training had least of against that on what it had most of.

    Args:
      study: the loaded study.
      frame: rows of `leaderboard.rarest` of one test law.
      settings: what to draw, a panel each.
      remedies: in the order of their numbers, which stand beside points that have room for them.
      names: remedy -> what to call it.
    """
    laws, margin = _specs(study, frame), comparison.margin(study)
    short = look.law_labels(study)
    labels = {law: short[law] for law in laws}
    drawing, grid = canvas.canvas(
        0.5 + 3.5 * len(settings) + look.legend_height(list(labels.values())), len(settings)
    )
    sides = {
        key: look.limits(frame, key, f'{key}_low', f'{key}_high', 1 - margin, 1 + margin)
        for key in ('many', 'rarest')
    }
    if len(frame) > _MOST_INTERVALS:
        sides = {key: look.limits(frame, key, key, key, 1 - margin, 1 + margin) for key in sides}
    for axes, setting in zip(grid[:, 0], settings, strict=True):
        own = frame[frame['setting'] == setting]
        axes.axvspan(1 - margin, 1 + margin, color=MUTED, alpha=0.1, linewidth=0)
        axes.axhspan(1 - margin, 1 + margin, color=MUTED, alpha=0.1, linewidth=0)
        axes.axvline(1, color=MUTED, linewidth=0.8)
        axes.axhline(1, color=MUTED, linewidth=0.8)
        for law, style in laws.items():
            part = own[own['law'] == law]
            x, y = (part[key].to_numpy(float) for key in ('many', 'rarest'))
            bars: dict[str, Any] = {}
            if len(own) <= _MOST_INTERVALS:
                bars = {
                    side: [at - part[f'{key}_low'], part[f'{key}_high'] - at]
                    for side, key, at in (('xerr', 'many', x), ('yerr', 'rarest', y))
                }
            drawn = axes.errorbar(
                x, y, **bars, color=style.color, linestyle='', marker=style.marker, markersize=4.5,
                elinewidth=0.9, label=labels[law],
            )  # fmt: skip
            marks.shows(drawn, remedy=list(part['remedy'].map(names)))
        look.logarithmic(axes, 'x', *sides['many'])
        look.logarithmic(axes, 'y', *sides['rarest'])
        colors = {law: style.color for law, style in laws.items()}
        _number_points(axes, own, remedies, sides, colors)
        axes.set_title(canvas.shorten(setting), fontsize=9.5, loc='left')
        axes.set_ylabel('MAE to no remedy, rarest targets')
        # Which corner is which, at its own end of the axes.
        for (across, up), text in {
            (0.01, 0.01): 'gives to both',
            (0.99, 0.01): 'gives to rare, takes from frequent',
            (0.01, 0.99): 'takes from rare, gives to frequent',
            (0.99, 0.99): 'takes from both',
        }.items():
            axes.text(
                across, up, text, transform=axes.transAxes, fontsize=7, color=MUTED, style='italic',
                ha='left' if across < 0.5 else 'right', va='bottom' if up < 0.5 else 'top',
            )  # fmt: skip
    grid[-1, 0].set_xlabel('MAE to no remedy, frequent targets (many-shot)')
    look.legend(drawing, *grid[:, 0])
    return drawing


def _number_points(
    axes: Axes,
    frame: pd.DataFrame,
    remedies: Sequence[str],
    sides: Mapping[str, tuple],
    colors: Mapping[str, str],
) -> None:
    """Writes a remedy's number beside its points, those far from (1, 1) first, where it is free.

    Places are reckoned as shares of the panel, in which a number takes a twentieth or so.
    """

    def share(key: str, value: float) -> float:
        low, high = sides[key]
        return math.log(value / low) / math.log(high / low)

    points = [
        (share('many', row['many']), share('rarest', row['rarest']), row)
        for row in frame.to_dict('records')
        if row['remedy'] in remedies and row['many'] > 0 and row['rarest'] > 0
    ]
    centre = share('many', 1.0), share('rarest', 1.0)
    points.sort(key=lambda p: -math.hypot(p[0] - centre[0], p[1] - centre[1]))
    dots = [(x, y) for x, y, _ in points]
    taken: list[tuple[float, float]] = []
    for x, y, row in points:
        for right, up in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
            at = x + 0.028 * right, y + 0.032 * up
            near = [(a, b) for a, b in dots if (a, b) != (x, y)]
            free = all(abs(at[0] - a) > 0.026 or abs(at[1] - b) > 0.036 for a, b in near)
            free &= all(abs(at[0] - a) > 0.05 or abs(at[1] - b) > 0.06 for a, b in taken)
            if free and 0.01 < at[0] < 0.99 and 0.05 < at[1] < 0.95:
                taken.append(at)
                axes.text(
                    *at, str(list(remedies).index(row['remedy']) + 1), transform=axes.transAxes,
                    ha='center', va='center', fontsize=7, color=colors[row['law']], weight='bold',
                )  # fmt: skip
                break


def _figures(
    study: FinishedStudy, frame: pd.DataFrame, test: str, metric: str, names: Mapping[str, str]
) -> list[Figure]:
    """Returns the figures of one test law and metric."""
    on = study.labels[test]
    ordered = leaderboard.order(frame, test, metric)
    remedies = ordered[:_MOST_REMEDIES]
    own = frame[frame['test_distribution'] == test]
    main = own[(own['metric'] == metric) & own['ratio'].notna()]
    settings = list(dict.fromkeys(main['setting']))
    laws = look.law_labels(study)
    full = {laws[c.train.spec]: c.train.label for c in study.conditions.values()}
    drawn = canvas.short_labels({remedy: names[remedy] for remedy in remedies}, _LABEL)
    shortened = canvas.shortened_sentence(
        [*full.items(), *((drawn[remedy], names[remedy]) for remedy in remedies)]
    )
    found = []
    for start in range(0, len(settings), _MOST_PANELS):
        part = settings[start : start + _MOST_PANELS]
        caption = (
            f'Tested on {on}: ratio of {comparison.METRIC_NAMES[metric]} to no remedy under the '
            'same law, paired by repeat, with its t interval, on a logarithmic axis; the least '
            f'mean over imbalanced laws first; {_SHADED}. From results.csv.'
        ) + only(len(remedies), len(ordered), 'remedies')
        number = f'_{start // _MOST_PANELS + 1}' if start else ''
        title = 'Remedies against no remedy' + (f': {", ".join(part)}' if number else '')
        draw = functools.partial(draw_ratios, study, main, part, remedies, names)
        found.append(Figure(f'leaderboard{number}', title, caption + shortened, draw))
    gains = leaderboard.rarest(own[~own['balanced'].astype(bool)])
    gains = gains[gains['remedy'].isin(remedies)]
    panels = list(dict.fromkeys(gains['setting']))
    if panels:
        strata = gains.drop_duplicates(['law', 'stratum'])
        rarest = '; '.join(
            f'{laws[law]}: {comparison.METRIC_NAMES[stratum]}'
            for law, stratum in strata[['law', 'stratum']].itertuples(index=False)
        )
        caption = (
            f'Tested on {on}: ratio of MAE to no remedy on the targets that training had least of '
            f'({rarest}) against that on those that it had most of; both below 1 is a gain for '
            f'all. {_SHADED[:1].upper()}{_SHADED[1:]}. Numbers are the rows of the figure of '
            'ratios, and stand where there is room. From results.csv.'
        ) + only(min(len(panels), _MOST_SCATTERS), len(panels), 'settings')
        shown = panels[:_MOST_SCATTERS]
        draw = functools.partial(
            draw_gains, study, gains[gains['setting'].isin(shown)], shown, remedies, names
        )
        title = 'What remedies give to rare targets and take from frequent ones'
        found.append(Figure('leaderboard_gains', title, caption + shortened, draw))
    return found


def _called(names: Mapping[str, str]) -> Column:
    return Column('remedy', 'remedy', labels=names)


def _of_rank() -> list[Column]:
    return [
        Column('rank', 'rank', formats.ROUGH, 'source'),
        Column(('rank_low', 'rank_high'), 'its interval', formats.INTERVAL, 'source'),
    ]


_RANK_NOTE = (
    'Rank: mean over repeats that are drawn again with replacement, the same for all, with the '
    'ends between which nearly all of its values lie; a sure first has the interval 1 to 1.'
)


_INFORMED = 'informed_ratio'
_AT_RATE = ', each at the rate that validation images of the test law choose'


def _cost_source(_: dict[str, Any]) -> str:
    return 'config.json: timing.conditions'


def _of_informed(frame: pd.DataFrame) -> list[Column]:
    """Columns of rates that are chosen under the test law, where the table has any."""
    if _INFORMED not in frame:
        return []
    source = 'informed_source'
    counts = [('informed_better', BETTER), ('informed_worse', WORSE)]
    return [
        Column(_INFORMED, 'ratio, test law’s rate', formats.NUMBER, source),
        Column(('informed_low', 'informed_high'), 'its t interval', formats.INTERVAL, source),
        *(
            Column(key, f'{word}, test law’s rate', formats.COUNT, source)
            for key, word in counts
            if key in frame
        ),
    ]


def _summary_table(
    study: FinishedStudy, rows: pd.DataFrame, test: str, metric: str, names: Mapping[str, str]
) -> Table:
    columns = [
        Column('setting', 'task'),
        _called(names),
        *_of_rank(),
        Column('ratio', 'ratio', formats.NUMBER, 'source'),
        Column(('low', 'high'), 't interval', formats.INTERVAL, 'source'),
        *_of_informed(rows),
        Column('laws', 'laws', formats.COUNT, 'source'),
        *(Column(key, key, formats.COUNT, 'source') for key in leaderboard.COUNTED),
        Column('rarest', 'on rare', formats.ROUGH, 'source'),
        Column('many', 'on frequent', formats.ROUGH, 'source'),
        Column('balanced', 'if balanced', formats.ROUGH, 'source'),
    ]
    if 'passes' in rows:
        columns += [
            Column('passes', 'image passes', formats.ROUGH, _cost_source),
            Column('time', 'time', formats.ROUGH, _cost_source),
        ]
    notes = [
        f'{comparison.METRIC_NAMES[metric]} on {study.labels[test]}, over laws that differ from '
        'it: ratio to no remedy (geometric mean over laws; interval over repeats), and under how '
        'many laws it is shown to be better, worse, the same within the margin, or neither.',
        _RANK_NOTE + ' Ranks under several laws are averaged.',
        'On rare, on frequent: ratio of MAE on the targets that a law has least of (none, few or a '
        'medium number) and on those that it has many of. If balanced: under the test law itself.',
    ]
    most = rows.groupby('setting')['laws'].transform('max')
    fewer = list(dict.fromkeys(names[remedy] for remedy in rows['remedy'][rows['laws'] < most]))
    if fewer:
        notes.append(
            f'Under fewer laws than others: {", ".join(fewer)}. Ratio and rank are of those laws, '
            'and no match for what others have over more.'
        )
    if 'passes' in rows:
        notes.append(
            'Image passes, time: of a network, or of all members of an ensemble, in those of no '
            'remedy. Passes are those that training learns from, each view one. Times are within '
            'one study, on a machine that may have had other work, without compilation; conditions '
            'that share a compiled program share its time equally.'
        )
    return Table('leaderboard', 'Remedies against imbalance', rows, columns, notes)


def answer(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Returns what is said of a row of `leaderboard.answers`."""
    if not row['best']:
        return 'nothing is shown to help'
    best, slight = names[row['best']], row['slight']
    if row['better'] == 1:
        return f'{best} alone helps' + (', by less than the margin' if slight else '')
    within = f', {slight} by less than the margin' if slight else ''
    return f'{row["better"]} help{within}, {best} with the least ratio'


_AT_FACTOR = ', each network at its best factor'


def _answers_table(
    study: FinishedStudy,
    rows: pd.DataFrame,
    names: Mapping[str, str],
    name: str = '',
    how: str = '',
) -> Table:
    """Returns the answers; `how` says whose ratios they are, `name` the same in a word."""
    laws = {c.train.spec: c.train.label for c in study.conditions.values()}
    rows = rows.assign(answer=[answer(row, names) for row in rows.to_dict('records')])
    columns = [
        Column('setting', 'task'),
        Column('law', 'trained on', labels=laws),
        Column('test_distribution', 'tested on', labels=study.labels),
        Column('answer', 'answer'),
        Column('ratio', 'ratio', formats.NUMBER, 'source'),
        Column(('low', 'high'), 'interval of all at once', formats.INTERVAL, 'source'),
        Column('compared', 'remedies', formats.COUNT, 'source'),
        *(Column(key, key, formats.COUNT, 'source') for key in leaderboard.COUNTED),
        Column('detectable', 'could have shown', formats.NUMBER, 'source'),
    ]
    notes = [
        'Which of those that are shown to be better has the least ratio to no remedy. It is chosen '
        'as the best of many, so its interval is one that holds for all remedies of the row at '
        'once (Student’s t, Bonferroni), wider than that of the same ratio elsewhere.',
        'Could have shown: the ratio, or its inverse, that so many repeats show with a power of '
        f'{100 * statistics.POWER:g} %, by the strictest step of Holm’s correction; the median '
        'over remedies. That nothing is shown to help means little where it is large.',
    ]
    title = f'Which remedy helps, by task and law{how}'
    return Table('_'.join(filter(None, ('leaderboard_answers', name))), title, rows, columns, notes)


def _unfinished_table(study: FinishedStudy, rows: pd.DataFrame) -> Table:
    """The conditions that are left to be trained, as `places.unfinished` has them."""
    laws = {'': 'the training law', **study.labels}
    told = [', '.join(laws[law] for law in under) for under in rows['chosen_under']]
    columns = [
        Column('condition', 'condition'),
        Column('repeats', 'repeats', formats.COUNT),
        Column('most', 'of', formats.COUNT),
        Column('chosen_under', 'chosen on images of'),
    ]
    notes = [
        'Their rate was chosen on repeats that all rates were tried in, and they are compared in '
        'fewer than others. Train their other repeats (`first_repeat`), and report all together.'
    ]
    title = 'Chosen rates that have fewer repeats than others'
    rows = rows.assign(chosen_under=told)
    return Table('leaderboard_unfinished', title, rows, columns, notes)


def _law_table(study: FinishedStudy, frame: pd.DataFrame, names: Mapping[str, str]) -> Table:
    laws = {c.train.spec: c.train.label for c in study.conditions.values()}
    rows = frame.sort_values(['setting', 'law', 'test_distribution', 'metric'], kind='stable')
    columns = [
        Column('setting', 'task'),
        Column('law', 'trained on', labels=laws),
        Column('test_distribution', 'tested on', labels=study.labels),
        Column('metric', 'metric', labels=comparison.METRIC_NAMES),
        _called(names),
        Column(('mean', 'std'), 'mean ± std', formats.SPREAD, 'source'),
        Column('verdict', 'against none', formats.STATUS),
        Column('ratio', 'ratio', formats.NUMBER, 'source'),
        Column(('low', 'high'), 't interval', formats.INTERVAL, 'source'),
        Column('repeats', 'pairs', formats.COUNT, 'source'),
        Column('lost', 'diverged', formats.COUNT, 'source'),
        Column('p', 'p (t)', formats.P_VALUE, 'source'),
        Column('holm_p', 'p (t, Holm)', formats.P_VALUE, 'source'),
        Column('flip_p', 'p (sign flips)', formats.P_VALUE, 'source'),
        Column('holm_same_p', 'p (same, Holm)', formats.P_VALUE, 'source'),
        Column('flip_same_p', 'p (same, sign flips)', formats.P_VALUE, 'source'),
        Column('detectable', 'detectable', formats.NUMBER, 'source'),
        Column('repeats_needed', 'repeats needed', NEEDED, 'source'),
        *_of_rank(),
        Column('rate', 'rate', formats.ROUGH, 'source'),
        Column('rates_tried', 'rates tried', formats.COUNT, 'source'),
        *_of_informed(frame),
    ]
    if _INFORMED in frame:
        columns += [
            Column('informed_verdict', 'against none, test law’s rate', formats.STATUS),
            Column('informed_rate', 'test law’s rate', formats.ROUGH, 'informed_source'),
        ]
    notes = [
        'Tests are two-sided, by Student’s t on log ratios; Holm’s correction runs over the '
        'remedies that are held against no remedy under one law and test law, in one metric.',
        _RANK_NOTE,
    ]
    return Table('leaderboard_by_law', 'Remedies by law', rows, columns, notes, evidence=True)


def _neutrality_table(study: FinishedStudy, frame: pd.DataFrame, names: Mapping[str, str]) -> Table:
    kept = frame['balanced'].astype(bool) & (frame['remedy'] != '')
    rows = frame[kept & frame['metric'].isin(leaderboard.RANKED)]
    columns = [
        Column('setting', 'task'),
        Column('test_distribution', 'trained and tested on', labels=study.labels),
        Column('metric', 'metric', labels=comparison.METRIC_NAMES),
        _called(names),
        Column('neutrality', 'against none', formats.STATUS),
        Column('ratio', 'ratio', formats.NUMBER, 'source'),
        Column(('low', 'high'), 't interval', formats.INTERVAL, 'source'),
        Column('holm_same_p', 'p (same, Holm)', formats.P_VALUE, 'source'),
        Column('flip_same_p', 'p (same, sign flips)', formats.P_VALUE, 'source'),
        Column('holm_p', 'p (t, Holm)', formats.P_VALUE, 'source'),
        Column('flip_p', 'p (sign flips)', formats.P_VALUE, 'source'),
    ]
    shown = [key for column in columns for key in np.atleast_1d(column.key)]
    margin = comparison.margin(study)
    notes = [
        'Where training has the test law nothing is to be cured. Same: that the ratio lies within '
        f'{1 - margin:g} and {1 + margin:g} is shown, however small a difference is shown beside.'
    ]
    title = 'What remedies change where there is no imbalance'
    rows = rows[[*shown, 'condition', 'repeats', 'source']]
    return Table('neutrality', title, rows, columns, notes)


def _of(frame: pd.DataFrame, test: str, metric: str) -> pd.DataFrame:
    own = frame[(frame['test_distribution'] == test) & (frame['metric'] == metric)]
    return own[own['remedy'] != '']


def _headline(
    study: FinishedStudy, frame: pd.DataFrame, test: str, metric: str, names: Mapping[str, str]
) -> str:
    """Counts the verdicts under imbalanced laws, and names who was always on one side."""
    own = _of(frame, test, metric)
    imbalanced = own[~own['balanced'].astype(bool)]
    what = f'{comparison.METRIC_NAMES[metric]} on {study.labels[test]}'
    counts = imbalanced['verdict'].value_counts()
    better, worse, same, left = (counts.get(v, 0) for v in (BETTER, WORSE, SAME, UNDECIDED))
    plural = 's' if len(imbalanced) != 1 else ''
    text = (
        f'Against no remedy, of {len(imbalanced):,} comparison{plural} of {what} under imbalance '
        f'{better:,} better, {worse:,} worse, {same:,} same within the margin, {left:,} undecided'
    )
    if not len(imbalanced):
        text = f'No remedy is held against none under imbalance, in {what}'
    wins, losses = (_farthest(imbalanced, verdict) for verdict in (BETTER, WORSE))
    sides = [
        ('winners', {r: n for r, n in wins.items() if r not in losses}),
        ('losers', {r: n for r, n in losses.items() if r not in wins}),
    ]
    for who, remedies in sides:
        if remedies:
            text += f'; {who}: {_said(remedies, imbalanced, names)}'
    both = len(wins.keys() & losses.keys())
    if both:
        text += f'; {both} better in some and worse in others'
    if len(imbalanced) and not better:
        text += '; no remedy is shown to help'
    balanced = own[own['balanced'].astype(bool)]
    if len(balanced):
        neutral = (balanced['neutrality'] == SAME).sum()
        text += f'; without imbalance {neutral} of {len(balanced)} leave the error the same'
    return f'{text}.'


def _farthest(rows: pd.DataFrame, verdict: str) -> dict[str, int]:
    """Returns how often remedies have a verdict: the most often first, then the farthest."""
    own = rows[rows['verdict'] == verdict]
    sizes = np.log(own['ratio'].astype(float)).abs().groupby(own['remedy']).max()
    counts = own['remedy'].value_counts()
    order = sorted(counts.index, key=lambda remedy: (-counts[remedy], -sizes[remedy]))
    return {remedy: int(counts[remedy]) for remedy in order}


def _said(counted: Mapping[str, int], rows: pd.DataFrame, names: Mapping[str, str]) -> str:
    totals = rows['remedy'].value_counts()
    parts = [f'{names[remedy]} ({count} of {totals[remedy]})' for remedy, count in counted.items()]
    return listed(parts, most=_MOST_SAID)


def _passes(spec: str) -> int:
    """Returns how often a training image goes through networks in an epoch; 1 if not known."""
    remedy = remedy_names.known(spec)
    return remedy.members * remedy.views if remedy else 1


def _on_informed(frame: pd.DataFrame) -> str:
    """Says what either choice of the rate assumes, and how often they agree on a test law."""
    counts = leaderboard.same_rate(frame)
    (same, of), (even, of_even) = counts[False], counts[True]
    text = (
        'The main columns choose the rate on validation images of the training law: what can be '
        'done with no other data than that. Those of the test law’s rate choose it on as many '
        'images of the test law, which are not the test images: they assume a validation set as '
        'the test is, which is rarely at hand.'
    )
    if of:
        text += f' Both choose the same rate in {same:,} of {of:,} cases under imbalance'
        text += f', and in {even:,} of {of_even:,} without it' if of_even else ''
        text += '.'
    return text


def _on_unfinished(left: pd.DataFrame) -> str:
    """Says that what is compared may be of few repeats alone."""
    least, most = left['repeats'].min(), left['most'].max()
    return (
        f'Not to be read yet: {len(left):,} of the conditions whose rate was chosen have fewer '
        f'repeats than the {most:,} of others, {least:,} at the least, and what is compared with '
        'them has no more pairs. The table of chosen rates names them.'
    )


def _on_ends(found: Sequence[Place]) -> str:
    """Says how often a choice fell on an end of what it was made from."""
    least, greatest, of = places.at_ends(found)
    if not least + greatest:
        return ''
    return (
        f' Of {of:,} choices {greatest:,} are the greatest rate tried and {least:,} the least: of '
        'these, one farther out might be better still.'
    )


def _notes(
    study: FinishedStudy,
    found: Sequence[Place],
    frame: pd.DataFrame,
    test: str,
    lone: Sequence[str],
    names: Mapping[str, str],
) -> list[str]:
    level = comparison.level(study)
    tested = frame.dropna(subset='p')[leaderboard.FAMILY]
    notes = [
        'Each remedy is compared with no remedy, under the same law and in conditions alike in '
        'everything else, paired by repeat.',
        comparison.expected_errors(0, len(tested.drop_duplicates()), level),
        _on_sign_flips(frame, level),
    ]
    passes = {names[remedy]: _passes(remedy) for remedy in frame['remedy'].unique()}
    dear = [f'{name} {count:,}' for name, count in passes.items() if count > 1]
    if dear:
        notes.append(
            'Not all cost the same. Times that an image goes through a network in an epoch, views '
            f'and members of ensembles counted: {", ".join(dear)}; of all others, and of no '
            'remedy, 1.'
        )
    if (frame['rates_tried'] > 1).any():
        most = int(frame['rates_tried'].max())
        notes.append(
            f'Of up to {most} learning rates each remedy, and no remedy, has the one of its least '
            'mean validation error under its training law at the last epoch '
            f'({places.CRITERION}), chosen before anything is compared.' + _on_ends(found)
        )
    if _INFORMED in frame:
        notes.append(_on_informed(frame[frame['test_distribution'] == test]))
    sure = leaderboard.sure_winners(frame[frame['metric'] == leaderboard.RANKED[0]])
    if len(sure):
        notes.append(f'A sure first in {len(sure):,} rankings; see the table by law.')
    least = leaderboard.least_repeats(level)
    if frame['rank'].isna().all():
        notes.append(f'Ranks are given an interval of {least} repeats or more.')
    if lone:
        named = ', '.join(study.titles[name] for name in lone[:_MOST_SAID])
        more = f' and {len(lone) - _MOST_SAID} more' if len(lone) > _MOST_SAID else ''
        notes.append(
            f'Not compared, for want of no remedy beside it at the same rates: {named}{more}.'
        )
    return list(filter(None, notes))


def _on_sign_flips(frame: pd.DataFrame, level: float) -> str:
    """Says where so few repeats could not show a difference by sign flips alone."""
    tested = frame.dropna(subset='p')
    sizes = tested.groupby(leaderboard.FAMILY)['p'].transform('size')
    # All of the signs alike, one way or the other.
    least = sizes * 2.0 ** (1 - tested['repeats'])
    if not len(tested) or (least < level).all():
        return ''
    return (
        f'Sign flips of {tested["repeats"].min():,} repeats cannot show a difference of one of '
        f'{sizes.max():,} remedies once Holm’s correction has run over all; verdicts are of '
        'Student’s t, and stand on it.'
    )


def _beyond_a_factor(
    study: FinishedStudy, left: pd.DataFrame, test: str, metric: str, names: Mapping[str, str]
) -> list[str]:
    """Says how many gains are more than a common factor on predictions, and what it hid."""
    if not len(left):
        return []
    what = f'ratios of {comparison.METRIC_NAMES[metric]} on {study.labels[test]}'
    scaled = (
        'once every network’s predictions are multiplied by the one factor that fits these images '
        'best, with and without a remedy'
    )
    gained = left['before'] == BETTER
    counts, others = left[gained]['verdict'].value_counts(), left[~gained]
    told = ', '.join(
        f'{counts[verdict]} {word}'
        for verdict, word in (
            (BETTER, 'better still'),
            (SAME, 'the same within the margin'),
            (WORSE, 'worse'),
            (UNDECIDED, 'undecided'),
        )
        if verdict in counts
    )
    found = f'Of {gained.sum()} {what} that are better, {scaled}: {told}. ' if told else ''
    if len(others):
        hidden = _farthest(others, BETTER)
        which = f': {_said(hidden, left, names)}' if hidden else ''
        of = f'Of {len(others)} others' if told else f'Of {len(others)} {what}, {scaled},'
        found += f'{of} {sum(hidden.values()) or "none"} are better then{which}.'
    return [found.strip()]


def _build(study: FinishedStudy) -> Content:
    found, lone = places.places(study)
    made = leaderboard.ranks(study, found)
    frame = leaderboard.table(study, found, made)
    names = study.remedy_labels
    test = dose_response.reference_test(study)
    if not len(frame):
        return Content('No remedy and no network beside it has an error that is finite.', [])
    metric = frame['metric'].iloc[0]
    rows = leaderboard.summary(study, found, frame, made, test, metric)
    frame, sums, others = leaderboard.informed(study, frame)
    sums, others = (rows[rows['test_distribution'] == test] for rows in (sums, others))
    sums = sums.drop(columns='test_distribution')
    if cost.known(study):
        rows = rows.merge(cost.table(study, found), how='left', on=['setting', 'remedy'])
    if len(sums):
        rows = rows.merge(sums, how='left', on=['setting', 'remedy'])
    tests = sorted(study.test_distributions, key=lambda name: name != test)
    helping = pd.concat([leaderboard.answers(study, found, frame, t, metric) for t in tests])
    scaled = leaderboard.scaled(study, found, frame, test, metric)
    beyond = leaderboard.answers(study, found, scaled, test, metric, 'cnn_scaled')
    left = places.unfinished(study)
    tables = [
        _answers_table(study, helping, names),
        *([_answers_table(study, others, names, 'informed', _AT_RATE)] if len(others) else []),
        *([_answers_table(study, beyond, names, 'scaled', _AT_FACTOR)] if len(scaled) else []),
        _summary_table(study, rows, test, metric, names),
        _neutrality_table(study, frame, names),
        *([_unfinished_table(study, left)] if len(left) else []),
        _law_table(study, frame, names),
    ]
    return Content(
        _headline(study, frame, test, metric, names),
        tables,
        _figures(study, frame, test, metric, names),
        [
            *([_on_unfinished(left)] if len(left) else []),
            *_beyond_a_factor(study, scaled, test, metric, names),
            *_notes(study, found, frame, test, lone, names),
        ],
        counted(
            (own := _of(frame, test, metric))['verdict'][~own['balanced'].astype(bool)],
            (BETTER, WORSE, SAME, UNDECIDED),
        ),
    )


SECTION = Section(
    'leaderboard',
    'Remedies against imbalance',
    lambda study: bool(places.places(study)[0]),
    _build,
)
