"""DenseWeight: weights that fall with the density of the targets at an image's own.

Steininger et al., "Density-based weighting for imbalanced regression", Machine Learning 110 (2021),
section 3, and its package SteiMi/denseweight. A Gaussian kernel estimate p of the training targets'
density is scaled to p' from 0 to 1; the weight is max(1 - alpha p', epsilon), brought to mean 1.

Paper and package differ in what they scale by: the paper by the least and greatest density that
training targets have, the package by those of its grid, which goes on to where there are no targets
and density is next to 0. On unimodal laws with tails that is the same; on uniform targets, where
density falls to half at the ends, the least target weighs 1 before it is brought to mean 1 in the
paper, and 1 - alpha / 2 in the package. Either way alpha = 1 leaves the middle only what chance
makes of it, and of 50,000 uniform targets the 7 percent that lie within a bandwidth of an end have
some 40 percent of the weight: the method is not neutral. With alpha = 0.5 weights there are 0.9 in
the middle and 1.8 at the ends.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, signal

from imbreg_jax.remedies.registry import refuse, register
from imbreg_jax.study import Distribution
from imbreg_jax.study.arrays import checked_targets
from imbreg_jax.study.fields import TABLE, field, number, one_of, positive
from imbreg_jax.training.remedy import Remedy

# Steps of our grid in a bandwidth, with which densities are right to 1e-6 of the greatest: linear
# binning and linear interpolation err by step**2 / 8 of the curvature each, at most.
_STEPS = 500
_MOST_STEPS = 2**20
# Beyond so many bandwidths a Gaussian kernel is 0 in float64.
_REACH = 9.0
# The package's grid: so many points; so much of the range beyond either end, or to where a kernel
# falls to so much per unit of target, within a tolerance that it adds.
_PUBLISHED_POINTS, _PUBLISHED_MARGIN = 4096, 0.05
_PUBLISHED_LEAST, _PUBLISHED_TOLERANCE = 1e-4, 1e-3


def weights(
    targets: ArrayLike,
    alpha: float = 1.0,
    epsilon: float = 1e-6,
    bandwidth: float = 0.0,
    variant: str = 'paper',
) -> np.ndarray:
    """Weights of images by the density of their targets.

    Args:
      targets: [N] training targets.
      alpha: how much density counts; 0 for equal weights.
      epsilon: the least weight before they are brought to mean 1.
      bandwidth: the kernel's standard deviation, in units of the target; 0 for `silverman`.
      variant: 'paper', or 'published' for the package's grid and what it scales by: its numbers.

    Returns:
      [N] float64, of mean 1.

    Raises:
      ValueError: with a sentence, for targets that are not one finite number an image, for
        parameters that are none, and for a published bandwidth of some 4,000 units or more,
        which the package cannot do.
    """
    refuse(DenseWeight, alpha=alpha, epsilon=epsilon, bandwidth=bandwidth, variant=variant)
    targets = checked_targets(targets)
    bandwidth = bandwidth or silverman(targets)
    if bandwidth == 0.0:
        return np.ones(len(targets))
    density = published_density if variant == 'published' else scaled_density
    found = np.maximum(1.0 - alpha * density(targets, bandwidth), epsilon)
    return found / found.mean()


def silverman(targets: np.ndarray) -> float:
    """The bandwidth 1.06 s N**(-1/5) of targets [N] of standard deviation s."""
    return float(1.06 * np.std(targets) * len(targets) ** -0.2)


def scaled_density(targets: np.ndarray, bandwidth: float) -> np.ndarray:
    """Density [N] at targets [N], 0 where it is least among them and 1 where it is greatest."""
    low, high = targets.min(), targets.max()
    steps = np.clip(np.ceil((high - low) / bandwidth * _STEPS), 1, _MOST_STEPS)
    grid = np.linspace(low, high if high > low else low + bandwidth, int(steps) + 1)
    density = np.interp(targets, grid, _on_grid(targets, grid, bandwidth, _REACH * bandwidth))
    return _scaled(density, density)


def published_density(targets: np.ndarray, bandwidth: float) -> np.ndarray:
    """Density [N] at the points of the package's grid that targets [N] lie beyond, scaled by it."""
    low, high = targets.min(), targets.max()

    def excess(distance: float) -> float:
        kernel = np.exp(-0.5 * (distance / bandwidth) ** 2) / np.sqrt(2 * np.pi)
        return kernel / bandwidth - _PUBLISHED_LEAST

    if excess(0.0) <= 0:
        raise ValueError(
            f'dense_weight has a bandwidth of {bandwidth:g}, for which the published package finds '
            "no grid; take variant='paper'"
        )
    # Its solver's own rounding decides where the grid lies.
    reach = optimize.brentq(excess, 0.0, 8 * bandwidth, xtol=_PUBLISHED_TOLERANCE)
    reach += _PUBLISHED_TOLERANCE
    margin = max(_PUBLISHED_MARGIN * (high - low), reach)
    grid = np.linspace(low - margin, high + margin, _PUBLISHED_POINTS)
    density = _on_grid(targets, grid, bandwidth, reach)
    return _scaled(density[np.searchsorted(grid, targets, side='right') - 1], density)


def _on_grid(targets: np.ndarray, grid: np.ndarray, bandwidth: float, reach: float) -> np.ndarray:
    """The density [points] of targets [N], but for a factor, on an even grid [points] around them.

    A target counts at the two points beside it, by its distance from either.
    """
    step = (grid[-1] - grid[0]) / (len(grid) - 1)
    place = (targets - grid[0]) / step
    left = np.clip(place.astype(int), 0, len(grid) - 2)
    share = place - left
    counts = np.bincount(left, 1.0 - share, len(grid)) + np.bincount(left + 1, share, len(grid))
    half = min(int(reach / step), len(grid))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) * step / bandwidth) ** 2)
    return signal.fftconvolve(counts, kernel, 'full')[half : half + len(grid)]


def _scaled(density: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Density [N] between the least and the greatest among others; 0 where those are the same."""
    low, high = among.min(), among.max()
    return (density - low) / (high - low) if high > low else np.zeros_like(density)


@register
@dataclasses.dataclass(frozen=True)
class DenseWeight(Remedy):
    """Weights by density; see `weights`. The defaults are the package's."""

    alpha: float = field(1.0, number(0.0, 1e3), 'how much density counts', TABLE)
    epsilon: float = field(1e-6, positive(1.0), 'least weight, before the mean is 1', TABLE)
    bandwidth: float = field(
        0.0, number(0.0, 1e6), "standard deviation of the kernel, 0 for Silverman's rule", TABLE
    )
    variant: str = field('paper', one_of('paper', 'published'), 'what density is scaled by', TABLE)

    name = 'dense_weight'

    def tables(
        self, targets: np.ndarray, law: Distribution, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """The weights [N]."""
        del law, generator
        found = weights(targets, self.alpha, self.epsilon, self.bandwidth, self.variant)
        return {'weights': found}
