"""Tests of imbreg_jax.evaluation.metrics."""

import warnings

import numpy as np
from absl.testing import absltest

from imbreg_jax.evaluation.metrics import METRICS, metrics


class MetricsTest(absltest.TestCase):
    def test_by_hand(self):
        # Errors 1, -2, 0, 3; relative 1/2, -1/2, 0, 3/8. All exact in binary.
        found = metrics(np.array([3.0, 2.0, 5.0, 11.0]), np.array([2.0, 4.0, 5.0, 8.0]))
        self.assertEqual(
            found,
            {'mse': 14 / 4, 'mape': 100 * 1.375 / 4, 'mpe': 100 * 0.375 / 4, 'mae': 6 / 4},
        )
        self.assertEqual(list(found), list(METRICS))

    def test_over_the_last_axis_and_broadcast(self):
        generator = np.random.default_rng(0)
        predictions = generator.uniform(1, 10, (2, 3, 5))
        targets = generator.uniform(1, 10, (3, 5))
        found = metrics(predictions, targets)
        for name, values in found.items():
            self.assertEqual(values.shape, (2, 3))
            for i, j in np.ndindex(2, 3):
                # The order of a sum of five may differ between shapes: a few last digits.
                wanted = metrics(predictions[i, j], targets[j])[name]
                np.testing.assert_allclose(values[i, j], wanted, rtol=1e-13, atol=1e-13)

    def test_float32_is_summed_in_float64(self):
        # Squared errors 2**24 and 1, whose sum is no float32.
        found = metrics(np.array([4097, 2], np.float32), np.ones(2, np.float32))
        self.assertEqual(found['mse'].dtype, np.float64)
        self.assertEqual(found['mse'], (2**24 + 1) / 2)

    def test_no_warning_and_no_number_where_there_is_none(self):
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            zero = metrics(np.array([1.0, 2.0]), np.array([0.0, 1.0]))
            broken = metrics(np.array([np.nan, 2.0]), np.array([1.0, 1.0]))
        self.assertEqual(zero['mse'], 1.0)
        self.assertFalse(np.isfinite(zero['mape']) or np.isfinite(zero['mpe']))
        for value in broken.values():
            self.assertTrue(np.isnan(value))


if __name__ == '__main__':
    absltest.main()
