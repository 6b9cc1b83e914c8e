"""Interval estimates, paired comparisons, equivalence and power.

Everything is paired by repeat: repeat k of two conditions shares its initial network, noise
images, shuffles and masks. Numbers come from scipy; nothing is drawn without a seed. What cannot be
said (fewer than two repeats, values that are not finite) is NaN, without a warning.

Where many comparisons are made at once (`compare_many`, `equivalence_many`) they are computed as
arrays, since a call of scipy costs more than the arithmetic of a hundred pairs; each row's numbers
are those of a call by itself.
"""

import dataclasses
import math
import warnings
from collections.abc import Sequence

import numpy as np
from scipy import special, stats

POWER = 0.8
MOST_REPEATS = 10_000
# Stands for any larger effect, an infinite one (no spread) among them.
_LARGEST_EFFECT = 20.0
# Up to here scipy's signed-rank test is exact where no two ranks are alike.
_MOST_EXACT_RANKS = 50

Interval = tuple[float, float]
_UNDEFINED: Interval = (math.nan, math.nan)


@dataclasses.dataclass(frozen=True)
class Equivalence:
    """Two one-sided paired t tests (TOST) of |mean difference| < margin · mean reference.

    Attributes:
      margin: the margin as a fraction of the reference.
      reference: mean of the reference over repeats.
      below_p_value: of the test that the difference is below +margin.
      above_p_value: of the test that the difference is above −margin.
      p_value: the larger of the two: TOST's.
      exceeds_p_value: of the opposite test, that the difference is above +margin.
      outside_p_value: of the two-sided opposite test, that it is outside ±margin (Bonferroni).
    """

    margin: float
    reference: float
    below_p_value: float
    above_p_value: float
    p_value: float
    exceeds_p_value: float
    outside_p_value: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A paired comparison: first − second, over the repeats that both have.

    Attributes:
      repeats: number of pairs.
      first_mean: mean of the first over the pairs.
      second_mean: mean of the second over the pairs.
      difference: mean of first − second.
      std: standard deviation (n − 1) of the differences.
      t_interval: Student's interval of the mean difference.
      bca_interval: bias-corrected and accelerated bootstrap interval.
      t_p_value: two-sided paired t test.
      wilcoxon_p_value: two-sided signed-rank test.
      cohens_d: mean difference over the standard deviation of the differences.
      cliffs_delta: P(first > second) − P(first < second) over all pairs of repeats.
      repeats_needed: repeats for power 0.8 at the observed effect; None where undefined.
    """

    repeats: int
    first_mean: float
    second_mean: float
    difference: float
    std: float
    t_interval: Interval
    bca_interval: Interval
    t_p_value: float
    wilcoxon_p_value: float
    cohens_d: float
    cliffs_delta: float
    repeats_needed: int | None

    def columns(self, holm_p: float, tost_p: float) -> dict[str, float | None]:
        """The comparison as columns of a table, with its corrected and its equivalence test."""
        return {
            'repeats': self.repeats,
            'difference': self.difference,
            't_low': self.t_interval[0],
            't_high': self.t_interval[1],
            'bca_low': self.bca_interval[0],
            'bca_high': self.bca_interval[1],
            't_p': self.t_p_value,
            'holm_p': holm_p,
            'wilcoxon_p': self.wilcoxon_p_value,
            'cohens_d': self.cohens_d,
            'cliffs_delta': self.cliffs_delta,
            'tost_p': tost_p,
            'repeats_needed': self.repeats_needed,
        }


def _sound(values: np.ndarray) -> bool:
    """Whether [n] values have a spread: two or more, and all of them finite."""
    return values.size > 1 and bool(np.isfinite(values).all())


def mean_interval(values: np.ndarray, confidence: float = 0.95) -> Interval:
    """Returns Student's interval of the mean of [n] values.

    NaN with fewer than two, or where one is not finite.
    """
    values = np.asarray(values, dtype=float)
    if not _sound(values):
        return _UNDEFINED
    low, high = _mean_intervals(values[None], confidence)
    return float(low[0]), float(high[0])


def _mean_intervals(rows: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns [k] lower and [k] upper ends for [k, n] values."""
    n = rows.shape[1]
    with np.errstate(over='ignore', invalid='ignore'):
        error = rows.std(axis=1, ddof=1) / math.sqrt(n)
        half = special.stdtrit(n - 1, (1 + confidence) / 2) * error
        return rows.mean(axis=1) - half, rows.mean(axis=1) + half


