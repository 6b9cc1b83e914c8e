"""The paper's baseline: a uniform guess for each test image (section 3.4)."""

import numpy as np

from imbreg_jax.data import randomness
from imbreg_jax.data.randomness import Purpose


def random_guess(seed: int, repeat: int, count: int, low: float, high: float) -> np.ndarray:
    """[count] float64 guesses, uniform in [low, high), of one repeat."""
    return low + (high - low) * randomness.uniforms(seed, repeat, Purpose.RANDOM_GUESS, count)


def expected_errors(low: float, high: float) -> dict[str, float]:
    """The guess's exact errors where target and guess are both U(low, high).

    Returns:
      `mse` = (high-low)**2 / 6, and `mape` and `mpe` in percent, from integrating
      E|p - a|/a and E(p - a)/a over p and a.
    """
    width = high - low
    log = np.log(high / low)
    mean = (low + high) / 2
    absolute = (log * (low**2 + high**2) / 2 + (high**2 - low**2) / 2 - 2 * mean * width) / width**2
    return {
        'mse': width**2 / 6,
        'mape': 100.0 * absolute,
        'mpe': 100.0 * (mean * log / width - 1),
    }
