"""Strata: which of the test targets a training law has how much of, and where they lie."""

from collections.abc import Sequence

import numpy as np

from imbreg_jax.study import Distribution

# Bins of equal width of a test law's range. Ten tell apart where in it a network errs, and leave in
# the rarest bin of a normal law some 35 of 5,000 images, whose MSE is right to a quarter.
BINS = 10
# A law without an end is binned between these of its quantiles; its tails are in the outer bins.
_NEARLY_ALL = (0.001, 0.999)
# Of the training targets, within half a unit of the value. Yang et al., "Delving into deep
# imbalanced regression" (2021), have more than 100 or fewer than 20 of the 12,208 images of
# AgeDB-DIR in a bin of one unit; as shares they mean the same for any number of images, and about
# the value itself it matters not where bins begin.
MANY, FEW = 100 / 12_208, 20 / 12_208


def strata(
    law: Distribution | None,
    tests: Sequence[Distribution],
    generating: np.ndarray,
    relevance: np.ndarray | float = np.nan,
) -> dict[str, np.ndarray]:
    """What there is to know of test images for their errors to be told apart.

    Args:
      law: the law of the training targets; None for what was not trained, of which no image is in
        any stratum.
      tests: the T test laws.
      generating: [T, n] generating values of test images.
      relevance: [T, n] of their targets, see `study.relevance`.

    Returns:
      [T, n] each. Masks by what training had of the generating value: `seen` and `unseen`, whether
      the law has any mass about it, within a thousandth of the range of nearly all of its targets;
      of what is seen, `many`, `few` and `medium` by the law's share within half a unit of the
      value (above `MANY`, below `FEW`, between); of what is unseen, `interpolation` between
      targets that training had, and `extrapolation`. Beside them `bin` (which of `BINS` of the test
      law's range) and `relevance`.
    """
    values = np.asarray(generating, np.float64)
    found = {
        'bin': np.stack([_bins(test, row) for test, row in zip(tests, values, strict=True)]),
        'relevance': np.broadcast_to(relevance, values.shape),
    }
    return found | _shots(law, values)


def _bins(law: Distribution, values: np.ndarray) -> np.ndarray:
    low, high = np.where(np.isfinite(law.support), law.support, law.ppf(_NEARLY_ALL))
    return np.searchsorted(np.linspace(low, high, BINS + 1)[1:-1], values, 'right')


def _shots(law: Distribution | None, values: np.ndarray) -> dict[str, np.ndarray]:
    if law is None:
        names = ('seen', 'unseen', 'many', 'medium', 'few', 'interpolation', 'extrapolation')
        return dict.fromkeys(names, np.zeros(values.shape, bool))
    low, high = law.ppf(_NEARLY_ALL)
    about = 0.001 * max(high - low, 1e-6)
    seen = law.cdf(values + about) > law.cdf(values - about)
    share = law.cdf(values + 0.5) - law.cdf(values - 0.5)
    many, few = seen & (share > MANY), seen & (share < FEW)
    least, most = law.support
    between = (values > least) & (values < most)
    return {
        'seen': seen,
        'unseen': ~seen,
        'many': many,
        'medium': seen & ~many & ~few,
        'few': few,
        'interpolation': ~seen & between,
        'extrapolation': ~seen & ~between,
    }
