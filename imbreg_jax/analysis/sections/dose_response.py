"""Errors along every dial of a study: how much a step costs, where, and for which category."""

import functools
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import canvas, comparison, dose_response, formats, look, marks
from imbreg_jax.analysis.canvas import MUTED, Drawing, colors
from imbreg_jax.analysis.dose_response import Dial, Group
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.formats import number
from imbreg_jax.analysis.section import Column, Content, Figure, Section, Table, enumerated, only
from imbreg_jax.analysis.sections import error_curve, targets

_DRAWN = ('mse', 'mape')
_MOST_MAPS = 4
_TARGET_BINS = 24
_OF_TASKS = ' Beneath a task: what makes an image of another target of one of its images.'
_OR_NOTHING = formats.Kind('label', lambda text: text or formats.NOTHING)


def dials(study: FinishedStudy) -> list[Dial]:
    """Returns the dials of a study, laws placed by their imbalance against the reference's law."""
    test = study.test_distributions[dose_response.reference_test(study)]

    def measure(name: str) -> tuple[float, float, str] | None:
        found = targets.measures(study, name, test)
        side = targets.side(study, name, test)
        return (found.missing_share, found.wasserstein, side) if found else None

    return dose_response.dials(study, measure)


def draw_curves(
    study: FinishedStudy, dial: Dial, groups: Sequence[Group], frame: pd.DataFrame
) -> Drawing:
    """Draws errors and ratios of `dose_response.table` rows of one test law against a dial."""
    rows = frame[np.isfinite(frame['value'])]
    metrics = [metric for metric in _DRAWN if metric in set(rows['metric'])]
    labels = list(canvas.short_labels({group.label: group.label for group in groups}).values())
    height = 0.6 + 3.6 * len(metrics) + look.legend_height(labels)
    drawing, grid = canvas.canvas(
        height, 2 * len(metrics), sharex=True, height_ratios=(1.2, 1) * len(metrics)
    )
    margin, titles = comparison.margin(study), look.titles(study)
    # What lacks nothing is first in each group of a side.
    first = [group.conditions[bool(group.side)] for group in groups]
    laws = [study.conditions[name].train.name for name in first]
    styles = look.styles_of(laws)
    for metric, (errors, ratios) in zip(metrics, grid[:, 0].reshape(-1, 2), strict=True):
        shown = rows[rows['metric'] == metric]
        for group, style, label in zip(groups, styles, labels, strict=True):
            part = shown[shown['group'] == group.label]
            against = part.assign(ratio=part['ratio'].where(~part['reference'], 1.0))
            kind: Any = {'color': style.color, 'linestyle': style.line, 'marker': style.marker}
            kind |= {'markersize': 5, 'linewidth': 1.5, 'elinewidth': 1.1, 'capsize': 2}
            for axes, of, keys, name in (
                (errors, part, ('mean', 'mean_low', 'mean_high'), label or None),
                (ratios, against[against['ratio'].notna()], ('ratio', 'low', 'high'), None),
            ):
                middle, low, high = (of[key].to_numpy(float) for key in keys)
                bars = axes.errorbar(
                    of['value'], middle, [middle - low, high - middle], label=name, **kind
                )
                marks.shows(bars, condition=list(of['condition'].map(titles)))
        ratios.axhspan(1 - margin, 1 + margin, color=MUTED, alpha=0.15, linewidth=0)
        ratios.axhline(1, color=MUTED, linewidth=0.8)
        label = comparison.METRIC_NAMES[metric]
        errors.set_ylabel(label)
        ratios.set_ylabel(f'ratio of {label}')
        ends = look.limits(shown, 'mean', 'mean_low', 'mean_high')
        if dose_response.wide(shown['mean'].to_numpy(float)):
            look.logarithmic(errors, 'y', *ends)
        else:
            errors.set_ylim(0, ends[1])
        look.logarithmic(
            ratios, 'y', *look.limits(shown, 'ratio', 'low', 'high', 1 - margin, 1 + margin)
        )
    bottom = grid[-1, 0]
    if dial.logarithmic:
        look.logarithmic(bottom, 'x', dial.known[0] / 1.2, dial.known[-1] * 1.2)
    bottom.set_xlabel(canvas.wrap(canvas.shorten(dial.title, 90), 48))
    look.legend(drawing, *grid[:, 0])
    return drawing


