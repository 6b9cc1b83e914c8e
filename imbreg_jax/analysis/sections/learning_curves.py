"""Learning curves: loss and validation errors epoch by epoch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import canvas, formats, look, marks
from imbreg_jax.analysis.canvas import Drawing, ticker
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.formats import number
from imbreg_jax.analysis.section import Column, Content, Section, Table

_SHOWN = {
    'train_loss': ('training loss', '(dropout on)'),
    'validation_mse': ('validation MSE', '(unit squared)'),
    'validation_mape': ('validation MAPE', '(% of the target)'),
}


def table(study: FinishedStudy) -> pd.DataFrame:
    """Returns a row per condition and epoch, over the repeats that did not diverge.

    Columns: condition, epoch (0: before training), runs, and for train_loss (NaN at epoch 0),
    validation_mse and validation_mape `<name>_mean`, `<name>_std` (n − 1) and `<name>_least`.
    """
    pairs = zip(study.metrics['condition'], study.metrics['repeat'], strict=True)
    kept = np.array([pair not in study.diverged for pair in pairs], dtype=bool)
    rows = study.metrics[kept]
    groups = rows.groupby(['condition', 'epoch'], sort=True)
    found = groups.agg(
        runs=('repeat', 'count'),
        **{
            f'{name}_{what}': (name, function)
            for name in _SHOWN
            for what, function in (('mean', 'mean'), ('std', 'std'), ('least', 'min'))
        },
    ).reset_index()
    place = {name: i for i, name in enumerate(study.conditions)}
    # As the study orders its conditions, and the epochs of each as they came.
    return found.sort_values(
        'condition', key=lambda c: c.map(place), kind='stable', ignore_index=True
    )


def draw(study: FinishedStudy, frame: pd.DataFrame, conditions: Sequence[str]) -> Drawing:
    """Draws mean and spread of `table` rows, one panel a metric, on logarithmic axes."""
    styles, titles = look.styles(study), look.titles(study)
    height = 6.6 + look.legend_height([titles[name] for name in conditions])
    drawing, grid = canvas.canvas(height, 3, 1, sharex=True)
    for axes, (metric, label) in zip(grid[:, 0], _SHOWN.items(), strict=True):
        for i, name in enumerate(conditions):
            rows = frame[(frame['condition'] == name) & frame[f'{metric}_mean'].notna()]
            if not len(rows):
                continue
            epoch, mean, std, least = (
                rows[key].to_numpy(float)
                for key in ('epoch', f'{metric}_mean', f'{metric}_std', f'{metric}_least')
            )
            std = np.nan_to_num(std)
            # On a logarithmic axis a band must stay above zero.
            low = np.maximum(mean - std, least)
            look_ = styles[name]
            style: Any = {'color': look_.color, 'label': titles[name]}
            if len(mean) == 1:
                # A single epoch makes no line and no band; a shift keeps conditions apart.
                shifted = epoch + 0.02 * (i - (len(conditions) - 1) / 2)
                bars: Any = {'fmt': look_.marker, 'capsize': 2, 'elinewidth': 1.2}
                single = axes.errorbar(shifted, mean, yerr=[mean - low, std], **bars, **style)
                marks.shows(single, condition=titles[name])
                continue
            drawn: list[Any] = axes.plot(epoch, mean, linestyle=look_.line, linewidth=1.6, **style)
            if std.any():
                faint: Any = {'color': look_.color, 'alpha': 0.2, 'linewidth': 0}
                drawn.append(axes.fill_between(epoch, low, mean + std, **faint))
            marks.shows(drawn, condition=titles[name])
        axes.set_yscale('log')
        look.logarithmic(axes, 'y', *axes.get_ylim())
        axes.set_ylabel('\n'.join(label))
    grid[-1, 0].set_xlabel('epoch (0: before training)')
    grid[-1, 0].xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    look.legend(drawing, *grid[:, 0])
    return drawing


def _headline(study: FinishedStudy, frame: pd.DataFrame) -> str:
    curves = frame[frame['validation_mse_mean'].notna()].groupby('condition', sort=False)
    ends = curves['validation_mse_mean'].last().sort_values()
    if not len(ends):
        return 'No repeat has a validation error.'
    least, most = (
        f'{number(ends[name], 3)} ({study.titles[name]})'
        for name in (ends.index[0], ends.index[-1])
    )
    between = f'between {least} and {most}' if len(ends) > 1 else least
    steps = curves['validation_mse_mean'].apply(lambda values: values.tail(2).pct_change().iloc[-1])
    last = 100 * steps.median()
    epochs = int(frame['epoch'].max())
    # Of one epoch the change would be that from the untrained network.
    has_change = epochs > 1 and np.isfinite(last)
    fell = f'; the last epoch changed it by {last:+.1f} %' if has_change else ''
    among = ' (median of conditions)' if fell and len(ends) > 2 else ''
    counted = f'{epochs} epochs' if epochs > 1 else 'one epoch'
    return (
        f'After {counted} the MSE on validation images of each condition’s own law is '
        f'{between}{fell}{among}.'
    )


def _build(study: FinishedStudy) -> Content:
    frame = table(study)
    columns = [
        Column('condition', 'trained on', labels=study.titles),
        Column('epoch', 'epoch', formats.COUNT, _source),
        *(
            Column((f'{name}_mean', f'{name}_std'), heading, formats.SPREAD, _source)
            for name, (heading, _) in _SHOWN.items()
        ),
        Column('runs', 'runs', formats.COUNT, _source),
    ]
    shown = look.drawn(study)
    drawing = look.figure(
        study,
        'learning_curves',
        'Training and validation curves',
        'Mean over repeats, band ± one standard deviation; logarithmic axis. From metrics.jsonl.'
        + look.left_out(study),
        lambda: draw(study, frame, shown),
        shown,
    )
    return Content(
        _headline(study, frame),
        [Table('learning_curves', 'Errors epoch by epoch', frame, columns, evidence=True)],
        [drawing],
    )


def _source(row: dict[str, Any]) -> str:
    return f'metrics.jsonl: condition={row["condition"]}, epoch={row["epoch"]}'


SECTION = Section('learning-curves', 'Learning curves', lambda study: bool(study.trained), _build)
