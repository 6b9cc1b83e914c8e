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

from imbreg_jax.study.config import completed, flatten

_DATA: Mapping[str, Any] = json.loads(
    importlib.resources.files(__package__).joinpath('tables.json').read_text(encoding='utf-8')
)
METRICS = ('mse', 'mape')
ALL_TESTS = 'all'
BALANCED, MISSING, NORMAL = 'u1_10', 'u1_5', 'n5_5_1'
TEST_DISTRIBUTIONS: tuple[str, ...] = tuple(_DATA['test_distributions'])
# Behind every printed mean.
REPEATS: int = _DATA['repeats']
# Dotted config field -> value, of every setting that the paper states.
SETTINGS: Mapping[str, Any] = _DATA['settings']
# Mark -> sentence, for everything in the printed tables that cannot be right.
INCONSISTENCIES: Mapping[str, str] = _DATA['inconsistencies']
TITLES = {
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
      marks: keys into `INCONSISTENCIES` that touch this cell.
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


@functools.cache
def cells() -> tuple[Cell, ...]:
    """Returns every printed cell of Tables 1 to 5, in the paper's order."""
    doubtful = {
        (entry['table'], entry['trained_on'], entry['tested_on'], entry['metric']): entry['mark']
        for entry in _DATA['doubtful_mean']
    }
    found = []
    for entry in _DATA['cells']:
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
    held = completed(config)
    base = flatten({field: value for field, value in held.items() if field != 'conditions'})
    found = set()
    for name in conditions:
        own = base | flatten(overrides.get(name) or {})
        if SETTINGS.items() <= own.items() and all(own.get(rate) != 0 for rate in _DROPOUT):
            found.add(name)
    guess = {field: SETTINGS[field] for field in _GUESS_SETTINGS} | _GUESS
    if guess.items() <= base.items():
        found.add('')
    return frozenset(found)
