"""Training targets that somebody hands over, as what counts and weighs them needs them."""

import numpy as np
from numpy.typing import ArrayLike


def checked_targets(targets: ArrayLike) -> np.ndarray:
    """Targets [N] as float64.

    Raises:
      ValueError: with a sentence, where they are not one finite number an image.
    """
    found = np.asarray(targets, np.float64)
    if found.ndim != 1:
        raise ValueError(
            f'targets have the shape {found.shape}; they must be one number an image, [N], as '
            'targets.reshape(-1) makes them of [N, 1]'
        )
    if not found.size:
        raise ValueError('there are no targets')
    wrong = np.flatnonzero(~np.isfinite(found))
    if wrong.size:
        raise ValueError(
            f'{wrong.size} of {found.size} targets are not finite, the first of them number '
            f'{wrong[0]} ({found[wrong[0]]}); leave these images out'
        )
    return found