def prediction_interval(values: np.ndarray, repeats: int, confidence: float = 0.95) -> Interval:
    """Returns where the mean of `repeats` further repeats falls, given [n] values.

    The mean of m new draws minus that of the n at hand has variance σ²(1/n + 1/m), with σ² from
    the n at hand (Student, n − 1 degrees of freedom).
    """
    values = np.asarray(values, dtype=float)
    if not _sound(values):
        return _UNDEFINED
    with np.errstate(over='ignore', invalid='ignore'):
        spread = values.std(ddof=1) * math.sqrt(1 / values.size + 1 / repeats)
        half = special.stdtrit(values.size - 1, (1 + confidence) / 2) * spread
        return float(values.mean() - half), float(values.mean() + half)


def prediction_p_value(values: np.ndarray, repeats: int, mean: float) -> float:
    """Returns the two-sided p that `mean` is the mean of `repeats` further draws of [n] values."""
    values = np.asarray(values, dtype=float)
    if not _sound(values):
        return math.nan
    with np.errstate(over='ignore', invalid='ignore'):
        spread = values.std(ddof=1) * math.sqrt(1 / values.size + 1 / repeats)
        if spread == 0:
            return float(mean == values.mean())
        return float(2 * special.stdtr(values.size - 1, -abs(mean - values.mean()) / spread))


