"""Laws that are what is left of another: cut to a range, or with gaps."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from imbreg_jax.study.laws.law import Law, breaks_of, log_density
from imbreg_jax.study.laws.quadrature import integrals
from imbreg_jax.study.laws.registry import register
from imbreg_jax.study.laws.rules import number_text, ordered, require

# Below it the quantiles of what is left would lose their digits to the law's CDF.
_LEAST_LEFT = 1e-6
# The rounding of a CDF.
_NOTHING = 1e-14


@dataclasses.dataclass(frozen=True)
class Restricted:
    """A law, given that the target lies in one of several pieces; their ends belong to them.

    Attributes:
        law: the law.
        low, high: [n] the pieces, which rise.
        below: [n] the law's probability of a target below each piece.
        mass: [n] its probability of a target in each, above 0.
    """

    law: Law
    low: np.ndarray
    high: np.ndarray
    below: np.ndarray
    mass: np.ndarray

    @functools.cached_property
    def _before(self) -> np.ndarray:
        """[n + 1] the mass before each piece, and that of all."""
        return np.concatenate([[0.0], np.cumsum(self.mass)])

    def ppf(self, u: np.ndarray) -> np.ndarray:
        """See `Law`."""
        place = u * self._before[-1]
        piece = np.searchsorted(self._before[1:-1], place, side='left')
        within = np.clip(self.below[piece] + (place - self._before[piece]), 0.0, 1.0)
        x = np.clip(self.law.ppf(within), self.low[piece], self.high[piece])
        return np.where((u >= 0.0) & (u <= 1.0), x, np.nan)

    def pdf(self, x: np.ndarray) -> np.ndarray:
        """See `Law`."""
        return np.where(self._inside(x), self.law.pdf(x) / self._before[-1], 0.0)

    def logpdf(self, x: np.ndarray) -> np.ndarray:
        """See `log_density`."""
        inside = log_density(self.law, x) - np.log(self._before[-1])
        return np.where(self._inside(x), inside, -np.inf)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """See `Law`."""
        piece = self._piece(x)
        within = self.law.cdf(np.minimum(x, self.high[piece])) - self.below[piece]
        reached = self._before[piece] + np.clip(within, 0.0, self.mass[piece])
        return np.where(x < self.low[0], 0.0, reached / self._before[-1])

    def _piece(self, x: np.ndarray) -> np.ndarray:
        """The last piece that begins at or below x, or the first."""
        return np.maximum(np.searchsorted(self.low, x, side='right') - 1, 0)

    def _inside(self, x: np.ndarray) -> np.ndarray:
        return (x >= self.low[0]) & (x <= self.high[self._piece(x)])

    @functools.cached_property
    def mean(self) -> float:
        """See `Law`."""
        shares = self._before / self._before[-1]
        (mean,) = integrals(lambda u: self.ppf(u)[None], shares)
        return float(mean)

    @property
    def support(self) -> tuple[float, float]:
        """See `Law`."""
        return float(self.low[0]), float(self.high[-1])

    @property
    def breaks(self) -> np.ndarray:
        """See `breaks_of`."""
        return np.concatenate([self.low, self.high, breaks_of(self.law)])


def _restricted(name: str, law: Law, kept: Sequence[tuple[float, float]]) -> Law:
    """The law within the ranges `kept`; `name` is for the sentence where little is left."""
    least, greatest = law.support
    low, high, below, mass = [], [], [], []
    for start, end in np.clip(kept, least, greatest):
        if start == end:
            continue
        # A piece ends where the law's density may begin to be 0, so that gaps in it stay gaps.
        inner = [point for point in breaks_of(law) if start < point < end]
        points = np.array([start, *inner, end])
        # Of an atom at its beginning all belongs to a range.
        reached = law.cdf(np.concatenate([[np.nextafter(start, -np.inf)], points[1:]]))
        found = np.diff(reached) > _NOTHING
        low += list(points[:-1][found])
        high += list(points[1:][found])
        below += list(reached[:-1][found])
        mass += list(np.diff(reached)[found])
    require(
        sum(mass) >= _LEAST_LEFT,
        f'{name} leaves a fraction of only {sum(mass):.3g} of the law, whose targets lie between '
        f'{least:.6g} and {greatest:.6g}; it must leave at least {_LEAST_LEFT:g}',
    )
    return Restricted(law, np.array(low), np.array(high), np.array(below), np.array(mass))


def _whole(label: str) -> str:
    """A law's label as a part of another."""
    return f'({label})' if ' + ' in label and label[0] != '(' else label


def _cut_label(law: str, low: float, high: float) -> str:
    return f'{_whole(law)} on [{number_text(low)}, {number_text(high)}]'


def _gap_label(law: str, low: tuple[float, ...], high: tuple[float, ...]) -> str:
    between = [
        f'{number_text(a)}{"-" if a >= 0.0 else " to "}{number_text(b)}'
        for a, b in zip(low, high, strict=True)
    ]
    return f'{_whole(law)} without {", ".join(between)}'


@register(label=_cut_label, example='cut(normal(5.5, 2), 1, 10)')
def cut(law: Law, low: float, high: float) -> Law:
    """The law, given that the target lies from `low` to `high`."""
    ordered('cut', low=low, high=high)
    return _restricted('cut', law, [(low, high)])


@register(label=_gap_label, example='gap(u1_10, 4, 6)')
def gap(law: Law, low: tuple[float, ...], high: tuple[float, ...]) -> Law:
    """The law, given that the target lies in none of the gaps; at their ends it may."""
    for a, b in zip(low, high, strict=True):
        ordered('gap', low=a, high=b)
    least, greatest = law.support
    for a, b in zip(low, high, strict=True):
        require(
            a < greatest and b > least,
            f'gap takes nothing away from {number_text(a)} to {number_text(b)}, since the targets '
            f'of the law lie between {least:.6g} and {greatest:.6g}',
        )
    for end, start in zip(high, low[1:], strict=False):
        require(
            end < start,
            f'the gaps of gap must rise and lie apart, and {number_text(start)} does not lie above '
            f'{number_text(end)}',
        )
    return _restricted('gap', law, list(zip((-np.inf, *high), (*low, np.inf), strict=True)))
