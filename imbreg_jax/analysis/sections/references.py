"""Networks beside what is simpler and what is best, and in metrics beyond the paper's."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import canvas, formats, look, marks
from imbreg_jax.analysis.canvas import INK, MUTED, Drawing
from imbreg_jax.analysis.finished import BASELINE, REFERENCES, FinishedStudy
from imbreg_jax.analysis.section import Column, Content, Figure, Section, Table, only
from imbreg_jax.analysis.tables import METRICS as SHOWN
from imbreg_jax.evaluation.metrics import METRICS

_HEADINGS = {
    'cnn': 'network',
    'cnn_calibrated': 'calibrated network',
    'linear_moments': 'linear in pixel moments',
    'best_constant': 'training mean',
    BASELINE: 'random guess',
}
# Column of the table -> its label in the figure, and colour and marker there.
_DRAWN = {
    'cnn_mean': ('network', 'o', '#0072B2'),
    'linear_moments_mean': ('linear in moments', 's', '#E69F00'),
    'best_constant_mean': ('training mean', '^', '#009E73'),
    'guess_mean': ('random guess', 'D', MUTED),
    'floor': ('floor', '|', INK),
}
_NOTES = (
    'Mean ± standard deviation over repeats, MSE. Linear in pixel moments: the function of mean, '
    'standard deviation, skewness, kurtosis and mean gradient of an image that fits training '
    'images best in squares (evaluation.moment_images of them at most); training mean: that '
    'of the training targets, the best constant under their law. Both know the training set that '
    'the network is trained on, and nothing else.',
    'Floor: the least MSE of an unbiased estimate, averaged over the test law; 0 where the target '
    f'is measured on the image itself, {formats.UNDEFINED} where no bound is known. A network that '
    'is biased towards its training targets may have less.',
)
_MORE_NOTES = (
    'Mean ± standard deviation over repeats. Bins are ten of equal width of the range of the test '
    'law. Many-shot: the training law has more than 0.82 % of its targets within half a unit of '
    'the target; few-shot: less than 0.16 %; medium-shot between; zero-shot: none. SERA: '
    'squared errors, each times the relevance of its target, which is 1 where a box plot of the '
    'training targets draws outliers; without outliers there is none. What has no value is left '
    'out.',
)


def _spread(mean: float, std: float) -> str:
    """Of errors that may be tiny: significant digits, not decimals."""
    if not math.isfinite(mean):
        return formats.UNDEFINED
    return f'{formats.number(mean)} ± {formats.number(std, 2)}'


_SPREAD = formats.Kind('number', _spread)
# Of the networks' error, what a function that is exact leaves.
_EXACT = 1e-6
_Cells = dict[tuple[str, ...], tuple[float, float]]


def _cells(study: FinishedStudy) -> _Cells:
    """Mean and spread of each condition, test distribution, metric and predictor."""
    rows = study.results[study.results['test_distribution'] != '']
    rows = rows[np.isfinite(rows['value'])]
    keys = ['condition', 'test_distribution', 'metric', 'predictor']
    found = rows.groupby(keys, sort=False)['value'].agg(['mean', 'std'])
    return dict(zip(found.index, found.itertuples(index=False, name=None), strict=True))


def _row(cells: _Cells, predictors: list[str], *key: str) -> dict[str, Any]:
    values = {p: cells.get((*key, p), (np.nan, np.nan)) for p in predictors}
    return {
        f'{predictor}_{what}': value
        for predictor, pair in values.items()
        for what, value in zip(('mean', 'std'), pair, strict=True)
    }


def _columns(study: FinishedStudy, predictors: list[str]) -> list[Column]:
    columns = [
        Column('condition', 'trained on', labels=study.titles),
        Column('test_distribution', 'tested on', labels=study.labels),
    ]

    def source(predictor: str) -> Callable[[dict[str, Any]], str]:
        return lambda row: study.source(
            predictor, row['condition'], row['test_distribution'], row['metric']
        )

    return columns + [
        Column((f'{p}_mean', f'{p}_std'), _HEADINGS[p], _SPREAD, source(p)) for p in predictors
    ]


def _references(study: FinishedStudy, cells: _Cells) -> Table:
    predictors = ['cnn', 'linear_moments', 'best_constant']
    rows = []
    for condition in study.conditions:
        for test in study.test_distributions:
            guess = study.baseline(condition, test, 'mse')
            rows.append(
                {
                    'condition': condition,
                    'test_distribution': test,
                    'metric': 'mse',
                    **_row(cells, predictors, condition, test, 'mse'),
                    'guess_mean': guess.mean(),
                    'floor': cells.get((condition, test, 'mse', 'floor'), (np.nan,))[0],
                }
            )
    columns = [
        *_columns(study, predictors),
        Column('guess_mean', _HEADINGS[BASELINE], formats.NUMBER),
        Column('floor', 'floor', formats.NUMBER),
    ]
    title = 'MSE beside that of simple predictors and of the best'
    return Table('references', title, pd.DataFrame(rows), columns, _NOTES)


def _more(study: FinishedStudy, cells: _Cells) -> Table:
    predictors = [*study.predictors, 'linear_moments', 'best_constant']
    names = [name for name in METRICS if name not in SHOWN]
    rows = [
        {'condition': c, 'test_distribution': t, 'metric': m, **_row(cells, predictors, c, t, m)}
        for c in study.conditions
        for t in study.test_distributions
        for m in names
        if any((c, t, m, p) in cells for p in predictors)
    ]
    first, second, *others = _columns(study, predictors)
    labels = {name: METRICS[name].label for name in names}
    columns = [first, second, Column('metric', 'metric', labels=labels), *others]
    frame = pd.DataFrame(rows, columns=None if rows else ['metric'])
    return Table('metrics', 'Further metrics', frame, columns, _MORE_NOTES, evidence=True)


def draw(study: FinishedStudy, frame: pd.DataFrame) -> Drawing:
    """Draws the MSE of each row's predictors, on a logarithmic axis."""
    titles = look.titles(study)
    names = [canvas.wrap(titles[name], look.TICK_WIDTH) for name in frame['condition']]
    drawing, grid = canvas.canvas(
        1.4
        + look.row_height(names, 0.36) * len(frame)
        + look.legend_height([label for label, *_ in _DRAWN.values()])
    )
    axes = grid[0, 0]
    for key, (label, marker, color) in _DRAWN.items():
        values = frame[key].to_numpy(float)
        # What is nothing, or is not known, has no place on such an axis.
        held = np.isfinite(values) & (values > 0)
        if held.any():
            style: Any = {'marker': marker, 'color': color, 'linestyle': '', 'markersize': 6}
            drawn = axes.plot(values[held], np.flatnonzero(held), label=label, **style)
            marks.shows(drawn, condition=[titles[name] for name in frame['condition'][held]])
    look.name_rows(axes, names)
    axes.set(ylim=(len(frame) - 0.5, -0.5), xlabel='MSE (unit squared)')
    axes.grid(axis='y', visible=False)
    ends = [v for line in axes.lines for v in np.asarray(line.get_xdata(), float)]
    if ends:
        look.logarithmic(axes, 'x', min(ends) / 1.3, max(ends) * 1.3)
    look.legend(drawing, axes)
    return drawing


