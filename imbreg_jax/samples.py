"""Draws samples of every task's images.

    python -m imbreg_jax.samples --out=FILE

A row for each task, a column for each of a few targets; FILE becomes a PNG. Each row has greys of
its own, from its darkest to its brightest hundredth of pixels.
"""

from imbreg_jax import terminal

if __name__ == '__main__':
    # Before the imports that take their time.
    terminal.end_on_interrupt()

import io
import pathlib
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from absl import app, flags

from imbreg_jax.analysis import canvas
from imbreg_jax.data import images, randomness
from imbreg_jax.data.pixel_laws import PIXEL_LAWS
from imbreg_jax.data.task import Task
from imbreg_jax.data.tasks import TASKS
from imbreg_jax.results import files
from imbreg_jax.study import default_config

# After canvas, which sees to it that matplotlib can be imported at all.
from matplotlib import colormaps  # isort: skip

TARGETS = (1.0, 3.0, 5.5, 8.0, 10.0)

# Flags of its own, as one process may import other commands that have an --out.
_FLAGS = flags.FlagValues()
_OUT = flags.DEFINE_string('out', None, 'The PNG file to write.', flag_values=_FLAGS)
# Pixels of the picture; one of an image is a square of `_ZOOM`.
_DPI = 100
_ZOOM, _GAP, _LABEL, _HEAD = 2, 6, 250, 26
# As many as eyes tell apart in noise: more make a larger file.
_GREYS = 16


def samples(task: Task, size: int) -> np.ndarray:
    """[targets, size, size] images of a task in normal noise, one for each of `TARGETS`.

    Args:
      task: the task; of its channels the first one is shown.
      size: pixels along each side.
    """
    key = randomness.purpose_key(randomness.root_key(0), 0, randomness.Purpose.TRAIN_IMAGES)
    index = jnp.arange(len(TARGETS), dtype=jnp.int32)
    law = PIXEL_LAWS['normal']
    noise = images.noise(key, index, size, draw=law.draw)
    nuisance = images.nuisance(key, index, task.nuisance)
    return np.asarray(task.images(jnp.array(TARGETS), noise, nuisance, law))[..., 0]


def picture(tasks: Sequence[Task], size: int) -> bytes:
    """A PNG of samples of tasks in images of `size` pixels along each side, a row a task."""
    step = _ZOOM * size + _GAP
    width, height = _LABEL + len(TARGETS) * step, _HEAD + len(tasks) * step
    with canvas.settings():
        drawing = canvas.Drawing(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
        for column, target in enumerate(TARGETS):
            middle = _LABEL + column * step + _ZOOM * size / 2
            _write(drawing, middle, _HEAD / 2, f'{target:g}', ha='center', va='center')
        for row, task in enumerate(tasks):
            top = _HEAD + row * step
            _write(drawing, _GAP, top + step / 2 - 13, task.name, va='center', weight='bold')
            label = textwrap.fill(task.label, 36)
            _write(drawing, _GAP, top + step / 2 + 7, label, va='top', color=canvas.MUTED)
            made = samples(task, size)
            shown = np.quantile(made, (0.01, 0.99))
            for column, image in enumerate(made):
                _show(drawing, _LABEL + column * step, top, image, *shown)
        content = io.BytesIO()
        drawing.savefig(content, format='png', metadata={'Software': None})
    return content.getvalue()


def _write(drawing: canvas.Drawing, left: float, top: float, text: str, **how: Any) -> None:
    """Writes at a pixel of the picture."""
    width, height = drawing.get_size_inches() * _DPI
    drawing.text(left / width, 1 - top / height, text, fontsize=9.5, **how)


def _show(
    drawing: canvas.Drawing,
    left: float,
    top: float,
    image: np.ndarray,
    dark: float,
    bright: float,
) -> None:
    """Shows an image at a pixel of the picture, `dark` as black and `bright` as white."""
    width, height = drawing.get_size_inches() * _DPI
    side = _ZOOM * len(image)
    box = (left / width, 1 - (top + side) / height, side / width, side / height)
    axes = drawing.add_axes(box)
    axes.set_axis_off()
    greys = colormaps['gray'].resampled(_GREYS)
    axes.imshow(image, cmap=greys, vmin=dark, vmax=bright, interpolation='nearest', aspect='auto')


def main(argv: Sequence[str]) -> None:
    """Writes the picture; one sentence and status 2 without a file to write, 1 if it fails."""
    if len(argv) > 1 or not _OUT.value:
        print('name the file to write, and nothing else, with --out=FILE', file=sys.stderr)
        sys.exit(2)
    content = picture(list(TASKS.values()), default_config().data.image_size)
    try:
        files.write_bytes(pathlib.Path(_OUT.value), content)
    except OSError as error:
        print(f'{_OUT.value}: {error.strerror or error}', file=sys.stderr)
        sys.exit(1)


def _parse(argv: list[str]) -> list[str]:
    return terminal.parse_flags(argv, __doc__ or '', _FLAGS)


if __name__ == '__main__':
    app.run(main, flags_parser=_parse)
