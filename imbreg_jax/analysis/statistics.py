"""Interval estimates, paired comparisons, equivalence and power.

Everything is paired by repeat: repeat k of two conditions shares its initial network, noise
images, shuffles and masks. Numbers come from scipy and statsmodels; nothing is drawn without a
seed.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

POWER = 0.8
MOST_REPEATS = 10_000

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


def mean_interval(values: np.ndarray, confidence: float = 0.95) -> Interval:
    """Returns Student's interval of the mean of [n] values; NaN with fewer than two."""
    values = np.asarray(values, dtype=float)
    if values.size < 2:
        return _UNDEFINED
    half = stats.t.ppf((1 + confidence) / 2, values.size - 1) * stats.sem(values)
    return float(values.mean() - half), float(values.mean() + half)


def prediction_interval(values: np.ndarray, repeats: int, confidence: float = 0.95) -> Interval:
    """Returns where the mean of `repeats` further repeats falls, given [n] values.

    The mean of m new draws minus that of the n at hand has variance σ²(1/n + 1/m), with σ² from
    the n at hand (Student, n − 1 degrees of freedom).
    """
    values = np.asarray(values, dtype=float)
    if values.size < 2:
        return _UNDEFINED
    spread = values.std(ddof=1) * math.sqrt(1 / values.size + 1 / repeats)
    half = stats.t.ppf((1 + confidence) / 2, values.size - 1) * spread
    return float(values.mean() - half), float(values.mean() + half)


def prediction_p_value(values: np.ndarray, repeats: int, mean: float) -> float:
    """Returns the two-sided p that `mean` is the mean of `repeats` further draws of [n] values."""
    values = np.asarray(values, dtype=float)
    if values.size < 2:
        return math.nan
    spread = values.std(ddof=1) * math.sqrt(1 / values.size + 1 / repeats)
    if spread == 0:
        return float(mean == values.mean())
    return float(2 * stats.t.sf(abs(mean - values.mean()) / spread, values.size - 1))


def bca_interval(
    values: np.ndarray, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Interval:
    """Returns the BCa bootstrap interval of the mean of [n] values; NaN with fewer than two.

    At n = 10 it covers about 90 % where 95 % is asked for: the t interval is the one to decide by.
    """
    values = np.asarray(values, dtype=float)
    if values.size < 2:
        return _UNDEFINED
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    result = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=resamples,
        confidence_level=confidence,
        method='BCa',
        rng=np.random.default_rng(seed),
        vectorized=True,
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def one_sample_p_value(values: np.ndarray, alternative: str = 'two-sided') -> float:
    """Returns the p of Student's t test of mean zero on [n] values; NaN with fewer than two.

    Args:
      values: [n] numbers.
      alternative: 'two-sided', 'less' or 'greater'.
    """
    values = np.asarray(values, dtype=float)
    if values.size < 2:
        return math.nan
    mean, error = values.mean(), stats.sem(values)
    if error == 0:
        # Without spread the mean is known: the test degenerates to a comparison with zero.
        statistic = 0.0 if mean == 0 else math.copysign(math.inf, mean)
    else:
        statistic = mean / error
    freedom = values.size - 1
    if alternative == 'less':
        return float(stats.t.cdf(statistic, freedom))
    if alternative == 'greater':
        return float(stats.t.sf(statistic, freedom))
    return float(2 * stats.t.sf(abs(statistic), freedom))


def wilcoxon_p_value(differences: np.ndarray) -> float:
    """Returns the signed-rank test's two-sided p on [n] differences; NaN with fewer than two."""
    differences = np.asarray(differences, dtype=float)
    if differences.size < 2:
        return math.nan
    if not differences.any():
        return 1.0
    return float(stats.wilcoxon(differences[differences != 0]).pvalue)


def cliffs_delta(first: np.ndarray, second: np.ndarray) -> float:
    """Returns P(first > second) − P(first < second) over all pairs of [n] and [m] values."""
    signs = np.sign(np.asarray(first)[:, None] - np.asarray(second)[None, :])
    return float(signs.mean()) if signs.size else math.nan


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
    # Imported here: the main job needs tables only and should not wait for statsmodels.
    from statsmodels.stats import power as statsmodels_power

    found = statsmodels_power.TTestPower().power(effect, repeats, alpha, alternative=alternative)
    return float(found)


def repeats_needed(
    effect: float, alpha: float = 0.05, alternative: str = 'two-sided', wanted: float = POWER
) -> int | None:
    """Returns the fewest repeats at which a t test has power `wanted`; None above 10,000.

    The observed effect stands for the true one, so this is an order of magnitude, not a promise.
    """
    if math.isnan(effect) or (alternative == 'larger' and effect <= 0):
        return None
    effect = abs(effect)
    # Beyond this noncentrality the power is 1 to rounding, and its series fails to converge.
    effect = min(effect, 20.0)
    if power(effect, MOST_REPEATS, alpha, alternative) < wanted:
        return None
    low, high = 1, 2
    while power(effect, high, alpha, alternative) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if power(effect, middle, alpha, alternative) < wanted:
            low = middle
        else:
            high = middle
    return high


def _effect(differences: np.ndarray) -> float:
    if differences.size < 2:
        return math.nan
    mean, std = differences.mean(), differences.std(ddof=1)
    if std == 0:
        return 0.0 if mean == 0 else math.copysign(math.inf, mean)
    return float(mean / std)


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
      resamples: bootstrap resamples.
      seed: of the bootstrap.
      tests: how many comparisons Holm's correction runs over; the repeats needed are those of its
        first, strictest step.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    differences = first - second
    effect = _effect(differences)
    return Comparison(
        repeats=differences.size,
        first_mean=float(first.mean()) if first.size else math.nan,
        second_mean=float(second.mean()) if second.size else math.nan,
        difference=float(differences.mean()) if differences.size else math.nan,
        std=float(differences.std(ddof=1)) if differences.size > 1 else math.nan,
        t_interval=mean_interval(differences, confidence),
        bca_interval=bca_interval(differences, confidence, resamples, seed),
        t_p_value=one_sample_p_value(differences),
        wilcoxon_p_value=wilcoxon_p_value(differences),
        cohens_d=effect,
        cliffs_delta=cliffs_delta(first, second),
        repeats_needed=(
            repeats_needed(effect, (1 - confidence) / tests) if differences.size > 1 else None
        ),
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
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    allowance = margin * np.asarray(reference, dtype=float)
    below = one_sample_p_value(differences - allowance, 'less')
    above = one_sample_p_value(differences + allowance, 'greater')
    exceeds = one_sample_p_value(differences - allowance, 'greater')
    undercuts = one_sample_p_value(differences + allowance, 'less')
    return Equivalence(
        margin=margin,
        reference=float(np.mean(reference)) if differences.size else math.nan,
        below_p_value=below,
        above_p_value=above,
        p_value=max(below, above) if differences.size > 1 else math.nan,
        exceeds_p_value=exceeds,
        outside_p_value=min(1.0, 2 * min(exceeds, undercuts)) if differences.size > 1 else math.nan,
    )


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
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    allowance = margin * np.asarray(reference, dtype=float)
    nearer = differences if differences.mean() >= 0 or not two_sided else -differences
    effect = _effect(allowance - nearer)
    inside = effect > 0
    level = alpha / 2 if two_sided and not inside else alpha
    return repeats_needed(abs(effect), level, 'larger'), 'inside' if inside else 'outside'
