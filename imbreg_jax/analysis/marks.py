"""What the marks of a drawing stand for, so that a page can name, hide and copy them.

Whoever draws says of which condition, repeat or remedy an artist is: `shows(line, condition=…)`.
`describe` adds to it where marks lie, in units of the axes and of the drawing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from imbreg_jax.analysis.canvas import Axes, Drawing, collections, lines, patches, ticker
from imbreg_jax.analysis.formats import printable

# What a page switches on and off. A mark may be of several of them.
KINDS = ('condition', 'repeat', 'remedy')
_POINTS_PER_INCH = 72
_NO_LINE = ('None', 'none', ' ', '')


def shows(artists: Any, **of: Any) -> None:
    """Says what artists are of.

    Args:
      artists: an artist, a container (error bars, bars), or several of them, nested in any way.
      **of: kind of `KINDS` -> what all of its marks are of, or a list that says it of each.
    """
    for artist in _flat(artists):
        artist.imbreg_shows = {**getattr(artist, 'imbreg_shows', {}), **of}


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
      - of marks: kind ('marks', 'line', 'intervals', 'band' or 'bars'); label; group (marks and the
        intervals about them have the same); x and y, values in units of the axes with a space
        between them (two to an interval), where they are known;
      - of either, those of `KINDS` that are said of it: one, or a list of one for each mark as JSON.
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
            **_said(axes),
        }
        groups: dict[Any, tuple[str, str]] = {}
        for k, container in enumerate(axes.containers):
            label = str(container.get_label())
            groups |= {part: (f'{i}.{k}', label) for part in _flat(tuple(container))}
        for k, artist in enumerate([*axes.lines, *axes.collections, *axes.patches]):
            marks = _marks(axes, artist)
            if marks is None:
                continue
            group, label = groups.get(artist, ('', str(artist.get_label())))
            marks |= {'label': '' if label.startswith('_') else printable(label), 'group': group}
            artist.set_gid(f'marks{i}.{k}')
            found[f'marks{i}.{k}'] = {**{k: v for k, v in marks.items() if v}, **_said(artist)}
    return found


def _said(artist: Any) -> dict[str, str]:
    of: Mapping[str, Any] = getattr(artist, 'imbreg_shows', {})
    return {
        kind: printable(str(value))
        if isinstance(value, str | int)
        else json.dumps([printable(str(v)) for v in value])
        for kind, value in of.items()
    }


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
    places = (
        (box.x0 * width, box.x1 * width)
        if which == 'x'
        else ((1 - box.y0) * height, (1 - box.y1) * height)
    )
    names = []
    if isinstance(axis.get_major_formatter(), ticker.FixedFormatter):
        ticks = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
        names = [[float(at), ' '.join(printable(t.get_text()).split())] for at, t in ticks]
    return {
        'label': ' '.join(printable(next(filter(None, labels), '')).split()),
        'ends': [float(end) for end in ends],
        'places': [round(place, 2) for place in places],
        'log': axis.get_scale() == 'log',
        'names': names,
    }


def _marks(axes: Axes, artist: Any) -> dict[str, str] | None:
    """Returns kind, and x and y where they are known; None for what is no data."""
    said = getattr(artist, 'imbreg_shows', None)
    if isinstance(artist, lines.Line2D):
        # Those along an axis have a transformation of their own, and are no data.
        if artist.get_transform() != axes.transData or artist.get_rasterized():
            return None
        xy = np.asarray(artist.get_xydata(), float)
        xy = xy[np.isfinite(xy).all(axis=1)]
        marked = artist.get_marker() not in (*_NO_LINE, None)
        if not marked and artist.get_linestyle() in _NO_LINE:
            return None
        return {'kind': 'marks' if marked else 'line', **_values(xy)} if len(xy) else None
    if isinstance(artist, collections.LineCollection):
        ends = np.array([s for s in artist.get_segments() if np.shape(s) == (2, 2)], float)
        ends = ends.reshape(-1, 2)
        return {'kind': 'intervals', **_values(ends)} if np.isfinite(ends).all() else None
    if isinstance(artist, collections.PolyCollection) and said:
        outline = artist.get_paths()[0].vertices if artist.get_paths() else np.zeros((0, 2))
        return {'kind': 'band', **_values(np.asarray(outline, float))}
    if isinstance(artist, patches.Rectangle) and said:
        middle = artist.get_y() + artist.get_height() / 2
        return {'kind': 'bars', **_values(np.array([[artist.get_width(), middle]]))}
    return None


def _values(xy: Sequence[Sequence[float]] | np.ndarray) -> dict[str, str]:
    columns = zip('xy', np.asarray(xy).T, strict=True)
    return {name: ' '.join(f'{value:.6g}' for value in values) for name, values in columns}
