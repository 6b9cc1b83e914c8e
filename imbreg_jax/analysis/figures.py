"""Figures: the paper's eight redrawn from our runs, and what it lacks.

Drawn narrow enough to read on a phone. Colours are Okabe and Ito's (safe for the colour-blind),
fixed for each condition; markers and line styles tell the same apart in greyscale. Ink, grid and
background are written as fixed colours that the report swaps for those of its theme.
"""

import dataclasses
import functools
import math
import pathlib
import re
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import canvas, decomposition, loading, paper, statistics, tables
from imbreg_jax.analysis.canvas import (
    BACKGROUND,
    INK,
    MUTED,
    WIDTH,
    Figure,
    shortened_sentence,
    wrap,
)
from imbreg_jax.analysis.tables import number
from imbreg_jax.results import kept_tables
from imbreg_jax.study import laws as distributions
from imbreg_jax.study.architecture import Architecture

# After canvas, which sees to it that matplotlib can be imported at all.
from matplotlib import axes as mpl_axes  # isort: skip
from matplotlib import figure as mpl_figure  # isort: skip
from matplotlib import lines, patches, ticker  # isort: skip

# A figure with more would be too long to read, and in the end too large to draw; tables have all.
_MOST_CURVES = 12
_MOST_ROWS = 24
_MOST_GROUPS = 2
_MOST_CONDITION_FIGURES = 6
_DENSE_BINS = 50
_SHORT_LABEL = 14
_TICK_WIDTH = 24
# Width of a panel's title where two panels share a row.
_PANEL_WIDTH = 23

_PAPER_STYLES = {
    paper.BALANCED: ('#0072B2', 'o', '-'),
    paper.MISSING: ('#E69F00', 's', '--'),
    paper.NORMAL: ('#009E73', '^', '-.'),
}
_OTHER_COLOURS = (
    '#CC79A7',
    '#56B4E9',
    '#D55E00',
    '#8C7A00',
    '#9467BD',
    '#0072B2',
    '#E69F00',
    '#009E73',
)
_OTHER_MARKERS = ('D', 'v', 'P', 'X', '<', '>', 'h', '*')
_OTHER_LINES = (':', (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))

_PART_COLOURS = ('#0072B2', '#56B4E9', '#E69F00', '#CC79A7', '#BBBBBB')
_PART_HATCHES = ('', '///', '...', 'xx', '')


@dataclasses.dataclass(frozen=True)
class Style:
    """How a condition is drawn everywhere: colour, marker and line style."""

    color: str
    marker: str
    line: Any


