"""What all figures share: matplotlib, labels that fit, one canvas, and files from a drawing.

Neither the environment nor a label decides here what comes out. Figures are drawn with
matplotlib's own defaults plus `_RC`, whatever a matplotlibrc says and for whatever windows a
backend is chosen. Labels are text, never markup: whoever wrote the config of a workdir wrote them.
"""

import contextlib
import dataclasses
import hashlib
import io
import os
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from imbreg_jax.analysis.formats import LONGEST_LABEL, printable
from imbreg_jax.analysis.formats import shorten as shorten


@contextlib.contextmanager
def _backend_after_import() -> Iterator[None]:
    """Lets matplotlib be imported whatever MPLBACKEND holds; a backend that exists is then set.

    Read at import, a name that matplotlib does not know ends the import, although figures that are
    written to files need none of the backends that it chooses among.
    """
    if 'matplotlib' in sys.modules:
        yield
        return
    name = os.environ.pop('MPLBACKEND', None)
    try:
        yield
    finally:
        if name is not None:
            os.environ['MPLBACKEND'] = name
    if name:
        with contextlib.suppress(ValueError):
            matplotlib.rcParams['backend'] = name


with _backend_after_import():
    import matplotlib
    import matplotlib.style

    # The others are for sections, which import nothing of matplotlib past this.
    from matplotlib import collections as collections
    from matplotlib import colors as colors
    from matplotlib import layout_engine
    from matplotlib import lines as lines
    from matplotlib import patches as patches
    from matplotlib import ticker as ticker
    from matplotlib.axes import Axes as Axes
    from matplotlib.container import ErrorbarContainer as ErrorbarContainer
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation as Annotation

INK, MUTED, GRID, BACKGROUND = '#1c2127', '#5c6672', '#d5dae1', '#fefefe'
WIDTH = 4.8
# A name of a file may have 255 bytes; the ids of a drawing carry its name too.
_LONGEST_NAME = 64

# Typed loosely: matplotlib names every key in its types, which differ between versions.
_RC: Any = {
    'font.family': ['DejaVu Sans'],
    'font.size': 10.2,
    'axes.titlesize': 10.5,
    'axes.labelsize': 10.2,
    'axes.edgecolor': MUTED,
    'axes.labelcolor': INK,
    'axes.facecolor': BACKGROUND,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'figure.facecolor': BACKGROUND,
    'grid.color': GRID,
    'grid.linewidth': 0.6,
    'hatch.linewidth': 0.6,
    'legend.frameon': False,
    'legend.fontsize': 9,
    'patch.linewidth': 0.6,
    'svg.fonttype': 'none',
    'text.color': INK,
    # A label with two dollar signs, such as a table's path, is no formula.
    'text.parse_math': False,
    'xtick.color': MUTED,
    'xtick.labelcolor': INK,
    'ytick.color': MUTED,
    'ytick.labelcolor': INK,
}


class Drawing(Figure):
    """A matplotlib figure that a notebook shows, whatever backend it has."""

    def _repr_png_(self) -> bytes:
        png = io.BytesIO()
        with settings():
            self.savefig(png, format='png', dpi=90)
        return png.getvalue()


@contextlib.contextmanager
def settings(**more: Any) -> Iterator[None]:
    """Within it matplotlib draws as all figures here are drawn."""
    with matplotlib.style.context(['default', {**_RC, **more}]), warnings.catch_warnings():
        # The SVG has every character; that the PNG's font lacks one is nothing to act on.
        warnings.filterwarnings('ignore', r'Glyph \d+ .*missing from', UserWarning)
        yield


def canvas(
    height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Drawing, np.ndarray]:
    """Returns a drawing of the common width, `height` inches high, and its [rows, columns] axes."""
    # Text is a little wider at another resolution than that at which it was laid out: some room.
    layout = layout_engine.ConstrainedLayoutEngine(w_pad=0.08)
    drawing = Drawing(figsize=(WIDTH, height), layout=layout)
    return drawing, drawing.subplots(rows, columns, squeeze=False, **options)


# ------------------------------------------------------------------------------------------------
# Names and labels


