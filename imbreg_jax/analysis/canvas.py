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
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from xml import sax
from xml.sax import saxutils, xmlreader

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
    from matplotlib import colors as colors
    from matplotlib import layout_engine
    from matplotlib import lines as lines
    from matplotlib import patches as patches
    from matplotlib import ticker as ticker
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, BACKGROUND = '#1c2127', '#5c6672', '#d5dae1', '#fefefe'
_THEMED = {
    INK: 'currentColor',
    MUTED: 'var(--muted)',
    GRID: 'var(--grid)',
    BACKGROUND: 'var(--surface)',
}
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

    `name` is that of its files, without ending: letters, digits and '_'.
    """

    name: str
    title: str
    caption: str
    svg: str
    png: bytes

    def inline_svg(self) -> str:
        """Returns the SVG to put into a page: theme colours, and ids that no other figure has.

        Read and written as XML, so that what a label says is text in the page too.
        """
        out = io.StringIO()
        writer = _Inline(out, self.name, printable(self.title))
        sax.parseString(self.svg[self.svg.index('<svg') :].encode(), writer)
        return out.getvalue()


class _Inline(saxutils.XMLGenerator):
    """Writes an SVG file's elements as part of a page, under an accessible name."""

    _LEFT_OUT = ('metadata', 'style')  # Who made it; and rules that would hold for the whole page.

    def __init__(self, out: io.StringIO, name: str, title: str):
        super().__init__(out, 'utf-8', short_empty_elements=True)
        self._name, self._title = name, title
        self._within = 0  # Depth inside of an element that is left out.
        self._root = True

    def startDocument(self) -> None:
        pass  # A page has its own beginning.

    def startElement(self, name: str, attrs: Any) -> None:
        if self._within or name in self._LEFT_OUT:
            self._within += 1
            return
        changed = {key: self._attribute(key, value) for key, value in attrs.items()}
        if self._root:
            # Fixed lengths would keep the drawing from shrinking with the page; the view box stays.
            changed = {k: v for k, v in changed.items() if k not in ('width', 'height')}
            changed |= {'role': 'img', 'aria-label': self._title}
            self._root = False
        super().startElement(name, xmlreader.AttributesImpl(changed))

    def endElement(self, name: str) -> None:
        if self._within:
            self._within -= 1
        else:
            super().endElement(name)

    def characters(self, content: str) -> None:
        if not self._within:
            super().characters(content)

    def _attribute(self, key: str, value: str) -> str:
        if key == 'id':
            return f'{self._name}-{value}'
        if key in ('href', 'xlink:href'):
            return f'#{self._name}-{value[1:]}' if value.startswith('#') else value
        value = value.replace('url(#', f'url(#{self._name}-')
        for fixed, themed in _THEMED.items():
            value = value.replace(fixed, themed)
        return value


def finish(name: str, title: str, caption: str, drawing: Drawing) -> Finished:
    """Turns a drawing into files; equal drawings give equal bytes."""
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
        drawing.savefig(svg, format='svg', metadata={'Date': None}, dpi=150)
        drawing.savefig(png, format='png', dpi=200, metadata={'Software': None})
    # A machine without the font that the lengths were measured with falls back to a similar one.
    text = svg.getvalue().replace(
        "font-family: 'DejaVu Sans'", "font-family: 'DejaVu Sans', Verdana, sans-serif"
    )
    return Finished(name, title, caption, text, png.getvalue())
