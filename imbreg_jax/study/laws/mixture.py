"""Laws that are made of laws."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from imbreg_jax.study.laws.law import Law, breaks_of, log_density
from imbreg_jax.study.laws.registry import register
from imbreg_jax.study.laws.rules import number_text, require


@dataclasses.dataclass(frozen=True)
class Mixture:
    """A draw from one of several laws, chosen with probability `weights` (they sum to 1)."""

    laws: tuple[Law, ...]
    weights: tuple[float, ...]

    def ppf(self, u: np.ndarray) -> np.ndarray:
        """See `Law`."""
        # A mixture's quantile lies between the least and the greatest quantile of its laws, which
        # brackets it; bisection then halves the bracket down to neighbouring float64 numbers.
        quantiles = np.stack([np.asarray(law.ppf(u)) for law in self.laws])
        low, high = quantiles.min(axis=0), quantiles.max(axis=0)
        for _ in range(100):
            middle = low + 0.5 * (high - low)
            open_bracket = (middle > low) & (middle < high)
            if not np.any(open_bracket):
                break
            enough = self.cdf(middle) >= u
            high = np.where(open_bracket & enough, middle, high)
            low = np.where(open_bracket & ~enough, middle, low)
        return high

    def pdf(self, x: np.ndarray) -> np.ndarray:
        """See `Law`."""
        return self._weighted([law.pdf(x) for law in self.laws])

    def logpdf(self, x: np.ndarray) -> np.ndarray:
        """See `log_density`."""
        parts = zip(self.weights, self.laws, strict=True)
        return np.logaddexp.reduce([math.log(w) + log_density(law, x) for w, law in parts])

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """See `Law`."""
        return self._weighted([law.cdf(x) for law in self.laws])

    def _weighted(self, values: Sequence[np.ndarray]) -> np.ndarray:
        return np.sum(
            [w * np.asarray(v) for w, v in zip(self.weights, values, strict=True)], axis=0
        )

    @property
    def mean(self) -> float:
        """See `Law`."""
        return sum(w * float(law.mean) for w, law in zip(self.weights, self.laws, strict=True))

    @property
    def support(self) -> tuple[float, float]:
        """See `Law`."""
        supports = [law.support for law in self.laws]
        return min(low for low, _ in supports), max(high for _, high in supports)

    @property
    def breaks(self) -> tuple[float, ...]:
        """See `breaks_of`."""
        return tuple(point for law in self.laws for point in breaks_of(law))


def _label(law: tuple[str, ...], weight: tuple[float, ...]) -> str:
    return ' + '.join(
        f'{100 * share:.3g}% {label}' for share, label in zip(_shares(weight), law, strict=True)
    )


@register(label=_label, example='mixture(u1_5, 0.9, uniform(5, 10), 0.1)', least=2)
def mixture(law: tuple[Law, ...], weight: tuple[float, ...]) -> Law:
    """A draw from one of several laws; the weights are in any unit."""
    # A mixture of mixtures is a mixture of their laws, which takes one bisection only.
    flat: list[tuple[Law, float]] = []
    for part, share in zip(law, _shares(weight), strict=True):
        if isinstance(part, Mixture):
            inner = zip(part.laws, part.weights, strict=True)
            flat += [(within, share * fraction) for within, fraction in inner]
        else:
            flat.append((part, share))
    return Mixture(tuple(part for part, _ in flat), tuple(share for _, share in flat))


def _shares(weights: tuple[float, ...]) -> tuple[float, ...]:
    for weight in weights:
        require(weight > 0.0, f'a weight of a mixture must be above 0, not {number_text(weight)}')
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)
