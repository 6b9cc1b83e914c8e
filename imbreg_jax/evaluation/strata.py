"""Strata: which of the test targets a training law has how much of."""

import numpy as np

from imbreg_jax.study import Distribution


def strata(law: Distribution, generating: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of images by what training had of their generating values.

    Args:
      law: the law of the training targets.
      generating: [..., n] generating values of test images.

    Returns:
      {'seen': [..., n], 'unseen': [..., n]} bool: whether the law has any mass between its least
      and greatest target where the value lies.
    """
    low, high = law.support
    values = np.asarray(generating, np.float64)
    seen = (values >= low) & (values <= high)
    return {'seen': seen, 'unseen': ~seen}
