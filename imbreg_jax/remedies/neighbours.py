"""The nearest of some images to each of them, by the distance of their pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

# Distances held at once.
_AT_ONCE = 2**24


class Nearest(NamedTuple):
    """The nearest of n images to each of them.

    Attributes:
      places: [n, k] int, the nearest others, nearest first.
      distances: [n, k], to these.
      median: [n], of the distances to all n, of which the one to itself is 0.
    """

    places: np.ndarray
    distances: np.ndarray
    median: np.ndarray


def require(count: int, k: int) -> None:
    """Refuses to look for k neighbours among so many images.

    Raises:
      ValueError: with a sentence, where there are not as many others.
    """
    if count <= k:
        raise ValueError(
            f'{count} alike training images have no {k} neighbours each; take a smaller k, another '
            'threshold of relevance, or more training images'
        )


def nearest(images: np.ndarray, k: int) -> Nearest:
    """The k nearest others to each image, by Euclidean distance.

    Args:
      images: [n, ...], of any shape; or [n] targets.
      k: how many, fewer than n.

    Raises:
      ValueError: with a sentence, where there are too few images.
    """
    count = len(images)
    require(count, k)
    rows = np.asarray(images).reshape(count, -1)
    # Products of what lies about 0 lose the fewest digits.
    rows = rows - rows.mean(0)
    squares = (rows * rows).sum(1)
    block = max(1, _AT_ONCE // count)
    middle = [(count - 1) // 2, count // 2]
    places, medians = [], []
    for start in range(0, count, block):
        here = np.arange(start, min(start + block, count))
        found = squares[here, None] + squares - 2.0 * rows[here] @ rows.T
        np.maximum(found, 0.0, out=found)
        own = np.arange(len(here)), here
        found[own] = 0.0
        medians.append(np.sqrt(np.partition(found, middle, axis=1)[:, middle]).mean(1))
        found[own] = np.inf
        near = np.sort(np.argpartition(found, k - 1, axis=1)[:, :k], axis=1)
        closest = np.argsort(np.take_along_axis(found, near, 1), axis=1, kind='stable')
        places.append(np.take_along_axis(near, closest, 1))
    chosen = np.concatenate(places)
    # Anew, for the digits that a difference of squares has lost.
    distances = [np.sqrt(((rows - rows[other]) ** 2).sum(1)) for other in chosen.T]
    return Nearest(chosen, np.stack(distances, axis=1), np.concatenate(medians))


def space(name: str, by: str, targets: Any, images: Any) -> Any:
    """Returns that of targets and images, [N, ...], in which neighbours are near one another.

    Args:
      name: of the remedy that asks.
      by: 'image' or 'target'.
      targets: [N].
      images: of the training set; None where none are given.

    Raises:
      ValueError: with a sentence, where they are wanted and none are given.
    """
    if by == 'image' and images is None:
        raise ValueError(f'{name} finds neighbours among images, and none are given')
    return images if by == 'image' else targets
