"""Re-training of the regressor: the last layer is learnt anew, with weights, on features that stay.

Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition" (ICLR 2020), as
RRT for regression in Yang et al., "Delving into Deep Imbalanced Regression" (ICML 2021), and its
repository YyzHarry/imbalanced-regression (`--retrain_fc`). In the first part of training everything
learns without weights; then the encoder stays as it is, the last layer is drawn anew, and it alone
learns, with the weights of a remedy beside it: `rrt + inverse`. By itself, without weights, it is
the control for what the second part alone does.

There the two parts are two trainings of 90 epochs each; here they divide the epochs of one. The
optimiser begins anew with the second part, while the schedule of the learning rate goes on. Dropout
stays on in both.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from imbreg_jax.remedies.registry import register
from imbreg_jax.study.fields import TABLE, field, number, positive
from imbreg_jax.training.remedy import Remedy, Schedule

# Both parts have an epoch or more.
LEAST_EPOCHS = 2
# Of the network's layers that which gives the outputs.
_LAST = 'dense2'


def two_parts(epochs: int, layers: list[str], share: float, rate: float) -> Schedule:
    """First everything learns without weights, then the last layer alone, drawn anew, with them.

    Args:
      epochs: `LEAST_EPOCHS` or more.
      layers: names in their order, the last layer's among them.
      share: of the epochs that the first part has, rounded; each part has one at least.
      rate: factor on the learning rate in the second part.

    Returns:
      What holds in which epoch.
    """
    second = int(np.clip(np.rint(share * epochs), 1, epochs - 1))
    last = layers.index(_LAST)
    rates = np.ones((epochs, len(layers)), np.float32)
    rates[second:] = 0
    rates[second:, last] = rate
    redrawn = np.zeros(rates.shape, bool)
    redrawn[second, last] = True
    return Schedule(rates, redrawn, np.arange(epochs) >= second)


@register
@dataclasses.dataclass(frozen=True)
class RRT(Remedy):
    """Re-training of the last layer; see the module.

    By default both parts are of one length and one learning rate, as published. A last layer that
    is drawn anew has as far to go as the first time: where the rate is so small that it takes all
    epochs, as the paper's does, the second part needs a greater one.
    """

    share: float = field(
        0.5, number(0.0, 1.0, open_low=True, open_high=True), 'of the epochs in which all learns',
        TABLE,
    )  # fmt: skip
    rate: float = field(
        1.0, positive(1e9), 'factor on the learning rate of the last layer after that', TABLE
    )

    name = 'rrt'
    least_epochs = LEAST_EPOCHS

    def schedule(self, epochs: int, layers: list[str]) -> Schedule:
        """What holds in which epoch."""
        return two_parts(epochs, layers, self.share, self.rate)
