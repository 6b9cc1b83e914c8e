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
# After as many, nodes of a piece about a pole still lie further apart than float64 rounds.
_HALVINGS = 32
_MOST_PIECES = 10**5
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
        [k] integrals, right to 1e-8, of their size where that is above 1; infinity where one
        diverges.
    """
    line = _Line.through(edges)
    ends = line.inverse(edges)
    low, high = ends[:-1], ends[1:]
    whole = _gauss(function, line, low, high)
    total = np.zeros(len(whole))
    diverges = np.zeros(len(whole), bool)
    before = last = total
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        halves = np.stack(
            [_gauss(function, line, low, middle), _gauss(function, line, middle, high)], axis=1
        )
        found = halves.sum(axis=1)
        diverges |= ~np.isfinite(found).all(axis=1)
        for values in (whole, halves, found):
            values[diverges] = 0.0
        change = np.abs(found - whole)
        if primitives is not None:
            known = primitives(line.point(high)) - primitives(line.point(low))
            change[: len(known)] = np.maximum(
                change[: len(known)], np.abs(found[: len(known)] - known)
            )
        size = 1.0 + np.abs(total + found.sum(axis=1))
        left = np.any(change > _TOLERANCE * size[:, None], axis=0)
        total = total + found[:, ~left].sum(axis=1)
        before, last = last, (found - whole)[:, left].sum(axis=1)
        low, high = _joined(low[left], middle[left]), _joined(middle[left], high[left])
        whole = _joined(halves[:, 0, left], halves[:, 1, left])
        if not 0 < left.sum() <= _MOST_PIECES:
            break
    total = total + whole.sum(axis=1)
    fall = np.divide(last, before, out=np.zeros_like(last), where=before != 0.0)
    matters = np.abs(last) > _TOLERANCE * (1.0 + np.abs(total))
    diverges |= matters & (fall >= _SLOWEST_FALL)
    fall = np.where(matters & ~diverges, fall, 0.0)
    return np.where(diverges, np.inf, total + last * fall / (1.0 - fall))


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
        return t if self.bounded else self.centre + self.scale * t / (1.0 - t**2)

    def slope(self, t: np.ndarray) -> np.ndarray:
        if self.bounded:
            return np.ones_like(t)
        return self.scale * (1.0 + t**2) / (1.0 - t**2) ** 2

    def inverse(self, x: np.ndarray) -> np.ndarray:
        if self.bounded:
            return x
        z = 2.0 * (x - self.centre) / self.scale
        # Without the difference of two large numbers; of an infinite z it is nan.
        t = z / (1.0 + np.sqrt(1.0 + z**2))
        return np.where(np.isinf(x), np.sign(x), t)
