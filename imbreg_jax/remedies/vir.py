"""VIR: features are laws, whose statistics are smoothed over neighbouring targets.

Wang and Wang, "Variational Imbalanced Regression: Fair Uncertainty Quantification via Probabilistic
Smoothing" (NeurIPS 2023), and its repository Wang-ML-Lab/variational-imbalanced-regression (prm.py,
utils.py, resnet.py, rerun.py). An image has a normal law of each feature, with a mean and a
variance. After an epoch a pass over the training images gives for each bin of targets how its
features are distributed, and how uncertain that is: as features are uncertain, so is their mean in
the bin. Running averages of both are smoothed over the bins, and from the second epoch on the laws
of an image's features are whitened by its bin's own statistics and coloured by the smoothed ones.
In training features are drawn from these laws, and predictor and decoder see what is drawn; a
prediction is that of the features' means as the network has them. The predictor and its weights on
the evidence are those of `evidential`, with weights of `lds` that are part of the method. To its
loss are added what the decoder misses of an image, and the divergence of the features' laws from
the standard normal one: together, with factors, the negative evidence lower bound.

What it is made of here:
  - The means are the network's own features, after its activation, as in the repository. Variances
    are log(1 + e**x) of x linear in the features, where there they come from what the last
    convolution sees. x begins as a constant, so that all variances begin at `FIRST_VARIANCE`:
    where the paper's network has begun to tell the standard deviation of noise from 1 to 10, its
    features have a root mean square of 1.2, and their first noise of .12 makes .07 of a target's.
  - The decoder is one linear map from features to pixels, where the repository has its encoder
    backwards: of the paper's network it is more than the network's own weights, and a twentieth of
    its multiplications. Both maps are learnt beside the network, by an Adam of their own with a
    constant rate.
  - The repository's images lie within -1 and 1. Here their scale may be the target, so that what a
    decoder misses is counted as a share of the mean square of the batch's pixels. Of images of
    noise no decoder can tell more than their mean, and this part has next to nothing to teach.

The factor on a variance is the root of that on the bin's variance, as the repository has it; of
features that are multiplied by that root it would be the factor itself. A bin's own mean is taken
from features and another is added, and the variances of both are added to theirs. Neighbours
beyond the first and last bin are reflections, and count as bins of their own. Of the bins'
variances the repository has a variance too, of which it makes no use. Where some features do not
vary in a bin, it fails and goes on without smoothing; as a law has a variance, that is only so in a
bin of one image, of all its features, and in both variants its laws stay as they are.

The variant 'published' is what the code does:
  - It writes the smoothed laws into those that the network gives, so that the statistics are of
    laws that have been smoothed already.
  - The smoothed statistics are an epoch older than those that laws are whitened by, as in `fds`.
  - In the second epoch both are still those that it begins with: means of 0 and variances of 1,
    also of the bins' means. Which leaves the features' means alone and adds 2 to their variances.
  - A bin without images keeps these, and its neighbours take part of them.
  - Its kernel is that of `fds`, and its weights are those of `lds`, of the same variant.
  - The divergence is commented out, whatever factor is asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from imbreg_jax.remedies import bins as bins_lib
from imbreg_jax.remedies import kernels, lds
from imbreg_jax.remedies.evidential import Evidential
from imbreg_jax.remedies.fds import LEAST, MOST, SmoothedStatistics
from imbreg_jax.remedies.registry import register
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import DIAL, TABLE, field, number, positive
from imbreg_jax.training.remedy import Batch

# Of a feature: what variances exceed, as in the repository, and what they are before training: its
# softplus of 0, as the variance of the mean of 7 times 7 places.
LEAST_VARIANCE, FIRST_VARIANCE = 1e-6, float(np.log(2.0)) / 49
_ADAM = optax.scale_by_adam()


class Laws(NamedTuple):
    """Normal laws of features.

    Attributes:
      mean: [..., F].
      variance: [..., F] > 0.
    """

    mean: jax.Array
    variance: jax.Array


class Statistics(NamedTuple):
    """How features are distributed, by bin.

    Attributes:
      mean: [bins, F], the expectation of their mean over a bin's images.
      uncertainty: [bins, F], the variance of that mean.
      variance: [bins, F], the expectation of their variance over a bin's images.
    """

    mean: jax.Array
    uncertainty: jax.Array
    variance: jax.Array


class Maps(NamedTuple):
    """What training learns beside the network.

    Attributes:
      spread: [F, F], and spread_bias: [F], from features to what variances are made of.
      decoder: [F, pixels], and decoder_bias: [pixels], from features to an image.
    """

    spread: jax.Array
    spread_bias: jax.Array
    decoder: jax.Array
    decoder_bias: jax.Array


class State(NamedTuple):
    """What is known of the features, and the maps.

    Attributes:
      own: running statistics.
      smooth: those smoothed over the bins.
      known: [bins, 1], 1 for bins that have had an image.
      epochs: [] int32, how many passes there were.
      maps: of the method's own.
      moments: of their optimiser.
    """

    own: Statistics
    smooth: Statistics
    known: jax.Array
    epochs: jax.Array
    maps: Maps
    moments: Any


def first_statistics(bins: int, features: int) -> Statistics:
    """Those before any image: of normal features whose mean is as uncertain as they are."""
    zeros, ones = jnp.zeros((bins, features)), jnp.ones((bins, features))
    return Statistics(zeros, ones, ones)


def first_maps(features: int, pixels: int) -> Maps:
    """Of features that vary by `FIRST_VARIANCE`, and black images."""
    # What log(1 + e**x) gives it.
    bias = float(np.log(np.expm1(FIRST_VARIANCE - LEAST_VARIANCE)))
    return Maps(
        jnp.zeros((features, features)),
        jnp.full(features, bias),
        jnp.zeros((features, pixels)),
        jnp.zeros(pixels),
    )


def laws(features: jax.Array, maps: Maps) -> Laws:
    """The laws of which the network's features [..., F] are the means."""
    spread = jax.nn.softplus(features @ maps.spread + maps.spread_bias)
    return Laws(features, spread + LEAST_VARIANCE)


