"""How conditions look and what they are called in every figure, and which of them are drawn.

Drawn narrow enough to read on a phone. Colours are Okabe and Ito's (safe for the colour-blind),
fixed for each condition; markers and line styles tell the same apart in greyscale.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import canvas, marks
from imbreg_jax.analysis.canvas import BACKGROUND, MUTED, Axes, Drawing, ticker
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.section import Figure, only
from imbreg_jax.study.fields import looked_up
from imbreg_jax.study.settings import FIELDS

# A figure with more would be too long to read, and in the end too large to draw; tables have all.
MOST_CURVES = 12
MOST_ROWS = 24
_SHORT_LABEL = 14
# Rows of a figure that need not stand close.
_FEW_ROWS = 12
# Inches that a line of a name of two takes beside a row.
_LINE_HEIGHT = 0.135
TICK_WIDTH = 24
# Height of a line of text, in sizes of its font.
_LINE = 1.2

_OF_LAWS = {
    'u1_10': ('#0072B2', 'o', '-'),
    'u1_5': ('#E69F00', 's', '--'),
    'n5_5_1': ('#009E73', '^', '-.'),
}
_OTHER_COLOURS = '#CC79A7 #56B4E9 #D55E00 #8C7A00 #9467BD #0072B2 #E69F00 #009E73'.split()
_OTHER_MARKERS = ('D', 'v', 'P', 'X', '<', '>', 'h', '*')
_OTHER_LINES = (':', (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))


@dataclasses.dataclass(frozen=True)
class Style:
    """How a condition is drawn everywhere: colour, marker and line style."""

    color: str
    marker: str
    line: Any


def styles(study: FinishedStudy) -> dict[str, Style]:
    """Returns how each condition is drawn; the paper's laws look the same in every study."""
    of_laws = styles_of([condition.train.name for condition in study.conditions.values()])
    return dict(zip(study.conditions, of_laws, strict=True))


