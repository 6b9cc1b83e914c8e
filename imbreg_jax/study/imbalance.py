"""How imbalanced a training law is, measured against a test law.

Four measures, each of which sees something else:

- the 1-Wasserstein distance, in units of the target: how far mass must be carried;
- the Kullback–Leibler divergence D(test ‖ train), in nats: infinite where test targets lie where no
  training target can;
- the missing share: how much of the test law's mass lies there;
- the effective share: of N training targets with the weights p_test / p_train, which make averages
  over them those over test targets, the effective number is this share of N (Kish's, for large N).
  It is over the range that both laws have: the weights of what is missing do not exist, so it is to
  be read beside the missing share. It is 0 where the variance of the weights is infinite.

They are integrals over densities, right to 1e-6 (the effective share to 1e-3 where the integral of
p_test² / p_train is close to infinite: that grows like d^-0.8 or faster at a distance d from some
target; from d^-0.97 on it counts as infinite). A table of targets has no density that says anything
of where they came from, and neither has a law with atoms. There divergence and shares are those of
histograms of both laws, in bins that are equally likely under the test law: 2·n^(1/3) of them for a
table of n targets (Rice's rule), else 100; a bin with less than one target of a table that is
trained on counts as empty. A test density that rises more steeply than float64 can follow is
treated likewise. The distance needs no density.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np

from imbreg_jax.study.laws import Distribution
from imbreg_jax.study.laws.quadrature import integrals

# Quantiles that show where a law varies.
_SHOWN = np.concatenate([[1e-6, 1e-4], np.linspace(0.005, 0.995, 23), [1 - 1e-4, 1 - 1e-6]])
# Less of a law is never drawn: the uniforms of targets end half a step of 2^-23 before 0 and 1.
_NEVER_DRAWN = 2.0**-24
_APART = 2.0**-16
_MOST_LOST = 1e-6
_BINS = 100
# More than a law without atoms has between two neighbouring numbers.
_ATOM = 1e-12


@dataclasses.dataclass(frozen=True)
class Imbalance:
    """A training law against a test law; see the module.

    Attributes:
        wasserstein: in units of the target.
        kullback_leibler: of the test law from the training law, in nats; may be infinite.
        missing_share: of the test law, from 0 to 1.
        effective_share: of training targets, from 0 to 1.
        bins: how many the last three are taken over; None where densities are.
    """

    wasserstein: float
    kullback_leibler: float
    missing_share: float
    effective_share: float
    bins: int | None = None

    def plain(self) -> dict[str, Any]:
        """The measures for JSON, which has no infinity: 'infinity' is what `float` reads."""
        return {
            key: 'infinity' if value == np.inf else value
            for key, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_plain(cls, values: Any) -> Self:
        """The measures that `plain` wrote down.

        Raises:
            ValueError, TypeError, KeyError: they are none.
        """
        held = {field.name: values[field.name] for field in dataclasses.fields(cls)}
        bins = held.pop('bins')
        measures = {name: float(value) for name, value in held.items()}
        return cls(**measures, bins=None if bins is None else int(bins))


def imbalance(train: Distribution, test: Distribution) -> Imbalance:
    """How imbalanced a training law is, measured against a test law.

    Args:
        train: the law of training targets.
        test: the law of test targets.

    Returns:
        The measures.

    Raises:
        ValueError: with one sentence, where a law is not `known`.
    """
    distance = _wasserstein(train, test)
    of_train, of_test = _table_sizes(train), _table_sizes(test)
    sizes = [*of_train, *of_test]
    found = None if sizes else _over_densities(train, test)
    if found is not None:
        return Imbalance(distance, *found)
    bins = min(math.ceil(2.0 * min(sizes) ** (1.0 / 3.0)), min(sizes) - 1) if sizes else _BINS
    # A table's law has a target between two neighbours even where those lie far apart.
    empty = max([0.0, *((1.0 - 1e-9) / (size - 1) for size in of_train)])
    return Imbalance(distance, *_over_bins(train, test, bins, empty), bins)


def of_laws(
    trains: Mapping[str, Distribution], tests: Iterable[Distribution]
) -> dict[str, dict[str, Any]]:
    """The measures of several training laws against several test laws, for JSON.

    Args:
        trains: by the names of conditions; conditions may share a law.
        tests: the test laws.

    Returns:
        condition -> test law's name -> `Imbalance.plain`; without laws that are not `known`.
    """
    known = [test for test in tests if test.known]
    found = {
        train: {test.name: imbalance(train, test).plain() for test in known if train.known}
        for train in dict.fromkeys(trains.values())
    }
    return {name: found[train] for name, train in trains.items()}


def _wasserstein(train: Distribution, test: Distribution) -> float:
    """The integral of the distance between the laws' CDFs."""
    supports = np.array([train.support, test.support])
    edges = _edges(train, test, supports[:, 0].min(), supports[:, 1].max())
    finite = edges[np.isfinite(edges)]
    # Of a range of 1, which the tolerance of integrals is made for.
    unit = float(np.ptp(finite))
    (found,) = integrals(lambda x: np.abs(_cdf(train, x) - _cdf(test, x))[None] / unit, edges)
    return unit * float(found)


