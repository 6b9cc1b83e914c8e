"""The numbers that the paper prints, cell by cell, with what is wrong with them.

Source: Thakoersingh, "How does imbalanced data affect performance of regression CNNs?",
TU Delft, Tables 1 to 5. The numbers themselves are in `tables.json` beside this module.
"""

import dataclasses
import functools
import importlib.resources
import json
from collections.abc import Iterable, Mapping
from typing import Any

from imbreg_jax.study.config import completed

METRICS = ('mse', 'mape')
ALL_TESTS = 'all'
BALANCED, MISSING, NORMAL = 'u1_10', 'u1_5', 'n5_5_1'

_TITLES = {
    1: 'networks trained on U(1, 10), tested on U(1, 10)',
    2: 'networks trained on U(1, 5)',
    3: 'networks trained on N(5.5, 1)',
    4: 'all networks, tested on U(1, 10)',
    5: 'all networks, averaged over all test distributions',
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One printed number of the paper.

    Attributes:
      table: number of the table, 1 to 5.
      trained_on: name of the training distribution; '' is the random-guess baseline.
      tested_on: name of the test distribution; 'all' is the average over all three.
      metric: 'mse' (squared intensity) or 'mape' (percent of the true target).
      mean: printed mean over 10 repeats.
      std: printed standard deviation.
      marks: keys into `inconsistencies()` that touch this cell.
      usable: whether the mean may count as evidence; False where the paper contradicts itself.
    """

    table: int
    trained_on: str
    tested_on: str
    metric: str
    mean: float
    std: float
    marks: tuple[str, ...]
    usable: bool

    def text(self) -> str:
        """Returns the cell as the paper prints it, with the marks of its inconsistencies."""
        marks = f' [{",".join(self.marks)}]' if self.marks else ''
        return f'{self.mean:g} ± {self.std:g}{marks}'


@functools.lru_cache(maxsize=1)
def _data() -> Mapping[str, Any]:
    resource = importlib.resources.files(__package__).joinpath('tables.json')
    return json.loads(resource.read_text(encoding='utf-8'))


@functools.lru_cache(maxsize=1)
def cells() -> tuple[Cell, ...]:
    """Returns every printed cell of Tables 1 to 5, in the paper's order."""
    doubtful = {
        (entry['table'], entry['trained_on'], entry['tested_on'], entry['metric']): entry['mark']
        for entry in _data()['doubtful_mean']
    }
    found = []
    for entry in _data()['cells']:
        for metric in METRICS:
            key = (entry['table'], entry['trained_on'], entry['tested_on'], metric)
            marks = [doubtful[key]] if key in doubtful else []
            if not entry['trained_on']:
                marks.append('c')
            if metric == 'mape':
                marks.append('d')
            found.append(
                Cell(
                    *key,
                    mean=entry[metric][0],
                    std=entry[metric][1],
                    marks=tuple(marks),
                    usable=key not in doubtful,
                )
            )
    return tuple(found)


def cell(trained_on: str, tested_on: str, metric: str) -> Cell | None:
    """Returns the printed value to hold a result against, or None where the paper has none.

    Where two tables print a cell, the one that the paper does not contradict itself on is taken;
    a doubtful one is returned only if there is no other.

    Args:
      trained_on: name of the training distribution, '' for the baseline.
      tested_on: name of the test distribution, or 'all'.
      metric: 'mse' or 'mape'; the paper prints nothing else.
    """
    found = [
        c
        for c in cells()
        if (c.trained_on, c.tested_on, c.metric) == (trained_on, tested_on, metric)
    ]
    return next((c for c in found if c.usable), found[0] if found else None)


def table(number: int) -> tuple[Cell, ...]:
    """Returns the cells of one table (1 to 5), in the paper's order."""
    return tuple(c for c in cells() if c.table == number)


def title(number: int) -> str:
    """Returns what Table `number` is about."""
    return _TITLES[number]


def inconsistencies() -> Mapping[str, str]:
    """Returns mark -> sentence for everything in the printed tables that cannot be right."""
    return _data()['inconsistencies']


def repeats() -> int:
    """Returns the number of repeats behind every printed mean."""
    return _data()['repeats']


def test_distributions() -> tuple[str, ...]:
    """Returns the names of the distributions that the paper tests on."""
    return tuple(_data()['test_distributions'])


def settings() -> Mapping[str, Any]:
    """Returns dotted config field -> value for every setting that the paper states."""
    return {k: v for k, v in _data()['settings'].items() if k != 'train_distributions'}


# What every trained network of the paper has, though it prints no rate.
_DROPOUT = ('model.conv_dropout_rate', 'model.dense_dropout_rate')
# What the random guess and its test images depend on.
_GUESS = {'evaluation.guess_low': 1.0, 'evaluation.guess_high': 10.0}
_GUESS_SETTINGS = ('task.name', 'data.image_size', 'data.test_size')


def as_printed(config: Mapping[str, Any], conditions: Iterable[str]) -> frozenset[str]:
    """Returns the conditions that the printed numbers may stand beside.

    Those are conditions whose settings are the paper's wherever it states them; what it leaves open
    (order of pool and ReLU, initialisation, …) may be either.

    Args:
      config: a resolved config, as in `config.json` (`Study.resolved`).
      conditions: names of its conditions.

    Returns:
      Names out of `conditions`, and '' if the printed baseline may stand beside `random_guess`.
    """
    overrides = config.get('conditions') or {}
    # A config of before there was a field has its default.
    config = completed(config)
    found = set()
    for name in conditions:
        trees = (overrides.get(name) or {}, config)
        settled = all(_is(trees, field, value) for field, value in settings().items())
        if settled and not any(_is(trees, field, 0.0) for field in _DROPOUT):
            found.add(name)
    printed = {field: settings()[field] for field in _GUESS_SETTINGS} | _GUESS
    if all(_is((config,), field, value) for field, value in printed.items()):
        found.add('')
    return frozenset(found)


def _is(trees: Iterable[Any], field: str, value: Any) -> bool:
    """Whether a dotted field has this value in the first of the nested mappings that has it."""
    for tree in trees:
        for part in field.split('.'):
            tree = tree.get(part) if isinstance(tree, Mapping) else None
        if tree is not None:
            return tree == value
    return False