def styles_of(names: Sequence[str]) -> list[Style]:
    """Returns how things are drawn that are named after laws, or otherwise; no two alike."""
    found: list[Style] = []
    taken: set[str] = set()
    for name in names:
        if name in _OF_LAWS and name not in taken:
            taken.add(name)
            found.append(Style(*_OF_LAWS[name]))
            continue
        others = len(found) - len(taken)
        found.append(
            Style(
                _OTHER_COLOURS[others % len(_OTHER_COLOURS)],
                # Shifted a place each time the colours start again, so that no pair comes twice.
                _OTHER_MARKERS[(others + others // len(_OTHER_COLOURS)) % len(_OTHER_MARKERS)],
                _OTHER_LINES[others % len(_OTHER_LINES)],
            )
        )
    return found


def titles(study: FinishedStudy) -> dict[str, str]:
    """Returns condition -> title, short enough to be drawn."""
    return canvas.short_labels(study.titles)


def test_labels(study: FinishedStudy) -> dict[str, str]:
    """Returns test distribution -> label, short enough to be drawn."""
    return canvas.short_labels(study.labels)


def law_labels(study: FinishedStudy) -> dict[str, str]:
    """Returns spec of a training law -> label, short enough to be drawn."""
    return canvas.short_labels({c.train.spec: c.train.label for c in study.conditions.values()})


def row_height(labels: Sequence[str], least: float) -> float:
    """Returns the inches that a row needs for its label, which may have several lines."""
    lines = max((label.count('\n') + 1 for label in labels), default=1)
    return max(least, _LINE * _row_size(labels) / 72 * lines + 0.05)


def name_rows(axes: Axes, labels: Sequence[str]) -> None:
    """Writes labels beside the rows 0, 1 and so on; smaller where one has many lines."""
    axes.set_yticks(range(len(labels)), labels, fontsize=_row_size(labels))


def _row_size(labels: Sequence[str]) -> float:
    return 8.0 if any(label.count('\n') > 1 for label in labels) else 10.2


def row_label(condition: str, test: str) -> str:
    """Returns 'condition → test' to stand beside a row; on two lines where it is long."""
    label = f'{condition} → {test}'
    if len(label) <= TICK_WIDTH:
        return label
    return '\n'.join(canvas.wrap(part, TICK_WIDTH) for part in (condition, f'→ {test}'))


def figure(
    study: FinishedStudy,
    name: str,
    title: str,
    caption: str,
    draw: Callable[[], Drawing],
    conditions: Sequence[str] = (),
    tests: Sequence[str] = (),
) -> Figure:
    """Returns a figure; its caption gives the full text of names that are drawn shortened.

    Names are those of its `conditions`, of its `tests` (test distributions), and of training laws
    in the title.
    """
    short, on, laws = titles(study), test_labels(study), law_labels(study)
    shown = [(short[c], study.titles[c]) for c in conditions]
    shown += [(on[t], study.labels[t]) for t in tests]
    trained = [(laws[c.train.spec], c.train.label) for c in study.conditions.values()]
    shown += [(label, full) for label, full in trained if label in title]
    return Figure(name, title, caption + canvas.shortened_sentence(shown), draw)


def limits(rows: pd.DataFrame, middle: str, low: str, high: str, *more: float) -> tuple:
    """Returns ends of an axis that shows means, and intervals unless these go very far."""
    ends = [*rows[middle], *more]
    return (
        max(np.nanmin([*rows[low], *ends]), np.nanmin(ends) / 4) / 1.05,
        min(np.nanmax([*rows[high], *ends]), np.nanmax(ends) * 4) * 1.05,
    )


def logarithmic(axes: Axes, which: str, low: float, high: float) -> None:
    """Makes an axis logarithmic, with numbers that can be read on it."""
    axis = getattr(axes, f'{which}axis')
    axes.set(**{f'{which}scale': 'log', f'{which}lim': (low, high)})
    subs = (1, 2, 5) if high < 30 * low else (1, 3) if high < 1000 * low else (1,)
    wide, narrow = ticker.LogLocator(subs=subs), ticker.MaxNLocator(4, steps=[1, 2, 5, 10])
    axis.set_major_locator(wide if high > 4 * low else narrow)
    axis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f'{v:g}'))
    axis.set_minor_locator(ticker.NullLocator())


# Of a ratio, those near 1 finer than a decade needs.
_ROUND = sorted(
    [c * 10.0**k for k in range(-4, 5) for c in (1, 2, 5)] + [0.7, 0.8, 0.9, 1.1, 1.2, 1.5]
)
# Of a narrow panel's width, from one number below it to the next.
_APART = 0.15


def few_ticks(axes: Axes, low: float, high: float) -> None:
    """Gives a narrow panel 1, the round numbers nearest to its ends, and decades between."""
    inside = [t for t in _ROUND if low < t < high]
    ticks = [1.0]
    for tick in (*inside[:1], *inside[-1:], *(t for t in inside if math.log10(t) % 1 == 0)):
        if all(abs(math.log(tick / other)) > _APART * math.log(high / low) for other in ticks):
            ticks.append(tick)
    axes.xaxis.set_major_locator(ticker.FixedLocator(sorted(ticks)))


