"""Feature distribution smoothing: features of rare targets take the statistics of their neighbours.

Yang et al., "Delving into Deep Imbalanced Regression" (ICML 2021), section 3.2. After an epoch a
pass over the training images gives the mean and variance of each feature in each bin of targets;
a running average of them is smoothed over the bins; and from the second epoch on, features in
training are whitened by their bin's own statistics and coloured by the smoothed ones. A bin that
never had an image has no statistics, and no part in its neighbours'.

The variant 'published' is what the code does (YyzHarry/imbalanced-regression, agedb-dir/fds.py):
  - It writes the smoothed features into those that the network gives, so that from the third epoch
    on the statistics are of features that have been smoothed already.
  - The smoothed statistics are an epoch older than those that features are whitened by: the
    running ones go by a second name, are smoothed, and then updated under both names. The first
    that are smoothed are used in the third epoch.
  - Its kernel is a Gaussian filter of a single 1, which is reflected at the kernel's own ends: for
    a size of 5 and a sigma of 2 it weighs .858 .946 1 .946 .858, not .607 .882 1 .882 .607.
  - A bin without images has features of mean 0 and variance 1, which its neighbours take part of.

For anybody's features [N, F] of an epoch, with targets [N], in the next one:

    from imbreg_jax.remedies import bins, fds, kernels

    places = bins.places(targets, 20)                                # [N] int32
    own = fds.statistics(features, places, 20)                       # [20, F] each
    known, weights = own.counts > 0, kernels.shares(size=5, sigma=2.0)
    smooth = [fds.smooth(part, weights, known) for part in (own.mean, own.variance)]
    parts = (own.mean, own.variance, *smooth)
    moved = fds.calibrate(features, *(part[places] for part in parts))  # [N, F]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from imbreg_jax.remedies import bins as bins_lib
from imbreg_jax.remedies import kernels, shapes
from imbreg_jax.remedies.registry import register
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import CODE, DIAL, field, integer, number, one_of, positive
from imbreg_jax.training.remedy import Batch, Remedy

# Factors on a feature's variance.
LEAST, MOST = 0.1, 10.0


class Statistics(NamedTuple):
    """How features are distributed, by bin.

    Attributes:
      mean: [bins, F], 0 for a bin without images.
      variance: [bins, F], unbiased; 0 for a bin of a single image or none.
      counts: [bins, 1] float, images of each bin.
    """

    mean: jax.Array
    variance: jax.Array
    counts: jax.Array


class State(NamedTuple):
    """Statistics of features by bin.

    Attributes:
      mean, variance: [bins, F], running.
      smooth_mean, smooth_variance: [bins, F], those smoothed over the bins.
      known: [bins, 1], 1 for bins that have had an image.
      epochs: [] int32, how many passes there were.
    """

    mean: jax.Array
    variance: jax.Array
    smooth_mean: jax.Array
    smooth_variance: jax.Array
    known: jax.Array
    epochs: jax.Array


def statistics(features: ArrayLike, places: ArrayLike, bins: int) -> Statistics:
    """How the features [n, F] of images are distributed, by these images' bins [n], of so many."""
    features, places = jnp.asarray(features), jnp.asarray(places)
    shapes.refuse_other_images(features, places=places)
    member = jax.nn.one_hot(places, bins)
    count = member.sum(0)[:, None]
    mean = (member.T @ features) / jnp.maximum(count, 1.0)
    centred = features - mean[places]
    variance = (member.T @ (centred * centred)) / jnp.maximum(count - 1.0, 1.0)
    return Statistics(mean, variance, count)


def smooth(values: jax.Array, weights: np.ndarray, known: jax.Array) -> jax.Array:
    """Values [bins, F] averaged over neighbouring bins that are known, reflected at the ends.

    Args:
      values: [bins, F].
      weights: [size] of a bin and its neighbours.
      known: [bins, 1], 1 for bins that count and 0 for others; a bin all of whose neighbours are
        of no account keeps its value.
    """
    share = kernels.reflected(known, weights)
    found = kernels.reflected(values * known, weights)
    return jnp.where(share > 0, found / jnp.maximum(share, 1e-12), values)


def calibrate(
    features: jax.Array,
    mean: jax.Array,
    variance: jax.Array,
    new_mean: jax.Array,
    new_variance: jax.Array,
) -> jax.Array:
    """Features brought from one mean and variance to another, all of one shape.

    The factor on the variance lies within `LEAST` and `MOST`; a feature that does not vary in its
    bin stays as it is.
    """
    factor = jnp.clip(new_variance / jnp.where(variance > 0, variance, 1.0), LEAST, MOST)
    moved = (features - mean) * jnp.sqrt(factor) + new_mean
    return jnp.where(variance > 0, moved, features)