def draw_laws(study: FinishedStudy, dial: Dial, group: Group, frame: pd.DataFrame) -> Drawing:
    """Draws errors and ratios of `dose_response.table` rows of one test law, a row a law."""
    rows = frame[frame['group'] == group.label]
    metrics = [metric for metric in _DRAWN if metric in set(rows['metric'])]
    names = [name for name in group.conditions if name in set(rows['condition'])]
    names, left = names[: look.MOST_ROWS], look.law_labels(study)
    ticks = [
        canvas.wrap(left[study.conditions[name].train.spec], look.TICK_WIDTH)
        + f'\n{dial.values[name]:.3g}'
        for name in names
    ]
    height = 0.5 + 0.22 * sum(tick.count('\n') + 1 for tick in ticks)
    drawing, grid = canvas.canvas(height * len(metrics), len(metrics), 2, sharey=True)
    margin, titles = comparison.margin(study), study.titles
    for metric, panels in zip(metrics, grid, strict=True):
        shown = rows[rows['metric'] == metric].set_index('condition').loc[names]
        shown = shown.assign(ratio=shown['ratio'].where(~shown['reference'].astype(bool), 1.0))
        label = comparison.METRIC_NAMES[metric]
        for axes, keys, name in (
            (panels[0], ('mean', 'mean_low', 'mean_high'), label),
            (panels[1], ('ratio', 'low', 'high'), f'ratio of {label}'),
        ):
            middle, low, high = (shown[key].to_numpy(float) for key in keys)
            bars = axes.errorbar(
                middle, range(len(names)), xerr=[middle - low, high - middle], linestyle='',
                marker='o', markersize=5, elinewidth=1.6,
            )  # fmt: skip
            marks.shows(bars, condition=[titles[own] for own in names])
            axes.set_xlabel(name)
            axes.grid(axis='y', visible=False)
        panels[0].set_yticks(range(len(names)), ticks)
        panels[0].set_ylim(len(names) - 0.5, -0.5)
        ends = look.limits(shown, 'mean', 'mean_low', 'mean_high')
        if dose_response.wide(shown['mean'].to_numpy(float)):
            look.logarithmic(panels[0], 'x', *ends)
        else:
            panels[0].set_xlim(0, ends[1])
        panels[1].axvspan(1 - margin, 1 + margin, color=MUTED, alpha=0.15, linewidth=0)
        panels[1].axvline(1, color=MUTED, linewidth=0.8)
        look.logarithmic(
            panels[1], 'x', *look.limits(shown, 'ratio', 'low', 'high', 1 - margin, 1 + margin)
        )
    return drawing


def target_errors(study: FinishedStudy, name: str, edges: np.ndarray) -> np.ndarray:
    """Returns [b] relative root mean squared errors (%) over repeats and dense images by target.

    Args:
      study: the loaded study.
      name: a condition with runs that count.
      edges: [b + 1] increasing ends of bins of the target; NaN comes of a bin without images.
    """
    of, errors = error_curve.dense(study, name)
    with np.errstate(all='ignore'):
        squares = ((errors / of) ** 2).mean(axis=0)
        (sums, counts), _ = zip(
            *(np.histogram(of, edges, weights=weights) for weights in (squares, None)), strict=True
        )
        return 100 * np.sqrt(sums / counts)


