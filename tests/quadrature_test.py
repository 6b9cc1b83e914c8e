"""Tests of imbreg_jax.study.laws.quadrature."""

import numpy as np
from absl.testing import absltest
from scipy import special, stats

from imbreg_jax.study.laws.quadrature import integrals

# A name, functions, edges and their integrals.
_CASES = (
    ('polynomial', lambda x: [x**5, 1 + 0 * x], [-1, 2], [63 / 6, 3]),
    ('kink', lambda x: [np.abs(x - np.pi)], [0, 5], [(np.pi**2 + (5 - np.pi) ** 2) / 2]),
    ('jump', lambda x: [(x > np.pi) * 1.0], [0, 5], [5 - np.pi]),
    ('logarithm', lambda x: [np.log(x - 1)], [1, 3], [2 * np.log(2) - 2]),
    ('pole', lambda x: [1 / np.sqrt(x - 1), (3 - x) ** -0.4], [1, 3], [2**1.5, 2**0.6 / 0.6]),
    ('pole within', lambda x: [np.abs(x - 2) ** -0.5], [1, 2, 3], [4]),
    ('diverges at an end', lambda x: [1 / x, x], [0, 1], [np.inf, 0.5]),
    ('diverges far', lambda x: [1 / np.hypot(1, x), np.exp(-x)], [0, 1, np.inf], [np.inf, 1]),
    ('overflows', lambda x: [np.exp(1e3 * x), x], [0, 1], [np.inf, 0.5]),
    ('tails', lambda x: [stats.norm.pdf(x, 5, 0.1), x * x * stats.norm.pdf(x)],
     [-np.inf, -1, 0, 2, 4.9, 5.1, np.inf], [1, 1]),
    ('heavy tail', lambda x: [stats.t.pdf(x, 1), stats.t.pdf(x, 2.5) * x * x],
     [-np.inf, 0, np.inf], [1, 5]),
)  # fmt: skip


def _stacked(function):
    return lambda x: np.stack(function(x))


class QuadratureTest(absltest.TestCase):
    def test_integrals_in_closed_form(self):
        for name, function, edges, expected in _CASES:
            with self.subTest(name), np.errstate(over='ignore'):
                found = integrals(_stacked(function), np.array(edges, float))
                np.testing.assert_allclose(found, expected, rtol=1e-7)

    def test_steep_poles_are_known_to_a_few_digits(self):
        for power, tolerance in ((0.7, 1e-6), (0.9, 1e-3)):
            found = integrals(_stacked(lambda x, p=power: [(x - 1) ** -p]), np.array([1.0, 2.0]))
            np.testing.assert_allclose(found, 1 / (1 - power), rtol=tolerance)

    def test_antiderivatives_show_what_lies_between_the_points(self):
        """A peak far narrower than a piece, which the points of the piece miss."""

        def peak(x):
            return stats.norm.pdf(x, np.pi, 1e-4)[None]

        edges = np.array([0.0, 10.0])
        self.assertAlmostEqual(integrals(peak, edges)[0], 0, delta=1e-9)
        (found,) = integrals(peak, edges, lambda x: special.ndtr((x - np.pi) / 1e-4)[None])
        self.assertAlmostEqual(found, 1, delta=1e-8)

    def test_what_has_no_density_ends(self):
        """Half of this law is an atom."""
        (found,) = integrals(
            lambda x: 0.5 + 0 * x[None], np.array([0, 1.0]), lambda x: 0.5 * (x + (x > 0.3))[None]
        )
        self.assertAlmostEqual(found, 0.5, delta=1e-12)


if __name__ == '__main__':
    absltest.main()
