"""The error as a curve of the true target: where networks are biased, and how far they scatter."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import canvas, formats, look, marks, statistics
from imbreg_jax.analysis.canvas import INK, MUTED, Drawing
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.formats import number
from imbreg_jax.analysis.section import Column, Content, Section, Table
from imbreg_jax.analysis.sections import targets as targets_section

_BINS = 50
# Width of a panel's title where two panels share a row.
_PANEL_WIDTH = 23
# The offset over a vanishing target would flatten everything else.
_SMALL_TARGET = 0.75


def error_curve(
    targets: np.ndarray, errors: np.ndarray, bins: int = _BINS, confidence: float = 0.95
) -> pd.DataFrame:
    """Returns bias and spread as a function of the target, a row for each bin.

    Args:
      targets: [m] targets in increasing order.
      errors: [R, m] prediction − target.
      bins: number of bins with equally many images.
      confidence: of the interval of the bias.

    Returns:
      target (mean of the bin), bias (mean error over runs and images), bias_low and bias_high (its
      t interval over runs), image_std (scatter between images within a run: root mean variance over
      runs), repeat_std (of the bin's mean error, over runs). NaN what takes two runs and has one.
    """
    rows = []
    for g in np.array_split(np.arange(len(targets)), min(bins, max(1, len(targets) // 4))):
        mean = errors[:, g].mean(axis=1)
        # Within a bin the target itself varies: take the line through it out of the scatter.
        y = targets[g] - targets[g].mean()
        residual = errors[:, g] - mean[:, None]
        slope = residual @ y / (y @ y) if y.any() else np.zeros(len(errors))
        scatter = ((residual - slope[:, None] * y) ** 2).sum(axis=1).mean() / max(len(g) - 2, 1)
        low, high = statistics.mean_interval(mean, confidence)
        repeat_std = mean.std(ddof=1) if len(mean) > 1 else np.nan
        rows.append((targets[g].mean(), mean.mean(), low, high, np.sqrt(scatter), repeat_std))
    columns = ['target', 'bias', 'bias_low', 'bias_high', 'image_std', 'repeat_std']
    return pd.DataFrame(rows, columns=columns)


def dense(study: FinishedStudy, condition: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the condition's targets [m], increasing, and errors [R, m] of the runs that count."""
    # Repeats share their dense images and, being of one condition, what the target is.
    runs = [study.runs[condition, k] for k in study.repeats(condition)]
    order = np.argsort(runs[0].dense_target)
    targets = runs[0].dense_target[order].astype(np.float64)
    errors = np.stack([run.dense_prediction[order].astype(np.float64) for run in runs]) - targets
    return targets, errors


def table(study: FinishedStudy, conditions: Sequence[str]) -> pd.DataFrame:
    """Returns the error curves of conditions with runs that count, beside a column condition."""
    confidence = study.option('confidence', 0.95)
    curves = {name: error_curve(*dense(study, name), confidence=confidence) for name in conditions}
    return pd.concat(curves, names=['condition', None]).reset_index(level=0)


def _robust_limits(values: pd.Series) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    a, b = np.percentile(known, [1, 99]) if known.size else (-1.0, 1.0)
    margin = 0.08 * (b - a) or 1.0
    return min(a, 0) - margin, max(b, 0) + margin


def draw(study: FinishedStudy, frame: pd.DataFrame, conditions: Sequence[str]) -> Drawing:
    """Draws bias, relative bias and spread of `table` rows over the training densities."""
    styles, titles = look.styles(study), look.titles(study)
    drawing, grid = canvas.canvas(
        8.6 + look.legend_height([titles[name] for name in conditions]),
        4,
        1,
        sharex=True,
        height_ratios=(3, 3, 3, 1.4),
    )
    absolute, relative, spread, density = grid[:, 0]
    frame = frame[frame['condition'].isin(conditions)]
    for name in conditions:
        curve = frame[frame['condition'] == name]
        target, color, line = curve['target'].to_numpy(float), styles[name].color, styles[name].line
        style = {'color': color, 'linestyle': line, 'linewidth': 1.6}
        percent = 100 / target
        for axes, scale in ((absolute, 1.0), (relative, percent)):
            low, bias, high = (
                (scale * curve[key]).to_numpy(float) for key in ('bias_low', 'bias', 'bias_high')
            )
            label = titles[name] if axes is absolute else None
            mean = axes.plot(target, bias, label=label, **style)
            band = axes.fill_between(target, low, high, color=color, alpha=0.2, linewidth=0)
            marks.shows([mean, band], condition=titles[name])
        for key, thin in (('image_std', {}), ('repeat_std', {'linewidth': 0.9, 'alpha': 0.7})):
            std = spread.plot(target, (percent * curve[key]).to_numpy(float), **style | thin)
            marks.shows(std, condition=titles[name])
    seen = frame[frame['target'] >= _SMALL_TARGET]
    bias, *spreads = (
        100 / seen['target'] * seen[key] for key in ('bias', 'image_std', 'repeat_std')
    )
    absolute.set_ylim(*_robust_limits(frame['bias']))
    relative.set_ylim(*_robust_limits(bias))
    spread.set_ylim(0, _robust_limits(pd.concat(spreads))[1])
    for axes in (absolute, relative):
        axes.axhline(0, color=MUTED, linewidth=0.8)
    absolute.set_ylabel('bias\n(unit of the target)')
    relative.set_ylabel('bias\n(% of the target)')
    spread.set_ylabel('spread, std\n(% of the target)')
    several = frame['repeat_std'].notna().any()
    told = 'thick: between images of a run; thin: between repeats'
    small: Any = {'fontsize': 9, 'loc': 'left', 'color': MUTED}
    spread.set_title(told if several else 'between images of a run', **small)
    x = np.linspace(min(0.0, frame['target'].min()), max(1.0, frame['target'].max()), 1500)
    targets_section.draw_densities(density, study, x, conditions)
    density.set(xlabel=f'true {look.target(study)}', ylabel='training\ndensity')
    look.legend(drawing, absolute)
    return drawing


def draw_predictions(
    study: FinishedStudy, frame: pd.DataFrame, conditions: Sequence[str]
) -> Drawing:
    """Draws predictions against targets, a panel for each condition, with the line of `table`."""
    styles, titles = look.styles(study), look.titles(study)
    rows = math.ceil(len(conditions) / 2)
    heads = {name: canvas.wrap(titles[name], _PANEL_WIDTH) for name in conditions}
    more = 0.15 * max(head.count('\n') for head in heads.values())
    drawing, grid = canvas.canvas(0.7 + (2.35 + more) * rows, rows, 2, sharex=True, sharey=True)
    for axes in grid.ravel()[len(conditions) :]:
        axes.axis('off')
    for i, (axes, name) in enumerate(zip(grid.ravel(), conditions, strict=False)):
        marks.shows(axes, condition=titles[name])
        targets, errors = dense(study, name)
        color = styles[name].color
        dots: Any = {'markersize': 1.2, 'alpha': 0.35, 'rasterized': True}
        axes.plot(targets, targets + errors[0], '.', color=color, **dots)
        curve = frame[frame['condition'] == name]
        axes.plot(curve['target'], curve['target'] + curve['bias'], color=color, linewidth=1.8)
        axes.plot([0, targets[-1]], [0, targets[-1]], color=INK, linewidth=0.9, linestyle='--')
        seen = targets_section.validation_targets(study, name)
        axes.axvspan(*np.percentile(seen, [0.1, 99.9]), color=color, alpha=0.12, linewidth=0)
        axes.set_title(heads[name], fontsize=10.2)
        # Nothing stands below the last ones, though perhaps an empty place.
        axes.tick_params(labelbottom=i + 2 >= len(conditions))
        axes.set_aspect('equal')
    drawing.supxlabel(f'true {look.target(study)}', fontsize=10.2)
    drawing.supylabel('prediction', fontsize=10.2)
    return drawing


def _build(study: FinishedStudy) -> Content:
    shown, more = look.drawn(study), look.left_out(study)
    frame = table(study, study.trained)
    set_ = 'Dense evaluation set of predictions.npz'
    figures = [
        look.figure(
            study,
            'error_curve',
            'Error as a curve of the true target',
            f'{set_} in bins of equally many images. Bias: mean of prediction − target, band: '
            'interval of its mean over repeats. Beneath: where the training targets lie.' + more,
            lambda: draw(study, frame, shown),
            shown,
        ),
        look.figure(
            study,
            'predicted_against_true',
            'Predicted against true',
            f'{set_}. Points: the first repeat; line: mean over repeats; dashed: exact; shaded: '
            'the range of training targets.' + more,
            lambda: draw_predictions(study, frame, shown),
            shown,
        ),
    ]

    def source(row: dict[str, Any]) -> str:
        return f'predictions.npz: dense_target and dense_prediction of condition={row["condition"]}'

    columns = [
        Column('condition', 'trained on', labels=study.titles),
        Column('target', 'target', formats.NUMBER, source),
        Column('bias', 'bias', formats.ROUGH, source),
        Column(('bias_low', 'bias_high'), 'its interval', formats.INTERVAL, source),
        Column('image_std', 'std between images', formats.ROUGH, source),
        Column('repeat_std', 'std between repeats', formats.ROUGH, source),
    ]
    shown_table = Table('error_curve', 'Error by bin of the target', frame, columns, evidence=True)
    return Content(_headline(study, frame), [shown_table], figures)


def _headline(study: FinishedStudy, frame: pd.DataFrame) -> str:
    """Says where, among the targets that its networks were trained on, a condition is worst."""
    worst: tuple[float, str] = (-1.0, '')
    for name in study.trained:
        low, high = np.percentile(targets_section.validation_targets(study, name), [0.1, 99.9])
        inside = frame['target'].between(low, high) & np.isfinite(frame['bias'])
        curve = frame[(frame['condition'] == name) & inside]
        percent = (100 * curve['bias'] / curve['target']).to_numpy(float)
        if percent.size and np.abs(percent).max() > worst[0]:
            i = int(np.abs(percent).argmax())
            at = number(curve['target'].iloc[i], 3)
            told = f'{percent[i]:+.1f} % of the target, at {at} ({study.titles[name]})'
            worst = (abs(percent[i]), told)
    if not worst[1]:
        return 'No bin of the dense evaluation set lies among the training targets.'
    return f'Among training targets the largest bias is {worst[1]}.'


SECTION = Section('error-curve', 'Error curve', lambda study: bool(study.trained), _build)
