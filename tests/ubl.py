"""What the package of the authors of resampling for regression made of small sets.

`testdata/make_ubl_fixtures.R` says how, with which versions.
"""

import json
import pathlib
from typing import Any

import numpy as np

from imbreg_jax.remedies import resampling
from imbreg_jax.remedies.neighbours import Nearest

CASES: dict[str, dict[str, Any]] = json.loads(
    pathlib.Path(__file__).with_name('testdata').joinpath('ubl.json').read_text()
)


def data(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, 3] and targets [N]."""
    rows = np.array(case['rows'])
    return rows[:, :3], rows[:, 3]


def groups(case: dict[str, Any]) -> resampling.Groups:
    """Ours, by the package's relevance and its threshold."""
    _, targets = data(case)
    return resampling.of_relevance(targets, np.array(case['relevance']), 0.5)


def nearest(group: dict[str, Any]) -> Nearest:
    """The package's neighbours of a group that grows."""
    places, distances = np.array(group['near']), np.array(group['distances'])
    return Nearest(places, np.take_along_axis(distances, places, 1), np.array(group['median']))


def draws(made: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seeds, picks and ways [c] that the package drew; nan for a way that it did not need."""
    return (
        np.array(made['seeds']) - 1,
        np.array(made['picks']) - 1,
        np.array(made['shares'], np.float64),
    )