def styles(study: loading.Study) -> dict[str, Style]:
    """Returns how each condition is drawn; the paper's laws look the same in every study."""
    found: dict[str, Style] = {}
    taken: set[str] = set()
    others = 0
    for name, condition in study.conditions.items():
        law = condition.train.name
        if law in _PAPER_STYLES and law not in taken:
            taken.add(law)
            found[name] = Style(*_PAPER_STYLES[law])
        else:
            found[name] = Style(
                _OTHER_COLOURS[others % len(_OTHER_COLOURS)],
                # Shifted a place each time the colours start again, so that no pair comes twice.
                _OTHER_MARKERS[(others + others // len(_OTHER_COLOURS)) % len(_OTHER_MARKERS)],
                _OTHER_LINES[others % len(_OTHER_LINES)],
            )
            others += 1
    return found


def _titles(study: loading.Study) -> dict[str, str]:
    """Returns condition -> title, short enough to be drawn."""
    return canvas.short_labels({name: c.title for name, c in study.conditions.items()})


def _test_labels(study: loading.Study) -> dict[str, str]:
    """Returns test distribution -> label, short enough to be drawn."""
    return canvas.short_labels({name: t.label for name, t in study.test_distributions.items()})


def _law_labels(study: loading.Study) -> dict[str, str]:
    """Returns spec of a training law -> label, short enough to be drawn."""
    return canvas.short_labels({c.train.spec: c.train.label for c in study.conditions.values()})


# ------------------------------------------------------------------------------------------------
# The network, samples, densities


def network_layers(config: Mapping[str, Any]) -> list[tuple[str, tuple[int, ...], int]]:
    """Returns the network of a config: (operation, shape after it, parameters) from the input on.

    Shapes are (depth, height, width) for maps and (features,) for vectors.
    """
    model = config['model']
    first, second = map(int, model['conv_features'])
    size, kernel = int(config['data']['image_size']), int(model['kernel_size'])
    network = Architecture(size, kernel, (first, second), int(model['dense_features']))
    pool = 'average pool 2, ReLU' if model['order'] == 'pool_relu' else 'ReLU, average pool 2'
    dropouts = (
        f'{model["conv_dropout"]} dropout {model["conv_dropout_rate"]:g}, ',
        f', dropout {model["dense_dropout_rate"]:g}',
    )
    conv1, conv2, hidden, last = network.layers
    shown: list[tuple[str, tuple[int, ...], int]] = [('image', (1, size, size), 0)]
    for layer, before in ((conv1, ''), (conv2, dropouts[0])):
        wide, side, pooled = layer.outputs, layer.side, layer.pooled
        shown += [
            (f'convolution {kernel}×{kernel}', (wide, side, side), layer.parameters),
            (before + pool, (wide, pooled, pooled), 0),
        ]
    return [
        *shown,
        ('flatten', (hidden.inputs,), 0),
        (f'dense, ReLU{dropouts[1]}', (hidden.outputs,), hidden.parameters),
        ('dense', (last.outputs,), last.parameters),
    ]


def _network(study: loading.Study) -> mpl_figure.Figure:
    layers = network_layers(study.config)
    drawing = mpl_figure.Figure(figsize=(WIDTH, 0.82 * len(layers)))
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0.82 * len(layers), 0))
    axes.axis('off')
    largest = max(shape[1] for _, shape, _ in layers if len(shape) == 3)
    middle = 1.0
    for i, (operation, shape, parameters) in enumerate(layers):
        y = 0.82 * i + 0.41
        if len(shape) == 3:
            side = 0.62 * math.sqrt(shape[1] / largest)
            sheets = min(shape[0], 6)
            for sheet in reversed(range(sheets)):
                shift = 0.055 * (sheet - (sheets - 1) / 2)
                axes.add_patch(
                    patches.Rectangle(
                        (middle - side / 2 + shift, y - side / 2 - 0.5 * shift),
                        side,
                        side,
                        facecolor='#9CC9E3',
                        edgecolor='#00486F',
                    )
                )
            text = f'{shape[0]}@{shape[2]}×{shape[1]}'
        else:
            length = max(0.1, 1.7 * math.log10(shape[0] + 1) / math.log10(3000))
            axes.add_patch(
                patches.Rectangle(
                    (middle - length / 2, y - 0.07),
                    length,
                    0.14,
                    facecolor='#F3CF80',
                    edgecolor='#7A5300',
                )
            )
            text = f'{shape[0]:,}' + (' (prediction)' if i == len(layers) - 1 else '')
        words = textwrap.wrap(canvas.shorten(operation, 68), 34) + (
            [f'{parameters:,} parameters'] if parameters else []
        )
        axes.text(2.05, y - 0.09 * len(words), text, fontsize=11, fontweight='bold', va='center')
        axes.text(
            2.05,
            y + 0.1 - 0.09 * len(words),
            '\n'.join(words),
            fontsize=9.2,
            va='top',
            color=MUTED,
            linespacing=1.3,
        )
        if i + 1 < len(layers):
            axes.annotate(
                '',
                (middle, y + 0.475),
                (middle, y + 0.355),
                arrowprops={'arrowstyle': '-|>', 'color': MUTED, 'lw': 0.8},
            )
    return drawing


def _samples(study: loading.Study) -> mpl_figure.Figure:
    size = int(study.config['data']['image_size'])
    rng = np.random.default_rng(study.option('seed', 0))
    drawing, grid = canvas.canvas(2.9, 1, 2)
    drawn: Any = None
    for axes, std in zip(grid[0], (2, 10), strict=True):
        drawn = axes.imshow(
            std * rng.standard_normal((size, size)),
            cmap='gray',
            vmin=-30,
            vmax=30,
            interpolation='nearest',
        )
        axes.set_title(f'N(0, {std}²)')
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
    bar = drawing.colorbar(drawn, ax=list(grid[0]), orientation='horizontal', shrink=0.7, aspect=30)
    bar.set_label('pixel intensity')
    return drawing


def _density(
    spec: str, x: np.ndarray, targets: np.ndarray, folders: Sequence[pathlib.Path] = ()
) -> np.ndarray:
    """Returns [m] densities at x; from the targets themselves where the law is not known.

    The values of tables are those that the workdirs `folders` keep; a path in `spec` may be
    somebody else's and is never opened.
    """
    try:
        law = distributions.parse(spec, kept_tables.source(folders))
        density = np.asarray(law.pdf(x), dtype=float)
        return np.where(np.isfinite(density), density, np.nan)
    except ValueError:
        targets = targets[np.isfinite(targets)]
        if not targets.size:
            return np.full(len(x), np.nan)
        counts, edges = np.histogram(targets, bins=40, density=True)
        at = np.clip(np.searchsorted(edges, x, side='right') - 1, 0, len(counts) - 1)
        return np.where((x < edges[0]) | (x > edges[-1]), 0.0, counts[at])


def _training_targets(study: loading.Study, condition: str) -> np.ndarray:
    runs = [run for (name, _), run in study.runs.items() if name == condition]
    return np.concatenate([run.validation_target for run in runs]) if runs else np.zeros(0)