def draw_targets(study: FinishedStudy, dial: Dial, groups: Sequence[Group]) -> Drawing:
    """Draws the relative error by dial and true target, a panel a group, in one scale of colours.

    A white line in a row says where its training targets lie.
    """
    names = [group.conditions[: look.MOST_ROWS] for group in groups]
    reach = np.concatenate([error_curve.dense(study, name)[0] for own in names for name in own])
    edges = np.linspace(reach.min(), reach.max(), _TARGET_BINS + 1)
    values = [np.stack([target_errors(study, name, edges) for name in own]) for own in names]
    known = np.concatenate([part.ravel() for part in values])
    known = known[np.isfinite(known) & (known > 0)]
    low, high = np.percentile(known, [1, 99]) if known.size else (1.0, 2.0)
    high = max(high, 1.01 * low)
    norm = colors.LogNorm(low, high, clip=True)
    heights = [len(own) for own in names]
    drawing, grid = canvas.canvas(
        1.5 + 0.45 * len(groups) + 0.28 * sum(heights),
        len(groups),
        sharex=True,
        height_ratios=heights,
    )
    laws = look.law_labels(study)
    for axes, group, own, part in zip(grid[:, 0], groups, names, values, strict=True):
        rows = np.arange(len(own) + 1)
        mesh = axes.pcolormesh(edges, rows, part, norm=norm, cmap='viridis', rasterized=True)
        for i, name in enumerate(own):
            seen, _ = np.histogram(targets.validation_targets(study, name), edges)
            held = np.flatnonzero(seen)
            # Not of the theme: the colours beneath are the same in any.
            for color, width in (('black', 4), ('white', 2)):
                y = np.full(held.size, i + 0.12)
                axes.hlines(y, edges[held], edges[held + 1], color=color, linewidth=width)
        ticks = [f'{dial.values[name]:.4g}' for name in own]
        if dial.of_law:
            labels = [laws[study.conditions[name].train.spec] for name in own]
            ticks = [canvas.wrap(label, look.TICK_WIDTH) for label in labels]
        axes.set_yticks(rows[:-1] + 0.5, ticks)
        axes.grid(visible=False)
        axes.set_title(canvas.shorten(group.label), fontsize=9.5, loc='left')
    # A share of the height, which leaves a tall drawing's label no room.
    bottom: Any = {'fraction': min(0.15, 0.5 / drawing.get_figheight())}
    bar = drawing.colorbar(
        mesh, ax=list(grid[:, 0]), location='bottom', pad=0.02, aspect=40, **bottom
    )
    look.logarithmic(bar.ax, 'x', low, high)
    bar.set_label('relative root mean squared error (%)')
    grid[-1, 0].set_xlabel(f'true {look.target(study)}')
    drawing.supylabel(
        '' if dial.of_law else canvas.wrap(canvas.shorten(dial.title, 90), 32), fontsize=10.2
    )
    return drawing


def order(frame: pd.DataFrame) -> list[str]:
    """Returns the groups of rows with ratios, those with the largest ratio first."""
    known = frame[frame['ratio'].notna()]
    first = known[known['metric'] == known['metric'].iloc[0]] if len(known) else known
    return list(first.groupby('group')['ratio'].max().sort_values(ascending=False).index)


def categories(dial: Dial, frame: pd.DataFrame) -> list[str]:
    """Returns the groups that laws cost something in, in that order; none of another dial."""
    return order(frame) if dial.of_law and not dial.of_sides else []


def by_value(dial: Dial, frame: pd.DataFrame) -> list[str]:
    """Returns the `categories` as they are drawn: by the value of a number, if they are of one."""
    ordered = categories(dial, frame)
    numbers = {label: re.fullmatch(r'[^,]+ = ([-+.e\d]+)', label) for label in ordered}
    values = {label: float(match[1]) for label, match in numbers.items() if match}
    return sorted(ordered, key=values.__getitem__) if len(values) == len(ordered) else ordered


def symmetries(study: FinishedStudy, dial: Dial) -> dict[str, str]:
    """Returns group -> the symmetry of its task, where groups are of several tasks.

    Empty for a task without one, or that is not known here.
    """
    tasks = {
        group.label: {
            str(study.conditions[name].settings['task.name']) for name in group.conditions
        }
        for group in dial.groups
    }
    if len(set().union(*tasks.values())) < 2:
        return {}
    known = {label: [look.task(name) for name in sorted(own)] for label, own in tasks.items()}
    return {
        label: ', '.join(dict.fromkeys(task.symmetry for task in own if task and task.symmetry))
        for label, own in known.items()
    }


