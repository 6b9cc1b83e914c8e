"""The network: its layers, their shapes and parameters."""

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import pandas as pd

from imbreg_jax.analysis import canvas, comparison, formats
from imbreg_jax.analysis.canvas import MUTED, WIDTH, Drawing, patches
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.section import Column, Content, Figure, Section, Table
from imbreg_jax.study.settings import section_of

_ROW = 0.82  # Inches.
_MIDDLE, _TEXT_FROM = 1.0, 2.05
_SHEETS = 6  # So many of a layer's maps are drawn.
_ACTIVATIONS = {
    'relu': 'ReLU',
    'leaky_relu': 'leaky ReLU',
    'elu': 'ELU',
    'gelu': 'GELU',
    'silu': 'SiLU',
}


def layers(settings: Mapping[str, Any]) -> pd.DataFrame:
    """Returns the network of a condition's settings, a row per operation from the input on.

    Columns: operation; depth and side of the maps that it gives (side 0: a vector); shape, the same
    as text; parameters.
    """
    model, size = section_of(settings, 'model'), int(settings['data.image_size'])
    network, kernel = model.architecture(size), model.kernel_size
    activation = _ACTIVATIONS.get(model.activation, model.activation)
    after = ['' if model.pool == 'none' else f'{model.pool} pool 2', activation]
    after = after if model.order == 'pool_relu' else after[::-1]
    scaled = model.normalization in ('layer', 'instance', 'batch')
    before = f'{model.normalization} normalisation' if scaled else ''
    dropped = f'{model.conv_dropout} dropout {model.conv_dropout_rate:g}'
    *_, hidden, last = network.layers
    divided = ', divided by its standard deviation' if model.normalization == 'input' else ''
    rows: list[tuple[str, int, int, int]] = [(f'image{divided}', 1, size, 0)]
    for layer in network.convolutions:
        final = layer is network.convolutions[-1]
        then = ', '.join(filter(None, (before, dropped if final else '', *after)))
        rows += [
            (f'convolution {kernel}×{kernel}', layer.outputs, layer.side, layer.parameters),
            (then, layer.outputs, layer.pooled, 0),
        ]
    hidden_name = f'dense, {activation}, dropout {model.dense_dropout_rate:g}'
    rows += [
        ('flatten', hidden.inputs, 0, 0),
        (hidden_name, hidden.outputs, 0, hidden.parameters),
        ('dense (prediction)', last.outputs, 0, last.parameters),
    ]
    frame = pd.DataFrame(rows, columns=['operation', 'depth', 'side', 'parameters'])
    frame['shape'] = [
        f'{depth}@{side}×{side}' if side else f'{depth:,}'
        for depth, side in zip(frame['depth'], frame['side'], strict=True)
    ]
    return frame


def draw(frame: pd.DataFrame) -> Drawing:
    """Draws what `layers` returned, from the image down to the prediction."""
    drawing = Drawing(figsize=(WIDTH, _ROW * len(frame)))
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(_ROW * len(frame), 0))
    axes.axis('off')
    for i, row in enumerate(frame.to_dict('records')):
        y = _ROW * (i + 0.5)
        if row['side']:
            size = 0.62 * math.sqrt(row['side'] / frame['side'].max())
            sheets = min(row['depth'], _SHEETS)
            fill, edge = '#9CC9E3', '#00486F'
        else:
            size, sheets = max(0.1, 1.7 * math.log10(row['depth'] + 1) / math.log10(3000)), 1
            fill, edge = '#F3CF80', '#7A5300'
        height = size if row['side'] else 0.14
        for sheet in reversed(range(sheets)):
            shift = 0.055 * (sheet - (sheets - 1) / 2)
            corner = (_MIDDLE - size / 2 + shift, y - height / 2 - 0.5 * shift)
            box = patches.Rectangle(corner, size, height, facecolor=fill, edgecolor=edge)
            axes.add_patch(box)
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


def _build(study: FinishedStudy) -> Content:
    shown = study.conditions[comparison.reference(study)]
    frame = layers(shown.settings)
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
    varied = {
        field
        for condition in study.conditions.values()
        for field, value in condition.settings.items()
        if field.startswith(('model.', 'data.image_size')) and value != shown.settings[field]
    }
    notes = [f'Others differ from it in {", ".join(sorted(varied))}.']
    whose = f' of {study.titles[shown.name]}' if varied else ''
    return Content(
        f'The network{whose} has {total:,} parameters.',
        [Table('network', 'Layers', frame, columns, evidence=True)],
        [drawing],
        notes if varied else [],
    )


SECTION = Section('network', 'The network', lambda study: True, _build)
