"""How relevant a target is, from 0 to 1: what SERA, weights and resampling mean by rare.

Relevance φ runs through control points along monotone cubics with level ends (Ribeiro, "Utility-
based regression", 2011; Fritsch and Carlson, "Monotone piecewise cubic interpolation", 1980).
The points are given by hand, or follow from a box plot of the training targets (Ribeiro and Moniz,
"Imbalanced regression and extreme value prediction", Machine Learning 109, 2020): 1 at a whisker
beyond which there are targets, 0 at the median. On a side without such extremes nothing is
relevant; without any, as of a uniform law, a box plot leaves relevance undefined.

    found = relevance.control_points(targets)          # [N] -> [P, 2]
    phi = relevance.relevance(other_targets, found)    # [...] -> [...]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from imbreg_jax.study.arrays import checked_targets
from imbreg_jax.study.laws import Distribution

# (target, relevance) of each control point.
Points: TypeAlias = Sequence[tuple[float, float]] | np.ndarray

# Whiskers end within so many heights of the box.
REACH = 1.5
# How skewness moves the fences of an adjusted box plot (Hubert and Vandervieren 2008, table 1).
_NEAR, _FAR = 4.0, 3.0
# Of an interval of length 2, until no number is between its ends.
_HALVINGS = 54
# Its inverse is a number, times any target too.
_STEP = 1e-280
RULE = (
    'two or more pairs (target, relevance), targets rising, relevance from 0 to 1 and somewhere '
    'above 0, such as ((1, 1), (5.5, 0), (10, 1))'
)
NOWHERE = (
    'the control points give none of the training targets any relevance; give others, or none for '
    'those of a box plot'
)
ALIKE = (
    'the control points give all training targets the same relevance, so that all would have the '
    'same weight; give others, or none for those of a box plot'
)
_SIDES = {'both': (True, True), 'low': (True, False), 'high': (False, True)}
_BEYOND = {
    'both': 'outside of the whiskers of a box plot',
    'low': 'below the lower whisker of a box plot',
    'high': 'above the upper whisker of a box plot',
}
# Of so many expected there is none with a probability of e**-14, a millionth.
_FEWEST = 14
# A law as a box plot sees it.
_LEVELS = (np.arange(1001) + 0.5) / 1001


def control_points(
    targets: ArrayLike,
    by_hand: Points = (),
    sides: str = 'both',
    reach: float = REACH,
    adjusted: bool = False,
) -> np.ndarray:
    """Where relevance is known: given by hand, or of a box plot.

    Args:
      targets: [N] training targets.
      by_hand: (target, relevance) of each point, targets rising; empty for those of a box plot.
      sides: which extremes of a box plot are relevant: 'both', 'low' or 'high'.
      reach: of a box plot's whiskers, in heights of its box.
      adjusted: whether the whiskers follow the targets' skewness; see `whiskers`.

    Returns:
      [P, 2] float64: targets, and their relevance.

    Raises:
      ValueError: with a sentence, where there are none.
    """
    if len(by_hand):
        return checked(by_hand)
    targets = checked_targets(targets)
    lower, median, upper = whiskers(targets, reach=reach, adjusted=adjusted)
    low, high = _SIDES[sides]
    found = _of_whiskers(lower if low else np.nan, median, upper if high else np.nan)
    if len(found) == 1:
        raise _none(f'no training target lies {_BEYOND[sides]}', targets)
    return found


def _none(what: str, targets: np.ndarray) -> ValueError:
    """What is said where a box plot gives no relevance, with points for such targets [N]."""
    low, median, high = targets.min(), np.median(targets), targets.max()
    text = f'{what}, and a box plot calls nothing else relevant; give control points by hand'
    points = [(low, 1), (median, 0), (high, 1)]
    if not low < median < high:
        # Half of them or more lie at an end: the other is what is rare.
        points = [(low, int(median == high)), (high, int(median == low))]
    if low < high:
        said = ', '.join(f'({target:.4g}, {phi})' for target, phi in points)
        text += f', as in points=({said})'
    return ValueError(text)


def check_law(
    law: Distribution,
    count: int,
    by_hand: Points = (),
    sides: str = 'both',
    reach: float = REACH,
    adjusted: bool = False,
) -> None:
    """Refuses a law of whose training targets a box plot may leave none relevant.

    Args:
      law: of the training targets.
      count: how many they are.
      by_hand: see `control_points`.
      sides: see there.
      reach: see there.
      adjusted: see there.

    Raises:
      ValueError: with a sentence, where so few are expected outside of the whiskers that there may
        be none, with a probability of more than a millionth; or points by hand give all the same
        relevance.
    """
    if not law.known:
        return
    shown = law.ppf(_LEVELS)
    if len(by_hand):
        refuse_useless(relevance(shown, checked(by_hand)))
        return
    low, _, high = np.ravel(fences(shown, reach=reach, adjusted=adjusted))
    below, above = _SIDES[sides]
    share = below * float(law.cdf(low)) + above * (1.0 - float(law.cdf(high)))
    if share * count < _FEWEST:
        expected = f'{share * count:.2g} of {count} training targets are expected to lie'
        raise _none(f'{expected} {_BEYOND[sides]}', shown)


def refuse_useless(phi: np.ndarray) -> None:
    """Refuses relevance [N] by which no training target differs from another.

    Raises:
      ValueError: with a sentence.
    """
    if not phi.any():
        raise ValueError(NOWHERE)
    if phi.min() == phi.max():
        raise ValueError(ALIKE)


def checked(points: Points) -> np.ndarray:
    """Control points [P, 2] that were given by hand, if they are some.

    Raises:
      ValueError: with a sentence.
    """
    try:
        found = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    right = (
        found.ndim == 2
        and found.shape[1] == 2
        and len(found) >= 2
        and np.isfinite(found).all()
        and (np.diff(found[:, 0]) > 0).all()
        and ((found[:, 1] >= 0) & (found[:, 1] <= 1)).all()
        and (found[:, 1] > 0).any()
    )
    if not right:
        raise ValueError(f'control points must be {RULE}')
    return found


def relevance(targets: ArrayLike, points: Points, variant: str = 'paper') -> np.ndarray:
    """The relevance of targets by control points.

    Beyond the first and last point it stays what it is there. The curve has no turns but at points.

    Args:
      targets: [...], any targets.
      points: [P, 2] of `control_points`, or pairs by hand.
      variant: 'paper', or 'published' for the R package UBL (paobranco/UBL, phi of method 'range'),
        which lets the curve pass a point that is a turn at the mean of both slopes: it then leaves
        [0, 1] a little. Without such points, or if both slopes are opposite and equal, they agree.

    Returns:
      [...] float64.
    """
    values = np.asarray(targets, np.float64)
    x, y = np.asarray(points, np.float64).T
    slopes = _slopes(x, y, turns_level=variant == 'paper')
    place = np.clip(np.searchsorted(x, values, side='right') - 1, 0, len(x) - 2)
    width = (x[1:] - x[:-1])[place]
    way = np.clip((values - x[place]) / width, 0.0, 1.0)
    # Hermite's cubics: two that run between the ends, two that have their slopes.
    rise = way**2 * (3.0 - 2.0 * way)
    bend = slopes[place] * (1.0 - way) - slopes[place + 1] * way
    found = y[place] + (y[place + 1] - y[place]) * rise + width * way * (1.0 - way) * bend
    return np.clip(found, 0.0, 1.0) if variant == 'paper' else found


def _slopes(x: np.ndarray, y: np.ndarray, turns_level: bool) -> np.ndarray:
    """Slopes [P] at points with which the cubics between them are monotone, level at both ends."""
    secants = np.diff(y) / np.diff(x)
    slopes = np.zeros(len(x))
    slopes[1:-1] = (secants[:-1] + secants[1:]) / 2
    if turns_level:
        slopes[1:-1][secants[:-1] * secants[1:] <= 0] = 0.0
    for k, secant in enumerate(secants):
        if secant == 0:
            slopes[k : k + 2] = 0.0
            continue
        # The published code turns a slope round that is against its secant, for its next too.
        pair = np.abs(slopes[k : k + 2] / secant)
        slopes[k : k + 2] = pair * secant
        first, second = 2 * pair[0] + pair[1] - 3, pair[0] + 2 * pair[1] - 3
        # Outside of the region of monotone cubics: back onto a circle within it.
        if first > 0 and second > 0 and pair[0] * (first + second) < first**2:
            slopes[k : k + 2] = 3 * secant * pair / np.sqrt(np.sum(pair**2))
    return slopes


def by_whiskers(targets: ArrayLike, found: ArrayLike) -> np.ndarray:
    """The relevance [...] of targets [...] by `whiskers` [3]; nan where it is undefined."""
    points = _of_whiskers(*np.asarray(found, np.float64))
    if len(points) == 1:
        return np.full(np.shape(targets), np.nan)
    return relevance(targets, points)


def _of_whiskers(lower: float, median: float, upper: float) -> np.ndarray:
    """Control points [1 to 3, 2], of whiskers that are there."""
    points = [(median, 0.0)]
    # A whisker on the median: relevant at once beyond it, which float64 has to tell apart.
    step = max(np.spacing(abs(median)), _STEP)
    if not np.isnan(lower):
        points = [(min(lower, median - step), 1.0), *points]
    if not np.isnan(upper):
        points = [*points, (max(upper, median + step), 1.0)]
    return np.array(points)


def whiskers(
    targets: ArrayLike,
    reach: float = REACH,
    quartiles: str = 'midpoint',
    adjusted: bool = False,
) -> np.ndarray:
    """The whiskers and the median of a box plot, where relevance is 1, 0 and 1 again.

    Args:
      targets: [..., N] of the training images.
      reach: how far whiskers may reach from the box, in its heights.
      quartiles: 'midpoint' of two neighbouring targets, as SERA's authors have them
        (paobranco/ImbalanceMetrics), or 'hinges', the medians of both halves, as R has them (UBL).
      adjusted: whether reach follows the skewness of the targets (Hubert and Vandervieren, "An
        adjusted boxplot for skewed distributions", 2008).

    Returns:
      [..., 3] float64: the lower whisker, the median and the upper whisker, with nan for a whisker
      beyond which there is no target.
    """
    targets = np.asarray(targets, np.float64)
    low, median, high = fences(targets, reach, quartiles, adjusted)
    below, above = targets < low, targets > high
    whisker = np.where(below, np.inf, targets).min(-1), np.where(above, -np.inf, targets).max(-1)
    lower, upper = (
        np.where(beyond.any(-1), end, np.nan)
        for beyond, end in zip((below, above), whisker, strict=True)
    )
    return np.stack([lower, median[..., 0], upper], axis=-1)


def fences(
    targets: ArrayLike,
    reach: float = REACH,
    quartiles: str = 'midpoint',
    adjusted: bool = False,
) -> np.ndarray:
    """[3, ..., 1]: where targets [..., N] begin to be extreme below, their median, and above."""
    targets = np.asarray(targets, np.float64)
    low, median, high = _quartiles(targets, quartiles)
    down = up = np.full(low.shape, float(reach))
    if adjusted:
        skewness = np.apply_along_axis(medcouple, -1, targets)[..., None]
        short, far = np.exp(-_NEAR * np.abs(skewness)), np.exp(_FAR * np.abs(skewness))
        down = reach * np.where(skewness >= 0, short, far)
        up = reach * np.where(skewness >= 0, far, short)
    return np.stack([low - down * (high - low), median, high + up * (high - low)])


def _quartiles(targets: np.ndarray, how: str) -> np.ndarray:
    """[3, ..., 1]: the quartiles of targets [..., N]."""
    if how == 'midpoint':
        return np.quantile(targets, [0.25, 0.5, 0.75], axis=-1, keepdims=True, method='midpoint')
    ordered = np.sort(targets, axis=-1)
    half = (ordered.shape[-1] + 1) // 2
    parts = ordered[..., :half], ordered, ordered[..., -half:]
    return np.stack([np.median(part, axis=-1, keepdims=True) for part in parts])


def medcouple(targets: ArrayLike) -> float:
    """The medcouple of targets [N]: their skewness, from -1 to 1, that no few of them decide.

    Brys, Hubert and Struyf, "A robust measure of skewness" (2004): the median over all pairs of one
    target above the median and one below of (a - b) / (a + b), where a and b are their distances
    from it. It is found by halving, since how many pairs are below a number is soon counted.
    """
    values = np.asarray(targets, np.float64)
    values = values - np.median(values)
    above, below = np.sort(values[values >= 0]), np.sort(-values[values <= 0])
    # Of pairs of two targets on the median as many count -1 as 1; a target with itself counts 0.
    level = int((values == 0).sum())
    apart = level * (level - 1) // 2

    def at_most(number: float) -> int:
        """How many pairs are at most that."""
        ratio = (1.0 - number) / max(1.0 + number, 1e-300)
        more = np.searchsorted(below, above * ratio, side='left')
        # Pairs of two on the median are counted apart, and a pair of one of them is -1.
        more[above == 0] = level
        counted = above.size * below.size - int(more.sum())
        return counted + apart * (1 + (number >= 1)) + level * (number >= 0)

    def ranked(rank: int) -> float:
        low, high = -1.0, 1.0
        if at_most(low) >= rank:
            return low
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if at_most(middle) >= rank else (middle, high)
        return high

    pairs = above.size * below.size
    middle = ranked((pairs + 1) // 2)
    return middle if pairs % 2 else (middle + ranked(pairs // 2 + 1)) / 2
