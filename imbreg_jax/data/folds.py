"""K-fold cross-validation: k repeats share a data set, and each validates on another part of it.

Repeat r has the data set of number r // k and leaves out its part r % k (Kohavi, "A study of
cross-validation and bootstrap for accuracy estimation and model selection", IJCAI 1995). A data
set's images are those that training images of a repeat of its number would be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

# More data sets than that are not named one by one.
_MOST_NAMED = 4
# Of arrays of numpy and of JAX alike.
_Array = TypeVar('_Array', bound=Any)


def data_set(folds: int, repeat: _Array) -> _Array:
    """The number of the data set that a repeat shares."""
    return repeat // folds


def lacking(folds: int, repeats: Iterable[int]) -> dict[int, list[int]]:
    """{number: [repeat, ...]} that the data sets of some repeats lack; whole ones lack none."""
    own = set(repeats)
    return {
        number: [r for r in range(number * folds, (number + 1) * folds) if r not in own]
        for number in sorted({data_set(folds, r) for r in own})
    }


def told(folds: int, repeats: Iterable[int]) -> str:
    """A sentence on data sets of some repeats that lack folds, and on what to train; '' of none."""
    lacks = {number: own for number, own in lacking(folds, repeats).items() if own}
    if not lacks:
        return ''
    parts = [
        f'data set {number} lacks {"repeats" if len(own) > 1 else "repeat"} '
        f'{", ".join(map(str, own))}'
        for number, own in lacks.items()
    ]
    one = sum(map(len, lacks.values())) == 1
    more = [f'{len(parts) - _MOST_NAMED} more lack some'] if len(parts) > _MOST_NAMED else []
    return (
        f'Of its {folds} folds {"; ".join(parts[:_MOST_NAMED] + more)}: no table and no test '
        f'counts {"them" if len(parts) > 1 else "it"} until {"that is" if one else "these are"} '
        'trained too, by config.first_repeat and config.repeats, in a workdir that the report is '
        'given beside this one.'
    )


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