def draw_categories(
    study: FinishedStudy, dial: Dial, groups: Sequence[str], frame: pd.DataFrame
) -> Drawing:
    """Draws each law's ratio to the reference's law, a row for each group, a panel a metric.

    Beneath a group's name stands the symmetry of its task, where groups are of several tasks.
    """
    known = frame[frame['ratio'].notna() & frame['group'].isin(groups)]
    metrics = [metric for metric in _DRAWN if metric in set(known['metric'])]
    drawn = set(known['condition'])
    laws = targets.laws(study, [name for name in study.conditions if name in drawn])
    specs = list(laws)
    styles = look.styles_of([study.conditions[name].train.name for name in laws.values()])
    labels, margin = look.law_labels(study), comparison.margin(study)
    titles = look.titles(study)
    names = [
        canvas.wrap(name, look.TICK_WIDTH)
        for name in canvas.short_labels({group: group for group in groups}).values()
    ]
    of_tasks = symmetries(study, dial)
    if of_tasks:
        names = [
            f'{name}\n{of_tasks[group] or "no symmetry"}'
            for name, group in zip(names, groups, strict=True)
        ]
    row = 0.2 + 0.14 * len(specs)
    drawing, grid = canvas.canvas(
        1.1 + row * len(groups) + look.legend_height([labels[spec] for spec in specs]),
        1,
        len(metrics),
        sharey=True,
    )
    for axes, metric in zip(grid[0], metrics, strict=True):
        shown = known[known['metric'] == metric]
        spec_of = shown['condition'].map(lambda name: study.conditions[name].train.spec)
        for k, (spec, style) in enumerate(zip(specs, styles, strict=True)):
            part = shown[spec_of == spec]
            apart = 0.7 * ((k + 0.5) / len(specs) - 0.5)
            y = part['group'].map(list(groups).index) + apart
            middle, low, high = (part[key].to_numpy(float) for key in ('ratio', 'low', 'high'))
            bars = axes.errorbar(
                middle, y, xerr=[middle - low, high - middle], color=style.color, linestyle='',
                marker=style.marker, markersize=5, elinewidth=1.6, label=labels[spec],
            )  # fmt: skip
            marks.shows(bars, condition=list(part['condition'].map(titles)))
        axes.axvspan(1 - margin, 1 + margin, color=MUTED, alpha=0.15, linewidth=0)
        axes.axvline(1, color=MUTED, linewidth=0.8)
        axes.set(ylim=(len(groups) - 0.5, -0.5))
        axes.set_xlabel(f'ratio of {comparison.METRIC_NAMES[metric]}')
        axes.set_yticks(range(len(groups)), names)
        axes.grid(axis='y', visible=False)
        look.logarithmic(
            axes, 'x', *look.limits(shown, 'ratio', 'low', 'high', 1 - margin, 1 + margin)
        )
    look.legend(drawing, *grid[0])
    return drawing


def _shortened(study: FinishedStudy, groups: Sequence[str]) -> str:
    """Returns a sentence for the caption of a figure that names groups and laws."""
    laws = look.law_labels(study)
    full = {laws[c.train.spec]: c.train.label for c in study.conditions.values()}
    shown = canvas.short_labels({group: group for group in groups})
    return canvas.shortened_sentence([*full.items(), *((shown[group], group) for group in groups)])


def _figures(study: FinishedStudy, dial: Dial, frame: pd.DataFrame) -> list[Figure]:
    """Returns the figures of one dial, from its rows of the reference's test law."""
    test = study.labels[dose_response.reference_test(study)]
    name = f'dose_response_{dial.changed}'
    shaded = 'shaded: the margin within which errors count as the same. From results.csv.'
    found = []

    def add(name: str, title: str, caption: str, groups: Sequence[str], *draw: Any) -> None:
        caption += _shortened(study, groups)
        found.append(Figure(name, title, caption, functools.partial(draw[0], study, *draw[1:])))

    ordered = by_value(dial, frame)
    if dial.curved:
        groups = dial.groups[: look.MOST_CURVES]
        labels = [group.label for group in groups]
        caption = (
            f'Tested on {test}: mean over repeats and its t interval; beneath it the ratio to the '
            f"reference's value of the same group, paired by repeat, with its interval; {shaded}"
        ) + only(len(groups), len(dial.groups), 'groups')
        if not dial.unordered:
            title = f'Error against {dial.title}'
            add(name, title, caption, labels, draw_curves, dial, groups, frame)
        elif len(ordered) < 2:  # Several groups are told by name below.
            caption += f' Beneath a law: its {dial.title}.'
            add(name, 'Error by law', caption, labels, draw_laws, dial, groups[0], frame)
        placed = [group for group in dial.groups if math.isfinite(dial.values[group.conditions[0]])]
        groups = tuple(placed[:_MOST_MAPS])
        longest = max(len(group.conditions) for group in groups)
        caption = (
            'Dense evaluation set of predictions.npz in bins of the target; over repeats and '
            'images. A white line in a row: where its training targets lie. The scale of colours '
            'ends at the 1st and 99th percentile.'
        ) + only(len(groups), len(placed), 'groups')
        caption += only(min(longest, look.MOST_ROWS), longest, 'values')
        title = f'Error by true target and {dial.title}'
        add(f'{name}_by_target', title, caption, labels[:_MOST_MAPS], draw_targets, dial, groups)
    if len(ordered) > 1:
        rows = ordered[: look.MOST_ROWS]
        sorting = 'the largest first' if ordered == order(frame) else 'by value'
        caption = (
            f'Tested on {test}: ratio of the error to that under the law of the reference, paired '
            f'by repeat, with its interval, on a logarithmic axis; {sorting}; {shaded}'
            f'{_OF_TASKS if symmetries(study, dial) else ""}'
        ) + only(len(rows), len(ordered), 'groups')
        title = 'When imbalance matters'
        add('when_imbalance_matters', title, caption, rows, draw_categories, dial, rows, frame)
    return found