def _over_densities(train: Distribution, test: Distribution) -> tuple[float, float, float] | None:
    """Divergence, missing and effective share; None where a density does not hold its law."""

    def parts(x: np.ndarray) -> np.ndarray:
        log_test, log_train = _log_density(test, x), _log_density(train, x)
        both = (log_test > -np.inf) & (log_train > -np.inf)
        log_weight = np.subtract(log_test, log_train, out=np.zeros_like(x), where=both)
        density = np.exp(log_test)
        return np.stack(
            [
                density,
                np.exp(log_train),
                np.where(log_train > -np.inf, 0.0, density),
                np.where(both, density * log_weight, 0.0),
                np.where(both, np.exp(log_test + log_weight), 0.0),
            ]
        )

    def masses(x: np.ndarray) -> np.ndarray:
        return np.stack([_cdf(test, x), _cdf(train, x)])

    with np.errstate(over='ignore', invalid='ignore'):
        mass, _, missing, divergence, square = integrals(
            parts, _edges(train, test, *test.support), masses
        )
    if not abs(mass - 1.0) <= _MOST_LOST:
        return None
    return _measures(missing, divergence, square)


def _table_sizes(law: Distribution) -> list[int]:
    """How many targets each table of targets in a law has."""
    return [len(values) for values in law.tables.values() if values.ndim == 1]


def _over_bins(
    train: Distribution, test: Distribution, bins: int, empty: float
) -> tuple[float, float, float]:
    """The same for histograms, in bins that are equally likely under the test law.

    Less than `empty` of the training law in a bin is nothing.
    """
    first, *others = test.ppf(np.linspace(0.0, 1.0, bins + 1))
    ends = np.concatenate([[np.nextafter(first, -np.inf)], np.unique(others)])
    of_test, of_train = np.diff(_cdf(test, ends)), np.diff(_cdf(train, ends))
    if first == others[0] and of_train[0] < _ATOM:
        of_train[0] = 0.0
    held = of_test > 0.0
    of_test, of_train = of_test[held] / of_test[held].sum(), of_train[held]
    both = (of_train > 0.0) & (of_train >= empty)
    weight = of_test[both] / of_train[both]
    return _measures(of_test[~both].sum(), of_test[both] @ np.log(weight), of_test[both] @ weight)


def _measures(missing: float, divergence: float, square: float) -> tuple[float, float, float]:
    """The three measures.

    Args:
        missing: the test law's mass where the training law has none.
        divergence: where it has some, the integral of p_test · log(p_test / p_train).
        square: there, that of p_test² / p_train.
    """
    missing = 0.0 if missing < _NEVER_DRAWN else min(float(missing), 1.0)
    effective = min((1.0 - missing) ** 2 / float(square), 1.0) if square > 0.0 else 0.0
    return np.inf if missing > 0.0 else max(float(divergence), 0.0), missing, effective


def _edges(train: Distribution, test: Distribution, low: float, high: float) -> np.ndarray:
    """Points from `low` to `high` at which to part an integral over both laws."""
    breaks = np.concatenate([train.breaks, test.breaks])
    shown = np.concatenate([train.ppf(_SHOWN), test.ppf(_SHOWN)])
    # Near a break there may be a pole, which only halving after halving shows.
    apart = np.abs(shown[:, None] - breaks) > _APART * np.abs(shown[:, None])
    points = np.concatenate([breaks, shown[apart.all(axis=1)]])
    return np.unique([low, high, *points[(points > low) & (points < high)]])


def _cdf(law: Distribution, x: np.ndarray) -> np.ndarray:
    """The CDF, which a law of one's own may know within its support only."""
    low, high = law.support
    return np.where(x < low, 0.0, np.where(x >= high, 1.0, law.cdf(np.clip(x, low, high))))


def _log_density(law: Distribution, x: np.ndarray) -> np.ndarray:
    """The logarithm of the density, likewise; -inf outside of the support."""
    low, high = law.support
    found = law.logpdf(np.clip(x, low, high))
    return np.where((x >= low) & (x <= high) & ~np.isnan(found), found, -np.inf)