def _figure(study: FinishedStudy, frame: pd.DataFrame) -> Figure:
    test = next(iter(study.test_distributions))
    own = frame[(frame['test_distribution'] == test) & frame['cnn_mean'].notna()]
    shown = own.head(look.MOST_CURVES)
    caption = (
        'Mean over repeats; what is 0 or not known is left out. From results.csv.'
        + only(len(shown), len(own), 'conditions')
    )  # fmt: skip
    title = f'Networks beside simpler predictors on {look.test_labels(study)[test]}'
    return look.figure(
        study, 'references', title, caption, lambda: draw(study, shown), list(shown['condition']),
        [test],
    )  # fmt: skip


def _headline(study: FinishedStudy, frame: pd.DataFrame) -> str:
    test = next(iter(study.test_distributions))
    rows = frame[(frame['test_distribution'] == test) & frame['cnn_mean'].notna()]
    beaten = {
        name: int((rows['cnn_mean'] < rows[f'{name}_mean']).sum())
        for name in ('linear_moments', 'best_constant')
    }
    start = f'On {study.labels[test]}, of {len(rows):,} conditions'
    exact = rows['linear_moments_mean'].max() < _EXACT * rows['cnn_mean'].min()
    if exact:
        return (
            f'{start} {beaten["best_constant"]:,} have a lower MSE than the mean of their training '
            'targets. A linear function of pixel moments is exact: the target is one of them.'
        )
    return (
        f'{start} {beaten["linear_moments"]:,} have a lower MSE than a linear function of pixel '
        f'moments, and {beaten["best_constant"]:,} than the mean of their training targets.'
    )


def _build(study: FinishedStudy) -> Content:
    cells = _cells(study)
    table = _references(study, cells)
    return Content(
        _headline(study, table.frame),
        [table, _more(study, cells)],
        [_figure(study, table.frame)] if table.frame['cnn_mean'].notna().any() else [],
    )


def _applies(study: FinishedStudy) -> bool:
    """Studies of before there were references have none."""
    return bool(set(study.results['predictor']) & set(REFERENCES) - {BASELINE})


SECTION = Section('references', 'References and further metrics', _applies, _build)
