"""Intervals, paired comparisons, equivalence, and what so many repeats can show.

Everything is paired by repeat: repeat k of two conditions shares its initial network, noise
images, shuffles and masks. Errors that are positive are compared by their ratio, on the log scale,
since a margin in percent is a factor; what has a sign is compared by its difference. Student's t
decides, and the sign-flip test, which needs no normal law, stands beside it. What cannot be said
(fewer than two repeats, values that are not finite or have no logarithm) is NaN, without a warning.

Distributions are scipy's, called on arrays: a study of a thousand conditions makes tens of
thousands of comparisons, and a call costs more than the arithmetic of a hundred of them.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
from scipy import special

POWER = 0.8
MOST_REPEATS = 10_000
# Up to so many repeats every pattern of signs is gone through; of more, so many are drawn.
MOST_ENUMERATED, DRAWN_PATTERNS = 14, 9_999
# Sums of flipped differences that a chunk of rows holds at once.
_MOST_SUMS = 2**23
# Beyond it scipy's noncentral t loses digits, then hours; the normal part of T has no say there.
_FAR = 1000.0

Interval = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A paired comparison of first with second, over the repeats that both have.

    Attributes:
      repeats: number of pairs.
      first_mean: mean of the first over the pairs.
      second_mean: mean of the second over the pairs.
      ratio: whether they are compared by their ratio or by their difference.
      effect: first / second (geometric mean over the pairs), or the mean of first − second.
      low: lower end of the interval of the effect: of coverage 1 − α, or 1 − 2α for a test with a
        direction, so that interval and test say the same.
      high: its upper end.
      p_value: paired t test, on log ratios or differences.
      flip_p_value: sign-flip test, exact up to `MOST_ENUMERATED` repeats.
      reversed_p_value: of the one-sided t test that first < second.
      below_p_value: of the one-sided t test that the ratio is below 1 + margin; NaN of
        differences, as are the next three.
      above_p_value: that it is above 1 − margin.
      flip_below_p_value: the sign-flip test of the same as `below_p_value`.
      flip_above_p_value: the same as `above_p_value`.
      detectable: the smallest ratio above 1 (difference above 0) that so many repeats of this
        spread show with power 0.8.
      repeats_needed: how many repeats of this spread show a ratio of 1 + margin with power 0.8; inf
        above 10,000, NaN for differences.
    """

    repeats: int
    first_mean: float
    second_mean: float
    ratio: bool
    effect: float
    low: float
    high: float
    p_value: float
    flip_p_value: float
    reversed_p_value: float
    below_p_value: float
    above_p_value: float
    flip_below_p_value: float
    flip_above_p_value: float
    detectable: float
    repeats_needed: float

    @property
    def equivalence_p_value(self) -> float:
        """Of two one-sided tests (TOST): that the ratio is within 1 ± margin."""
        return max(self.below_p_value, self.above_p_value)

    @property
    def flip_equivalence_p_value(self) -> float:
        """The same by the two sign-flip tests."""
        return max(self.flip_below_p_value, self.flip_above_p_value)

    @property
    def outside_p_value(self) -> float:
        """That the ratio is outside 1 ± margin, on either side (Bonferroni)."""
        return min(2 * (1 - self.equivalence_p_value), 1.0)  # In this order NaN stays.


def mean_interval(values: np.ndarray, confidence: float = 0.95) -> Interval:
    """Returns Student's interval of the mean of [n] values; NaN as the module says."""
    # A mean of infinitely many further repeats is the true one.
    return prediction_interval(values, math.inf, confidence)


def prediction_interval(values: np.ndarray, repeats: float, confidence: float = 0.95) -> Interval:
    """Returns where the mean of `repeats` further repeats falls, given [n] values.

    The mean of m new draws minus that of the n at hand has variance σ²(1/n + 1/m), with σ² from
    the n at hand (Student, n − 1 degrees of freedom).
    """
    mean, spread = _predicted(values, repeats)
    half = float(special.stdtrit(len(values) - 1, (1 + confidence) / 2)) * spread
    return mean - half, mean + half


def prediction_p_value(values: np.ndarray, repeats: int, mean: float) -> float:
    """Returns the two-sided p that `mean` is the mean of `repeats` further draws of [n] values."""
    expected, spread = _predicted(values, repeats)
    if spread == 0:
        return float(mean == expected)
    return float(2 * special.stdtr(len(values) - 1, -abs(mean - expected) / spread))


