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
from collections.abc import Iterable, Sequence
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
from matplotlib import figure as mpl_figure  # isort: skip

TARGETS = (1.0, 3.0, 5.5, 8.0, 10.0)

# Flags of its own, as one process may import other commands that have an --out.
_FLAGS = flags.FlagValues()
_OUT = flags.DEFINE_string('out', None, 'The PNG file to write.', flag_values=_FLAGS)
# Of the picture. A pixel of an image is a square of so many.
_ZOOM, _GAP, _LABEL, _HEAD = 2, 6, 250, 26
# Fewer greys than eyes tell apart in noise make a file of half the size.
_GREYS = 16


def samples(task: Task, size: int, law: str = 'normal') -> np.ndarray:
    """[targets, size, size] images of a task, one for each of `TARGETS`, and its first channel.

    Args:
      task: the task.
      size: pixels along each side.
      law: the name of the law of a pixel.
    """
    key = randomness.purpose_key(randomness.root_key(0), 0, randomness.Purpose.TRAIN_IMAGES)
    index = jnp.arange(len(TARGETS), dtype=jnp.int32)
    drawn = PIXEL_LAWS[law]
    noise = images.noise(key, index, size, draw=drawn.draw)
    nuisance = images.nuisance(key, index, task.nuisance)
    made = task.images(jnp.array(TARGETS), noise, nuisance, drawn)
    return np.asarray(made)[..., 0]


def picture(tasks: Iterable[Task], size: int) -> bytes:
    """A PNG of samples of tasks in images of `size` pixels along each side."""
    rows = list(tasks)
    side = _ZOOM * size
    width = _LABEL + len(TARGETS) * (side + _GAP)
    height = _HEAD + len(rows) * (side + _GAP)
    with canvas.settings():
        drawing = mpl_figure.Figure(figsize=(width / 100, height / 100), dpi=100)

        def write(left: float, top: float, text: str, **how: Any) -> None:
            drawing.text(left / width, 1 - top / height, text, **how)

        for column, target in enumerate(TARGETS):
            left = _LABEL + column * (side + _GAP)
            write(left + side / 2, _HEAD / 2, f'{target:g}', ha='center', va='center')
        for row, task in enumerate(rows):
            top = _HEAD + row * (side + _GAP)
            write(_GAP, top + side / 2 - 10, task.name, va='center', weight='bold')
            label = textwrap.fill(task.label, 36)
            write(_GAP, top + side / 2 + 10, label, va='top', fontsize=9, color=canvas.MUTED)
            made = samples(task, size)
            dark, bright = np.quantile(made, (0.01, 0.99))
            for column, image in enumerate(made):
                left = _LABEL + column * (side + _GAP)
                box = (left / width, 1 - (top + side) / height, side / width, side / height)
                axes = drawing.add_axes(box)
                axes.set_axis_off()
                axes.imshow(
                    image,
                    cmap=colormaps['gray'].resampled(_GREYS),
                    vmin=dark,
                    vmax=bright,
                    interpolation='nearest',
                    aspect='auto',
                )
        content = io.BytesIO()
        drawing.savefig(content, format='png', dpi=100, metadata={'Software': None})
    return content.getvalue()


def main(argv: Sequence[str]) -> None:
    """Writes the picture; one sentence and status 2 without a file to write, 1 if it fails."""
    if len(argv) > 1 or not _OUT.value:
        print('name the file to write, and nothing else, with --out=FILE', file=sys.stderr)
        sys.exit(2)
    # Statistics of the images' pixels before forms that are drawn over noise.
    tasks = sorted(TASKS.values(), key=lambda task: task.measure is None)
    content = picture(tasks, default_config().data.image_size)
    try:
        files.write_bytes(pathlib.Path(_OUT.value), content)
    except OSError as error:
        print(f'{_OUT.value}: {error.strerror or error}', file=sys.stderr)
        sys.exit(1)


def _parse(argv: list[str]) -> list[str]:
    """Parses the flag above; one sentence and status 2 if that cannot be done."""
    flags.FLAGS(argv[:1])
    if any(argument.lstrip('-') in ('help', 'h') for argument in argv[1:]):
        print(__doc__)
        sys.exit(0)
    try:
        return _FLAGS(argv)
    except flags.Error as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == '__main__':
    app.run(main, flags_parser=_parse)
