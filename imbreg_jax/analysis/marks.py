"""What the marks of a drawing stand for, so that a page can name, hide and copy them.

Whoever draws says of which condition, repeat or remedy an artist is: `shows(line, condition=…)`.
`describe` adds to it where marks lie, in units of the axes and of the drawing.
"""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from imbreg_jax.analysis.canvas import (
    Annotation,
    Axes,
    Drawing,
    ErrorbarContainer,
    collections,
    lines,
    patches,
    ticker,
)
from imbreg_jax.analysis.formats import printable

# What a page switches on and off. A mark may be of several of them.
KINDS = ('condition', 'repeat', 'remedy')
_POINTS_PER_INCH = 72
_GUIDE = {'kind': 'guide'}
_NOTHING = ('None', 'none', ' ', '')
# Of a smooth curve more would be of no use, and make a page large.
_MOST_POINTS = 200


def shows(artists: Any, **of: Any) -> None:
    """Says what artists are of.

    Args:
      artists: an artist, a container (error bars, bars), or several of them, nested in any way.
      **of: kind of `KINDS` -> what all of its marks are of, or a list that says it of each; and
        kind='intervals' of a line that is one.
    """
    for artist in _flat(artists):
        artist.imbreg_shows = {**_said(artist), **of}


def _said(artist: Any) -> dict[str, Any]:
    return getattr(artist, 'imbreg_shows', {})


def _flat(artists: Any) -> Iterator[Any]:
    if isinstance(artists, list | tuple):
        for artist in artists:
            yield from _flat(artist)
    elif artists is not None:
        yield artists


def describe(drawing: Drawing) -> dict[str, dict[str, str]]:
    """Names the panels of a drawing that is laid out, and their marks, and says what they show.

    Returns:
      id that the SVG file will have -> what is known of it:
      - of a panel: title; x and y, each an axis as JSON (`_axis`);
      - of marks: kind ('marks', 'line', 'intervals', 'caps', 'band', 'bars', or 'guide'
        for what is no data); label; x and y,
        values in units of the axes with a space between them (two to an interval);
      - of either, those of `KINDS` that are said of it; or as JSON a list, one for each mark, under
        its name with an s behind;
      - of text that stands at a place in units of the axes: at, with a space between x and y.
    """
    found: dict[str, dict[str, str]] = {}
    for i, axes in enumerate(drawing.axes):
        if not axes.axison or axes.get_label() == '<colorbar>':
            continue
        axes.set_gid(f'panel{i}')
        found[f'panel{i}'] = {
            'title': printable(axes.get_title() or axes.get_title('left')),
            'x': json.dumps(_axis(drawing, axes, 'x')),
            'y': json.dumps(_axis(drawing, axes, 'y')),
            **_told(axes),
        }
        of_container = {a: c for c in axes.containers for a in _flat(tuple(c))}
        for k, artist in enumerate([*axes.lines, *axes.collections, *axes.patches]):
            marks = _marks(axes, artist)
            container = of_container.get(artist, artist)
            if isinstance(container, ErrorbarContainer) and artist in container.lines[1]:
                marks = {'kind': 'caps'} | _told(artist)
            label = str(container.get_label())
            artist.set_gid(f'marks{i}.{k}')
            found[f'marks{i}.{k}'] = marks
            if label and not label.startswith('_') and marks != _GUIDE:
                marks['label'] = printable(label)
        for k, text in enumerate(axes.texts):
            where = getattr(text, 'xy', text.get_position())
            if isinstance(text, Annotation) or text.get_transform() == axes.transData:
                text.set_gid(f'text{i}.{k}')
                found[f'text{i}.{k}'] = {'at': ' '.join(f'{value:.6g}' for value in where)}
    return found


def _told(artist: Any, kept: np.ndarray | None = None) -> dict[str, str]:
    """Returns what is said of an artist as text, of those of its marks that are kept."""
    found = {}
    for key, value in _said(artist).items():
        if isinstance(value, str | int):
            found[key] = printable(str(value))
            continue
        each = value if kept is None else [v for v, k in zip(value, kept, strict=True) if k]
        plain = [printable(v) if isinstance(v, str) else int(v) for v in each]
        found[f'{key}s'] = json.dumps(plain, ensure_ascii=False, separators=(',', ':'))
    return found


