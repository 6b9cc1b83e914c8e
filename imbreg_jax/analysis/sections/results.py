"""Results: every condition on every test distribution."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import canvas, dose_response, look, marks, statistics, tables
from imbreg_jax.analysis.canvas import BACKGROUND, INK, MUTED, Axes, Drawing, lines
from imbreg_jax.analysis.finished import BASELINE, FinishedStudy
from imbreg_jax.analysis.formats import mean_and_std, number
from imbreg_jax.analysis.paper.printed import ALL_TESTS
from imbreg_jax.analysis.paper.tables import as_printed
from imbreg_jax.analysis.section import Content, Figure, Section, only

_METRICS = {'mse': 'MSE (unit squared)', 'mape': 'MAPE (% of the target)'}


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a performance figure: its label, whose networks, and on which test, or 'all'.

    `printed` is metric -> (mean, std, whether it may count), as somebody else printed it.
    """

    label: str
    condition: str
    test: str
    printed: Mapping[str, tuple[float, float, bool]] = dataclasses.field(default_factory=dict)


def draw(
    study: FinishedStudy,
    rows: Sequence[Row],
    beside: str = '',
    baseline: str | None = None,
    metrics: Sequence[str] = tuple(_METRICS),
) -> Drawing:
    """Draws a mark for each repeat, mean and interval, and the printed value below it.

    Args:
      study: the study.
      rows: from top to bottom.
      beside: who printed what the rows hold beside the measured values.
      baseline: the test distribution whose random guess is told above the panels.
      metrics: a panel each.
    """
    labels = [row.label for row in rows]
    row_height = look.row_height(labels, 0.46 if any(row.printed for row in rows) else 0.36)
    height = 0.75 * len(metrics) + len(metrics) * (0.42 + row_height * len(rows))
    drawing, grid = canvas.canvas(height, len(metrics), 1)
    styles, confidence = look.styles(study), study.option('confidence', 0.95)
    titles = look.titles(study)
    for axes, metric in zip(grid[:, 0], metrics, strict=True):
        for i, row in enumerate(rows):
            values = _values(study, row, metric)
            if values.size:
                drawn = _draw_repeats(axes, i, values, styles[row.condition], confidence)
                marks.shows(drawn, condition=titles[row.condition])
            if metric in row.printed:
                mean, std, usable = row.printed[metric]
                mark: Any = {'fmt': 'D', 'color': INK, 'markerfacecolor': BACKGROUND}
                mark |= {'markersize': 5, 'elinewidth': 1, 'capsize': 2}
                axes.errorbar(mean, i + 0.32, xerr=std, alpha=1 if usable else 0.45, **mark)
        # From zero on, so that lengths compare, unless that would hide most of them.
        axes.set(xlim=(0, None), ylim=(len(rows) - 0.45, -0.5), xlabel=_METRICS[metric])
        means = [v.mean() for row in rows if len(v := _values(study, row, metric))]
        if dose_response.wide(np.array(means)):
            everything = [v for row in rows for v in _values(study, row, metric)]
            look.logarithmic(axes, 'x', min(everything) / 1.2, max(everything) * 1.2)
        look.name_rows(axes, labels)
        axes.grid(axis='y', visible=False)
        guess = study.values(BASELINE, '', baseline or '', metric)
        if len(guess):
            told = f'random guess: {number(guess.mean(), 3)}, far to the right →'
            axes.set_title(told, loc='right', fontsize=9, color=MUTED)
    shown: dict[str, Any] = {
        'one repeat': {'marker': 'o', 'linestyle': '', 'markersize': 4, 'alpha': 0.55},
        f'mean, {100 * confidence:g} % interval': {
            'marker': 'o', 'markeredgecolor': INK, 'linewidth': 3, 'markersize': 7,
        },
    }  # fmt: skip
    if beside and any(row.printed for row in rows):
        shown[f'{beside} ± std'] = {
            'marker': 'D', 'color': INK, 'markerfacecolor': BACKGROUND, 'linewidth': 1,
            'markersize': 5,
        }  # fmt: skip
    handles = [lines.Line2D([], [], label=k, **{'color': MUTED, **v}) for k, v in shown.items()]
    tight: Any = {'ncols': 3, 'columnspacing': 1.2, 'handletextpad': 0.5}
    drawing.legend(handles=handles, loc='outside lower center', **tight)
    return drawing


def _values(study: FinishedStudy, row: Row, metric: str) -> pd.Series:
    return study.values('cnn', row.condition, row.test, metric)


def _draw_repeats(
    axes: Axes, i: int, by_repeat: pd.Series, style: look.Style, confidence: float
) -> list[Any]:
    values = by_repeat.to_numpy(float)
    heights = [i - 0.13 + 0.05 * (k % 3 - 1) for k in range(values.size)]
    small: Any = {'markersize': 4, 'alpha': 0.55, 'markeredgewidth': 0, 'linestyle': ''}
    repeats = axes.plot(values, heights, style.marker, color=style.color, **small)
    marks.shows(repeats, repeat=list(by_repeat.index))
    ends = statistics.mean_interval(values, confidence)
    bar: Any = {'color': style.color, 'linewidth': 3, 'solid_capstyle': 'butt'}
    interval = axes.plot(ends, [i + 0.1] * 2, **bar)
    marks.shows(interval, kind='intervals')
    large: Any = {'markersize': 7.5, 'markeredgecolor': INK, 'markeredgewidth': 0.9}
    mean = axes.plot(values.mean(), i + 0.1, style.marker, color=style.color, **large)
    return [repeats, interval, mean]


