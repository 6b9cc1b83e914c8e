"""K-fold cross-validation: k repeats share a data set, and each validates on another part of it.

Repeat r has the data set of number r // k and leaves out its part r % k (Kohavi, "A study of
cross-validation and bootstrap for accuracy estimation and model selection", IJCAI 1995). A data
set's images are those that training images of a repeat of its number would be.
"""

from __future__ import annotations

from typing import Any, TypeVar

# Of arrays of numpy and of JAX alike.
_Array = TypeVar('_Array', bound=Any)


def data_set(folds: int, repeat: _Array) -> _Array:
    """The number of the data set that a repeat shares."""
    return repeat // folds


def places(folds: int, part: int, split: str, repeat: Any, index: _Array) -> _Array:
    """Where images of a repeat's split stand in its data set.

    Args:
      folds: how many parts a data set has.
      part: images of a part.
      split: 'train' or 'validation'.
      repeat: [] the repeat's number.
      index: [n] of images in the split.

    Returns:
      [n] places from 0 to folds · part − 1; those of the two splits are all of them, each once.
    """
    start = repeat % folds * part
    if split == 'validation':
        return start + index
    return index + part * (index >= start)
