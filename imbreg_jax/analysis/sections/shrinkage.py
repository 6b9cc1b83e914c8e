"""Shrinkage: what dropout predicts, held against what networks do."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import canvas, decomposition, formats, look, marks
from imbreg_jax.analysis.canvas import INK, MUTED, Drawing
from imbreg_jax.analysis.finished import Condition, FinishedStudy
from imbreg_jax.analysis.section import Column, Content, Section, Table, listed

_HEADINGS = {
    'measured': 'measured, dropout off',
    'predicted_dense': 'predicted, last layer',
    'share_dense': 'share of measured %',
    'mean_prediction': 'measured, mean over masks',
    'predicted_both': 'predicted, both dropouts',
    'share_both': 'share of that %',
    'validation': 'on validation split',
    'correlation': 'correlation',
    'stationary': 'factor left to train',
}
_PERCENT = formats.Kind('number', lambda factor: formats.number(100 * (1 - factor), 3))


def draw(study: FinishedStudy, runs: pd.DataFrame, conditions: Sequence[str]) -> Drawing:
    """Draws predicted against measured shrinkage (%), two marks for each `shrinkage` row."""
    styles, titles = look.styles(study), look.titles(study)
    drawing, grid = canvas.canvas(4.9 + look.legend_height([titles[name] for name in conditions]))
    axes = grid[0, 0]
    for name in conditions:
        own = runs[runs['condition'] == name]
        shrunk = 100 * (1 - own.drop(columns=['condition', 'source']))
        style: Any = {'color': styles[name].color, 'linestyle': '', 'marker': styles[name].marker}
        opened: Any = {'markerfacecolor': 'none', 'markersize': 5.5}
        filled: Any = {'markersize': 6, 'markeredgewidth': 0, 'label': titles[name]}
        drawn = [
            axes.plot(shrunk['predicted_dense'], shrunk['measured'], **style, **opened),
            axes.plot(shrunk['predicted_both'], shrunk['mean_prediction'], **style, **filled),
        ]
        marks.shows(drawn, condition=titles[name], repeat=list(own['repeat']))
    ends = [*axes.get_xlim(), *axes.get_ylim()]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color=INK, linewidth=0.9, ls='--')
    axes.set(xlabel='predicted shrinkage (%)', ylabel='measured shrinkage (%)')
    told = 'filled: both dropouts; open: dropout on the last layer alone'
    axes.set_title(told, fontsize=9, loc='left', color=MUTED)
    # The panel stays as large as it is; what it shows grows.
    axes.set_aspect('equal', adjustable='datalim')
    look.legend(drawing, axes)
    return drawing


def _summary_table(study: FinishedStudy, frame: pd.DataFrame) -> Table:
    def source(row: dict[str, Any]) -> str:
        return (
            f'predictions.npz: moments and calibration_factor of condition={row["condition"]} '
            f'({row["runs"]} runs)'
        )

    columns = [
        Column('condition', 'trained on', labels=study.titles),
        *(Column(key, heading, formats.ROUGH, source) for key, heading in _HEADINGS.items()),
        Column('runs', 'runs', formats.COUNT, source),
    ]
    notes = [
        'Measured: by how much Σwᵢhᵢ falls short of its best fit to the training targets. Mean '
        'over masks: the same of the prediction averaged over channel masks, which is what the '
        'prediction for both dropouts is about. On validation split: 1 − 1/s with s the '
        'calibration factor. Correlation: over networks, predicted (both) with measured (dropout '
        'off). Factor left to train: 1 once training has settled on the scale.'
    ]
    return Table('shrinkage', 'Shrinkage in percent, mean over repeats', frame, columns, notes)


def _runs_table(study: FinishedStudy, runs: pd.DataFrame) -> Table:
    kinds = dict.fromkeys([*decomposition.FACTORS, 'validation'], _PERCENT)
    kinds['stationary'] = formats.NUMBER
    columns = [
        Column('condition', 'trained on', labels=study.titles),
        Column('repeat', 'repeat', formats.COUNT, 'source'),
        *(Column(k, text, kinds[k], 'source') for k, text in _HEADINGS.items() if k in kinds),
    ]
    title = 'Shrinkage in percent, network by network'
    notes = ['The CSV file holds factors f; shown is the shrinkage 100·(1 − f).']
    return Table('shrinkage_runs', title, runs, columns, notes, evidence=True)


def _build(study: FinishedStudy) -> Content:
    runs = decomposition.shrinkage(study)
    summary = decomposition.shrinkage_summary(runs)
    shown = [name for name in look.drawn(study) if name in set(runs['condition'])]
    drawing = look.figure(
        study,
        'shrinkage',
        'Shrinkage: predicted by dropout against measured',
        'One mark a network; on the dashed line the mechanism explains all of it. Filled: '
        'predicted from both dropouts, measured on the prediction averaged over channel masks, '
        'which that is about. Open: predicted from the last layer alone, measured with dropout '
        'off. From the moments in predictions.npz.' + look.left_out(study),
        lambda: draw(study, runs, shown),
        shown,
    )
    left_out = [name for name in study.trained if name not in set(runs['condition'])]
    of_others = (
        'Networks are left out whose prediction is not the sum Σwᵢhᵢ + b that this is about, but '
        'an exponential of it, the surest of several or the mean of an ensemble: those of '
        f'{listed([study.titles[name] for name in left_out])}.'
    )
    return Content(
        _headline(summary),
        [_summary_table(study, summary), _runs_table(study, runs)],
        [drawing],
        [
            'With dropout of rate p on the last hidden features, training minimises '
            '(y − ŷ)² + p/(1 − p)·Σ(wᵢhᵢ)² in expectation, so the best common factor on the '
            'features is smaller than the one that fits best without dropout; channel dropout adds '
            'the variance over its masks. All moments are over training images, network by '
            'network.',
            *([of_others] if left_out else []),
        ],
    )


def _headline(summary: pd.DataFrame) -> str:
    low, high = summary['measured'].min(), summary['measured'].max()
    between = f'{low:.1f} %' if len(summary) == 1 else f'{low:.1f} to {high:.1f} %'
    predicted = summary['predicted_both'].mean() / summary['mean_prediction'].mean()
    text = f'With dropout off, predictions are {between} too small'
    if not np.isfinite(predicted):
        return f'{text}.'
    share = f'{100 * predicted:.0f} %'
    return f'{text}; theory accounts for {share} of what is measured over dropout masks.'


def _applies(study: FinishedStudy) -> bool:
    return any(
        run.moments and _has_dropout(study.conditions[key[0]])
        for key, run in study.runs.items()
        if key not in study.diverged
    )


def _has_dropout(condition: Condition) -> bool:
    rates = ('model.conv_dropout_rate', 'model.dense_dropout_rate')
    return any(condition.settings.get(rate, 0.5) for rate in rates)


SECTION = Section('shrinkage', 'Shrinkage by dropout', _applies, _build)