def sampled(found: Laws, noise: jax.Array) -> jax.Array:
    """Features [..., F] of these laws by standard normal noise, with a gradient in the laws."""
    return found.mean + jnp.sqrt(found.variance) * noise


def divergences(found: Laws) -> jax.Array:
    """[...]: of laws [..., F] of independent features from the standard normal law, in nats."""
    parts = found.variance + found.mean**2 - 1.0 - jnp.log(found.variance)
    return 0.5 * parts.sum(-1)


def statistics(found: Laws, member: jax.Array) -> Statistics:
    """How the features of some images are distributed by bin.

    Args:
      found: [n, F], their laws.
      member: [n, bins], 1 where an image is of a bin, else 0.

    Returns:
      those of the bins with images; of others mean and variances are 0.
    """
    count = jnp.maximum(member.sum(0)[:, None], 1.0)
    mean = (member.T @ found.mean) / count
    centred = found.mean - member @ mean
    variance = (member.T @ found.variance) / count
    scatter = (member.T @ (centred * centred)) / count
    # Of n features the mean has an nth of the variance, which they have in common with it.
    return Statistics(mean, variance / count, scatter + variance * (count - 1.0) / count)


def smoothed(found: Statistics, weights: np.ndarray, known: jax.Array) -> Statistics:
    """Statistics of a weighted mean of the features of neighbouring bins that are known.

    Args:
      found: of the bins.
      weights: [size] of a bin and its neighbours.
      known: [bins, 1], 1 for bins that count and 0 for others; a bin all of whose neighbours are
        of no account keeps its statistics.
    """
    share = kernels.reflected(known, weights)

    def spread(values, power):
        total = kernels.reflected(values * known, weights**power)
        return jnp.where(share > 0, total / jnp.maximum(share, 1e-12) ** power, values)

    return Statistics(
        spread(found.mean, 1), spread(found.uncertainty, 2), spread(found.variance, 1)
    )


def calibrate(found: Laws, own: Statistics, smooth: Statistics) -> Laws:
    """Laws brought from one set of statistics to another, all of one shape; see the module.

    The factor lies within the limits of `fds`; a feature that does not vary in its bin stays as it
    is.
    """
    varies = own.variance > 0
    factor = jnp.clip(smooth.variance / jnp.where(varies, own.variance, 1.0), LEAST, MOST)
    root = jnp.sqrt(factor)
    mean = (found.mean - own.mean) * root + smooth.mean
    variance = (found.variance + own.uncertainty) * root + smooth.uncertainty
    return Laws(jnp.where(varies, mean, found.mean), jnp.where(varies, variance, found.variance))


def missed(images: jax.Array, decoded: jax.Array) -> jax.Array:
    """[]: the mean square of images [..., P] less decoded ones, as a share of the images' own."""
    return jnp.mean((images - decoded) ** 2) / jnp.maximum(jnp.mean(images**2), 1e-12)


