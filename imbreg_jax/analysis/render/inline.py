"""A drawing as a part of a page: theme colours, few bytes, ids that no other drawing has."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from imbreg_jax.analysis.canvas import BACKGROUND, GRID, INK, MUTED, Finished
from imbreg_jax.analysis.formats import printable

_THEMED = {
    INK: 'currentColor',
    MUTED: 'var(--muted)',
    GRID: 'var(--grid)',
    BACKGROUND: 'var(--surface)',
    # Of the colours of conditions, those that are too dark for a dark page.
    '#0072b2': 'var(--blue)',
    '#009e73': 'var(--green)',
    '#d55e00': 'var(--red)',
    '#8c7a00': 'var(--olive)',
    '#9467bd': 'var(--purple)',
}
_LEFT_OUT = ('metadata', 'style')  # Who made it; and rules that would hold for the whole page.
_GEOMETRY = ('d', 'x', 'y', 'width', 'height', 'transform')
_NUMBER = re.compile(r'-?\d+\.\d+')
_AXIS, _TICK = re.compile(r'matplotlib\.axis_(\d+)'), re.compile(r'[xy]tick_\d+')
_FONT = "font-family: 'DejaVu Sans', Verdana, sans-serif; "
_REFERENCE = re.compile(r'url\(#([^)]+)\)')


def svg(figure: Finished, prefix: str) -> str:
    """Returns a drawing to put into a page, with what its marks show as `data-` attributes.

    Read and written as XML, so that what a label says is text in the page too.

    Args:
      figure: the drawing.
      prefix: what its ids begin with; no other drawing of the page has the same.
    """
    root = ElementTree.fromstring(figure.svg[figure.svg.index('<svg') :])
    used = set(_references(root))
    names = {name: f'{prefix}{i}' for i, name in enumerate(sorted(used))}
    element = _converted(root, names, figure)
    # Fixed lengths would keep the drawing from shrinking with the page; the view box stays.
    for key in ('width', 'height', 'version'):
        element.attrib.pop(key, None)
    element.attrib |= {'role': 'img', 'aria-label': printable(figure.title)}
    return ElementTree.tostring(element, encoding='unicode')


def _references(root: Element) -> Iterator[str]:
    for element in root.iter():
        for key, value in element.items():
            if key.endswith('href') and value.startswith('#'):
                yield value[1:]
            yield from _REFERENCE.findall(value)


def _converted(element: Element, names: dict[str, str], figure: Finished) -> Element:
    name = element.tag.rpartition('}')[2]
    found = Element(name)
    for key, value in element.items():
        key = key.rpartition('}')[2]
        if key == 'id':
            meant = figure.meaning.get(value, {})
            found.attrib |= {f'data-{k}': text for k, text in meant.items()}
            if axis := _AXIS.fullmatch(value):
                # They are numbered x, y, x, y and so on.
                found.set('data-axis', 'x' if int(axis[1]) % 2 else 'y')
            elif _TICK.fullmatch(value):
                found.set('data-tick', '')
            if value not in names:
                continue
        if key == 'transform' and value.startswith('rotate(-0 '):
            continue
        found.set(key, _attribute(key, value, names))
    if name in ('text', 'tspan'):
        found.text = element.text
    for child in element:
        kind = child.tag.rpartition('}')[2]
        # A path without a place to go to is of what is not finite.
        if kind in _LEFT_OUT or (kind == 'path' and not child.get('d')):
            continue
        found.append(_converted(child, names, figure))
        if name in ('text', 'tspan'):
            found[-1].tail = child.tail
    if name == 'g':
        _share_style(found)
    return found


def _attribute(key: str, value: str, names: dict[str, str]) -> str:
    if key == 'id':
        return names[value]
    if key == 'href':
        return f'#{names[value[1:]]}' if value.startswith('#') else value
    if key in _GEOMETRY:
        # A hundredth of a point is less than a pixel on any screen.
        value = _NUMBER.sub(lambda m: f'{float(m[0]):.2f}'.rstrip('0').rstrip('.'), value)
        return ' '.join(value.split())
    value = _REFERENCE.sub(lambda m: f'url(#{names[m[1]]})', value)
    if key == 'style':
        value = value.replace(_FONT, '')  # As all text of drawings has it: see page.css.
    for fixed, themed in _THEMED.items():
        value = value.replace(fixed, themed)
    return value


def _share_style(group: Element) -> None:
    """Says once of a group what is said alike of each of its many marks."""
    if len(group) < 2 or any(child.tag not in ('use', 'path') for child in group):
        return
    for key in ('style', 'clip-path'):
        said = {child.get(key, '') for child in group}
        if len(said) == 1 and said != {''} and key not in group.keys():
            group.set(key, said.pop())
            for child in group:
                del child.attrib[key]
