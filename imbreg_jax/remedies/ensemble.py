"""An ensemble: several networks of one repeat, whose predictions are averaged.

By itself the control of Rebagg (Branco et al., "REBAGG: REsampled BAGGing for imbalanced
regression", LIDTA 2018), of what averaging alone gives. With a remedy that resamples, such as
`ensemble + gaussian_noise`, each member has a training set of its own; `rebagg` is that with the
resamples of the paper.
"""

from __future__ import annotations

import dataclasses

from imbreg_jax.remedies.registry import register
from imbreg_jax.study.fields import TABLE, field, integer
from imbreg_jax.training.remedy import Remedy


@register
@dataclasses.dataclass(frozen=True)
class Ensemble(Remedy):
    """Members that differ in initial weights, shuffles, masks and what a remedy draws of images.

    They share the images of their repeat. Each is a run, and so costs as much as a network.

    Attributes:
      size: members. Bagging gains little beyond ten (Breiman, "Bagging predictors", 1996).
    """

    size: int = field(10, integer(2, 1000), 'networks whose predictions are averaged', TABLE)

    name = 'ensemble'

    @property
    def members(self) -> int:  # type: ignore[override]
        """Networks of the ensemble."""
        return self.size