@dataclasses.dataclass(frozen=True)
class SmoothedStatistics(Remedy):
    """A remedy with running statistics of features by bin, smoothed over bins; a base.

    Bins are 20, for a variance asks for images: of 10,000 targets of N(5.5, 1) three of 20 bins
    have fewer than ten, but thirty of 100, and 14 of these one or none. The published ones are
    ages, some 100, so that its kernel of five covers a twentieth of their range, and here a
    quarter: with bins=100 the same share.
    """

    bins: int = field(20, integer(4, 1000), 'bins of targets, evenly spaced', CODE)
    size: int = field(5, integer(1, 99), 'bins that the kernel covers, an odd number', CODE)
    sigma: float = field(2.0, positive(1e3), "the kernel's standard deviation, in bins", CODE)
    momentum: float = field(
        0.9, number(0.0, 1.0, open_high=True), 'share of the running statistics that stays', DIAL
    )
    variant: str = field(
        'paper', one_of('paper', 'published'), "the method, or what its authors' code does", CODE
    )

    folds = True

    @property
    def least_epochs(self) -> int:  # type: ignore[override]
        """The first in which features take the statistics of an epoch before."""
        return 3 if self.variant == 'published' else 2

    def __post_init__(self) -> None:
        """Refuses a kernel that the bins cannot be reflected for.

        Raises:
          ValueError: with a sentence.
        """
        kernels.refuse_size(self.name, self.size, self.bins)


@register
@dataclasses.dataclass(frozen=True)
class FDS(SmoothedStatistics):
    """Feature distribution smoothing; see the module."""

    name = 'fds'

    def tables(
        self, targets: np.ndarray, law: Distribution, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """The bin [N] of each training image."""
        del law, generator
        return {'bin': bins_lib.places(targets, self.bins)}

    def start(
        self, features: int, tables: Mapping[str, jax.Array], image: tuple[int, ...] = (1, 1, 1)
    ) -> State:
        """Of features that are normal already, which the map leaves alone."""
        del tables, image
        zeros, ones = jnp.zeros((self.bins, features)), jnp.ones((self.bins, features))
        unknown = jnp.zeros((self.bins, 1))
        return State(zeros, ones, zeros, ones, unknown, jnp.int32(0))

    def fold(
        self,
        state: State,
        features: jax.Array,
        targets: jax.Array,
        tables: Mapping[str, jax.Array],
        dials: Mapping[str, jax.Array],
        epoch: jax.Array,
    ) -> State:
        """The running statistics with this epoch's, and both smoothed.

        A bin without images keeps what it had; its first statistics are taken as they are.
        """
        del targets, epoch
        bins = tables['bin']
        if self.variant == 'published':
            features = self._moved(features, state, bins)
        mean, variance, count = statistics(features, bins, self.bins)
        # A bin's first statistics are taken as they are.
        kept = dials['momentum'] * state.known
        mean = kept * state.mean + (1.0 - kept) * mean
        variance = kept * state.variance + (1.0 - kept) * variance
        mean = jnp.where(count > 0, mean, state.mean)
        variance = jnp.where(count > 0, variance, state.variance)
        known = jnp.maximum(state.known, (count > 0).astype(jnp.float32))
        weights = kernels.shares(self.size, self.sigma, self.variant)
        if self.variant == 'published':
            everywhere = jnp.ones_like(known)
            smoothed = [smooth(p, weights, everywhere) for p in (state.mean, state.variance)]
        else:
            smoothed = [smooth(p, weights, known) for p in (mean, variance)]
        return State(mean, variance, smoothed[0], smoothed[1], known, state.epochs + 1)

    def map_features(self, features: jax.Array, batch: Batch) -> jax.Array:
        """Features [V, B, F] in the statistics of their bins and these bins' neighbours."""
        return self._moved(features, batch.state, batch.tables['bin'][batch.places])

    def _moved(self, features: jax.Array, state: Any, bins: jax.Array) -> jax.Array:
        """Features [..., n, F] of images of these bins [n]."""
        parts = (state.mean, state.variance, state.smooth_mean, state.smooth_variance)
        moved = calibrate(features, *(part[bins] for part in parts))
        first = 2 if self.variant == 'published' else 1
        return jnp.where(state.epochs >= first, moved, features)
