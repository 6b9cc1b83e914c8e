"""Balanced MSE: the likelihood of targets under a balanced law, not under the training law.

Ren et al., "Balanced MSE for Imbalanced Visual Regression" (CVPR 2022), and its repository
jiawei-ren/BalancedMSE. A target is taken to scatter about its prediction by normal noise, and the
squared error gets a term for how many training targets lie about the prediction: the logarithm of
the training law's density with that noise on it. Of the density there are the paper's three forms:
the batch's own targets (`bmc`, batch-based Monte Carlo, equation 9), a mixture of normal laws that
is fitted to the training targets (`gai`, an analytical integral over a Gaussian mixture), or bins
of them (`bni`, a numerical integral).

Losses are as the repository has them, times 2 noise**2, which has no gradient of its own where the
noise is learnt. Of its constants, log B of a batch of B is left in (bmc), and those that cancel are
left out.

The noise must be what is left to err, not the range of targets: an image's loss is least where the
mean of the normal law about the prediction, cut to the range of training targets, is its target. So
predictions within about a noise of the range's ends are pushed out of it, on balanced targets too:
from U(1, 10) under a noise of 1 a target of 9 would be predicted as 9.5, and one of 9.9 as 20;
under 0.2 one of 9.5 as itself, and 9.9 as 10.2. As the noise falls, the loss becomes the squared
error less that of the nearest training target. The defaults are what the paper's network leaves
when its dropout's shrinkage is calibrated away: 0.2 of targets in 1 to 10 (a root mean squared
error of 0.21 on U(1, 10)) and 0.05 of their logarithms (a mean percentage error of 3.4). The
repository has 10 for ages and 1 for metres up to 10. The method takes the noise to be the same at
all targets, and here it grows with the target: that of the logarithm does not, the space 'log'.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from scipy import special

from imbreg_jax.remedies import shapes
from imbreg_jax.remedies.own_loss import OwnLoss
from imbreg_jax.remedies.registry import register
from imbreg_jax.study import Distribution
from imbreg_jax.study.arrays import checked_targets
from imbreg_jax.study.fields import CODE, DIAL, SWITCH, field, integer, number, one_of, positive
from imbreg_jax.training.remedy import Batch

# The noise where none is given; see the module.
NOISE = {'target': 0.2, 'log': 0.05}
# How a mixture is fitted, as scikit-learn's GaussianMixture, which the repository calls: until an
# image's log likelihood grows by no more, at most so often, with so much added to variances.
_LEAST_GROWTH, _MOST_PASSES, _ADDED_VARIANCE = 1e-3, 100, 1e-6
_ADAM = optax.scale_by_adam()


def batch_losses(predictions: jax.Array, targets: jax.Array, noise: jax.Array | float) -> jax.Array:
    """BMC of each image.

    Args:
      predictions: [B].
      targets: [B].
      noise: the standard deviation of a target about its prediction, in the target's unit.

    Returns:
      [B]: 2 noise**2 times the cross entropy of -(prediction_i - target_j)**2 / (2 noise**2) over
      j, label i. It is 0 for a batch of one image, which says nothing of the law.
    """
    shapes.refuse_unlike(predictions=predictions, targets=targets)
    logits = -0.5 * (predictions[:, None] - targets[None, :]) ** 2 / noise**2
    return _rescaled(jax.nn.logsumexp(logits, axis=1) - jnp.diagonal(logits), noise)


def batch_loss(predictions: jax.Array, targets: jax.Array, noise: jax.Array | float) -> jax.Array:
    """The mean [] of `batch_losses`."""
    return jnp.mean(batch_losses(predictions, targets, noise))


def mixture_losses(
    predictions: jax.Array,
    targets: jax.Array,
    noise: jax.Array | float,
    means: jax.Array,
    variances: jax.Array,
    log_shares: jax.Array,
) -> jax.Array:
    """GAI of each image.

    Args:
      predictions: [B].
      targets: [B].
      noise: the standard deviation of a target about its prediction, in the target's unit.
      means: [K], of a mixture of normal laws, as `mixture` fits it.
      variances: [K], theirs.
      log_shares: [K], theirs.

    Returns:
      [B]: 2 noise**2 times log of the mixture's density with the noise on it, at the prediction,
      over that of a normal law about the prediction, at the target.
    """
    shapes.refuse_unlike(predictions=predictions, targets=targets)
    own = 0.5 * (predictions - targets) ** 2 / noise**2 + jnp.log(jnp.square(noise)) / 2
    spread = variances + noise**2
    logits = log_shares - 0.5 * jnp.log(spread)
    logits -= 0.5 * (predictions[:, None] - means) ** 2 / spread
    return _rescaled(own + jax.nn.logsumexp(logits, axis=1), noise)


def bin_losses(
    predictions: jax.Array,
    targets: jax.Array,
    noise: jax.Array | float,
    centres: jax.Array,
    log_shares: jax.Array,
) -> jax.Array:
    """BNI of each image.

    Args:
      predictions: [B].
      targets: [B].
      noise: the standard deviation of a target about its prediction, in the target's unit.
      centres: [K] of bins of the training targets, as `histogram` counts them.
      log_shares: [K], theirs.

    Returns:
      [B]: as that of `mixture_losses` of a mixture of as many laws that have no width.
    """
    shapes.refuse_unlike(predictions=predictions, targets=targets)
    own = 0.5 * (predictions - targets) ** 2 / noise**2
    logits = log_shares - 0.5 * (predictions[:, None] - centres) ** 2 / noise**2
    return _rescaled(own + jax.nn.logsumexp(logits, axis=1), noise)


def _rescaled(losses: jax.Array, noise: jax.Array | float) -> jax.Array:
    return 2.0 * lax.stop_gradient(jnp.square(noise)) * losses


def mixture(targets: np.ndarray, components: int = 8) -> dict[str, np.ndarray]:
    """A mixture of normal laws fitted to targets by expectation maximisation.

    It begins with the groups that k-means makes of groups of equally many; so it is the same for
    the same targets.

    Args:
      targets: [N].
      components: how many laws.

    Returns:
      `means`, `variances` and `log_shares`, each [components] float64. Where targets fall into
      fewer groups, the others' shares are 0.

    Raises:
      ValueError: targets that are not one finite number an image.
    """
    targets = np.sort(checked_targets(targets))
    groups = [group for group in np.array_split(targets, components) if len(group)]
    member = _groups(targets, np.unique([group.mean() for group in groups]))
    before = -np.inf
    for _ in range(_MOST_PASSES):
        count = member.sum(0)
        means = targets @ member / count
        variances = ((targets[:, None] - means) ** 2 * member).sum(0) / count + _ADDED_VARIANCE
        log_shares = np.log(count / len(targets))
        parts = log_shares - 0.5 * np.log(2 * np.pi * variances)
        parts = parts - 0.5 * (targets[:, None] - means) ** 2 / variances
        of_all = special.logsumexp(parts, axis=1)
        if of_all.mean() - before < _LEAST_GROWTH:
            break
        before = of_all.mean()
        member = np.exp(parts - of_all[:, None])
        member = member[:, member.sum(0) > 0]  # A law that no target is of any more.
    fill = (0, components - len(means))
    return {
        'means': np.pad(means, fill),
        'variances': np.pad(variances, fill, constant_values=1.0),
        'log_shares': np.pad(log_shares, fill, constant_values=-np.inf),
    }


def _groups(targets: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """[N, k] of ones and zeros: which of k groups each target [N] is in, by k-means."""
    for _ in range(_MOST_PASSES):
        places = np.searchsorted((centres[1:] + centres[:-1]) / 2, targets)
        occupied, places = np.unique(places, return_inverse=True)
        moved = np.bincount(places, targets) / np.bincount(places)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return np.eye(len(occupied))[places]


def histogram(targets: np.ndarray, bins: int = 100) -> dict[str, np.ndarray]:
    """Bins of targets, evenly spaced from the least to the greatest.

    Args:
      targets: [N].
      bins: how many.

    Returns:
      `centres` and `log_shares`, each [bins] float64; that of an empty bin is minus infinity.

    Raises:
      ValueError: targets that are not one finite number an image.
    """
    targets = checked_targets(targets)
    counts, edges = np.histogram(targets, bins)
    with np.errstate(divide='ignore'):
        log_shares = np.log(counts / len(targets))
    return {'centres': (edges[1:] + edges[:-1]) / 2, 'log_shares': log_shares}


_FORMS: dict[str, Callable[..., jax.Array]] = {
    'bmc': batch_losses,
    'gai': mixture_losses,
    'bni': bin_losses,
}


class Noise(NamedTuple):
    """Noise that training learns.

    Attributes:
      more: [] float32, what it is above the noise that it began with.
      moments: of its optimiser.
    """

    more: jax.Array
    moments: Any


@register
@dataclasses.dataclass(frozen=True)
class BalancedMSE(OwnLoss):
    """Balanced MSE in the place of the objective; an image's weight holds for its own term.

    With space 'log' the output is the target's logarithm, and the prediction its exponential.
    Learnable noise is trained beside the network, by an Adam of its own with a constant rate, as
    the repository does it, and at its rate, 0.01 (`sigma_lr`). That is for noise of 1 or more; of
    the 0.2 here a step is a twentieth or so.
    """

    variant: str = field('bmc', one_of(*_FORMS), 'which form of the loss', CODE)
    noise: float = field(
        0.0, number(0.0, 1e6), 'standard deviation of a target about its prediction, in the unit '
        'of the space; 0 for 0.2 of targets, 0.05 of their logarithms', DIAL,
    )  # fmt: skip
    space: str = field(
        'target', one_of('target', 'log'), 'what scatters alike: targets, or their logarithms', CODE
    )
    components: int = field(8, integer(1, 1000), 'laws of the mixture of gai', CODE)
    bins: int = field(100, integer(1, 10_000), 'bins of bni, evenly spaced', CODE)
    learnable: bool = field(False, SWITCH, 'whether training learns the noise', CODE)
    noise_rate: float = field(0.01, positive(10.0), "Adam's step size of learnable noise", DIAL)

    name = 'balanced_mse'

    @property
    def sees_targets(self) -> bool:
        """Not in the form bmc, to which the batch's own targets are the law."""
        return self.variant != 'bmc'

    @property
    def logarithms(self) -> bool:  # type: ignore[override]
        """In the space 'log'."""
        return self.space == 'log'

    @property
    def predicts_first(self) -> bool:
        """But in the space 'log'."""
        return self.space == 'target'

    def __post_init__(self) -> None:
        """Says the noise where none is given, so that it is in the expression."""
        if self.noise == 0:
            object.__setattr__(self, 'noise', NOISE[self.space])

    def check(self, fields: Mapping[str, Any], task: Any, law: Distribution) -> None:
        """Refuses bmc with batches of one image, whose loss is 0."""
        super().check(fields, task, law)
        if self.variant == 'bmc' and fields['training.batch_size'] < 2:
            raise ValueError('bmc compares the images of a batch, and training.batch_size is 1')

    def tables(
        self, targets: np.ndarray, law: Distribution, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """The mixture of gai or the bins of bni."""
        del law, generator
        values = np.log(targets) if self.space == 'log' else targets
        if self.variant == 'gai':
            return mixture(values, self.components)
        return histogram(values, self.bins) if self.variant == 'bni' else {}

    def start(
        self, features: int, tables: Mapping[str, jax.Array], image: tuple[int, ...] = (1, 1, 1)
    ) -> Any:
        """Learnable noise as it begins."""
        del features, tables, image
        zero = jnp.zeros(())
        return Noise(zero, _ADAM.init(zero)) if self.learnable else ()

    def learned(self, state: Any) -> Any:
        """The noise, but for what it began with."""
        return state.more if self.learnable else ()

    def learn(self, state: Any, gradients: Any, dials: Mapping[str, jax.Array]) -> Any:
        """A step of Adam."""
        if not self.learnable:
            return state
        update, moments = _ADAM.update(gradients, state.moments)
        return Noise(state.more - dials['noise_rate'] * update, moments)

    def losses(self, outputs: jax.Array, batch: Batch) -> jax.Array:
        """See the module."""
        noise = batch.dials['noise'] + (batch.learned if self.learnable else 0.0)
        targets = jnp.log(batch.targets) if self.space == 'log' else batch.targets
        return _FORMS[self.variant](outputs[:, 0], targets, noise, **batch.tables)

    def predict(self, outputs: jax.Array) -> jax.Array:
        """Predictions [B] from outputs [B, 1]."""
        return jnp.exp(outputs[:, 0]) if self.space == 'log' else outputs[:, 0]