def _table(study: FinishedStudy, dials: Sequence[Dial], frame: pd.DataFrame) -> Table:
    columns = [
        Column('dial', 'dial', labels={dial.changed: dial.title for dial in dials}),
        Column('group', 'group', _OR_NOTHING),
        Column('condition', 'condition', labels=study.titles),
        Column('value', 'value', formats.NUMBER, lambda row: 'config.json: conditions'),
        Column('test_distribution', 'tested on', labels=study.labels),
        Column('metric', 'metric', labels=comparison.METRIC_NAMES),
        Column(('mean', 'std'), 'mean ± std', formats.SPREAD, 'source'),
        Column('repeats', 'repeats', formats.COUNT, 'source'),
        Column('ratio', 'ratio to reference', formats.NUMBER, 'source'),
        Column(('low', 'high'), 't interval', formats.INTERVAL, 'source'),
        Column('holm_p', 'p (t, Holm)', formats.P_VALUE, 'source'),
    ]
    notes = [
        'Ratios are those of the table of comparisons: to the condition that has the '
        "reference's value and is like it in everything else."
    ]
    return Table('dose_response', 'Errors along dials', frame, columns, notes, evidence=True)


def _matters_table(study: FinishedStudy, dial: Dial, frame: pd.DataFrame) -> Table:
    """Returns what laws cost in each group, in the order of the figure."""
    ordered = by_value(dial, frame)
    known = frame[frame['ratio'].notna()]
    of_tasks = symmetries(study, dial)
    rows = known.assign(
        symmetry=[of_tasks.get(group, '') for group in known['group']],
        law=[study.conditions[name].train.label for name in known['condition']],
        place=known['group'].map({group: i for i, group in enumerate(ordered)}),
    ).sort_values(['metric', 'place', 'value'], ascending=[False, True, True], kind='stable')
    columns = [
        Column('group', 'group'),
        *([Column('symmetry', 'symmetry', _OR_NOTHING)] if of_tasks else []),
        Column('law', 'trained on'),
        Column('metric', 'metric', labels=comparison.METRIC_NAMES),
        Column('ratio', 'ratio to reference', formats.NUMBER, 'source'),
        Column(('low', 'high'), 't interval', formats.INTERVAL, 'source'),
        Column('holm_p', 'p (t, Holm)', formats.P_VALUE, 'source'),
    ]
    kept = [key for column in columns for key in np.atleast_1d(column.key)]
    shown = rows[[*kept, 'condition', 'test_distribution', 'repeats', 'source']]
    return Table('when_imbalance_matters', 'When imbalance matters', shown, columns, evidence=True)