def _laws(study: loading.Study, names: Sequence[str]) -> dict[str, str]:
    """Returns spec -> the first condition trained on it, for each distinct training law."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(study.conditions[name].train.spec, name)
    return found


def _draw_densities(
    axes: mpl_axes.Axes, study: loading.Study, x: np.ndarray, names: Sequence[str]
) -> None:
    look, labels = styles(study), _law_labels(study)
    for spec, condition in _laws(study, names).items():
        style = look[condition]
        y = _density(spec, x, _training_targets(study, condition), study.folders)
        axes.fill_between(x, y, color=style.color, alpha=0.18, linewidth=0)
        axes.plot(x, y, color=style.color, linestyle=style.line, linewidth=1.6, label=labels[spec])
    axes.set_ylim(bottom=0)


def _target_densities(study: loading.Study, names: Sequence[str]) -> mpl_figure.Figure:
    labels = _law_labels(study)
    shown = [labels[spec] for spec in _laws(study, names)]
    drawing, grid = canvas.canvas(2.7 + _legend_height(shown))
    axes = grid[0, 0]
    targets = np.concatenate([_training_targets(study, name) for name in names])
    targets = targets[np.isfinite(targets)]
    high = float(targets.max()) if targets.size else 10.0
    _draw_densities(axes, study, np.linspace(0, 1.08 * high, 1200), names)
    axes.set(xlabel='target (std of pixel intensity)', ylabel='density')
    _legend(drawing, axes)
    return drawing


# ------------------------------------------------------------------------------------------------
# Performance


@dataclasses.dataclass(frozen=True)
class _Row:
    label: str
    condition: str
    test: str
    style: Style


def _printed(study: loading.Study, row: _Row, metric: str, like: Collection[str]) -> Any:
    """Returns the paper's cell to draw below a row, or None; `like`: conditions as printed."""
    if row.condition not in like:
        return None
    if row.test == paper.ALL_TESTS and not study.averages_as_the_paper():
        return None
    return paper.cell(study.conditions[row.condition].train.name, row.test, metric)


def _performance(
    study: loading.Study, rows: Sequence[_Row], baseline: str | None, like: Collection[str]
) -> mpl_figure.Figure:
    """Draws a dot for each repeat, mean and interval, and the paper's value below it."""
    beside_paper = False
    drawing, grid = canvas.canvas(1.5 + 2 * (0.42 + 0.46 * len(rows)), 2, 1)
    confidence = study.option('confidence', 0.95)
    for axes, metric, unit in zip(
        grid[:, 0],
        paper.METRICS,
        ('MSE (squared intensity)', 'MAPE (% of the target)'),
        strict=True,
    ):
        highest = 0.0
        for i, row in enumerate(rows):
            values = study.values('cnn', row.condition, row.test, metric).to_numpy(float)
            if values.size:
                offsets = -0.13 + 0.05 * (np.arange(values.size) % 3 - 1)
                axes.plot(
                    values,
                    i + offsets,
                    row.style.marker,
                    color=row.style.color,
                    markersize=4,
                    alpha=0.55,
                    markeredgewidth=0,
                )
                low, high = statistics.mean_interval(values, confidence)
                axes.plot(
                    [low, high],
                    [i + 0.1, i + 0.1],
                    color=row.style.color,
                    linewidth=3,
                    solid_capstyle='butt',
                )
                axes.plot(
                    values.mean(),
                    i + 0.1,
                    row.style.marker,
                    color=row.style.color,
                    markersize=7.5,
                    markeredgecolor=INK,
                    markeredgewidth=0.9,
                )
                highest = max(highest, values.max(), high if np.isfinite(high) else 0)
            printed = _printed(study, row, metric, like)
            if printed:
                beside_paper = True
                axes.errorbar(
                    printed.mean,
                    i + 0.32,
                    xerr=printed.std,
                    fmt='D',
                    color=INK,
                    markerfacecolor=BACKGROUND,
                    markersize=5,
                    elinewidth=1,
                    capsize=2,
                    alpha=1 if printed.usable else 0.45,
                )
                highest = max(highest, printed.mean + printed.std)
        axes.set(
            xlim=(0, 1.06 * highest if highest else 1), ylim=(len(rows) - 0.45, -0.5), xlabel=unit
        )
        axes.set_yticks(range(len(rows)), [wrap(row.label, _TICK_WIDTH) for row in rows])
        axes.grid(axis='y', visible=False)
        if baseline is not None:
            guess = study.values('random_guess', '', baseline, metric)
            if len(guess):
                axes.set_title(
                    f'random guess: {number(guess.mean(), 3)}, far to the right →',
                    loc='right',
                    fontsize=9,
                    color=MUTED,
                )
    handles = [
        lines.Line2D(
            [],
            [],
            marker='o',
            color=MUTED,
            linestyle='',
            markersize=4,
            alpha=0.55,
            label='one repeat',
        ),
        lines.Line2D(
            [],
            [],
            marker='o',
            color=MUTED,
            markeredgecolor=INK,
            linewidth=3,
            markersize=7,
            label=f'mean, {100 * confidence:g} % interval',
        ),
    ]
    if beside_paper:
        handles.append(
            lines.Line2D(
                [],
                [],
                marker='D',
                color=INK,
                markerfacecolor=BACKGROUND,
                linewidth=1,
                markersize=5,
                label='paper ± std',
            )
        )
    drawing.legend(
        handles=handles, loc='outside lower center', ncols=3, columnspacing=1.2, handletextpad=0.5
    )
    return drawing


