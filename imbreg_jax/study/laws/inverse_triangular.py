"""The inverse triangle: many targets at both ends, few about the valley between them."""

from __future__ import annotations

import dataclasses

import numpy as np

from imbreg_jax.study.laws.law import Law
from imbreg_jax.study.laws.registry import register
from imbreg_jax.study.laws.rules import ordered


@dataclasses.dataclass(frozen=True)
class InverseTriangular:
    """Density zero at the valley, rising linearly to 2 / (high - low) at both ends."""

    low: float
    valley: float
    high: float

    @property
    def _mass_below_valley(self) -> float:
        return (self.valley - self.low) / (self.high - self.low)

    def ppf(self, u: np.ndarray) -> np.ndarray:
        """See `Law`."""
        mass = self._mass_below_valley
        below = np.sqrt(np.clip(1.0 - u / mass, 0.0, None)) if mass > 0.0 else np.zeros_like(u)
        above = (
            np.sqrt(np.clip((u - mass) / (1.0 - mass), 0.0, None)) if mass < 1.0 else below * 0.0
        )
        x = np.where(
            u <= mass,
            self.valley - (self.valley - self.low) * below,
            self.valley + (self.high - self.valley) * above,
        )
        return np.where((u >= 0.0) & (u <= 1.0), x, np.nan)

    def pdf(self, x: np.ndarray) -> np.ndarray:
        """See `Law`."""
        side = np.where(x < self.valley, self.valley - self.low, self.high - self.valley)
        height = 2.0 / (self.high - self.low)
        inside = (x >= self.low) & (x <= self.high)
        slope = np.divide(np.abs(x - self.valley), side, out=np.zeros_like(x), where=side > 0.0)
        return np.where(inside, height * slope, 0.0)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """See `Law`."""
        x = np.clip(x, self.low, self.high)
        left, right = self.valley - self.low, self.high - self.valley
        mass = self._mass_below_valley
        below = np.divide(self.valley - x, left, out=np.zeros_like(x), where=left > 0.0)
        above = np.divide(x - self.valley, right, out=np.zeros_like(x), where=right > 0.0)
        return np.where(x < self.valley, mass * (1.0 - below**2), mass + (1.0 - mass) * above**2)

    @property
    def mean(self) -> float:
        """See `Law`."""
        mass = self._mass_below_valley
        mean_below = self.low + (self.valley - self.low) / 3.0
        mean_above = self.high - (self.high - self.valley) / 3.0
        return mass * mean_below + (1.0 - mass) * mean_above

    @property
    def support(self) -> tuple[float, float]:
        """See `Law`."""
        return self.low, self.high

    @property
    def breaks(self) -> tuple[float]:
        """See `breaks_of`."""
        return (self.valley,)


@register(
    label='Inverse triangular({low}, {valley}, {high})', example='inverse_triangular(1, 5.5, 10)'
)
def inverse_triangular(low: float, valley: float, high: float) -> Law:
    """A density that falls linearly to 0 at the valley and rises again."""
    ordered('inverse_triangular', low=low, valley=valley, high=high)
    return InverseTriangular(low, valley, high)