def file_name(text: str, taken: Collection[str] = ()) -> str:
    """Returns a name for a figure's files: letters, digits and '_', and none of `taken`.

    Args:
      text: what to name it after, of any length.
      taken: names that are no longer free, whatever their case (some file systems ignore it).
    """
    name = re.sub(r'[^A-Za-z0-9_]+', '_', text).strip('_') or 'figure'
    lower = {other.lower() for other in taken}
    digest = hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()
    found = name if len(name) <= _LONGEST_NAME else f'{name[: _LONGEST_NAME - 9]}_{digest[:8]}'
    length = 8
    while found.lower() in lower and length <= len(digest):
        found = f'{name[: _LONGEST_NAME - 1 - length]}_{digest[:length]}'
        length += 4
    return found


def short_labels(full: Mapping[str, str], width: int = LONGEST_LABEL) -> dict[str, str]:
    """Returns key -> shortened label; labels that shortening makes alike are numbered.

    Args:
      full: key -> label of any length.
      width: characters that a label may have.
    """
    found: dict[str, str] = {}
    seen: dict[str, dict[str, str]] = {}
    for key, text in full.items():
        short = shorten(text, width)
        if short != text:
            alike = seen.setdefault(short, {})
            short = alike.setdefault(
                text, f'{shorten(text, width - 4)} #{len(alike) + 1}' if alike else short
            )
        found[key] = short
    return found


def wrap(text: str, width: int) -> str:
    """Returns `text` broken into lines of at most `width` characters."""
    return '\n'.join(textwrap.wrap(text, width)) or text


def shortened_sentence(pairs: Iterable[tuple[str, str]]) -> str:
    """Returns ' Shortened: …' that gives the full text of every (short, full) pair that differs."""
    cut = {short: printable(full) for short, full in pairs if short != printable(full)}
    named = '; '.join(f'“{short}” is {full}' for short, full in cut.items())
    return f' Shortened: {named}.' if named else ''


# ------------------------------------------------------------------------------------------------
# Files


@dataclasses.dataclass(frozen=True)
class Finished:
    """A `section.Figure`, drawn: as SVG text, and as PNG of 200 dots an inch.

    Attributes:
      name: that of its files, without ending: letters, digits and '_'.
      title: what it shows.
      caption: how to read it.
      svg: the drawing as a file.
      png: the same.
      meaning: id in the SVG -> what stands there; see `marks.describe`.
    """

    name: str
    title: str
    caption: str
    svg: str
    png: bytes
    meaning: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)


def finish(
    name: str,
    title: str,
    caption: str,
    drawing: Drawing,
    describe: Callable[[Drawing], Mapping[str, Mapping[str, str]]] = lambda _: {},
) -> Finished:
    """Turns a drawing into files; equal drawings give equal bytes.

    Args:
      name: that of its files.
      title: what it shows.
      caption: how to read it.
      drawing: the drawing.
      describe: says of a drawing that is laid out what stands where; see `marks.describe`.
    """
    svg, png = io.StringIO(), io.BytesIO()
    for axes in drawing.axes:
        if axes.axison and not axes.has_data():
            axes.text(
                0.5, 0.5, 'no data', transform=axes.transAxes, ha='center', va='center', color=MUTED
            )
    # A salt of its own keeps ids apart, and a fixed one (and no date) keeps files equal.
    with settings(**{'svg.hashsalt': name}):
        # Laid out once, and not before each file: that takes more time than the drawing.
        engine = drawing.get_layout_engine()
        if engine is not None:
            engine.execute(drawing)
            drawing.set_layout_engine('none')
        meaning = describe(drawing)
        drawing.savefig(svg, format='svg', metadata={'Date': None}, dpi=150)
        drawing.savefig(png, format='png', dpi=200, metadata={'Software': None})
    # A machine without the font that the lengths were measured with falls back to a similar one.
    text = svg.getvalue().replace(
        "font-family: 'DejaVu Sans'", "font-family: 'DejaVu Sans', Verdana, sans-serif"
    )
    return Finished(name, title, caption, text, png.getvalue(), meaning)
