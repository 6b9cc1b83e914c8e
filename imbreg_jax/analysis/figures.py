"""Figures: the paper's eight redrawn from our runs, and what it lacks.

Drawn narrow enough to read on a phone. Colours are Okabe and Ito's (safe for the colour-blind),
fixed for each condition; markers and line styles tell the same apart in greyscale. Ink, grid and
background are written as fixed colours that the report swaps for those of its theme.
"""

import dataclasses
import functools
import io
import math
import pathlib
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure
from matplotlib import patches, ticker

from imbreg_jax.analysis import decomposition, loading, paper, statistics
from imbreg_jax.analysis.tables import number
from imbreg_jax.results import kept_tables
from imbreg_jax.study import distributions

INK, MUTED, GRID, BACKGROUND = '#1c2127', '#5c6672', '#d5dae1', '#fefefe'
WIDTH = 4.8
_MOST_PANELS = 12
_MOST_CONDITION_FIGURES = 6
_DENSE_BINS = 50
_SHORT_LABEL = 14

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

# Typed loosely: matplotlib names every key in its types, which differ between versions.
_RC: Any = {
    'font.family': ['DejaVu Sans'],
    'font.size': 10.2,
    'axes.titlesize': 10.5,
    'axes.labelsize': 10.2,
    'axes.edgecolor': MUTED,
    'axes.labelcolor': INK,
    'axes.facecolor': BACKGROUND,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'figure.facecolor': BACKGROUND,
    'grid.color': GRID,
    'grid.linewidth': 0.6,
    'hatch.linewidth': 0.6,
    'legend.frameon': False,
    'legend.fontsize': 9,
    'patch.linewidth': 0.6,
    'svg.fonttype': 'none',
    'text.color': INK,
    'xtick.color': MUTED,
    'xtick.labelcolor': INK,
    'ytick.color': MUTED,
    'ytick.labelcolor': INK,
}


@dataclasses.dataclass(frozen=True)
class Style:
    """How a condition is drawn everywhere: colour, marker and line style."""

    color: str
    marker: str
    line: Any


@dataclasses.dataclass(frozen=True)
class Figure:
    """A finished figure.

    Attributes:
      name: name of its files, without ending.
      title: what it shows.
      caption: how to read it, and which files its numbers are from.
      svg: the drawing as SVG text.
      png: the drawing as PNG, 200 dots an inch.
    """

    name: str
    title: str
    caption: str
    svg: str
    png: bytes

    def inline_svg(self) -> str:
        """Returns the SVG to put into a page: theme colours, and ids that no other figure has."""
        svg = self.svg[self.svg.index('<svg') :]
        for fixed, themed in (
            (INK, 'currentColor'),
            (MUTED, 'var(--muted)'),
            (GRID, 'var(--grid)'),
            (BACKGROUND, 'var(--surface)'),
        ):
            svg = svg.replace(fixed, themed)
        svg = re.sub(r'\bid="([^"]+)"', rf'id="{self.name}-\1"', svg)
        svg = re.sub(r'url\(#([^)]+)\)', rf'url(#{self.name}-\1)', svg)
        svg = re.sub(r'href="#([^"]+)"', rf'href="#{self.name}-\1"', svg)
        svg = re.sub(r'<svg ', f'<svg role="img" aria-label="{self.title}" ', svg, count=1)
        # Fixed lengths would keep the drawing from shrinking with the page; the view box stays.
        return re.sub(
            r'(<svg[^>]*?) width="[^"]*"',
            r'\1',
            re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1', svg, count=1),
            count=1,
        )


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


def _finish(name: str, title: str, caption: str, drawing: mpl_figure.Figure) -> Figure:
    svg, png = io.StringIO(), io.BytesIO()
    # A salt of its own keeps ids apart, and a fixed one (and no date) keeps files equal.
    settings: Any = {**_RC, 'svg.hashsalt': name}
    with matplotlib.rc_context(settings):
        drawing.savefig(svg, format='svg', metadata={'Date': None}, dpi=150)
        drawing.savefig(png, format='png', dpi=200, metadata={'Software': None})
    # A machine without the font that the lengths were measured with falls back to a similar one.
    text = svg.getvalue().replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
    return Figure(name, title, caption, text, png.getvalue())