def bca_interval(
    values: np.ndarray, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Interval:
    """Returns the BCa bootstrap interval of the mean of [n] values.

    NaN with fewer than two, where one is not finite, or without resamples. At n = 10 it covers
    about 90 % where 95 % is asked for: the t interval is the one to decide by.
    """
    values = np.asarray(values, dtype=float)
    if not _sound(values):
        return _UNDEFINED
    low, high = _bca_intervals(values[None], confidence, resamples, seed)
    return float(low[0]), float(high[0])


def _bca_intervals(
    rows: np.ndarray, confidence: float, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns [k] lower and [k] upper ends for [k, n] values, each as if it had come alone."""
    low, high = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    if not resamples:
        return low, high
    with np.errstate(over='ignore', invalid='ignore'):
        width = np.ptp(rows, axis=1)
    low[width == 0] = high[width == 0] = rows[width == 0, 0]
    # A width that is not finite: values so far apart that float64 does not hold the difference.
    for i in np.flatnonzero((width > 0) & np.isfinite(width)):
        with warnings.catch_warnings(), np.errstate(all='ignore'):
            # How scipy says that it has no interval; NaN says it here.
            warnings.simplefilter('ignore', stats.DegenerateDataWarning)
            interval = stats.bootstrap(
                (rows[i],),
                np.mean,
                n_resamples=resamples,
                confidence_level=confidence,
                method='BCa',
                rng=np.random.default_rng(seed),
                vectorized=True,
            ).confidence_interval
        low[i], high[i] = interval.low, interval.high
    return low, high


def one_sample_p_value(values: np.ndarray, alternative: str = 'two-sided') -> float:
    """Returns the p of Student's t test of mean zero on [n] values.

    NaN with fewer than two, or where one is not finite.

    Args:
      values: [n] numbers.
      alternative: 'two-sided', 'less' or 'greater'.
    """
    values = np.asarray(values, dtype=float)
    if not _sound(values):
        return math.nan
    return float(_t_p_values(t_statistics(values[None]), values.size, alternative)[0])


def t_statistics(rows: np.ndarray) -> np.ndarray:
    """Returns Student's t of mean zero for [k, n] finite values; ±inf without spread."""
    with np.errstate(over='ignore', invalid='ignore', divide='ignore'):
        mean, error = rows.mean(axis=1), rows.std(axis=1, ddof=1) / math.sqrt(rows.shape[1])
        # Without spread the mean is known: the test degenerates to a comparison with zero.
        known = np.where(mean == 0, 0.0, np.copysign(np.inf, mean))
        return np.where(error == 0, known, mean / error)


def _t_p_values(statistics: np.ndarray, n: int, alternative: str) -> np.ndarray:
    if alternative == 'less':
        return special.stdtr(n - 1, statistics)
    if alternative == 'greater':
        return special.stdtr(n - 1, -statistics)
    return 2 * special.stdtr(n - 1, -np.abs(statistics))


def wilcoxon_p_value(differences: np.ndarray) -> float:
    """Returns the signed-rank test's two-sided p on [n] differences.

    NaN with fewer than two, or where one is not finite.
    """
    differences = np.asarray(differences, dtype=float)
    if not _sound(differences):
        return math.nan
    if not differences.any():
        return 1.0
    return float(stats.wilcoxon(differences[differences != 0]).pvalue)


def _wilcoxon_p_values(rows: np.ndarray) -> np.ndarray:
    """Returns [k] p values of [k, n] finite differences."""
    n = rows.shape[1]
    sizes = np.sort(np.abs(rows), axis=1)
    # Zeros and ties change the test, and do so for a whole array of rows.
    plain = (sizes[:, 0] > 0) & (np.diff(sizes, axis=1) > 0).all(axis=1)
    plain &= n <= _MOST_EXACT_RANKS
    found = np.full(len(rows), np.nan)
    if plain.any():
        found[plain] = stats.wilcoxon(rows[plain], method='exact', axis=1).pvalue
    for i in np.flatnonzero(~plain):
        found[i] = wilcoxon_p_value(rows[i])
    return found


def cliffs_delta(first: np.ndarray, second: np.ndarray) -> float:
    """Returns P(first > second) − P(first < second) over all pairs of [n] and [m] values."""
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if not (first.size and second.size):
        return math.nan
    # By comparison, not by the sign of a difference: infinite values have an order too.
    above = first[:, None] > second[None, :]
    below = first[:, None] < second[None, :]
    return float((above.astype(float) - below).mean())


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


def power(
    effect: float, repeats: int, alpha: float = 0.05, alternative: str = 'two-sided'
) -> float:
    """Returns the power of a one-sample t test.

    Args:
      effect: mean over standard deviation (Cohen's d of the differences).
      repeats: number of pairs, at least 2.
      alpha: level of the test.
      alternative: 'two-sided' or 'larger'.
    """
    return float(
        _powers(np.array([effect]), np.array([repeats]), np.array([alpha]), alternative)[0]
    )


def _powers(
    effects: np.ndarray, repeats: np.ndarray, alphas: np.ndarray, alternative: str
) -> np.ndarray:
    """Returns [k] powers: the noncentral t beyond the critical value, on both sides if asked."""
    freedom, shift = repeats - 1, effects * np.sqrt(repeats)
    critical = -special.stdtrit(freedom, alphas / (2 if alternative == 'two-sided' else 1))
    above = stats.nct.sf(critical, freedom, shift)
    if alternative != 'two-sided':
        return above
    # The lower tail as the upper one of −T: scipy's lower tail is NaN where it all but vanishes.
    return above + stats.nct.sf(critical, freedom, -shift)


def repeats_needed(
    effect: float, alpha: float = 0.05, alternative: str = 'two-sided', wanted: float = POWER
) -> int | None:
    """Returns the fewest repeats at which a t test has power `wanted`; None above 10,000.

    The observed effect stands for the true one, so this is an order of magnitude, not a promise.
    """
    return _repeats_needed(np.array([effect]), np.array([alpha]), alternative, wanted)[0]


def _repeats_needed(
    effects: np.ndarray, alphas: np.ndarray, alternative: str, wanted: float = POWER
) -> list[int | None]:
    """Returns the fewest repeats for [k] effects, each at its own level."""
    # From an effect without a direction nothing follows; one of the wrong direction is never shown.
    usable = ~np.isnan(effects) & ((alternative == 'two-sided') | (effects > 0))
    pairs = np.stack([np.minimum(np.abs(effects), _LARGEST_EFFECT), alphas], axis=1)[usable]
    # Many comparisons share an effect: no difference at all, or one without spread.
    distinct, place = np.unique(pairs, axis=0, return_inverse=True)
    place = place.ravel()
    effect, alpha = distinct[:, 0], distinct[:, 1]
    low = np.ones(len(distinct), dtype=int)
    high = np.full(len(distinct), MOST_REPEATS)
    enough = _powers(effect, high, alpha, alternative) >= wanted
    # Power grows with the repeats: halve the range until it holds one number.
    while (high - low > 1).any():
        middle = np.maximum((low + high) // 2, 2)
        reached = _powers(effect, middle, alpha, alternative) >= wanted
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    found: list[int | None] = [None] * len(effects)
    for i, j in zip(np.flatnonzero(usable), place, strict=True):
        found[i] = int(high[j]) if enough[j] else None
    return found


def _effects(rows: np.ndarray) -> np.ndarray:
    """Returns [k] mean over standard deviation of [k, n] finite values; ±inf without spread."""
    with np.errstate(over='ignore', invalid='ignore', divide='ignore'):
        mean, std = rows.mean(axis=1), rows.std(axis=1, ddof=1)
        return np.where(std == 0, np.where(mean == 0, 0.0, np.copysign(np.inf, mean)), mean / std)


def _effect(differences: np.ndarray) -> float:
    return float(_effects(differences[None])[0]) if _sound(differences) else math.nan


def compare(
    first: np.ndarray,
    second: np.ndarray,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
    tests: int = 1,
) -> Comparison:
    """Compares two conditions repeat by repeat.

    Args:
      first: [n] values, one a repeat.
      second: [n] values of the same repeats in the same order.
      confidence: of both intervals; 1 − confidence is the level that power is computed at.
      resamples: bootstrap resamples; 0 leaves the bootstrap out.
      seed: of the bootstrap.
      tests: how many comparisons Holm's correction runs over; the repeats needed are those of its
        first, strictest step.
    """
    (found,) = compare_many([(first, second)], confidence, resamples, seed, [tests])
    return found


def compare_many(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
    tests: Sequence[int] | None = None,
) -> list[Comparison]:
    """Returns for each pair what `compare` returns for it, at a fraction of the cost.

    Args:
      pairs: (first, second), each [n]; n may differ from pair to pair.
      confidence: see `compare`.
      resamples: see `compare`.
      seed: see `compare`.
      tests: for each pair the size of its family; 1 where not given.
    """
    arrays = [
        (np.asarray(first, dtype=float), np.asarray(second, dtype=float)) for first, second in pairs
    ]
    sizes = [1] * len(arrays) if tests is None else list(tests)
    found: dict[int, Comparison] = {}
    alike: dict[int, list[int]] = {}
    for i, (first, second) in enumerate(arrays):
        if _sound(first) and _sound(second):
            alike.setdefault(first.size, []).append(i)
        else:
            found[i] = _undefined(first, second)
    for indices in alike.values():
        first, second = (np.stack([arrays[i][side] for i in indices]) for side in (0, 1))
        with np.errstate(over='ignore', invalid='ignore'):
            differences = first - second
            levels = (1 - confidence) / np.array([sizes[i] for i in indices])
            columns = {
                'first_mean': first.mean(axis=1),
                'second_mean': second.mean(axis=1),
                'difference': differences.mean(axis=1),
                'std': differences.std(axis=1, ddof=1),
                't_p_value': _t_p_values(t_statistics(differences), first.shape[1], 'two-sided'),
                'wilcoxon_p_value': _wilcoxon_p_values(differences),
                'cohens_d': _effects(differences),
            }
        t_low, t_high = _mean_intervals(differences, confidence)
        bca_low, bca_high = _bca_intervals(differences, confidence, resamples, seed)
        needed = _repeats_needed(columns['cohens_d'], levels, 'two-sided')
        for row, i in enumerate(indices):
            found[i] = Comparison(
                repeats=first.shape[1],
                t_interval=(float(t_low[row]), float(t_high[row])),
                bca_interval=(float(bca_low[row]), float(bca_high[row])),
                cliffs_delta=cliffs_delta(first[row], second[row]),
                repeats_needed=needed[row],
                **{name: float(column[row]) for name, column in columns.items()},
            )
    return [found[i] for i in range(len(arrays))]


def _undefined(first: np.ndarray, second: np.ndarray) -> Comparison:
    """Returns what is left to say where there is no spread: the means."""
    finite = bool(first.size and np.isfinite(first).all() and np.isfinite(second).all())
    with np.errstate(over='ignore', invalid='ignore'):
        difference = float((first - second).mean()) if finite else math.nan
    return Comparison(
        repeats=first.size,
        first_mean=float(first.mean()) if finite else math.nan,
        second_mean=float(second.mean()) if finite else math.nan,
        difference=difference,
        std=math.nan,
        t_interval=_UNDEFINED,
        bca_interval=_UNDEFINED,
        t_p_value=math.nan,
        wilcoxon_p_value=math.nan,
        cohens_d=math.nan,
        cliffs_delta=cliffs_delta(first, second) if finite else math.nan,
        repeats_needed=None,
    )


def equivalence(
    first: np.ndarray, second: np.ndarray, reference: np.ndarray, margin: float
) -> Equivalence:
    """Tests whether first and second differ by less than `margin` times the reference.

    The reference is itself an estimate: testing the mean of d_k ± margin · r_k, repeat by repeat,
    carries its uncertainty along (Fieller), where a fixed margin would not.

    Args:
      first: [n] values, one a repeat.
      second: [n] values of the same repeats.
      reference: [n] values of the same repeats that the margin is a fraction of.
      margin: the fraction.
    """
    (found,) = equivalence_many([(first, second, reference)], margin)
    return found


def equivalence_many(
    triples: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], margin: float
) -> list[Equivalence]:
    """Returns for each (first, second, reference) what `equivalence` returns for it."""
    found: dict[int, Equivalence] = {}
    alike: dict[int, list[int]] = {}
    arrays = [tuple(np.asarray(part, dtype=float) for part in triple) for triple in triples]
    for i, parts in enumerate(arrays):
        if all(map(_sound, parts)):
            alike.setdefault(parts[0].size, []).append(i)
        else:
            known = parts[2].size and np.isfinite(parts[2]).all()
            mean = float(parts[2].mean()) if known else math.nan
            found[i] = Equivalence(margin, mean, *[math.nan] * 5)
    for n, indices in alike.items():
        first, second, reference = (
            np.stack([arrays[i][side] for i in indices]) for side in range(3)
        )
        with np.errstate(over='ignore', invalid='ignore'):
            differences, allowance = first - second, margin * reference
            upper = t_statistics(differences - allowance)
            lower = t_statistics(differences + allowance)
            means = reference.mean(axis=1)
        below, exceeds = _t_p_values(upper, n, 'less'), _t_p_values(upper, n, 'greater')
        above, undercuts = _t_p_values(lower, n, 'greater'), _t_p_values(lower, n, 'less')
        outside = np.minimum(1.0, 2 * np.minimum(exceeds, undercuts))
        columns = (means, below, above, np.maximum(below, above), exceeds, outside)
        for row, i in enumerate(indices):
            found[i] = Equivalence(margin, *(float(column[row]) for column in columns))
    return [found[i] for i in range(len(arrays))]


def repeats_needed_for_margin(
    first: np.ndarray,
    second: np.ndarray,
    reference: np.ndarray,
    margin: float,
    alpha: float,
    two_sided: bool = True,
) -> tuple[int | None, str]:
    """Returns how many repeats would decide a margin, and which way the data lean.

    Args:
      first: [n] values.
      second: [n] values of the same repeats.
      reference: [n] values that the margin is a fraction of.
      margin: the fraction.
      alpha: level of each one-sided test.
      two_sided: whether first < second by more than the margin is outside it too; then showing that
        a difference is outside takes two tests, each at half the level.

    Returns:
      Repeats for power 0.8 at the observed effect (None above 10,000) and 'inside' or 'outside'.
    """
    arrays = [np.asarray(part, dtype=float) for part in (first, second, reference)]
    if not all(map(_sound, arrays)):
        return None, 'outside'
    with np.errstate(over='ignore', invalid='ignore'):
        differences, allowance = arrays[0] - arrays[1], margin * arrays[2]
        nearer = differences if differences.mean() >= 0 or not two_sided else -differences
        effect = _effect(allowance - nearer)
    inside = effect > 0
    level = alpha / 2 if two_sided and not inside else alpha
    return repeats_needed(abs(effect), level, 'larger'), 'inside' if inside else 'outside'
