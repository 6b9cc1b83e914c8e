"""Cost-sensitive weights: an error counts by how relevant its target is.

Cost-sensitive learning weighs each image by what an error on it costs (Zhou and Liu, "On multi-
class cost-sensitive learning", 2010). In regression cost follows from the relevance φ of a target,
from 0 to 1 (Torgo and Ribeiro, "Utility-based regression", 2007). What gives it is in
`imbreg_jax.study.relevance`, and can be had from here, as `relevance` and `control_points`. The
weight of an image is

    w = floor + (1 - floor) φ(target),

brought to mean 1: a target of no relevance counts `floor` times one that is wholly relevant.

Relevance is where targets are extreme, not where they are rare: of evenly spread targets a box plot
has none, which is refused, and control points given by hand are a preference that changes training
on balanced targets too. Beside a resampling the weights are those of the targets that it made, by
control points of the targets before it.

For anybody's targets [N]:

    from imbreg_jax.remedies import relevance

    points = relevance.control_points(targets)    # [P, 2]; or by hand: ((1, 0), (10, 1))
    phi = relevance.relevance(targets, points)    # [N], from 0 to 1
    weights = relevance.weights(targets, points)  # [N], of mean 1
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from imbreg_jax.remedies.registry import refuse, register
from imbreg_jax.study import Distribution
from imbreg_jax.study.arrays import checked_targets
from imbreg_jax.study.fields import POINTS, SWITCH, TABLE, field, number, one_of, positive
from imbreg_jax.study.relevance import (
    REACH,
    Points,
    check_law,
    control_points,
    refuse_useless,
    relevance,
)
from imbreg_jax.training.remedy import Remedy

__all__ = ['Relevance', 'control_points', 'relevance', 'weights']


def weights(
    targets: ArrayLike,
    points: Points = (),
    floor: float = 0.1,
    sides: str = 'both',
    reach: float = REACH,
    adjusted: bool = False,
) -> np.ndarray:
    """Weights of images by the relevance of their targets.

    Args:
      targets: [N] training targets.
      points: (target, relevance) of each control point; empty for those of a box plot.
      floor: what a target of no relevance counts, of what one of relevance 1 does.
      sides: which extremes of a box plot are relevant, see `relevance.control_points`.
      reach: of a box plot's whiskers, in heights of its box.
      adjusted: whether these whiskers follow the targets' skewness.

    Returns:
      [N] float64, of mean 1.

    Raises:
      ValueError: with a sentence, where all targets are as relevant, or not one finite number an
        image, and for parameters that are none.
    """
    refuse(Relevance, floor=floor, sides=sides, reach=reach, adjusted=adjusted)
    targets = checked_targets(targets)
    found = control_points(targets, points, sides, reach, adjusted)
    phi = relevance(targets, found)
    refuse_useless(phi)
    made = floor + (1.0 - floor) * phi
    return made / made.mean()


@register
@dataclasses.dataclass(frozen=True)
class Relevance(Remedy):
    """Weights by relevance; see `weights`.

    With a floor of a tenth, weights of normal targets run from 0.3 to 3, of exponential ones from
    0.4 to 4, and the effective number of images (Kish's) is 66 and 47 percent. Without a floor half
    of the exponential targets, those below the median, are not learnt from at all.
    """

    points: tuple[tuple[float, float], ...] = field(
        (), POINTS, 'control points (target, relevance), those of a box plot where empty', TABLE
    )
    floor: float = field(0.1, number(0.0, 1.0), 'weight of no relevance beside that of 1', TABLE)
    sides: str = field('both', one_of('both', 'low', 'high'), 'extremes that are relevant', TABLE)
    reach: float = field(1.5, positive(1e3), 'of whiskers, in heights of the box', TABLE)
    adjusted: bool = field(False, SWITCH, 'whether whiskers follow skewness', TABLE)

    name = 'relevance'

    def check(self, fields: Mapping[str, Any], task: Any, law: Distribution) -> None:
        """Refuses targets of which a box plot may leave none relevant."""
        super().check(fields, task, law)
        count = fields['data.train_size']
        check_law(law, count, self.points, self.sides, self.reach, self.adjusted)

    def fitted(self, targets: np.ndarray) -> Relevance:
        """With the control points of these targets [N].

        A training set that is resampled to be balanced has no extremes of its own: relevance is of
        what was rare before.
        """
        found = control_points(targets, self.points, self.sides, self.reach, self.adjusted)
        points = tuple((target, phi) for target, phi in found.tolist())
        return dataclasses.replace(self, points=points)

    def tables(
        self, targets: np.ndarray, law: Distribution, generator: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """The weights [N]."""
        del law, generator
        found = weights(targets, self.points, self.floor, self.sides, self.reach, self.adjusted)
        return {'weights': found}
