"""Densities that are drawn: straight lines between points."""

from __future__ import annotations

import dataclasses

import numpy as np

from imbreg_jax.study.laws.law import Law
from imbreg_jax.study.laws.registry import register
from imbreg_jax.study.laws.rules import SMALLEST_SCALE, number_text, require

_MOST_IN_LABEL = 4


@dataclasses.dataclass(frozen=True)
class Polygon:
    """A density of straight lines between points, and 0 outside of them.

    Attributes:
        x: [n] targets, which never fall; of two that are equal, the density jumps.
        y: [n] the density there.
    """

    x: np.ndarray
    y: np.ndarray

    @classmethod
    def through(cls, x: np.ndarray, height: np.ndarray) -> Polygon:
        """The polygon of heights [n] in any unit."""
        height = height / height.max()
        area = np.sum(0.5 * (height[1:] + height[:-1]) * np.diff(x))
        return cls(x, height / area)

    def _below(self) -> np.ndarray:
        """[n] the probability of a target below each point."""
        areas = 0.5 * (self.y[1:] + self.y[:-1]) * np.diff(self.x)
        below = np.concatenate([[0.0], np.cumsum(areas)])
        return below / below[-1]

    def ppf(self, u: np.ndarray) -> np.ndarray:
        """See `Law`."""
        below = self._below()
        line = np.clip(np.searchsorted(below, u, side='left') - 1, 0, self.x.size - 2)
        area = np.clip(u - below[line], 0.0, None)
        low, high = self.x[line], self.x[line + 1]
        start, slope = self._start_and_slope(line)
        # The root of start·d + slope·d²/2 = area, in the form that no cancellation harms.
        root = np.sqrt(np.clip(start**2 + 2.0 * slope * area, 0.0, None))
        step = np.divide(2.0 * area, start + root, out=np.zeros_like(area), where=start + root > 0)
        x = np.clip(np.clip(low + step, low, high), *self.support)
        return np.where((u >= 0.0) & (u <= 1.0), x, np.nan)

    def pdf(self, x: np.ndarray) -> np.ndarray:
        """See `Law`."""
        line = self._line(x)
        start, slope = self._start_and_slope(line)
        y = np.clip(start + slope * (x - self.x[line]), 0.0, None)
        return np.where((x >= self.x[0]) & (x <= self.x[-1]), y, 0.0)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """See `Law`."""
        x = np.clip(x, self.x[0], self.x[-1])
        line = self._line(x)
        start, slope = self._start_and_slope(line)
        step = x - self.x[line]
        return np.clip(self._below()[line] + step * (start + 0.5 * slope * step), 0.0, 1.0)

    def _line(self, x: np.ndarray) -> np.ndarray:
        """The line that holds each x; none that a jump is."""
        last = np.searchsorted(self.x, self.x[-1], side='left') - 1
        return np.clip(np.searchsorted(self.x, x, side='right') - 1, 0, last)

    def _start_and_slope(self, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        width = self.x[line + 1] - self.x[line]
        rise = self.y[line + 1] - self.y[line]
        slope = np.divide(rise, width, out=np.zeros_like(rise), where=width > 0.0)
        return self.y[line], slope

    @property
    def mean(self) -> float:
        """See `Law`."""
        low, high = self.x[:-1], self.x[1:]
        moments = (2.0 * low + high) * self.y[:-1] + (low + 2.0 * high) * self.y[1:]
        return float(np.sum(moments * (high - low)) / 6.0)

    @property
    def support(self) -> tuple[float, float]:
        """See `Law`."""
        above = np.flatnonzero((self.y[1:] + self.y[:-1]) * np.diff(self.x))
        return float(self.x[above[0]]), float(self.x[above[-1] + 1])

    @property
    def breaks(self) -> np.ndarray:
        """See `breaks_of`."""
        return self.x


def fault(x: np.ndarray, density: np.ndarray) -> str | None:
    """What keeps points from being a density, as the end of a sentence, or None.

    Args:
        x: [n] targets, 2 or more.
        density: [n] their densities.
    """
    falls = np.flatnonzero(np.diff(x) < 0.0)
    if falls.size:
        first, second = x[falls[0]], x[falls[0] + 1]
        return f'needs targets that never fall, not {number_text(first)}, {number_text(second)}'
    if not np.all(density >= 0.0):
        return f'needs densities of at least 0, not {number_text(density.min())}'
    if not (span := x[-1] - x[0]) >= SMALLEST_SCALE:
        return f'needs targets that span at least {SMALLEST_SCALE:g}, not {number_text(span)}'
    if not np.any((density[1:] + density[:-1]) * np.diff(x) > 0.0):
        return 'needs a density above 0 somewhere between its targets'
    return None


def label(x: np.ndarray) -> str:
    """What a polygon of many points, at targets [n], is called in print."""
    return f'Polygon of {x.size} points on [{number_text(x[0])}, {number_text(x[-1])}]'


def _label(target: tuple[float, ...], density: tuple[float, ...]) -> str:
    if len(target) > _MOST_IN_LABEL:
        return label(np.array(target))
    points = zip(map(number_text, target), map(number_text, density), strict=True)
    return f'Polygon({", ".join(f"{x}: {y}" for x, y in points)})'


@register(label=_label, example='polygon(1, 3, 6, 1, 10, 1)', least=2)
def polygon(target: tuple[float, ...], density: tuple[float, ...]) -> Law:
    """Straight lines between points; the densities are in any unit."""
    x, height = np.array(target), np.array(density)
    wrong = fault(x, height)
    require(wrong is None, f'polygon {wrong}')
    return Polygon.through(x, height)
