"""What networks are held against beside the random guess, and may know of the training set.

The best constant is the mean of the training targets; the best linear function of simple pixel
moments is fitted to training images by least squares; the floor is what no unbiased estimate can
be better than.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from imbreg_jax.data.tasks import TASKS
from imbreg_jax.study import Condition, Distribution

# What is fitted to the training set, as predictors of results.csv.
FITTED = ('best_constant', 'linear_moments')
# Quantiles of a test law that a floor is averaged over, and how many values it is computed at, with
# straight lines between them: a task may take half a second for each.
_LEVELS = (np.arange(256) + 0.5) / 256
_COMPUTED = 16


def pixel_moments(images: jax.Array) -> jax.Array:
    """Simple moments of images, of all their pixels and channels.

    Args:
      images: [..., H, W, channels].

    Returns:
      [..., 5]: mean, standard deviation, skewness and kurtosis (0 where all pixels are alike), and
      the mean absolute difference of neighbours in rows and in columns.
    """
    mean = _mean(images)[..., None, None, None]
    centred = images - mean
    square = centred * centred
    variance = _mean(square)
    scale = jnp.where(variance > 0, variance, 1)
    skewness = _mean(square * centred) / scale**1.5
    kurtosis = _mean(square * square) / scale**2
    along = _mean(jnp.abs(images[..., :, 1:, :] - images[..., :, :-1, :]))
    across = _mean(jnp.abs(images[..., 1:, :, :] - images[..., :-1, :, :]))
    parts = mean[..., 0, 0, 0], jnp.sqrt(variance), skewness, kurtosis, (along + across) / 2
    return jnp.stack(parts, axis=-1)


def _mean(values: jax.Array) -> jax.Array:
    """Of [..., H, W, channels]; row by row, which a CPU does in lanes, as it may not all."""
    return values.mean(-3).mean((-2, -1))


def linear(features: np.ndarray, targets: np.ndarray, others: np.ndarray) -> np.ndarray:
    """What the linear function that fits best in squares, with a constant, gives elsewhere.

    Args:
      features: [n, k] of training images.
      targets: [n], theirs.
      others: [..., k] features of other images.

    Returns:
      [...] float64. Of features that training images do not tell apart, the smallest weights.
    """
    features = np.asarray(features, np.float64)
    targets = np.asarray(targets, np.float64)
    centre, scale = features.mean(0), features.std(0)
    # A feature that hardly varies but for the rounding of float32 says nothing.
    scale = np.where(scale > 1e-6 * np.abs(centre), scale, np.inf)
    weights, *_ = np.linalg.lstsq((features - centre) / scale, targets - targets.mean())
    return targets.mean() + ((others - centre) / scale) @ weights


def floors(condition: Condition, tests: Sequence[Distribution]) -> np.ndarray:
    """The least MSE [T] of an unbiased estimate of a condition's targets, averaged over test laws.

    It is 0 for a target that is measured on the image's own pixels, and nan where no bound is
    known: a task's is for normal noise.
    """
    task = TASKS[condition.task.name]
    if task.measure is not None and condition.task.target == 'measured':
        return np.zeros(len(tests))
    if task.floor is None or condition.data.pixel_law != 'normal':
        return np.full(len(tests), np.nan)
    values = np.stack([law.ppf(_LEVELS) for law in tests])
    grid = np.linspace(values.min(), values.max(), _COMPUTED)
    bounds = np.broadcast_to(task.floor(grid, condition.data.image_size**2), grid.shape)
    return np.mean(np.interp(values, grid, bounds) ** 2, axis=-1)
