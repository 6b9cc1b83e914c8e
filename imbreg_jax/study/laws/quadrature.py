"""Integrals of functions with kinks, jumps, poles and tails.

Pieces of the range are halved until the integral over a piece is the one over its halves. What is
left at the last halving lies about poles, where corrections fall geometrically from one halving to
the next, so that their sum is known; where they do not fall, the integral diverges.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

# Values [k, n] at points [n].
Function: TypeAlias = Callable[[np.ndarray], np.ndarray]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(15)
_TOLERANCE = 1e-9
_MOST_HALVINGS = 60
_MOST_PIECES = 10**5
# Of its distance from 0: in a narrower piece, points would differ by little but rounding.
_NARROWEST = 2.0**-32
# Corrections that fall more slowly than this add up to nothing finite, as far as can be told.
_SLOWEST_FALL = 0.98


def integrals(
    function: Function, edges: np.ndarray, primitives: Function | None = None
) -> np.ndarray:
    """Integrates k functions over a range.

    Args:
        function: points [n] to the values [k, n] of the functions.
        edges: [m + 1] points that rise from one end of the range to the other, which may be
            infinite: wherever a function jumps or has a pole, and some that show where they vary.
        primitives: points [n] to antiderivatives [j, n] of the first j functions; a piece is halved
            also where these say otherwise, as they do where a function leaves something out.

    Returns:
        [k] integrals; infinity where one diverges. They are right to 1e-8, of their size where that
        is above 1; about poles steeper than d^-0.5 at a distance d to less, 1e-6 for d^-0.7 and
        1e-3 for d^-0.9, and from d^-0.97 on they count as divergent.
    """
    line = _Line.through(edges)
    ends = line.inverse(edges)
    low, high = ends[:-1], ends[1:]
    whole = _gauss(function, line, low, high)
    before = np.zeros_like(whole)
    total = np.zeros(len(whole))
    for halving in range(_MOST_HALVINGS):
        middle = 0.5 * (low + high)
        halves = np.stack(
            [_gauss(function, line, low, middle), _gauss(function, line, middle, high)], axis=1
        )
        found = halves.sum(axis=1)
        # What overflows is infinite, and has no more say in what is halved.
        total[~np.isfinite(found).all(axis=1)] = np.inf
        for values in (whole, halves, found):
            values[np.isinf(total)] = 0.0
        correction = found - whole
        change = np.abs(correction)
        if primitives is not None:
            known = primitives(line.point(high)) - primitives(line.point(low))
            change[: len(known)] = np.maximum(
                change[: len(known)], np.abs(found[: len(known)] - known)
            )
        tolerance = _TOLERANCE * (1.0 + np.abs(total + found.sum(axis=1)))
        left = np.any(change > tolerance[:, None], axis=0)
        narrow = high - low < _NARROWEST * np.maximum(np.abs(low), np.abs(high))
        if halving == _MOST_HALVINGS - 1 or left.sum() > _MOST_PIECES:
            narrow[:] = True
        rest = _rest(before, correction, tolerance)
        total += np.where(left, found + rest, found)[:, ~left | narrow].sum(axis=1)
        left &= ~narrow
        if not left.any():
            break
        low, high = _joined(low[left], middle[left]), _joined(middle[left], high[left])
        whole = _joined(halves[:, 0, left], halves[:, 1, left])
        before = _joined(correction[:, left], correction[:, left])
    return total


def _rest(before: np.ndarray, last: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """All corrections [k, m] that halvings of pieces would still bring.

    Args:
        before: [k, m] the corrections at the halvings that made the pieces.
        last: [k, m] those at their own halvings.
        tolerance: [k] corrections that do not matter.
    """
    fall = np.divide(last, before, out=np.zeros_like(last), where=before != 0.0)
    fall[np.abs(last) <= tolerance[:, None]] = 0.0
    return np.where(fall < _SLOWEST_FALL, last * fall / (1.0 - np.minimum(fall, 0.99)), np.inf)


def _joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.concatenate([first, second], axis=-1)


def _gauss(function: Function, line: _Line, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Integrals [k, m] over m pieces of the line, by 15 points each."""
    half = 0.5 * (high - low)
    points = low + half * (1.0 + _NODES[:, None])
    # Not on an end, where a pole may be.
    points = np.clip(points, np.nextafter(low, high), np.nextafter(high, low)).ravel()
    values = function(line.point(points)) * line.slope(points)
    return half * np.tensordot(values.reshape(len(values), len(_NODES), -1), _WEIGHTS, (1, 0))


@dataclasses.dataclass(frozen=True)
class _Line:
    """Coordinates of the range: itself, or where that is infinite x = centre + scale·t/(1 − t²)."""

    bounded: bool
    centre: float
    scale: float

    @classmethod
    def through(cls, edges: np.ndarray) -> _Line:
        finite = edges[np.isfinite(edges)]
        scale = float(np.ptp(finite)) or 1.0
        return cls(finite.size == edges.size, float(np.median(finite)), scale)

    def point(self, t: np.ndarray) -> np.ndarray:
        if self.bounded:
            return t
        with np.errstate(divide='ignore'):  # infinite at the ends
            return self.centre + self.scale * t / (1.0 - t**2)

    def slope(self, t: np.ndarray) -> np.ndarray:
        if self.bounded:
            return np.ones_like(t)
        return self.scale * (1.0 + t**2) / (1.0 - t**2) ** 2

    def inverse(self, x: np.ndarray) -> np.ndarray:
        if self.bounded:
            return x
        finite = np.isfinite(x)
        z = 2.0 * (x[finite] - self.centre) / self.scale
        t = np.sign(x)
        t[finite] = z / (1.0 + np.sqrt(1.0 + z**2))
        return t