def _axis(drawing: Drawing, axes: Axes, which: str) -> dict[str, Any]:
    """Returns label, ends (values), places (of the ends in the SVG), log, and names of values."""
    axis = getattr(axes, f'{which}axis')
    siblings = getattr(axes, f'get_shared_{which}_axes')().get_siblings(axes)
    labels = [getattr(other, f'get_{which}label')() for other in (axes, *siblings)]
    labels.append(getattr(drawing, f'get_sup{which}label')())
    axes.apply_aspect()
    box = axes.get_position()
    width, height = _POINTS_PER_INCH * drawing.get_size_inches()
    ends = getattr(axes, f'get_{which}lim')()
    sides = (
        (box.x0 * width, box.x1 * width)
        if which == 'x'
        else ((1 - box.y0) * height, (1 - box.y1) * height)
    )
    names: list[tuple[float, str]] = []
    if isinstance(axis.get_major_locator(), ticker.FixedLocator):
        places = axis.get_majorticklocs()
        texts = axis.get_major_formatter().format_ticks(places)
        names = [
            (float(place), ' '.join(printable(text).split()))
            for place, text in zip(places, texts, strict=True)
        ]
    if all(_is_number(text, at) for at, text in names):
        names = []
    return {
        'label': ' '.join(printable(next(filter(None, labels), '')).split()),
        'ends': [float(f'{end:.8g}') for end in ends],
        'places': [round(side, 2) for side in sides],
        'log': axis.get_scale() == 'log',
        'names': names,
    }


def _is_number(text: str, value: float) -> bool:
    """Whether a text is the number itself, as an axis has it."""
    try:
        return math.isclose(float(text.replace('\N{MINUS SIGN}', '-')), value, rel_tol=1e-3)
    except ValueError:
        return False


def _marks(axes: Axes, artist: Any) -> dict[str, str]:
    """Returns kind, x and y, and what is said."""
    if isinstance(artist, lines.Line2D):
        # Those along an axis have a transformation of their own, and are no data.
        if artist.get_transform() != axes.transData or artist.get_rasterized():
            return _GUIDE
        xy = np.asarray(artist.get_xydata(), float)
        kept = np.isfinite(xy).all(axis=1)
        marked = str(artist.get_marker()) not in _NOTHING
        if not kept.any() or not (marked or artist.get_linestyle() not in _NOTHING):
            return _GUIDE
        told = _told(artist, kept)
        if not marked and kept.sum() > _MOST_POINTS:
            kept = np.linspace(0, len(xy) - 1, _MOST_POINTS).astype(int)
        return {'kind': 'marks' if marked else 'line', **_values(xy[kept]), **told}
    if isinstance(artist, collections.LineCollection):
        ends = np.array([path.vertices for path in artist.get_paths()], float).reshape(-1, 2, 2)
        # What is not finite is not drawn.
        kept = np.isfinite(ends).all(axis=(1, 2))
        return {'kind': 'intervals', **_values(ends[kept]), **_told(artist, kept)}
    if isinstance(artist, collections.PolyCollection) and _said(artist):
        paths = artist.get_paths()
        outline = np.asarray(paths[0].vertices if paths else np.zeros((0, 2)), float)
        return {'kind': 'band', **_values(outline), **_told(artist)}
    if isinstance(artist, patches.Rectangle) and _said(artist):
        middle = artist.get_y() + artist.get_height() / 2
        return {'kind': 'bars', **_values([[artist.get_width(), middle]]), **_told(artist)}
    return _GUIDE


def _values(xy: Sequence[Sequence[float]] | np.ndarray) -> dict[str, str]:
    columns = zip('xy', np.asarray(xy).reshape(-1, 2).T, strict=True)
    return {name: ' '.join(f'{value:.6g}' for value in values) for name, values in columns}
