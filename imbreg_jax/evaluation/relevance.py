"""How relevant a target is: 0 about the median of the training targets, 1 where they are extreme.

The automatic method of Ribeiro (2011) and of Ribeiro and Moniz, "Imbalanced regression and extreme
value prediction", Machine Learning 109 (2020): extreme is what a box plot draws beyond its
whiskers, and between the median and a whisker relevance rises along a cubic with level ends. On a
side without extremes nothing is relevant; without any, relevance is undefined.
"""

import numpy as np

# Whiskers end within so many heights of the box.
_REACH = 1.5


def points(targets: np.ndarray) -> np.ndarray:
    """Where relevance is 1, 0 and 1 again.

    Args:
      targets: [..., N] of the training images.

    Returns:
      [..., 3] float64: the lower whisker, the median and the upper whisker, with nan for a whisker
      beyond which there is no target.
    """
    targets = np.asarray(targets, np.float64)
    # Midpoints, as the authors' package has them.
    low, median, high = np.quantile(
        targets, [0.25, 0.5, 0.75], axis=-1, keepdims=True, method='midpoint'
    )
    reach = _REACH * (high - low)
    below, above = targets < low - reach, targets > high + reach
    whisker = np.where(below, np.inf, targets).min(-1), np.where(above, -np.inf, targets).max(-1)
    lower, upper = (
        np.where(beyond.any(-1), end, np.nan)
        for beyond, end in zip((below, above), whisker, strict=True)
    )
    return np.stack([lower, median[..., 0], upper], axis=-1)


def relevance(targets: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The relevance [..., n] of targets [..., n] by `points` [3]; nan where it is undefined."""
    lower, median, upper = found
    values = np.asarray(targets, np.float64)
    if np.isnan(lower) and np.isnan(upper):
        return np.full(values.shape, np.nan)
    whisker = np.where(values < median, lower, upper)
    with np.errstate(divide='ignore', invalid='ignore'):
        way = np.clip((values - median) / (whisker - median), 0.0, 1.0)
    # A whisker on the median: relevant at once beyond it.
    way = np.where(whisker == median, values != median, way)
    return np.where(np.isnan(whisker), 0.0, way**2 * (3.0 - 2.0 * way))