def _lines_table(study: FinishedStudy, dials: Sequence[Dial], frame: pd.DataFrame) -> Table:
    margin = 1 + comparison.margin(study)
    columns = [
        Column('dial', 'dial', labels={dial.changed: dial.title for dial in dials}),
        Column('group', 'group', _OR_NOTHING),
        Column('test_distribution', 'tested on', labels=study.labels),
        Column('metric', 'metric', labels=comparison.METRIC_NAMES),
        Column('values', 'values', formats.COUNT, 'source'),
        Column('explained', 'R² of a line', formats.ROUGH, 'source'),
        Column('cost', 'factor a step', formats.NUMBER, 'source'),
        Column(('low', 'high'), 't interval', formats.INTERVAL, 'source'),
        Column('step', 'step'),
        Column('loss', f'ratio above {margin:g}', _OR_NOTHING),
    ]
    notes = [
        'A straight line through log errors, fitted repeat by repeat; R² is that of the line '
        f'through their mean. Below {dose_response.LEAST_EXPLAINED:g} the curve is no line, and no '
        f'factor is given. Ratio above {margin:g}: from where on the lower end of the interval of '
        "the ratio to the reference's value lies above it."
    ]
    return Table('dose_response_lines', 'What a step of a dial costs', frame, columns, notes)


def _sentence(study: FinishedStudy, dial: Dial, frame: pd.DataFrame, lines: pd.DataFrame) -> str:
    """Says what the first metric's tests on one test law show of one dial, as a sentence's end."""
    first = frame['metric'].iloc[0]
    frame, lines = (rows[rows['metric'] == first] for rows in (frame, lines))
    metric = comparison.METRIC_NAMES[first]
    shown = _differing(study, frame)
    if not len(shown):
        along = 'between laws' if dial.unordered else f'along {dial.title}'
        return f'no difference of {metric} is shown {along}{_as_good_as_same(study, frame)}.'
    if len(categories(dial, frame)) > 1:
        return _costs_sentence(study, frame, metric)
    row = shown.loc[np.log(shown['ratio']).abs().idxmax()]
    law = study.conditions[row['condition']].train.label
    at = f'under {law}' if dial.of_law else f'at {dial.title} = {row["value"]:.3g}'
    within = f' ({row["group"]})' if row['group'] else ''
    text = (
        f'{metric} differs most {at}{within}: {number(row["ratio"], 3)} times the reference, '
        f'{formats.interval(row["low"], row["high"])}'
    )
    if dial.of_sides:
        return f'{text}; {_by_side(study, lines)}.'
    own = lines[lines['group'] == row['group']].to_dict('records')
    if own and math.isfinite(own[0]['cost']):
        step = own[0]['step']
        over = step.removeprefix('step ') if step.startswith('step from') else f'per {step}'
        text += f', a factor {number(own[0]["cost"], 3)} {over}'
    if own and own[0]['loss']:
        text += f'; a ratio above {1 + comparison.margin(study):g} is shown {own[0]["loss"]}'
    return f'{text}.'


