"""Tests of imbreg_jax.data.order_statistics: sorting tells the same."""

import math

import jax
import numpy as np
from absl.testing import absltest

from imbreg_jax.data.order_statistics import order_statistic, quantile
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


def _values():
    """[rows, n] of both signs and all sizes, with a row of ties and zeros of either sign."""
    generator = np.random.default_rng(0)
    values = generator.standard_normal((4, 101)) * 10.0 ** generator.integers(-30, 30, (4, 101))
    values[2] = generator.integers(-2, 3, 101)
    values[3] = -0.0
    return values.astype(np.float32)


class OrderStatisticTest(absltest.TestCase):
    def test_is_the_one_that_sorting_finds(self):
        values, traced = _values(), jax.jit(order_statistic)
        for rank in (0, 1, 50, 99, 100):
            found = traced(values, rank)
            np.testing.assert_array_equal(found, np.sort(values)[:, rank])


class QuantileTest(absltest.TestCase):
    def test_is_numpys(self):
        for values in (_values(), _values()[:, :100]):
            for share in (0.25, 0.9, 1.0):
                found = jax.jit(quantile, static_argnums=1)(values, share)
                wanted = np.quantile(values.astype(np.float64), share, axis=1)
                # A rounding each of difference, product and sum, of the size of its neighbours.
                place = share * (values.shape[1] - 1)
                next_to = np.sort(values)[:, [math.floor(place), math.ceil(place)]]
                size = np.abs(next_to).max(1).astype(np.float64)
                self.assertTrue((np.abs(found - wanted) <= 3 * 2.0**-24 * size).all())

    def test_takes_any_axes_before_and_may_be_mapped(self):
        values = np.stack([_values(), 2 * _values()])
        found = jax.jit(jax.vmap(lambda each: quantile(each, 0.3)))(values)
        np.testing.assert_array_equal(found, jax.jit(quantile, static_argnums=1)(values, 0.3))


if __name__ == '__main__':
    absltest.main()