@register
@dataclasses.dataclass(frozen=True)
class VIR(SmoothedStatistics, Evidential):
    """Variational imbalanced regression, in the place of the objective; see the module.

    Strength, kernel, momentum, power, rate and the decoder's factor are the published ones; bins
    are those of `fds`, and the sharpness is that of `evidential`. The divergence's factor is that
    of the repository's line that is commented out: the bound's own is 1, and the divergence is some
    100 nats, where a target's likelihood is some 2. The weights are those of `lds` with its
    defaults; with power=0 there are none, for those of another remedy beside it, which otherwise
    multiply.
    """

    power: float = field(
        0.5, number(0.0, 1.0), 'power of the smoothed count that evidence falls with', TABLE
    )
    divergence: float = field(
        0.001, number(0.0, 1e6), "factor on the features' divergence from a normal law", DIAL
    )
    decoder: float = field(
        0.7, number(0.0, 1e6), 'factor on the share of an image that its decoder misses', DIAL
    )
    rate: float = field(1e-3, positive(10.0), "Adam's step size of the method's own maps", DIAL)

    name = 'vir'

    def tables(
        self, targets: np.ndarray, law: Distribution, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """The bin [N] of each training image, and its weight [N] on its evidence."""
        del law, generator
        found = {'bin': bins_lib.places(targets, self.bins)}
        if self.power > 0:
            found['weights'] = lds.weights(targets, power=self.power, variant=self.variant)
        return found

    def start(
        self, features: int, tables: Mapping[str, jax.Array], image: tuple[int, ...] = (1, 1, 1)
    ) -> State:
        """Of statistics before any image, and maps before any step."""
        del tables
        first = first_statistics(self.bins, features)
        maps = first_maps(features, int(np.prod(image)))
        unknown = jnp.zeros((self.bins, 1))
        return State(first, first, unknown, jnp.int32(0), maps, _ADAM.init(maps))

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
        published = self.variant == 'published'
        bins = tables['bin']
        found = laws(features, state.maps)
        if published:
            found = self._calibrated(found, state, bins)
        member = jax.nn.one_hot(bins, self.bins)
        occupied = member.sum(0)[:, None] > 0
        kept = jnp.where(occupied, dials['momentum'] * state.known, 1.0)
        own = jax.tree.map(
            lambda old, new: kept * old + (1.0 - kept) * new, state.own, statistics(found, member)
        )
        known = jnp.maximum(state.known, occupied.astype(jnp.float32))
        weights = kernels.shares(self.size, self.sigma, self.variant)
        if published:
            before = smoothed(state.own, weights, jnp.ones_like(known))
            # After the first epoch it does not smooth yet.
            smooth = jax.tree.map(
                lambda new, old: jnp.where(state.epochs > 0, new, old), before, state.smooth
            )
        else:
            smooth = smoothed(own, weights, known)
        return state._replace(own=own, smooth=smooth, known=known, epochs=state.epochs + 1)

    def laws(self, features: jax.Array, batch: Batch) -> Laws:
        """The laws in training of a batch's features [V, B, F] as the network gives them."""
        bins = batch.tables['bin'][batch.places]
        return self._calibrated(laws(features, batch.learned), batch.state, bins)

    def map_features(self, features: jax.Array, batch: Batch) -> jax.Array:
        """Features [V, B, F] drawn from their laws."""
        assert batch.key is not None  # The step has one.
        noise = jax.random.normal(batch.key, features.shape)
        return sampled(self.laws(features, batch), noise)

    def penalty(self, batch: Batch) -> jax.Array:
        """The mean divergence of images' features, and what the decoder misses, with factors."""
        assert batch.encoded is not None  # The step has them.
        flat = batch.images.reshape(*batch.images.shape[:2], -1)
        decoded = batch.features @ batch.learned.decoder + batch.learned.decoder_bias
        found = batch.dials['decoder'] * missed(flat, decoded)
        if self.variant == 'published':
            return found
        of_images = divergences(self.laws(batch.encoded, batch))
        return found + batch.dials['divergence'] * jnp.mean(of_images)

    def learned(self, state: State) -> Maps:
        """The maps."""
        return state.maps

    def learn(self, state: State, gradients: Maps, dials: Mapping[str, jax.Array]) -> State:
        """A step of Adam."""
        updates, moments = _ADAM.update(gradients, state.moments)
        maps = jax.tree.map(lambda old, way: old - dials['rate'] * way, state.maps, updates)
        return state._replace(maps=maps, moments=moments)

    def _calibrated(self, found: Laws, state: State, bins: jax.Array) -> Laws:
        """Laws [..., n, F] of images of these bins [n], with their neighbours' statistics."""
        own = state.own
        if self.variant == 'published':
            first = first_statistics(*own.mean.shape)
            own = jax.tree.map(lambda a, b: jnp.where(state.epochs > 1, a, b), own, first)
        own, smooth = (jax.tree.map(lambda part: part[bins], part) for part in (own, state.smooth))
        moved = calibrate(found, own, smooth)
        return jax.tree.map(lambda a, b: jnp.where(state.epochs > 0, a, b), moved, found)
