"""What the MSE is made of: parts that add up."""

from typing import Any

import pandas as pd

from imbreg_jax.analysis import canvas, decomposition, formats, look, marks
from imbreg_jax.analysis.canvas import INK, MUTED, Drawing
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.formats import number
from imbreg_jax.analysis.section import Column, Content, Section, Table, only

_COLOURS = ('#0072B2', '#56B4E9', '#E69F00', '#CC79A7', '#BBBBBB')
_HATCHES = ('', '///', '...', 'xx', '')


def draw(study: FinishedStudy, frame: pd.DataFrame) -> Drawing:
    """Draws the shares of the parts, a bar for each row of `decomposition.table`."""
    titles, tests = look.titles(study), look.test_labels(study)
    cells = zip(frame['condition'], frame['test_distribution'], strict=True)
    labels = [look.row_label(titles[condition], tests[test]) for condition, test in cells]
    most = max(label.count('\n') for label in labels)
    drawing, grid = canvas.canvas(1.6 + (0.36 + 0.13 * max(most - 1, 0)) * len(frame))
    axes = grid[0, 0]
    total = frame['total'].to_numpy(float)
    left = 0 * total
    for part, color, hatch in zip(decomposition.PARTS, _COLOURS, _HATCHES, strict=True):
        share = [100 * p / t if t else 0.0 for p, t in zip(frame[part], total, strict=True)]
        style: Any = {'color': color, 'hatch': hatch, 'edgecolor': INK, 'linewidth': 0.4}
        label = decomposition.PART_LABELS[part]
        bars = axes.barh(range(len(frame)), share, left=left, height=0.72, label=label, **style)
        for bar, name in zip(bars, frame['condition'], strict=True):
            marks.shows(bar, condition=titles[name])
        left = left + share
    for i, value in enumerate(total):
        axes.text(101.5, i, number(value, 3), va='center', fontsize=9)
    axes.set_yticks(range(len(labels)), labels, fontsize=9)
    axes.set(xlim=(0, 100), ylim=(len(frame) - 0.4, -0.6), xlabel='share of the MSE (%)')
    axes.grid(axis='y', visible=False)
    axes.text(101.5, -0.75, 'MSE', fontsize=9, color=MUTED)
    drawing.legend(*axes.get_legend_handles_labels(), loc='outside lower center', ncols=2)
    return drawing


def _table(study: FinishedStudy, frame: pd.DataFrame, predictor: str) -> Table:
    def recorded(row: dict[str, Any]) -> str:
        return study.source(predictor, row['condition'], row['test_distribution'], 'mse')

    columns = [
        Column('condition', 'trained on', labels=study.titles),
        Column('test_distribution', 'tested on', labels=study.labels),
        *(
            Column((part, 'total'), decomposition.PART_LABELS[part], formats.SHARE, 'source')
            for part in decomposition.PARTS
        ),
        Column('total', 'sum', formats.NUMBER, 'source'),
        Column('mse', 'MSE in results.csv', formats.NUMBER, recorded),
        Column('factor', 'factor', formats.NUMBER, 'source'),
        *(
            Column((part, 'total'), heading, formats.SHARE, 'source')
            for part, heading in decomposition.REVERSED_LABELS.items()
        ),
    ]
    suffix = '' if predictor == 'cnn' else '_calibrated'
    title = f'MSE taken apart (unit squared and share), predictor {predictor}'
    return Table(f'decomposition{suffix}', title, frame, columns, _NOTES, evidence=bool(suffix))


_NOTES = (
    f'factor: the common c in prediction ≈ c · target. About {decomposition.NODES}/n of the '
    'scatter between the n images of a run counts as difference between repeats. Constant offset: '
    "what a constant explains beyond the factor, common to all runs; a run's own offset is a "
    'difference between repeats. What falls to the factor and what to the constant hangs on which '
    'comes first: the last two columns have the other order.',
)


def _build(study: FinishedStudy) -> Content:
    frames = {p: decomposition.table(study, p) for p in study.predictors}
    frame = frames['cnn']
    shown = frame.head(look.MOST_ROWS)
    drawing = look.figure(
        study,
        'decomposition',
        'What the MSE is made of',
        'Condition → test distribution. Shares that add up (predictions.npz).'
        + only(len(shown), len(frame), 'rows'),
        lambda: draw(study, shown),
        list(dict.fromkeys(shown['condition'])),
        list(dict.fromkeys(shown['test_distribution'])),
    )
    return Content(
        _headline(study, frame),
        [_table(study, frame, predictor) for predictor, frame in frames.items()],
        [drawing],
        [
            'The MSE of a cell is taken apart: errors are projected on ever larger spaces of '
            'functions of the target (a common factor; a constant; a piecewise linear curve; one '
            'such curve for each run), and the squared steps add up to the MSE exactly.'
        ],
    )


def _headline(study: FinishedStudy, frame: pd.DataFrame) -> str:
    """Says which part is the largest, summed over all cells, and from where to where it goes."""
    shares = frame[[*decomposition.PARTS]].div(frame['total'], axis=0).dropna()
    if not len(shares):
        return 'There is no error to take apart.'
    part = shares.mean().idxmax()
    own, most = 100 * shares[part], int((shares.idxmax(axis=1) == part).sum())
    return (
        f'The largest part of the MSE is {decomposition.PART_LABELS[part]}: {own.mean():.0f} % on '
        f'average ({own.min():.0f} to {own.max():.0f} %), the largest in {most:,} of '
        f'{len(shares):,} pairs of condition and test distribution.'
    )


SECTION = Section(
    'decomposition', 'What the error is made of', lambda study: bool(study.trained), _build
)