def performance(
    study: FinishedStudy,
    name: str,
    title: str,
    rows: Sequence[Row],
    tests: Sequence[str],
    more: str = '',
    beside: str = '',
    baseline: str | None = None,
) -> list[Figure]:
    """Returns a figure of `draw` with the rows that have values; none where no row has.

    Of very many rows the first are drawn. `tests` are those that it names, and `more` is what its
    caption says besides.
    """
    rows = [row for row in rows if len(study.values('cnn', row.condition, row.test, 'mse'))]
    shown = rows[: look.MOST_ROWS]
    if not shown:
        return []
    diamond = f'; open diamond: {beside}’s mean ± std' if any(r.printed for r in shown) else ''
    caption = (
        'Predictor cnn. Small marks: repeats; large mark and bar: their mean and interval'
        f'{diamond}. From results.csv.{more}{only(len(shown), len(rows), "rows")}'
    )
    conditions = list(dict.fromkeys(row.condition for row in shown))
    return [
        look.figure(
            study, name, title, caption, lambda: draw(study, shown, beside, baseline), conditions,
            tests,
        )
    ]  # fmt: skip


def _figures(study: FinishedStudy) -> list[Figure]:
    titles, labels = look.titles(study), look.test_labels(study)
    tests, averaged = [*labels], study.averaged_tests()
    # So many conditions that every test has rows.
    shown = study.trained[: max(1, look.MOST_ROWS // (len(tests) + 1))]
    more = ' Condition → test distribution.'
    if len(averaged) > 1:  # That of a single test is that test.
        more += f' Average: over {", ".join(labels[test] for test in averaged)}.'
        labels[ALL_TESTS] = 'average'
    more += only(len(shown), len(study.trained), 'conditions')
    rows = [
        Row(look.row_label(titles[name], label), name, test)
        for test, label in labels.items()
        for name in shown
    ]
    name, title = 'performance', 'Errors of every condition on every test distribution'
    return [*_first(study), *performance(study, name, title, rows, tests, more)]


def _first(study: FinishedStudy) -> list[Figure]:
    """Returns the figure of what the headline says: MSE on the first test distribution."""
    test = next(iter(study.test_distributions))
    titles, on = look.titles(study), look.test_labels(study)[test]
    means = {name: study.values('cnn', name, test, 'mse').mean() for name in study.trained}
    names = [name for name, mean in means.items() if np.isfinite(mean)]
    if not names:
        return []
    caption = 'Small marks: repeats; large mark and bar: their mean and interval. From results.csv.'
    if len(names) > look.MOST_CURVES:
        half, ordered = look.MOST_CURVES // 2, sorted(names, key=means.__getitem__)
        caption += f' The {half} least and the {half} greatest of {len(names):,} conditions.'
        names = [*ordered[:half], *ordered[-half:]]
    rows = [Row(canvas.wrap(titles[name], look.TICK_WIDTH), name, test) for name in names]
    return [
        look.figure(
            study, 'errors', f'MSE on {on}', caption,
            lambda: draw(study, rows, baseline=test, metrics=('mse',)), names, [test],
        )
    ]  # fmt: skip


def _headline(study: FinishedStudy, frame: pd.DataFrame) -> str:
    """Says which condition errs least on the first test distribution, and what a guess gives."""
    test = next(iter(study.test_distributions))
    rows = frame[(frame['predictor'] == 'cnn') & (frame['test_distribution'] == test)]
    rows = rows[rows['mse_mean'].notna()].sort_values('mse_mean', kind='stable')
    if not len(rows):
        return 'No repeat of any condition counts.'
    best, worst = rows.iloc[0], rows.iloc[-1]

    def told(row: Mapping[str, Any]) -> str:
        spread = mean_and_std(row['mse_mean'], row['mse_std'])
        return f'{spread} ({study.titles[row["condition"]]})'

    text = f'Mean MSE on {study.labels[test]}: '
    text += f'least {told(best)}, greatest {told(worst)}' if len(rows) > 1 else told(best)
    guess = study.values(BASELINE, '', test, 'mse')
    return text + (f'; a random guess has {number(guess.mean())}.' if len(guess) else '.')


def _build(study: FinishedStudy) -> Content:
    frame = tables.results_table(study.results, as_printed(study))

    def source(row: dict[str, Any], metric: str) -> str:
        return study.source(row['predictor'], row['condition'], row['test_distribution'], metric)

    shown = tables.results(frame, study.titles, study.labels, source)
    return Content(_headline(study, frame), [shown], _figures(study))


SECTION = Section('results', 'Results', lambda study: True, _build)