# ------------------------------------------------------------------------------------------------
# What the paper lacks


def _curve(study: loading.Study, condition: str, column: str) -> pd.DataFrame:
    """Returns [epochs, repeats] values of metrics.jsonl, of the repeats that did not diverge."""
    rows = study.metrics[study.metrics['condition'] == condition]
    kept = [(condition, k) not in study.diverged for k in rows['repeat']]
    return rows[np.array(kept, dtype=bool)].pivot_table(
        index='epoch', columns='repeat', values=column
    )


def _learning_curves(study: loading.Study, names: Sequence[str]) -> mpl_figure.Figure:
    look, titles = styles(study), _titles(study)
    panels = (
        ('train_loss', 'training loss\n(dropout on)'),
        ('validation_mse', 'validation MSE\n(squared intensity)'),
        ('validation_mape', 'validation MAPE\n(% of the target)'),
    )
    drawing, grid = canvas.canvas(
        6.6 + _legend_height([titles[name] for name in names]), 3, 1, sharex=True
    )
    for axes, (column, label) in zip(grid[:, 0], panels, strict=True):
        for i, name in enumerate(names):
            table = _curve(study, name, column)
            if table.empty:
                continue
            mean, std = table.mean(axis=1), table.std(axis=1, ddof=1)
            # On a logarithmic axis a band must stay above zero.
            low = np.maximum(mean - std, table.min(axis=1))
            style = {'color': look[name].color, 'label': titles[name]}
            if len(mean) == 1:
                # A single epoch makes no line and no band; a shift keeps conditions apart.
                axes.errorbar(
                    mean.index + 0.02 * (i - (len(names) - 1) / 2),
                    mean,
                    yerr=[(mean - low).fillna(0), std.fillna(0)],
                    fmt=look[name].marker,
                    capsize=2,
                    elinewidth=1.2,
                    **style,
                )
                continue
            axes.plot(mean.index, mean, linestyle=look[name].line, linewidth=1.6, **style)
            if table.shape[1] > 1:
                axes.fill_between(
                    mean.index, low, mean + std, color=look[name].color, alpha=0.2, linewidth=0
                )
        axes.set_yscale('log')
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f'{v:g}'))
        axes.yaxis.set_minor_formatter(ticker.NullFormatter())
        axes.set_ylabel(label)
    grid[-1, 0].set_xlabel('epoch (0: before training)')
    grid[-1, 0].xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    _legend(drawing, *grid[:, 0])
    return drawing


def _legend_columns(labels: Sequence[str]) -> int:
    return 3 if max(map(len, labels), default=0) < _SHORT_LABEL else 1


def _legend_height(labels: Sequence[str]) -> float:
    """Returns inches to add for a legend of more than one row."""
    return 0.2 * (math.ceil(len(labels) / _legend_columns(labels)) - 1) if labels else 0.0


def _legend(drawing: mpl_figure.Figure, *panels: mpl_axes.Axes) -> None:
    """Names what the panels show, each label once."""
    found: dict[str, Any] = {}
    for axes in panels:
        # Not get_legend_handles_labels: it leaves out labels that begin with an underscore.
        artists: list[Any] = [*axes.lines, *axes.containers]
        for artist in artists:
            label = str(artist.get_label())
            if not re.fullmatch(r'_(child|container)\d+|_nolegend_|', label):
                found.setdefault(label, artist)
    if found:
        labels = list(found)
        drawing.legend(
            list(found.values()),
            labels,
            loc='outside upper left',
            ncols=_legend_columns(labels),
        )