def _canvas(
    height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[mpl_figure.Figure, np.ndarray]:
    drawing = mpl_figure.Figure(figsize=(WIDTH, height), layout='constrained')
    return drawing, drawing.subplots(rows, columns, squeeze=False, **options)


# ------------------------------------------------------------------------------------------------
# The network, samples, densities


def network_layers(config: Mapping[str, Any]) -> list[tuple[str, tuple[int, ...], int]]:
    """Returns the network of a config: (operation, shape after it, parameters) from the input on.

    Shapes are (depth, height, width) for maps and (features,) for vectors.
    """
    model = config['model']
    size, depth, kernel = int(config['data']['image_size']), 1, int(model['kernel_size'])
    layers: list[tuple[str, tuple[int, ...], int]] = [('image', (1, size, size), 0)]
    features = list(model['conv_features'])
    after = 'average pool 2, ReLU' if model['order'] == 'pool_relu' else 'ReLU, average pool 2'
    for i, wide in enumerate(features):
        size = size - kernel + 1
        layers.append(
            (f'convolution {kernel}×{kernel}', (wide, size, size), wide * (depth * kernel**2 + 1))
        )
        size //= 2
        last = i == len(features) - 1
        dropped = (
            f'{model["conv_dropout"]} dropout {model["conv_dropout_rate"]:g}, ' if last else ''
        )
        layers.append((dropped + after, (wide, size, size), 0))
        depth = wide
    flat, dense = depth * size * size, int(model['dense_features'])
    layers.append(('flatten', (flat,), 0))
    layers.append(
        (f'dense, ReLU, dropout {model["dense_dropout_rate"]:g}', (dense,), dense * (flat + 1))
    )
    layers.append(('dense', (1,), dense + 1))
    return layers


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
        lines = textwrap.wrap(operation, 34) + (
            [f'{parameters:,} parameters'] if parameters else []
        )
        axes.text(2.05, y - 0.09 * len(lines), text, fontsize=11, fontweight='bold', va='center')
        axes.text(
            2.05,
            y + 0.1 - 0.09 * len(lines),
            '\n'.join(lines),
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
    drawing, grid = _canvas(2.9, 1, 2)
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
        return np.asarray(law.pdf(x), dtype=float)
    except ValueError:
        counts, edges = np.histogram(targets[np.isfinite(targets)], bins=40, density=True)
        at = np.clip(np.searchsorted(edges, x, side='right') - 1, 0, len(counts) - 1)
        return np.where((x < edges[0]) | (x > edges[-1]), 0.0, counts[at])


def _training_targets(study: loading.Study, condition: str) -> np.ndarray:
    runs = [run for (name, _), run in study.runs.items() if name == condition]
    return np.concatenate([run.validation_target for run in runs]) if runs else np.zeros(0)


def _laws(study: loading.Study, names: Sequence[str]) -> list[tuple[str, str, Style, str]]:
    """Returns (label, spec, style, condition) for each distinct training law."""
    look = styles(study)
    found: dict[str, tuple[str, str, Style, str]] = {}
    for name in names:
        law = study.conditions[name].train
        found.setdefault(law.spec, (law.label, law.spec, look[name], name))
    return list(found.values())


def _draw_densities(
    axes: mpl_axes.Axes, study: loading.Study, x: np.ndarray, names: Sequence[str]
) -> None:
    for label, spec, style, condition in _laws(study, names):
        y = _density(spec, x, _training_targets(study, condition), study.folders)
        axes.fill_between(x, y, color=style.color, alpha=0.18, linewidth=0)
        axes.plot(x, y, color=style.color, linestyle=style.line, linewidth=1.6, label=label)
    axes.set_ylim(bottom=0)


def _target_densities(study: loading.Study) -> mpl_figure.Figure:
    drawing, grid = _canvas(2.9)
    axes = grid[0, 0]
    targets = np.concatenate([_training_targets(study, name) for name in study.conditions])
    high = float(np.nanmax(targets)) if targets.size else 10.0
    _draw_densities(axes, study, np.linspace(0, 1.08 * high, 1200), list(study.conditions))
    axes.set(xlabel='target (std of pixel intensity)', ylabel='density')
    drawing.legend(*axes.get_legend_handles_labels(), loc='outside upper left', ncols=3)
    return drawing


# ------------------------------------------------------------------------------------------------
# Performance


@dataclasses.dataclass(frozen=True)
class _Row:
    label: str
    condition: str
    test: str
    style: Style


def _performance(
    study: loading.Study, rows: Sequence[_Row], baseline: str | None
) -> mpl_figure.Figure:
    """Draws a dot for each repeat, mean and interval, and the paper's value below it."""
    drawing, grid = _canvas(1.5 + 2 * (0.42 + 0.46 * len(rows)), 2, 1)
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
            printed = paper.cell(study.conditions[row.condition].train.name, row.test, metric)
            if printed:
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
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
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
        matplotlib.lines.Line2D(
            [],
            [],
            marker='o',
            color=MUTED,
            linestyle='',
            markersize=4,
            alpha=0.55,
            label='one repeat',
        ),
        matplotlib.lines.Line2D(
            [],
            [],
            marker='o',
            color=MUTED,
            markeredgecolor=INK,
            linewidth=3,
            markersize=7,
            label=f'mean, {100 * confidence:g} % interval',
        ),
        matplotlib.lines.Line2D(
            [],
            [],
            marker='D',
            color=INK,
            markerfacecolor=BACKGROUND,
            linewidth=1,
            markersize=5,
            label='paper ± std',
        ),
    ]
    drawing.legend(
        handles=handles, loc='outside lower center', ncols=3, columnspacing=1.2, handletextpad=0.5
    )
    return drawing


# ------------------------------------------------------------------------------------------------
# What the paper lacks


def _learning_curves(study: loading.Study, names: Sequence[str]) -> mpl_figure.Figure:
    look = styles(study)
    panels = (
        ('train_loss', 'training loss\n(dropout on)'),
        ('validation_mse', 'validation MSE\n(squared intensity)'),
        ('validation_mape', 'validation MAPE\n(% of the target)'),
    )
    drawing, grid = _canvas(6.6 + _legend_height(study, names), 3, 1, sharex=True)
    for axes, (column, label) in zip(grid[:, 0], panels, strict=True):
        for name in names:
            rows = study.metrics[study.metrics['condition'] == name]
            lost = [(name, k) in study.diverged for k in rows['repeat']]
            rows = rows[~np.array(lost, dtype=bool)] if len(rows) else rows
            table = rows.pivot_table(index='epoch', columns='repeat', values=column)
            if table.empty:
                continue
            mean, std = table.mean(axis=1), table.std(axis=1, ddof=1)
            axes.plot(
                mean.index,
                mean,
                color=look[name].color,
                linestyle=look[name].line,
                linewidth=1.6,
                label=study.conditions[name].title,
            )
            if table.shape[1] > 1:
                # On a logarithmic axis a band must stay above zero.
                axes.fill_between(
                    mean.index,
                    np.maximum(mean - std, table.min(axis=1)),
                    mean + std,
                    color=look[name].color,
                    alpha=0.2,
                    linewidth=0,
                )
        axes.set_yscale('log')
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f'{v:g}'))
        axes.yaxis.set_minor_formatter(ticker.NullFormatter())
        axes.set_ylabel(label)
    grid[-1, 0].set_xlabel('epoch (0: before training)')
    grid[-1, 0].xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    _legend(drawing, grid[0, 0])
    return drawing