def _predicted(values: np.ndarray, repeats: float) -> tuple[float, float]:
    """Returns mean and standard error of what `prediction_interval` predicts; NaN if unknown."""
    if len(values) < 2 or not np.isfinite(values).all():
        return math.nan, math.nan
    with np.errstate(over='ignore', invalid='ignore'):
        spread = np.std(values, ddof=1) * math.sqrt(1 / len(values) + 1 / repeats)
        return float(np.mean(values)), float(spread)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Returns [k] p values corrected by Holm; NaN stays NaN and does not count."""
    p = np.asarray(p_values, dtype=float)
    corrected = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known])]
    # Steps down from k times the smallest; none may be below the one before it.
    steps = p[order] * np.arange(order.size, 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


@functools.lru_cache(maxsize=16)
def _patterns(n: int, seed: int) -> np.ndarray:
    """Returns [n, m] signs: all that begin with +, or for many n as many as are drawn."""
    if n <= MOST_ENUMERATED:
        return 1.0 - 2 * ((np.arange(2 ** (n - 1)) >> np.arange(n)[:, None]) & 1)
    return np.random.default_rng(seed).choice([-1.0, 1.0], (n, DRAWN_PATTERNS))


def sign_flip_p_values(rows: np.ndarray, two_sided: bool = True, seed: int = 0) -> np.ndarray:
    """Returns [k] p values that [k, n] finite differences are symmetric about 0.

    Under that null each difference may as well have the other sign: p is the share of sign patterns
    whose mean is as far out as the one seen. Of more than `MOST_ENUMERATED` differences patterns
    are drawn, the one seen among them. It is scipy's `permutation_test` of 'samples', as one matrix
    product for all rows.

    Args:
      rows: [k, n] differences, n ≥ 1.
      two_sided: whether as far out means on either side, or above 0.
      seed: of the patterns, where they are drawn.
    """
    n = rows.shape[1]
    signs, exact = _patterns(n, seed), n <= MOST_ENUMERATED
    found = np.empty(len(rows))
    step = max(1, _MOST_SUMS // signs.shape[1])
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        largest = np.abs(part).max(axis=1, keepdims=True)
        # Of order one, so that sums neither overflow nor vanish; ties hold to rounding.
        part = part / np.where(largest > 0, largest, 1)
        sums, seen = part @ signs, part.sum(axis=1, keepdims=True)
        if two_sided:
            hits = (np.abs(sums) >= np.abs(seen) - 1e-12).mean(axis=1)
        else:
            hits = (sums >= seen - 1e-12).mean(axis=1)
            if exact:  # The patterns that begin with −.
                hits = (hits + (-sums >= seen - 1e-12).mean(axis=1)) / 2
        found[start : start + step] = hits
    return found if exact else (1 + found * DRAWN_PATTERNS) / (1 + DRAWN_PATTERNS)


@functools.lru_cache(maxsize=256)
def least_effects(level: float) -> np.ndarray:
    """Returns the smallest effects that a one-sided t test shows with power 0.8.

    An effect is a mean over its standard deviation. A two-sided test of level α is one of α/2 here:
    to find a difference on the wrong side is not to show it.

    Args:
      level: of the one-sided test.

    Returns:
      [9999] effects for 2, 3, … 10,000 repeats.
    """
    n = np.arange(2.0, MOST_REPEATS + 1)
    critical = -special.stdtrit(n - 1, level)
    shift = critical * np.sqrt(special.chdtri(n - 1, 1 - POWER) / (n - 1))
    near = critical < _FAR
    shift[near] = special.nctdtrinc(n[near] - 1, 1 - POWER, critical[near])
    return shift / np.sqrt(n)


def repeats_needed(effect: np.ndarray, level: float) -> np.ndarray:
    """Returns the fewest repeats that show [k] effects, as `least_effects` has them.

    The spread seen stands for the true one, so this is an order of magnitude, not a promise.
    Effects of 0 or below are never shown: inf, as is what takes more than 10,000; NaN stays.
    """
    least = least_effects(level)
    found = 2.0 + np.searchsorted(-least, -np.asarray(effect, dtype=float))
    found[found > MOST_REPEATS] = math.inf
    return np.where(np.isnan(effect), math.nan, found)


def compare_many(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    ratio: bool | Sequence[bool] = True,
    margin: float = 0.1,
    level: float = 0.05,
    directed: bool = False,
    tests: int | Sequence[int] = 1,
    seed: int = 0,
) -> list[Comparison]:
    """Compares many pairs of conditions, each by itself.

    Args:
      pairs: (first, second), each [n], one value a repeat, of the same repeats in the same order; n
        may differ from pair to pair.
      ratio: for all or for each, whether errors are compared by ratio or by difference.
      margin: how far from 1 a ratio may be that counts as the same; 0.1 means 0.9 to 1.1.
      level: of all tests.
      directed: whether p values are one-sided, that first > second, or two-sided.
      tests: for all or for each, how many comparisons Holm's correction runs over; what is
        detectable, and the repeats needed, are those of its first, strictest step.
      seed: of sign patterns, where they are drawn.
    """
    arrays = [(np.asarray(a, dtype=float), np.asarray(b, dtype=float)) for a, b in pairs]
    ratios = np.broadcast_to(np.asarray(ratio, dtype=bool), len(arrays))
    levels = level / np.broadcast_to(np.asarray(tests), len(arrays))
    alike: dict[int, list[int]] = {}
    for i, (first, _) in enumerate(arrays):
        alike.setdefault(first.size, []).append(i)
    found: dict[int, Comparison] = {}
    for n, indices in alike.items():
        first, second = (np.stack([arrays[i][side] for i in indices]) for side in (0, 1))
        columns = _compared(
            first, second, ratios[indices], margin, level, directed, levels[indices], seed
        )
        for row, i in enumerate(indices):
            named = {name: float(column[row]) for name, column in columns.items()}
            found[i] = Comparison(repeats=n, ratio=bool(ratios[i]), **named)
    return [found[i] for i in range(len(arrays))]


def _compared(
    first: np.ndarray,
    second: np.ndarray,
    ratio: np.ndarray,
    margin: float,
    level: float,
    directed: bool,
    levels: np.ndarray,
    seed: int,
) -> dict[str, np.ndarray]:
    """Returns the fields of `Comparison`, [k] each, for [k, n] values."""
    k, n = first.shape
    nothing = np.full(k, np.nan)
    if not n:
        names = [field.name for field in dataclasses.fields(Comparison)]
        return {name: nothing for name in names if name not in ('repeats', 'ratio')}
    with np.errstate(all='ignore'):
        steps = np.where(ratio[:, None], np.log(first) - np.log(second), first - second)
        steps[~np.isfinite(steps).all(axis=1)] = np.nan
        mean = steps.mean(axis=1)
        std = steps.std(axis=1, ddof=1) if n > 1 else nothing
        error = std / math.sqrt(n)

        def t(bound: float) -> np.ndarray:
            # Without spread the mean is known, and the test degenerates to a comparison.
            beyond = np.where(mean == bound, 0.0, np.copysign(np.inf, mean - bound))
            return np.where(error == 0, beyond, (mean - bound) / error)

        # No ratio of errors lies below 0, whatever the margin.
        upper, lower = math.log1p(margin), math.log1p(-margin) if margin < 1 else -math.inf
        greater, less = special.stdtr(n - 1, -t(0.0)), special.stdtr(n - 1, t(0.0))
        half = -special.stdtrit(n - 1, level if directed else level / 2) * error

        def flipped(rows: np.ndarray, two_sided: bool = False) -> np.ndarray:
            p = nothing.copy()
            chosen = np.isfinite(rows).all(axis=1) if n > 1 else np.zeros(k, dtype=bool)
            p[chosen] = sign_flip_p_values(rows[chosen], two_sided, seed)
            return p

        detectable, needed = nothing.copy(), nothing.copy()
        for own in np.unique(levels) if n > 1 else ():
            rows, tail = levels == own, own if directed else own / 2
            detectable[rows] = least_effects(tail)[min(n, MOST_REPEATS) - 2] * std[rows]
            needed[rows] = repeats_needed(upper / std[rows], tail)

        def shown(logs: np.ndarray) -> np.ndarray:
            return np.where(ratio, np.exp(logs), logs)

        return {
            'first_mean': first.mean(axis=1),
            'second_mean': second.mean(axis=1),
            'effect': shown(mean),
            'low': shown(mean - half),
            'high': shown(mean + half),
            'p_value': greater if directed else 2 * np.minimum(greater, less),
            'flip_p_value': flipped(steps, not directed),
            'reversed_p_value': less,
            'below_p_value': np.where(ratio, special.stdtr(n - 1, t(upper)), np.nan),
            'above_p_value': np.where(ratio, special.stdtr(n - 1, -t(lower)), np.nan),
            'flip_below_p_value': flipped(np.where(ratio[:, None], upper - steps, np.nan)),
            'flip_above_p_value': flipped(np.where(ratio[:, None], steps - lower, np.nan)),
            'detectable': shown(detectable),
            'repeats_needed': np.where(ratio, needed, np.nan),
        }
