"""Strata: which of the test targets a training law has how much of."""

import numpy as np

from imbreg_jax.study import Distribution


def strata(law: Distribution, generating: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of images by what training had of their generating values.

    Args:
      law: the law of the training targets.
      generating: [..., n] generating values of test images.

    Returns:
      {'seen': [..., n], 'unseen': [..., n]} bool: whether the law has any mass about the value,
      within a thousandth of the range of nearly all of its targets.
    """
    values = np.asarray(generating, np.float64)
    low, high = law.ppf([0.001, 0.999])
    about = 0.001 * max(high - low, 1e-6)
    seen = law.cdf(values + about) > law.cdf(values - about)
    return {'seen': seen, 'unseen': ~seen}
