"""Introduction of Gaussian noise: rare targets occur again with noise, frequent ones less often.

Branco et al., "Pre-processing approaches for imbalanced distributions in regression"
(Neurocomputing 2019), and its package UBL (paobranco/UBL, GaussNoiseRegress), which goes by bumps
of relevance; bins of targets serve laws without extremes too. The training set keeps its size: each
group that has an image gets the same number of them. A copy's target moves by noise of
`perturbation` times the standard deviation of its group's targets, and each of its pixels by noise
of `perturbation` times that of its own image's. Each image of a group is copied as often as any
other or once more.

**The size of noise on pixels.** The package has features with units of their own, and takes the
standard deviation of each over the group. Pixels of an image have one unit, and a device makes an
image of itself alone, where its group is not at hand. Of independent pixels of mean 0 both are the
same in the mean square over a group. Measured among the rare ones of 4,000 images of
exponential(1, 2) below 10, an image's own is in the mean square 1.00 of the package's for `std`,
and for `disc_radius`, `grating_period`, `needle_angle` and `blob_count` too, whose forms lie
anywhere. It is less where images differ in their means, which a pixel's deviation over a group has
in it and an image's own has not: 0.60 for `mean`, 0.33 for `signal_to_noise`. And where a group
has weak and strong images, noise is here the same share of each, with the package the same for all.

Noise p on the pixels of an image of noise makes its standard deviation sqrt(1 + p**2) times as
large, which the published target does not know; with `relabel` it is measured.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from imbreg_jax.remedies import resampling
from imbreg_jax.remedies.registry import register
from imbreg_jax.remedies.resampling import GOALS, ByGroups, Groups, Recipe
from imbreg_jax.study import Distribution
from imbreg_jax.study.fields import SWITCH, TABLE, field, one_of, positive
from imbreg_jax.training.remedy import Images


def recipe(
    targets: np.ndarray,
    groups: Groups,
    goals: np.ndarray,
    generator: np.random.Generator,
    perturbation: float = 0.1,
) -> Recipe:
    """A training set of groups of wanted sizes, small ones filled up with noisy copies.

    Args:
      targets: [N] training targets.
      groups: of alike targets.
      goals: [G] int, wanted of each.
      generator: of which images are left out or copied, and of noise on targets.
      perturbation: noise, in standard deviations of a group's targets and of an image's pixels.

    Returns:
      `first` [M] int32, which image; `noise` [M] float32, in standard deviations of its pixels, 0
      for an image as it is; `target` [M] float32; and `second` and `share`, which say that nothing
      is mixed. M is the sum of the goals.
    """
    targets = np.asarray(targets, np.float64)

    def make(members: np.ndarray, count: int) -> Recipe:
        copies = resampling.repeated(members, count, generator)
        noise = np.full(count, perturbation)
        return resampling.noisy(
            targets, copies, noise, resampling.spread(targets[members]), generator
        )

    return resampling.filled(targets, groups, goals, generator, make)


@register
@dataclasses.dataclass(frozen=True)
class GaussianNoise(ByGroups):
    """Resampling to balance, copies with noise; see `recipe`.

    A perturbation of 0.1 is the package's default (`pert`), and makes the standard deviation of an
    image 0.5 percent larger.
    """

    goal: str = field('balance', one_of(*GOALS), 'how many images each group has', TABLE)
    perturbation: float = field(0.1, positive(10.0), 'noise, in standard deviations', TABLE)
    relabel: bool = field(False, SWITCH, 'whether targets of copies are measured', TABLE)

    name = 'gaussian_noise'
    recipe = 'noise'

    @property
    def sees_images(self) -> bool:  # type: ignore[override]
        """Where targets are measured."""
        return self.relabel

    @property
    def relabels(self) -> bool:  # type: ignore[override]
        """Whether targets of copies are measured."""
        return self.relabel

    def tables(
        self,
        targets: np.ndarray,
        law: Distribution,
        generator: np.random.Generator,
        images: Images | None = None,
    ) -> dict[str, np.ndarray]:
        """What each training image is made of."""
        del law
        groups = self.groups(targets)
        found = recipe(targets, groups, GOALS[self.goal](groups), generator, self.perturbation)
        if self.relabel:
            found = resampling.relabelled(found, images)
        return {name: found[name] for name in ('first', 'noise', 'target')}
