"""The network: its layers, their shapes and parameters."""

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import pandas as pd

from imbreg_jax.analysis import canvas, formats
from imbreg_jax.analysis.canvas import MUTED, WIDTH
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.section import Column, Content, Figure, Section, Table
from imbreg_jax.study.architecture import Architecture

# After canvas, which sees to it that matplotlib can be imported at all.
from matplotlib import axes as mpl_axes  # isort: skip
from matplotlib import figure as mpl_figure  # isort: skip
from matplotlib import patches  # isort: skip

_ROW = 0.82  # Inches.
_MIDDLE, _TEXT_FROM = 1.0, 2.05
_SHEETS = 6  # So many of a layer's maps are drawn.


def layers(config: Mapping[str, Any]) -> pd.DataFrame:
    """Returns the network of a config, a row per operation from the input on.

    Columns: operation; depth, height, width of what it gives (height and width 0 for a vector);
    shape, the same as text; parameters.
    """
    model = config['model']
    first, second = map(int, model['conv_features'])
    size, kernel = int(config['data']['image_size']), int(model['kernel_size'])
    network = Architecture(size, kernel, (first, second), int(model['dense_features']))
    pool = 'average pool 2, ReLU' if model['order'] == 'pool_relu' else 'ReLU, average pool 2'
    dropped = f'{model["conv_dropout"]} dropout {model["conv_dropout_rate"]:g}, '
    conv1, conv2, hidden, last = network.layers
    rows: list[tuple[str, int, int, int]] = [('image', 1, size, 0)]
    for layer, before in ((conv1, ''), (conv2, dropped)):
        rows += [
            (f'convolution {kernel}×{kernel}', layer.outputs, layer.side, layer.parameters),
            (before + pool, layer.outputs, layer.pooled, 0),
        ]
    rows += [
        ('flatten', hidden.inputs, 0, 0),
        (
            f'dense, ReLU, dropout {model["dense_dropout_rate"]:g}',
            hidden.outputs,
            0,
            hidden.parameters,
        ),
        ('dense (prediction)', last.outputs, 0, last.parameters),
    ]
    return pd.DataFrame(
        [
            {
                'operation': operation,
                'depth': depth,
                'height': side,
                'width': side,
                'shape': f'{depth}@{side}×{side}' if side else f'{depth:,}',
                'parameters': parameters,
            }
            for operation, depth, side, parameters in rows
        ]
    )


def draw(frame: pd.DataFrame) -> mpl_figure.Figure:
    """Draws what `layers` returned, from the image down to the prediction."""
    drawing = mpl_figure.Figure(figsize=(WIDTH, _ROW * len(frame)))
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(_ROW * len(frame), 0))
    axes.axis('off')
    for i, row in enumerate(frame.to_dict('records')):
        y = _ROW * (i + 0.5)
        if row['height']:
            _maps(axes, y, row['depth'], 0.62 * math.sqrt(row['height'] / frame['height'].max()))
        else:
            length = max(0.1, 1.7 * math.log10(row['depth'] + 1) / math.log10(3000))
            _box(axes, y, length, 0.14, '#F3CF80', '#7A5300')
        words = textwrap.wrap(canvas.shorten(row['operation'], 68), 34)
        words += [f'{row["parameters"]:,} parameters'] if row['parameters'] else []
        top = y - 0.09 * len(words)
        axes.text(_TEXT_FROM, top, row['shape'], fontsize=11, fontweight='bold', va='center')
        small: Any = {'fontsize': 9.2, 'va': 'top', 'color': MUTED, 'linespacing': 1.3}
        axes.text(_TEXT_FROM, top + 0.1, '\n'.join(words), **small)
        if i + 1 < len(frame):
            arrow = {'arrowstyle': '-|>', 'color': MUTED, 'lw': 0.8}
            axes.annotate('', (_MIDDLE, y + 0.475), (_MIDDLE, y + 0.355), arrowprops=arrow)
    return drawing


def _maps(axes: mpl_axes.Axes, y: float, depth: int, side: float) -> None:
    sheets = min(depth, _SHEETS)
    for sheet in reversed(range(sheets)):
        shift = 0.055 * (sheet - (sheets - 1) / 2)
        _box(axes, y - 0.5 * shift, side, side, '#9CC9E3', '#00486F', shift)


def _box(
    axes: mpl_axes.Axes,
    y: float,
    width: float,
    height: float,
    fill: str,
    edge: str,
    shift: float = 0.0,
) -> None:
    corner = (_MIDDLE - width / 2 + shift, y - height / 2)
    axes.add_patch(patches.Rectangle(corner, width, height, facecolor=fill, edgecolor=edge))


def _build(study: FinishedStudy) -> Content:
    frame = layers(study.config)
    total = frame['parameters'].sum()
    columns = [
        Column('operation', 'operation'),
        Column('shape', 'depth@height×width after it'),
        Column('parameters', 'parameters', formats.COUNT, lambda row: 'config.json: model'),
    ]
    drawing = Figure(
        'network',
        'The network',
        f'Depth@height×width after each layer; {total:,} parameters in all. From config.json.',
        lambda: draw(frame),
    )
    varied = sorted({f for c in study.conditions.values() for f in c.settings if _varies(study, f)})
    notes = [f'Conditions differ in {", ".join(varied)}; drawn is the config’s own network.']
    return Content(
        f'The network has {total:,} parameters.',
        [Table('network', 'Layers', frame, columns, folded=True)],
        [drawing],
        notes if varied else [],
    )


def _varies(study: FinishedStudy, field: str) -> bool:
    if not field.startswith('model.'):
        return False
    return any(c.settings.get(field) != _first(study, field) for c in study.conditions.values())


def _first(study: FinishedStudy, field: str) -> Any:
    return next(iter(study.conditions.values())).settings.get(field)


SECTION = Section('network', 'The network', lambda study: True, _build)