def _differing(study: FinishedStudy, frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows whose ratio is shown not to be 1, by the tests of `comparison`."""
    return frame[frame['holm_p'] < comparison.level(study)]


def _same(study: FinishedStudy, frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows that are the same within the margin, by the tests of `comparison`."""
    return frame[frame['holm_same_p'] < comparison.level(study)]


def _by_side(study: FinishedStudy, lines: pd.DataFrame) -> str:
    """Says for each side how many targets must be missing there that a loss is shown."""
    said = []
    for row in lines.to_dict('records'):
        text = f'{row["group"]} {row["loss"] or "nowhere"}'
        if math.isfinite(row['cost']):
            text += f' (a factor {number(row["cost"], 3)} per {row["step"]})'
        said.append(text)
    margin = 1 + comparison.margin(study)
    return f'in % of test targets, a ratio above {margin:g} is shown with those {enumerated(said)}'


def _as_good_as_same(study: FinishedStudy, frame: pd.DataFrame) -> str:
    """Says at how many values of a dial errors are the same within the margin."""
    # Of one repeat there is no interval.
    known = frame[np.isfinite(frame['high'])]
    if not len(known):
        return ''
    return (
        f': of {len(known)} ratios to the reference {len(_same(study, known))} are the same within '
        f'the margin, and the intervals of all lie within '
        f'{formats.interval(known["low"].min(), known["high"].max())}'
    )


def _costs_sentence(study: FinishedStudy, frame: pd.DataFrame, metric: str) -> str:
    """Says of one metric's rows on one test law in how many groups each law costs what."""
    margin = comparison.margin(study)
    known = frame[frame['ratio'].notna()]
    law = known['condition'].map(lambda name: study.conditions[name].train.label)
    known = known.assign(law=law)
    reference = study.conditions[comparison.reference(study)].train.label
    idle = unlearnt(study, frame)
    learnt = known[~known['group'].isin(idle)]
    learnt = learnt if len(learnt) else known
    # Of each group what it costs under the law that costs it most.
    dearest = learnt.loc[learnt.groupby('group', sort=False)['ratio'].idxmax()]
    least = dearest.loc[dearest['ratio'].idxmin()]
    # The largest ratio may be shown to be none where a smaller one is shown.
    shown = _differing(study, learnt[learnt['ratio'] > 1])

    def counted(rows: pd.DataFrame) -> str:
        counts = rows['law'].value_counts().reindex(law.unique()).dropna()
        told = [f'{count:.0f} under {label}' for label, count in counts.items()]
        return enumerated(told) if told else 'none'

    def told(row: pd.Series) -> str:
        ratio = f'{number(row["ratio"], 3)} times under {row["law"]}'
        return f'{row["group"]} ({ratio}, {formats.interval(row["low"], row["high"])})'

    if len(shown):
        most = shown.loc[shown['ratio'].idxmax()]
        extremes = f'Imbalance is shown to cost most with {told(most)}'
        if len(dearest) > 1:
            extremes += f'; of the largest ratios of each the least is that with {told(least)}'
        extremes += '.'
    else:
        most = learnt.loc[learnt['ratio'].idxmax()]
        extremes = f'No ratio is shown to be above 1; the largest is that with {told(most)}.'
    plural = 's' if len(dearest) > 1 else ''
    return (
        f'of {len(dearest)} ratio{plural} of {metric} under each law to that under {reference}, '
        f'{counted(learnt[learnt["low"] > 1 + margin])} have an interval above {1 + margin:g}, and '
        f'{counted(_same(study, learnt))} are the same within the margin. '
        + extremes
        + (
            f' Not counted are networks with {enumerated(idle)}, which err under {reference} no '
            'less than the best constant: what they have not learnt, imbalance cannot cost.'
            if idle
            else ''
        )
    )


def unlearnt(study: FinishedStudy, frame: pd.DataFrame) -> list[str]:
    """Returns the groups whose networks err under the reference’s law no less than a constant.

    Args:
      study: the loaded study.
      frame: rows of `dose_response.table` of one dial, test law and metric.
    """
    found = []
    for row in frame[frame['reference'].astype(bool)].to_dict('records'):
        if not study.learnt(row['condition'], row['test_distribution'], row['metric']):
            found.append(row['group'])
    return list(dict.fromkeys(found))


def _build(study: FinishedStudy) -> Content:
    found = dials(study)
    present = set(study.results['metric'])
    frame = dose_response.table(study, found, [metric for metric in _DRAWN if metric in present])
    lines = dose_response.lines(study, found, frame)
    test = dose_response.reference_test(study)
    tested, fits = (rows[rows['test_distribution'] == test] for rows in (frame, lines))
    sentences: list[str] = []
    figures: list[Figure] = []
    matters: list[Table] = []
    drawn = found[: look.MOST_CURVES]
    for dial in drawn:
        own = tested[tested['dial'] == dial.changed]
        if len(own):
            figures += _figures(study, dial, own)
            if len(categories(dial, own)) > 1:
                matters.append(_matters_table(study, dial, own))
            sentences.append(_sentence(study, dial, own, fits[fits['dial'] == dial.changed]))
    steps = [_lines_table(study, found, lines)] if len(lines) else []
    tables = [*matters, *steps, _table(study, found, frame)]
    if not sentences:
        return Content('No error is known along any dial.', tables, figures)
    told = [f'Tested on {study.labels[test]}, {sentences[0]}']
    told += [sentence[0].upper() + sentence[1:] for sentence in sentences[1:]]
    left = only(len(drawn), len(found), 'dials').strip()
    notes = [*told[2:], *([left] if left else [])]
    return Content(' '.join(told[:2]), tables, figures, notes)


SECTION = Section('dose-response', 'Dose and response', lambda study: bool(dials(study)), _build)