def ratios_by_row(
    rows: pd.DataFrame,
    panels: Sequence[str],
    names: Mapping[str, str],
    series: Mapping[str, Style],
    margin: float,
    label: str,
    open_markers: Collection[str] = (),
) -> Drawing:
    """Draws ratios with their intervals beside one another, and the margin behind them.

    Args:
      rows: with columns panel, row, series, ratio, low and high; and remedy (what to call it)
        where they are of some.
      panels: from left to right.
      names: row -> what to call it, from top to bottom.
      series: its label -> how it is drawn.
      margin: within which errors count as the same.
      label: what is on the axis.
      open_markers: labels of series whose markers are not filled.
    """
    order = list(names)
    # Many rows stand closer, so that a figure of them stays one to look at.
    gap, line = (0.14, 0.085) if len(order) <= _FEW_ROWS else (0.06, 0.06)
    lines = max(name.count('\n') for name in names.values()) + 1
    row = max(gap + line * len(series), _LINE_HEIGHT * lines if lines > 1 else 0.0)
    height = 1.2 + row * len(order) + legend_height(list(series))
    drawing, grid = canvas.canvas(height, 1, len(panels), sharey=True)
    ends = limits(rows, 'ratio', 'low', 'high', 1 - margin, 1 + margin)
    for axes, panel in zip(grid[0], panels, strict=True):
        of = rows[rows['panel'] == panel]
        for i in range(0, len(order), 2):
            axes.axhspan(i - 0.5, i + 0.5, color=MUTED, alpha=0.05, linewidth=0)
        for k, (one, style) in enumerate(series.items()):
            part = of[of['series'] == one]
            y = np.array([order.index(row) for row in part['row']], float)
            y += 0.8 * ((k + 0.5) / len(series) - 0.5)
            middle, low, high = (part[key].to_numpy(float) for key in ('ratio', 'low', 'high'))
            bars = axes.errorbar(
                middle, y, xerr=[middle - low, high - middle], color=style.color, linestyle='',
                marker=style.marker, markersize=3.6, elinewidth=1.1, label=one,
                markerfacecolor=BACKGROUND if one in open_markers else style.color,
            )  # fmt: skip
            if 'remedy' in part:
                marks.shows(bars, remedy=list(part['remedy']))
        axes.axvspan(1 - margin, 1 + margin, color=MUTED, alpha=0.15, linewidth=0)
        axes.axvline(1, color=MUTED, linewidth=0.8)
        axes.set(ylim=(len(order) - 0.5, -0.5))
        axes.set_yticks(range(len(order)), list(names.values()))
        axes.tick_params(axis='both', labelsize=8, length=2)
        axes.grid(axis='y', visible=False)
        axes.set_title(canvas.wrap(canvas.shorten(panel), 48 // len(panels)), fontsize=9)
        logarithmic(axes, 'x', *ends)
        if len(panels) > 1:
            few_ticks(axes, *ends)
    drawing.supxlabel(canvas.wrap(label, 60), fontsize=9.5)
    legend(drawing, *grid[0])
    return drawing


def _legend_columns(labels: Sequence[str]) -> int:
    return 3 if max(map(len, labels), default=0) < _SHORT_LABEL else 1


def legend_height(labels: Sequence[str]) -> float:
    """Returns inches to add for a legend of more than one row."""
    return 0.2 * (math.ceil(len(labels) / _legend_columns(labels)) - 1) if labels else 0.0


def legend(drawing: Drawing, *panels: Axes) -> None:
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
            list(found.values()), labels, loc='outside upper left', ncols=_legend_columns(labels)
        )


def drawn(study: FinishedStudy) -> list[str]:
    """Returns the conditions that figures of curves show: the first that have runs that count."""
    return study.trained[:MOST_CURVES]


def left_out(study: FinishedStudy) -> str:
    """Returns a sentence for the caption of a figure of `drawn` where it shows not all."""
    return only(len(drawn(study)), len(study.trained), 'conditions')


def target(study: FinishedStudy) -> str:
    """Returns what a target of the study is, with its unit where it has one."""
    tasks = {condition.settings.get('task.name') for condition in study.conditions.values()}
    if len(tasks) > 1:
        return 'target'
    name = tasks.pop() or 'std'
    if name == 'std':
        return 'target (std of pixel intensity)'
    found = task(name)
    return f'target: {found.label if found else name}'


def task(name: str) -> Any:
    """Returns the task of that name; None of somebody's own that is not there any more."""
    return looked_up(FIELDS['task.name'].of.registry).get(name)