def _dense(study: loading.Study, condition: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the condition's targets [m], increasing, and errors [R, m] of the runs that count."""
    repeats = study.repeats(condition)
    if not repeats:
        return None
    # Repeats share their dense images and, being of one condition, what the target is.
    runs = [study.runs[condition, k] for k in repeats]
    order = np.argsort(runs[0].dense_target)
    targets = runs[0].dense_target[order].astype(np.float64)
    errors = np.stack([run.dense_prediction[order].astype(np.float64) for run in runs]) - targets
    return targets, errors


@dataclasses.dataclass(frozen=True)
class ErrorCurve:
    """Error against the true target: [B] values for B bins of the dense set.

    Attributes:
      target: mean target of the bin.
      bias: mean error over runs and images.
      bias_low: lower end of the t interval of the bias over runs; NaN with one run.
      bias_high: upper end.
      image_std: scatter between images within a run (root mean variance over runs).
      repeat_std: standard deviation over runs of the bin's mean error; NaN with one run.
    """

    target: np.ndarray
    bias: np.ndarray
    bias_low: np.ndarray
    bias_high: np.ndarray
    image_std: np.ndarray
    repeat_std: np.ndarray


def error_curve(
    targets: np.ndarray, errors: np.ndarray, bins: int = _DENSE_BINS, confidence: float = 0.95
) -> ErrorCurve:
    """Returns bias and spread as a function of the target.

    Args:
      targets: [m] targets in increasing order.
      errors: [R, m] prediction − target.
      bins: number of bins with equally many images.
      confidence: of the interval of the bias.
    """
    groups = np.array_split(np.arange(len(targets)), min(bins, max(1, len(targets) // 4)))
    mean = np.stack([errors[:, g].mean(axis=1) for g in groups], axis=1)
    middle = np.array([targets[g].mean() for g in groups])
    # Within a bin the target itself varies: take the line through it out before measuring scatter.
    variance = []
    for g in groups:
        y = targets[g] - targets[g].mean()
        residual = errors[:, g] - errors[:, g].mean(axis=1, keepdims=True)
        slope = residual @ y / (y @ y) if y.any() else np.zeros(len(errors))
        variance.append(
            ((residual - slope[:, None] * y) ** 2).sum(axis=1).mean() / max(len(g) - 2, 1)
        )
    intervals = np.array([statistics.mean_interval(column, confidence) for column in mean.T])
    repeat_std = mean.std(axis=0, ddof=1) if len(errors) > 1 else np.full(len(groups), np.nan)
    return ErrorCurve(
        middle,
        mean.mean(axis=0),
        intervals[:, 0],
        intervals[:, 1],
        np.sqrt(np.array(variance)),
        repeat_std,
    )


def _robust_limits(
    values: Sequence[np.ndarray], low: float = 1, high: float = 99
) -> tuple[float, float]:
    joined = np.concatenate(values)
    joined = joined[np.isfinite(joined)]
    a, b = np.percentile(joined, [low, high]) if joined.size else (-1.0, 1.0)
    margin = 0.08 * (b - a) or 1.0
    return min(a - margin, 0 - margin), max(b + margin, 0 + margin)


def _error_curves(study: loading.Study, names: Sequence[str]) -> mpl_figure.Figure:
    look, titles = styles(study), _titles(study)
    drawing, grid = canvas.canvas(
        8.6 + _legend_height([titles[name] for name in names if study.repeats(name)]),
        4,
        1,
        sharex=True,
        height_ratios=(3, 3, 3, 1.4),
    )
    absolute, relative, spread, density = grid[:, 0]
    biases, relatives, spreads = [], [], []
    edges = [0.0, 1.0]
    for name in names:
        dense = _dense(study, name)
        if dense is None:
            continue
        curve = error_curve(*dense, confidence=study.option('confidence', 0.95))
        style = {'color': look[name].color, 'linestyle': look[name].line, 'linewidth': 1.6}
        band = {'color': look[name].color, 'alpha': 0.2, 'linewidth': 0}
        absolute.plot(curve.target, curve.bias, label=titles[name], **style)
        absolute.fill_between(curve.target, curve.bias_low, curve.bias_high, **band)
        percent = 100 / curve.target
        relative.plot(curve.target, percent * curve.bias, **style)
        relative.fill_between(
            curve.target, percent * curve.bias_low, percent * curve.bias_high, **band
        )
        spread.plot(curve.target, percent * curve.image_std, **style)
        spread.plot(
            curve.target,
            percent * curve.repeat_std,
            color=look[name].color,
            linewidth=0.9,
            linestyle=look[name].line,
            alpha=0.7,
        )
        biases.append(curve.bias)
        # The offset over a vanishing target would flatten everything else.
        seen = curve.target >= 0.75
        relatives.append((percent * curve.bias)[seen])
        spreads.append(
            np.concatenate([(percent * curve.image_std)[seen], (percent * curve.repeat_std)[seen]])
        )
        edges = [min(edges[0], curve.target.min()), max(edges[1], curve.target.max())]
    if biases:
        absolute.set_ylim(*_robust_limits(biases))
        relative.set_ylim(*_robust_limits(relatives))
        spread.set_ylim(0, _robust_limits(spreads)[1])
    for axes in (absolute, relative):
        axes.axhline(0, color=MUTED, linewidth=0.8)
    absolute.set_ylabel('bias\n(intensity)')
    relative.set_ylabel('bias\n(% of the target)')
    spread.set_ylabel('spread, std\n(% of the target)')
    several = any(len(study.repeats(name)) > 1 for name in names)
    spread.set_title(
        'thick: between images of a run; thin: between repeats'
        if several
        else 'between images of a run',
        fontsize=9,
        loc='left',
        color=MUTED,
    )
    _draw_densities(density, study, np.linspace(edges[0], edges[1], 1500), names)
    density.set(xlabel='true target (std of pixel intensity)', ylabel='training\ndensity')
    _legend(drawing, absolute)
    return drawing


def _predicted_against_true(study: loading.Study, names: Sequence[str]) -> mpl_figure.Figure:
    look, titles = styles(study), _titles(study)
    names = [name for name in names if study.repeats(name)]
    rows = max(1, math.ceil(len(names) / 2))
    heads = {name: wrap(titles[name], _PANEL_WIDTH) for name in names}
    more = 0.15 * max(head.count('\n') for head in heads.values())
    drawing, grid = canvas.canvas(0.7 + (2.35 + more) * rows, rows, 2, sharex=True, sharey=True)
    for axes in grid.ravel()[len(names) :]:
        axes.axis('off')
    for i, (axes, name) in enumerate(zip(grid.ravel(), names, strict=False)):
        dense = _dense(study, name)
        assert dense is not None
        targets, errors = dense
        color = look[name].color
        axes.plot(
            targets,
            targets + errors[0],
            '.',
            color=color,
            markersize=1.2,
            alpha=0.35,
            rasterized=True,
        )
        curve = error_curve(targets, errors)
        axes.plot(curve.target, curve.target + curve.bias, color=color, linewidth=1.8)
        axes.plot([0, targets[-1]], [0, targets[-1]], color=INK, linewidth=0.9, linestyle='--')
        seen = _training_targets(study, name)
        axes.axvspan(*np.percentile(seen, [0.1, 99.9]), color=color, alpha=0.12, linewidth=0)
        axes.set_title(heads[name], fontsize=10.2)
        if i + 2 >= len(names):
            # Nothing stands below it, though perhaps an empty place.
            axes.tick_params(labelbottom=True)
        axes.set_aspect('equal')
    drawing.supxlabel('true target (std of pixel intensity)', fontsize=10.2)
    drawing.supylabel('prediction', fontsize=10.2)
    return drawing


def _decomposition(study: loading.Study, table: pd.DataFrame) -> mpl_figure.Figure:
    titles, tests = _titles(study), _test_labels(study)
    labels = []
    for row in table.to_dict('records'):
        on = f'→ {tests[row["test_distribution"]]}'
        label = f'{titles[row["condition"]]} {on}'
        if len(label) > _TICK_WIDTH:
            label = f'{wrap(titles[row["condition"]], _TICK_WIDTH)}\n{wrap(on, _TICK_WIDTH)}'
        labels.append(label)
    most = max(label.count('\n') for label in labels)
    drawing, grid = canvas.canvas(1.6 + (0.36 + 0.13 * max(most - 1, 0)) * len(table))
    axes = grid[0, 0]
    for i, row in enumerate(table.to_dict('records')):
        left = 0.0
        for part, color, hatch in zip(
            decomposition.PARTS, _PART_COLOURS, _PART_HATCHES, strict=True
        ):
            share = 100 * row[part] / row['total'] if row['total'] else 0.0
            axes.barh(
                i,
                share,
                left=left,
                color=color,
                hatch=hatch,
                edgecolor=INK,
                linewidth=0.4,
                height=0.72,
                label=decomposition.PART_LABELS[part] if i == 0 else None,
            )
            left += share
        axes.text(101.5, i, number(row['total'], 3), va='center', fontsize=9)
    axes.set_yticks(range(len(labels)), labels, fontsize=9)
    axes.set(xlim=(0, 100), ylim=(len(table) - 0.4, -0.6), xlabel='share of the MSE (%)')
    axes.grid(axis='y', visible=False)
    axes.text(101.5, -0.75, 'MSE', fontsize=9, color=MUTED)
    drawing.legend(*axes.get_legend_handles_labels(), loc='outside lower center', ncols=2)
    return drawing


def _shrinkage(study: loading.Study, runs: pd.DataFrame) -> mpl_figure.Figure:
    look, titles = styles(study), _titles(study)
    names = list(dict.fromkeys(runs['condition']))
    drawing, grid = canvas.canvas(4.9 + _legend_height([titles[name] for name in names]))
    axes = grid[0, 0]
    for name, group in runs.groupby('condition', sort=False):
        name = str(name)
        style = look[name]
        axes.plot(
            100 * (1 - group['predicted_dense']),
            100 * (1 - group['measured']),
            style.marker,
            color=style.color,
            markerfacecolor='none',
            markersize=5.5,
            linestyle='',
        )
        axes.plot(
            100 * (1 - group['predicted_both']),
            100 * (1 - group['mean_prediction']),
            style.marker,
            color=style.color,
            markersize=6,
            markeredgewidth=0,
            linestyle='',
            label=titles[name],
        )
    low, high = (
        min(axes.get_xlim()[0], axes.get_ylim()[0]),
        max(axes.get_xlim()[1], axes.get_ylim()[1]),
    )
    axes.plot([low, high], [low, high], color=INK, linewidth=0.9, linestyle='--')
    axes.set(xlabel='predicted shrinkage (%)', ylabel='measured shrinkage (%)')
    axes.set_title(
        'filled: both dropouts; open: dropout on the last layer alone',
        fontsize=9,
        loc='left',
        color=MUTED,
    )
    axes.set_aspect('equal')
    _legend(drawing, axes)
    return drawing


def draw(study: loading.Study, decomposed: pd.DataFrame, shrunk: pd.DataFrame) -> list[Figure]:
    """Draws every figure that the study has data for.

    Args:
      study: the loaded study.
      decomposed: what `decomposition.table` returned for the predictor cnn.
      shrunk: what `decomposition.shrinkage` returned.

    Returns:
      Figures in reading order: the paper's (numbered as there), then ours. Each has a name of its
      own. Of very many conditions the first are drawn, and the caption says how many.
    """
    look, titles, tests = styles(study), _titles(study), _test_labels(study)
    laws = _law_labels(study)
    like = tables.as_printed(study)
    found: list[Figure] = []

    def add(
        name: str,
        title: str,
        caption: str,
        make: Callable[[], mpl_figure.Figure],
        conditions: Sequence[str] = (),
        on: Sequence[str] = (),
    ) -> None:
        """Adds a figure in which these conditions and test distributions are named."""
        shown = [(titles[c], study.conditions[c].title) for c in conditions]
        shown += [(tests[t], study.test_distributions[t].label) for t in on]
        named = [(laws[c.train.spec], c.train.label) for c in study.conditions.values()]
        shown += [(short, full) for short, full in named if short in title]
        with canvas.settings():
            drawing = make()
        name = canvas.file_name(name, [figure.name for figure in found])
        found.append(canvas.finish(name, title, caption + shortened_sentence(shown), drawing))

    total = sum(parameters for _, _, parameters in network_layers(study.config))
    add(
        'figure_1_network',
        'Figure 1: the network',
        f'Depth@width×height after each layer, from the settings in config.json; {total:,} '
        'parameters in all.',
        lambda: _network(study),
    )
    add(
        'figure_2_samples',
        'Figure 2: samples N(0, 2²) and N(0, 10²)',
        'Pixels of two images with generating values 2 and 10, on one grey scale (an illustration '
        'drawn with analysis.seed, not images of a split).',
        lambda: _samples(study),
    )
    several_laws = list(_laws(study, list(study.conditions)).values())
    lawful = several_laws[:_MOST_CURVES]
    add(
        'figure_3_target_densities',
        'Figure 3: target densities',
        'Density of the generating values of each training distribution (config.json; where that '
        'names a file, a histogram of the validation targets).'
        + _only(len(lawful), len(several_laws), 'distributions')
        + shortened_sentence(
            (laws[c.train.spec], c.train.label) for c in map(study.conditions.__getitem__, lawful)
        ),
        lambda: _target_densities(study, lawful),
    )

    def performance(
        name: str,
        title: str,
        rows: list[_Row],
        baseline: str | None,
        conditions: Sequence[str] = (),
        on: Sequence[str] = (),
        more: str = '',
    ) -> None:
        rows = [row for row in rows if len(study.values('cnn', row.condition, row.test, 'mse'))]
        drawn = rows[:_MOST_ROWS]
        if not drawn:
            return
        beside = any(_printed(study, row, m, like) for row in drawn for m in paper.METRICS)
        kept = {row.condition for row in drawn}
        add(
            name,
            title,
            'Predictor cnn. Small marks: repeats; large mark and bar: their mean and interval'
            + (
                '; open diamond: the paper’s mean ± std (faint where the paper contradicts itself)'
                if beside
                else ''
            )
            + f'. From results.csv.{more}'
            + (
                ' The paper’s ± is over repeats and tests.'
                if beside and drawn[0].test == paper.ALL_TESTS
                else ''
            )
            + _only(len(drawn), len(rows), 'rows'),
            lambda: _performance(study, drawn, baseline, like),
            [c for c in conditions if c in kept],
            on,
        )

    first = study.variants()[0].conditions
    numbers = {paper.BALANCED: 4, paper.MISSING: 5, paper.NORMAL: 6}
    for name, condition in study.conditions.items():
        law = condition.train.name
        reference = paper.BALANCED if paper.BALANCED in tests else None
        if law in numbers and first.get(law) == name:
            heading = f'Figure {numbers[law]}: networks trained on {laws[condition.train.spec]}'
            file = f'figure_{numbers[law]}_performance_{law}'
        elif len(study.conditions) <= _MOST_CONDITION_FIGURES:
            heading = f'Networks of condition {titles[name]}'
            file = f'performance_{name}'
        else:
            continue
        performance(
            file,
            heading,
            [_Row(f'on {tests[test]}', name, test, look[name]) for test in tests],
            reference,
            [name],
            list(tests),
        )
    every = list(study.conditions)
    for test in tests:
        is_reference = test == paper.BALANCED
        if not is_reference and paper.BALANCED in tests:
            continue
        performance(
            'figure_7_performance_on_u1_10' if is_reference else f'performance_on_{test}',
            f'{"Figure 7: a" if is_reference else "A"}ll networks, tested on {tests[test]}',
            [_Row(titles[name], name, test, look[name]) for name in every],
            test,
            every,
            [test],
        )
    averaged = study.averaged_tests()
    # Of a single test the average is the figure before.
    if len(averaged) > 1:
        as_there = study.averages_as_the_paper()
        named = _listed([tests[test] for test in averaged])
        performance(
            'figure_8_performance_all_tests' if as_there else 'performance_all_tests',
            f'{"Figure 8: a" if as_there else "A"}ll networks, averaged over '
            + (named if len(named) <= 80 else f'all {len(averaged)} test distributions'),
            [_Row(titles[name], name, paper.ALL_TESTS, look[name]) for name in every],
            None,
            every,
            averaged,
            f' Here a mark is the mean over the tests: {named}.',
        )
    groups = _curve_groups(study)
    drawn_in_groups = sum(len(names) for *_, names in groups)
    only = _only(drawn_in_groups, len(every), 'conditions')
    for suffix, heading, names in groups:
        if any(not _curve(study, c, 'validation_mse').empty for c in names):
            add(
                f'learning_curves{suffix}',
                f'Training and validation curves{heading}',
                'Mean over repeats, band ± one standard deviation; logarithmic axis. From '
                f'metrics.jsonl.{only}',
                functools.partial(_learning_curves, study, names),
                names,
            )
    trained = [name for name in every if study.repeats(name)]
    for suffix, heading, names in groups:
        if not any(name in trained for name in names):
            continue
        add(
            f'predicted_against_true{suffix}',
            f'Predicted against true{heading}',
            'Dense evaluation set of predictions.npz. Points: the first repeat; line: mean over '
            f'repeats; dashed: exact; shaded: the range of training targets.{only}',
            functools.partial(_predicted_against_true, study, names),
            names,
        )
        add(
            f'error_curve{suffix}',
            f'Error as a curve of the true target{heading}',
            'Dense evaluation set of predictions.npz in bins of equally many images. Bias: mean of '
            'prediction − target, band: interval of its mean over repeats. Beneath: where the '
            f'training targets lie.{only}',
            functools.partial(_error_curves, study, names),
            names,
        )
    for suffix, heading, names in groups:
        rows = decomposed[decomposed['condition'].isin(names)]
        kept = rows[:_MOST_ROWS]
        if len(kept):
            add(
                f'decomposition{suffix}',
                f'What the MSE is made of{heading}',
                'Condition → test distribution. Exact shares that add up (predictions.npz).'
                + (_only(len(kept), len(rows), 'rows') or only),
                functools.partial(_decomposition, study, kept),
                list(dict.fromkeys(kept['condition'])),
                list(dict.fromkeys(kept['test_distribution'])),
            )
        runs = shrunk[shrunk['condition'].isin(names)]
        if len(runs):
            add(
                f'shrinkage{suffix}',
                f'Shrinkage: predicted by dropout against measured{heading}',
                'One mark a network; on the dashed line the mechanism explains all of it. Filled: '
                'predicted from both dropouts, measured on the prediction averaged over channel '
                'masks, which that is about. Open: predicted from the last layer alone, measured '
                f'with dropout off. From the moments in predictions.npz.{only}',
                functools.partial(_shrinkage, study, runs),
                list(dict.fromkeys(runs['condition'])),
            )
    return found


def _only(drawn: int, there: int, what: str) -> str:
    """Returns a sentence for a caption where not everything is drawn."""
    return f' The first {drawn} of {there} {what}; the tables have all.' if drawn < there else ''


def _listed(labels: Sequence[str]) -> str:
    return ' and '.join([', '.join(labels[:-1]), labels[-1]] if len(labels) > 1 else labels)


def _curve_groups(study: loading.Study) -> list[tuple[str, str, list[str]]]:
    """Returns (suffix of the file, suffix of the title, conditions) for each figure of curves.

    More conditions than one figure can carry are drawn law by law, and what a law has in excess of
    that, or alone, in figures of several laws; so are at most `_MOST_GROUPS` figures of each kind.
    """
    every = list(study.conditions)
    if len(every) <= _MOST_CONDITION_FIGURES:
        return [('', '', every)]
    by_law: dict[str, list[str]] = {}
    for name in every:
        by_law.setdefault(study.conditions[name].train.spec, []).append(name)
    labels = _law_labels(study)
    found, rest = [], []
    for spec, names in by_law.items():
        if len(names) == 1:
            rest += names
            continue
        law = study.conditions[names[0]].train.name
        for start in range(0, len(names), _MOST_CURVES):
            part = f' ({start // _MOST_CURVES + 1})' if len(names) > _MOST_CURVES else ''
            found.append(
                (
                    f'_{law}{part}',
                    f', trained on {labels[spec]}{part}',
                    names[start : start + _MOST_CURVES],
                )
            )
    for start in range(0, len(rest), _MOST_CURVES):
        part = f' ({start // _MOST_CURVES + 1})' if len(rest) > _MOST_CURVES else ''
        what = ', other laws' if found else ''
        found.append((f'_other{part}', f'{what}{part}', rest[start : start + _MOST_CURVES]))
    return found[:_MOST_GROUPS]