def _legend_height(study: loading.Study, names: Sequence[str]) -> float:
    """Returns inches to add for a legend of more than one row."""
    if max((len(study.conditions[name].title) for name in names), default=0) < _SHORT_LABEL:
        return 0.2 * ((len(names) - 1) // 3)
    return 0.2 * (len(names) - 1)


def _legend(drawing: mpl_figure.Figure, axes: mpl_axes.Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        columns = 3 if max(map(len, labels)) < _SHORT_LABEL else 1
        drawing.legend(handles, labels, loc='outside upper left', ncols=columns)


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
    look = styles(study)
    drawing, grid = _canvas(
        8.6 + _legend_height(study, names), 4, 1, sharex=True, height_ratios=(3, 3, 3, 1.4)
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
        absolute.plot(curve.target, curve.bias, label=study.conditions[name].title, **style)
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
    spread.set_title(
        'thick: between images of a run; thin: between repeats', fontsize=9, loc='left', color=MUTED
    )
    _draw_densities(density, study, np.linspace(edges[0], edges[1], 1500), names)
    density.set(xlabel='true target (std of pixel intensity)', ylabel='training\ndensity')
    _legend(drawing, absolute)
    return drawing


def _predicted_against_true(study: loading.Study, names: Sequence[str]) -> mpl_figure.Figure:
    look = styles(study)
    names = [name for name in names if study.repeats(name)][:_MOST_PANELS]
    rows = max(1, math.ceil(len(names) / 2))
    drawing, grid = _canvas(0.7 + 2.35 * rows, rows, 2, sharex=True, sharey=True)
    for axes in grid.ravel()[len(names) :]:
        axes.axis('off')
    for axes, name in zip(grid.ravel(), names, strict=False):
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
        axes.set_title(study.conditions[name].title, fontsize=10.2)
        axes.set_aspect('equal')
    drawing.supxlabel('true target (std of pixel intensity)', fontsize=10.2)
    drawing.supylabel('prediction', fontsize=10.2)
    return drawing


def _decomposition(study: loading.Study, table: pd.DataFrame) -> mpl_figure.Figure:
    drawing, grid = _canvas(1.6 + 0.36 * len(table))
    axes = grid[0, 0]
    labels = []
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
        on = study.test_distributions[row['test_distribution']].label
        labels.append(f'{study.conditions[row["condition"]].title} → {on}')
        axes.text(101.5, i, number(row['total'], 3), va='center', fontsize=9)
    axes.set_yticks(range(len(labels)), labels, fontsize=9)
    axes.set(xlim=(0, 100), ylim=(len(table) - 0.4, -0.6), xlabel='share of the MSE (%)')
    axes.grid(axis='y', visible=False)
    axes.text(101.5, -0.75, 'MSE', fontsize=9, color=MUTED)
    drawing.legend(*axes.get_legend_handles_labels(), loc='outside lower center', ncols=2)
    return drawing


def _shrinkage(study: loading.Study, runs: pd.DataFrame) -> mpl_figure.Figure:
    look = styles(study)
    names = list(dict.fromkeys(runs['condition']))
    drawing, grid = _canvas(4.9 + _legend_height(study, names))
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
            label=study.conditions[name].title,
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
      Figures in reading order: the paper's (numbered as there), then ours.
    """
    look = styles(study)
    found: list[Figure] = []

    def add(name: str, title: str, caption: str, make: Callable[[], mpl_figure.Figure]) -> None:
        with matplotlib.rc_context(_RC):
            drawing = make()
        found.append(_finish(name, title, caption, drawing))

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
    add(
        'figure_3_target_densities',
        'Figure 3: target densities',
        'Density of the generating values of each training distribution (config.json).',
        lambda: _target_densities(study),
    )

    def performance(
        name: str, title: str, rows: list[_Row], baseline: str | None, more: str = ''
    ) -> None:
        rows = [row for row in rows if len(study.values('cnn', row.condition, row.test, 'mse'))]
        if rows:
            add(
                name,
                title,
                'Predictor cnn. Small marks: repeats; large mark and bar: their mean '
                'and interval; open '
                'diamond: the paper’s mean ± std (faint where the paper contradicts itself). From '
                f'results.csv.{more}',
                lambda: _performance(study, rows, baseline),
            )

    tests = study.test_distributions
    first = study.variants()[0].conditions
    numbers = {paper.BALANCED: 4, paper.MISSING: 5, paper.NORMAL: 6}
    for name, condition in study.conditions.items():
        law = condition.train.name
        reference = paper.BALANCED if paper.BALANCED in tests else None
        if law in numbers and first.get(law) == name:
            heading = f'Figure {numbers[law]}: networks trained on {condition.train.label}'
            file = f'figure_{numbers[law]}_performance_{law}'
        elif len(study.conditions) <= _MOST_CONDITION_FIGURES:
            heading = f'Networks of condition {condition.title}'
            file = f'performance_{_file_name(name)}'
        else:
            continue
        performance(
            file,
            heading,
            [_Row(f'on {tests[test].label}', name, test, look[name]) for test in tests],
            reference,
        )
    for test in tests:
        is_reference = test == paper.BALANCED
        if not is_reference and paper.BALANCED in tests:
            continue
        performance(
            'figure_7_performance_on_u1_10'
            if is_reference
            else f'performance_on_{_file_name(test)}',
            f'{"Figure 7: a" if is_reference else "A"}ll networks, tested on {tests[test].label}',
            [_Row(c.title, name, test, look[name]) for name, c in study.conditions.items()],
            test,
        )
    performance(
        'figure_8_performance_all_tests',
        'Figure 8: all networks, averaged over '
        + ' and '.join(tests[test].label for test in study.averaged_tests()),
        [_Row(c.title, name, paper.ALL_TESTS, look[name]) for name, c in study.conditions.items()],
        None,
        ' Here a mark is the mean over the tests; the paper’s ± is over repeats and tests.',
    )
    groups = _curve_groups(study)
    for suffix, heading, names in groups if len(study.metrics) else ():
        add(
            f'learning_curves{suffix}',
            f'Training and validation curves{heading}',
            'Mean over repeats, band ± one standard deviation; logarithmic axes. From '
            'metrics.jsonl.',
            functools.partial(_learning_curves, study, names),
        )
    trained = [name for name in study.conditions if study.repeats(name)]
    for suffix, heading, names in groups:
        if not any(name in trained for name in names):
            continue
        add(
            f'predicted_against_true{suffix}',
            f'Predicted against true{heading}',
            'Dense evaluation set of predictions.npz. Points: the first repeat; line: mean over '
            'repeats; dashed: exact; shaded: the range of training targets.'
            + (f' The first {_MOST_PANELS} conditions.' if len(names) > _MOST_PANELS else ''),
            functools.partial(_predicted_against_true, study, names),
        )
        add(
            f'error_curve{suffix}',
            f'Error as a curve of the true target{heading}',
            'Dense evaluation set of predictions.npz in bins of equally many images. Bias: mean of '
            'prediction − target, band: interval of its mean over repeats. Beneath: where the '
            'training targets lie.',
            functools.partial(_error_curves, study, names),
        )
    for suffix, heading, names in groups:
        rows = decomposed[decomposed['condition'].isin(names)]
        if len(rows):
            add(
                f'decomposition{suffix}',
                f'What the MSE is made of{heading}',
                'Condition → test distribution. Exact shares that add up (predictions.npz).',
                functools.partial(_decomposition, study, rows),
            )
        runs = shrunk[shrunk['condition'].isin(names)]
        if len(runs):
            add(
                f'shrinkage{suffix}',
                f'Shrinkage: predicted by dropout against measured{heading}',
                'One mark a network; on the dashed line the mechanism explains all of it. Filled: '
                'predicted from both dropouts, measured on the prediction averaged over channel '
                'masks, which that is about. Open: predicted from the last layer alone, measured '
                'with dropout off. From the moments in predictions.npz.',
                functools.partial(_shrinkage, study, runs),
            )
    return found


def _curve_groups(study: loading.Study) -> list[tuple[str, str, list[str]]]:
    """Returns (suffix of the file, suffix of the title, conditions) for each figure of curves.

    More conditions than one figure can carry are drawn law by law.
    """
    if len(study.conditions) <= _MOST_CONDITION_FIGURES:
        return [('', '', list(study.conditions))]
    laws: dict[str, list[str]] = {}
    for name, condition in study.conditions.items():
        laws.setdefault(condition.train.name, []).append(name)
    return [
        (f'_{_file_name(law)}', f', trained on {study.conditions[names[0]].train.label}', names)
        for law, names in laws.items()
    ]


def _file_name(name: str) -> str:
    return re.sub(r'[^A-Za-z0-9_]+', '_', name).strip('_') or 'condition'
