"""Training sets drawn from a training set, of its size: groups of alike targets, so many of each.

Images are alike in a bin of targets or, as Torgo et al., "Resampling strategies for regression"
(Expert Systems 2015), and the package UBL (paobranco/UBL) have it, in a bump: a stretch of the
sorted targets whose relevance lies above a threshold (rare) or below it (normal). The package makes
sets larger or smaller; here all have as many images as the set they are drawn from, so that
training takes as many steps. A set that would be smaller occurs as often as it fits, every image
as often as any other or once more, and one that would be larger has the same shares of everything.

For anybody's arrays, images [N, height, width, channels] or others, and targets [N]:

    import numpy as np
    from imbreg_jax.remedies import relevance, resampling, smogn

    generator = np.random.default_rng(0)
    phi = relevance.relevance(targets, relevance.control_points(targets))  # [N]
    groups = resampling.of_relevance(targets, phi, threshold=0.5)
    goals = resampling.balanced(groups)                                    # [G], of sum N
    recipe = smogn.recipe(targets, images, groups, goals, generator)       # {'first': [N], ...}
    new_images = resampling.made(images, recipe, generator)                # [N, ...]
    new_targets = recipe['target']                                         # [N]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from imbreg_jax.remedies import bins as bins_lib
from imbreg_jax.study import Distribution, relevance
from imbreg_jax.study.fields import POINTS, SWITCH, TABLE, field, integer, number, one_of, positive
from imbreg_jax.training.remedy import Images, Remedy

# What a training set is made of, in the names of `training.remedy.Remedy.tables`.
Recipe = dict[str, np.ndarray]
# (places [n] of a group's images, how many more are wanted) to these, a recipe.
Make = Callable[[np.ndarray, int], Recipe]


class Groups(NamedTuple):
    """Images whose targets are alike.

    Attributes:
      places: [N] int, each image's group, from 0; every group has an image.
      rare: [G] bool, whether a group is one of rare targets.
    """

    places: np.ndarray
    rare: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """[G] int: the images of each group."""
        return np.bincount(self.places, minlength=len(self.rare))

    def members(self, group: int) -> np.ndarray:
        """[n] int: the images of a group."""
        return np.flatnonzero(self.places == group)


def of_bins(targets: np.ndarray, bins: int) -> Groups:
    """Groups by bins that have an image; rare are those with fewer than an even share.

    Args:
      targets: [N].
      bins: evenly spaced from the least to the greatest target.
    """
    _, places = np.unique(bins_lib.places(targets, bins), return_inverse=True)
    counts = np.bincount(places)
    return Groups(places, counts < counts.mean())


def of_relevance(targets: np.ndarray, phi: np.ndarray, threshold: float) -> Groups:
    """Groups by bumps of relevance, in the order of their targets.

    Args:
      targets: [N].
      phi: [N] in [0, 1], the relevance of each target.
      threshold: the least relevance of a rare target.

    Raises:
      ValueError: with a sentence, where no target is rare or none is normal.
    """
    targets, phi = np.asarray(targets), np.asarray(phi)
    if not np.nan_to_num(phi).any():
        raise ValueError('no training target is relevant; give control points of relevance by hand')
    rare = phi >= threshold
    if rare.all() or not rare.any():
        kind = 'normal' if rare.all() else 'rare'
        raise ValueError(
            f'a threshold of {threshold:g} leaves no {kind} training target: their relevance lies '
            f'between {phi.min():.3g} and {phi.max():.3g}'
        )
    order = np.argsort(targets, kind='stable')
    change = np.diff(rare[order].astype(int)) != 0
    places = np.empty(len(targets), int)
    places[order] = np.concatenate([[0], np.cumsum(change)])
    first = np.concatenate([[True], change])
    return Groups(places, rare[order][first])


# --- how many of each group -------------------------------------------------------------------


def split(amounts: np.ndarray, size: int) -> np.ndarray:
    """[G] int: images of each group, so many together, in proportion to amounts [G]."""
    whole = np.cumsum(np.asarray(amounts, np.float64))
    return np.diff(np.round(whole / whole[-1] * size).astype(int), prepend=0)


def balanced(groups: Groups) -> np.ndarray:
    """[G] int: as many images of every group (UBL's "balance")."""
    return split(np.ones(len(groups.rare)), len(groups.places))


def extreme(groups: Groups) -> np.ndarray:
    """[G] int: the more images of a group the fewer there are (UBL's "extreme"), as 1/count."""
    return split(1.0 / groups.counts, len(groups.places))


GOALS: dict[str, Callable[[Groups], np.ndarray]] = {'balance': balanced, 'extreme': extreme}


# --- which of them ----------------------------------------------------------------------------


def repeated(images: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """[count] of images [n], each as often as any other or once more; of fewer a part of them."""
    whole, left = divmod(count, len(images))
    return np.concatenate([np.repeat(images, whole), generator.permutation(images)[:left]])


def plain(targets: np.ndarray, images: np.ndarray) -> Recipe:
    """The recipe of images [n] as they are: `mixed` with nothing and without noise."""
    return mixed(targets, images, images, np.ones(len(images)))


def mixed(targets: np.ndarray, first: np.ndarray, second: np.ndarray, share: np.ndarray) -> Recipe:
    """The recipe of mixtures of two images [n], with the same mixtures of their targets.

    Args:
      targets: [N] of the training set.
      first: [n] int, which images.
      second: [n] int, which others.
      share: [n] of the first.

    Returns:
      `first`, `second` [n] int32; `share`, `noise`, `target` [n] float32.
    """
    target = share * targets[first] + (1.0 - share) * targets[second]
    return {
        'first': first.astype(np.int32),
        'second': second.astype(np.int32),
        'share': share.astype(np.float32),
        'noise': np.zeros(len(first), np.float32),
        'target': target.astype(np.float32),
    }


def noisy(
    targets: np.ndarray,
    images: np.ndarray,
    noise: np.ndarray,
    spread: float,
    generator: np.random.Generator,
) -> Recipe:
    """The recipe of images [n] with noise, and with noise on their targets.

    Args:
      targets: [N] of the training set.
      images: [n] int, which.
      noise: [n], in standard deviations of an image's pixels and of targets.
      spread: the standard deviation of targets.
      generator: of the noise on targets; that on pixels is drawn where images are.
    """
    made = plain(targets, images)
    target = targets[images] + generator.normal(0.0, 1.0, len(images)) * noise * spread
    return made | {'noise': noise.astype(np.float32), 'target': target.astype(np.float32)}


def spread(targets: np.ndarray) -> float:
    """The standard deviation of targets [n] as R has it, and 0 of a single one."""
    return float(np.std(targets, ddof=1)) if len(targets) > 1 else 0.0


def filled(
    targets: np.ndarray,
    groups: Groups,
    goals: np.ndarray,
    generator: np.random.Generator,
    make: Make,
) -> Recipe:
    """A training set with so many images of each group.

    A group that has too many gives a part of them, each at most once; one that has too few gives
    all, and further ones are made of them.

    Args:
      targets: [N].
      groups: of the images.
      goals: [G] int, wanted of each group.
      generator: of which are left out.
      make: further ones of a group.

    Returns:
      The recipe [sum of goals]; see `mixed`.
    """
    parts = []
    for group, goal in enumerate(goals):
        members = groups.members(group)
        parts.append(plain(targets, generator.permutation(members)[:goal]))
        if goal > len(members):
            parts.append(make(members, goal - len(members)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def made(
    images: Any,
    recipe: Mapping[str, np.ndarray],
    generator: np.random.Generator,
    spread: ArrayLike | None = None,
) -> np.ndarray:
    """The images of a recipe, of anybody's arrays: share first + (1 - share) second, and noise.

    Training makes the same on a device, of noise of its own (`training.step.pictures_of`).

    Args:
      images: [N, height, width, channels], [N, height, width] or [N, features], or whatever gives
        them for indices [M].
      recipe: `first` [M], which image; where there are any, `second` and `share`, and `noise`.
      generator: of the noise.
      spread: what a noise of 1 is, in a shape that broadcasts to the images made; None for the
        standard deviation of each image's own pixels, in each channel by itself. Of a table, whose
        features have units of their own, it is that of each feature over alike rows.

    Returns:
      [M, ...], of the images' kind of floating point numbers, of whole ones float64; one of share 1
      and noise 0 is the first as it is.
    """
    found = np.asarray(images[recipe['first']])
    if not np.issubdtype(found.dtype, np.floating):
        found = found.astype(np.float64)

    def part(name: str) -> np.ndarray:
        return recipe[name].astype(found.dtype).reshape(-1, *[1] * (found.ndim - 1))

    if 'share' in recipe:
        other = np.asarray(images[recipe['second']], found.dtype)
        found = part('share') * found + (1 - part('share')) * other
    if 'noise' in recipe:
        pixels = tuple(range(1, min(found.ndim, 3)))
        own = found.std(pixels, keepdims=True) if spread is None else np.asarray(spread)
        drawn = generator.normal(size=found.shape)
        found = found + (part('noise') * own * drawn).astype(found.dtype)
    return found


def relabelled(made: Recipe, images: Images | None) -> Recipe:
    """A recipe [N] whose new images have the targets that are measured on them.

    Raises:
      ValueError: with a sentence, where there are no images.
    """
    if images is None:
        raise ValueError('targets are measured on images, and none are given')
    new = np.flatnonzero((made['share'] < 1) | (made['noise'] > 0))
    target = made['target'].copy()
    target[new] = images.measured(made, new)
    return made | {'target': target}


# --- what remedies have in common -------------------------------------------------------------

# Quantiles of a law that stand for its targets at most.
_MOST_QUANTILES = 100_000


@dataclasses.dataclass(frozen=True)
class ByRelevance(Remedy):
    """A remedy that goes by the relevance of training targets."""

    points: tuple[tuple[float, float], ...] = field(
        (), POINTS, 'control points of relevance; empty: of a box plot of the targets', TABLE
    )
    sides: str = field('both', one_of('both', 'low', 'high'), 'which extremes are relevant', TABLE)
    reach: float = field(1.5, positive(100.0), "of a box plot's whiskers, in its heights", TABLE)
    adjusted: bool = field(False, SWITCH, 'whether whiskers follow skewness', TABLE)

    def relevance(self, targets: np.ndarray) -> np.ndarray:
        """The relevance [N] of training targets [N].

        Raises:
          ValueError: with a sentence, where a box plot leaves it undefined.
        """
        found = relevance.control_points(
            targets, self.points, self.sides, self.reach, self.adjusted
        )
        return relevance.relevance(targets, found)

    def check(self, fields: Mapping[str, Any], task: Any, law: Distribution) -> None:
        """Refuses laws whose targets would be refused, or of which it may be that they would."""
        super().check(fields, task, law)
        if not law.known:
            return
        count = fields['data.train_size']
        self.check_relevance(law, count)
        count = min(count, _MOST_QUANTILES)
        self.check_targets(law.ppf((np.arange(count) + 0.5) / count))

    def check_relevance(self, law: Distribution, count: int) -> None:
        """Refuses laws of whose targets a box plot may leave none relevant."""
        relevance.check_law(law, count, self.points, self.sides, self.reach, self.adjusted)

    def check_targets(self, targets: np.ndarray) -> None:
        """Refuses training targets [N].

        Raises:
          ValueError: with a sentence.
        """
        self.relevance(targets)


@dataclasses.dataclass(frozen=True)
class ByBumps(ByRelevance):
    """A remedy that goes by bumps of relevance."""

    threshold: float = field(
        0.5, number(0.0, 1.0, open_low=True), 'least relevance of a rare target', TABLE
    )

    def groups(self, targets: np.ndarray) -> Groups:
        """The groups of training images [N] of these targets."""
        return of_relevance(targets, self.relevance(targets), self.threshold)

    def check_targets(self, targets: np.ndarray) -> None:
        """Refuses training targets that are not some rare and some normal."""
        self.groups(targets)


@dataclasses.dataclass(frozen=True)
class ByGroups(ByBumps):
    """A remedy that goes by bins of targets or by bumps of relevance.

    Bins are 20, since resampling fills none that is empty: of 10,000 targets of N(5.5, 1) hardly
    ever one of 20 is, but of 50 some 2 and of 100 some 8. Of fewer, what is in a bin would be the
    less even, which resampling leaves as it is.
    """

    by: str = field('bins', one_of('bins', 'relevance'), 'by which images are grouped', TABLE)
    bins: int = field(20, integer(2, 10_000), 'bins of targets, evenly spaced', TABLE)

    def check_relevance(self, law: Distribution, count: int) -> None:
        """Refuses laws of whose targets none may be relevant, where that matters."""
        if self.by == 'relevance':
            super().check_relevance(law, count)

    def groups(self, targets: np.ndarray) -> Groups:
        """The groups of training images [N] of these targets."""
        return of_bins(targets, self.bins) if self.by == 'bins' else super().groups(targets)
