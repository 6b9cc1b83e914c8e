"""What a law is: its functions, and the `Distribution` that the rest of the package knows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np


class TableSource(Protocol):
    """Finds the values of a table."""

    def __call__(self, path: str, digest: str, columns: int = 1, /) -> np.ndarray | None:
        """Finds them.

        Args:
            path: that of the file that an expression names, or ''.
            digest: the SHA-256 of the values, or the first digits of it, or ''.
            columns: 1 for targets; 2 for points of a density.

        Returns:
            float64: [n] sorted targets, or [n, 2] points in their order, as `read_table` has them;
            None where nobody here knows them.

        Raises:
            ValueError: with one sentence, where there is no such table.
        """


# Probabilities, tails included, at which a law that is not the package's is looked at.
_LOOKED_AT = np.concatenate([[1e-6], (np.arange(99) + 0.5) / 99, [1 - 1e-6]])
_TOLERANCE = 1e-6


class Law(Protocol):
    """What a law must offer; every function maps float64 arrays to arrays of the same shape.

    Targets are drawn by the inverse CDF from uniforms, so that two conditions that share the
    uniforms have coupled targets; that is why every law has a quantile function, and why it is
    computed in float64. A law may also have what `log_density` and `breaks_of` look for.
    """

    def ppf(self, u: np.ndarray) -> np.ndarray:
        """The quantile function: the least x with cdf(x) >= u; NaN outside of [0, 1]."""

    def pdf(self, x: np.ndarray) -> np.ndarray:
        """The density (per unit of target); atoms are left out."""

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """The probability of a target that is at most x."""

    @property
    def mean(self) -> float:
        """The expected target."""

    @property
    def support(self) -> tuple[float, float]:
        """The least and the greatest possible target; either may be infinite."""


def log_density(law: Law, x: np.ndarray) -> np.ndarray:
    """The logarithm of a law's density; the law's own `logpdf`, if any, is right far in tails."""
    own = getattr(law, 'logpdf', None)
    return np.log(law.pdf(x)) if own is None else own(x)


def breaks_of(law: Law) -> np.ndarray:
    """Where a law's density jumps or bends, [n] rising and finite: ends, and its own `breaks`."""
    found = np.unique([*law.support, *getattr(law, 'breaks', ())])
    return found[np.isfinite(found)]


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A target distribution.

    Two distributions are equal when they are the same law (see `identity`).

    Attributes:
        name: the registry's name (`u1_10`) where it has the law, else the expression, in which a
            table is named after its values (`table_81f3bd0d2d3c4a41`).
        spec: the canonical expression, from which `parse` makes an equal distribution; of a table
            it keeps the path of the file.
        identity: the same without paths: a table is the SHA-256 of its sorted values, and `parse`
            needs to be told where those are.
        label: for figures and tables, such as `U(1, 10)`; printable characters only.
        tables: the values of the tables in it, by their SHA-256; see `TableSource`.
    """

    name: str
    spec: str = dataclasses.field(compare=False)
    identity: str
    label: str = dataclasses.field(compare=False)
    tables: dict[str, np.ndarray] = dataclasses.field(repr=False, compare=False)
    _law: Law = dataclasses.field(repr=False, compare=False)

    @property
    def known(self) -> bool:
        """Whether it can be evaluated: not where the values of a table are kept nowhere."""
        return not isinstance(self._law, Unknown)

    def ppf(self, u: Any) -> np.ndarray:
        """The quantile function: probabilities in [0, 1], any shape, to float64 targets.

        Raises:
            ValueError: here and in all that follow, for a law that is not `known`.
        """
        return _evaluate(self._law.ppf, u)

    def pdf(self, x: Any) -> np.ndarray:
        """The density (per unit of target) at targets of any shape."""
        return _evaluate(self._law.pdf, x)

    def logpdf(self, x: Any) -> np.ndarray:
        """The logarithm of the density; finite also far in tails, where the density itself is 0."""
        return _evaluate(lambda points: log_density(self._law, points), x)

    def cdf(self, x: Any) -> np.ndarray:
        """The probability of a target that is at most x, for targets of any shape."""
        return _evaluate(self._law.cdf, x)

    @property
    def breaks(self) -> np.ndarray:
        """Where the density jumps or bends: [n] finite targets that rise."""
        return breaks_of(self._law)

    @property
    def mean(self) -> float:
        """The expected target."""
        with np.errstate(all='ignore'):
            return float(self._law.mean)

    @property
    def support(self) -> tuple[float, float]:
        """The least and the greatest possible target; either may be infinite."""
        low, high = self._law.support
        return float(low), float(high)


def _evaluate(function: Callable[[np.ndarray], np.ndarray], values: Any) -> np.ndarray:
    # Overflow to infinity far in a tail is the right value, not a fault.
    with np.errstate(all='ignore'):
        return np.asarray(function(np.asarray(values, np.float64)), np.float64)


@dataclasses.dataclass(frozen=True)
class ScipyLaw:
    """A law that scipy.stats has, with its parameters (`stats.norm(5.5, 1)`).

    Attributes:
        frozen: that law.
        breaks: where its density jumps or bends, but for the ends of its support.
    """

    frozen: Any
    breaks: tuple[float, ...] = ()

    def ppf(self, u: np.ndarray) -> np.ndarray:
        """See `Law`."""
        return self.frozen.ppf(u)

    def pdf(self, x: np.ndarray) -> np.ndarray:
        """See `Law`."""
        return self.frozen.pdf(x)

    def logpdf(self, x: np.ndarray) -> np.ndarray:
        """See `log_density`."""
        return self.frozen.logpdf(x)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """See `Law`."""
        return self.frozen.cdf(x)

    @property
    def mean(self) -> float:
        """See `Law`."""
        return self.frozen.mean()

    @property
    def support(self) -> tuple[float, float]:
        """See `Law`."""
        return self.frozen.support()


@dataclasses.dataclass(frozen=True)
class Unknown:
    """A law of which only the identity is known."""

    reason: str

    def _refuse(self, *_: Any) -> Any:
        raise ValueError(self.reason)

    ppf = pdf = cdf = _refuse
    mean = property(_refuse)
    support = property(_refuse)


class Parsed(NamedTuple):
    """A law that was read, with what `Distribution` says of it."""

    name: str
    spec: str
    identity: str
    label: str
    tables: dict[str, np.ndarray]
    law: Law


def fault(law: Law) -> str | None:
    """What keeps a law from being one, as the end of a sentence, or None.

    Looked at are shapes, and whether quantiles, density, CDF and support agree, at some hundred
    probabilities.
    """
    u = _LOOKED_AT
    x = _evaluate(law.ppf, u)
    if x.shape != u.shape or not np.all(np.isfinite(x)):
        return 'its quantiles are not a finite number for each probability between 0 and 1'
    if np.any(np.diff(x) < 0):
        at = int(np.argmin(np.diff(x)))
        return f'its quantile falls between the probabilities {u[at]:.3g} and {u[at + 1]:.3g}'
    low, high = law.support
    if not low <= x[0] <= x[-1] <= high:
        return f'its quantiles leave its support, {low:.6g} to {high:.6g}'
    density = _evaluate(law.pdf, x)
    if density.shape != x.shape or not np.all(density >= 0):
        return 'its density is not a number of at least 0 for each target'
    below = x - _TOLERANCE * (1 + np.abs(x))
    # An atom, as tables have, lets the CDF pass a probability by a step.
    wrong = (_evaluate(law.cdf, x) < u - _TOLERANCE) | (_evaluate(law.cdf, below) > u + _TOLERANCE)
    if np.any(wrong):
        at = int(np.argmax(wrong))
        return f'its CDF does not invert its quantile {x[at]:.6g} of the probability {u[at]:.3g}'
    return None
