"""Tests of imbreg_jax.training.objectives."""

import jax
import numpy as np
from absl.testing import absltest

from imbreg_jax.training import objectives

_PREDICTIONS = np.array([1.0, 2.0, -1.0], np.float32)
_TARGETS = np.array([1.0, 5.0, 1.0], np.float32)


class SquaredErrorTest(absltest.TestCase):
    def test_is_of_each_image(self):
        self.assertIs(objectives.OBJECTIVES['mse'], objectives.squared_error)
        # Exact in float32.
        np.testing.assert_array_equal(
            objectives.squared_error(_PREDICTIONS, _TARGETS), [0.0, 9.0, 4.0]
        )

    def test_gradient(self):
        gradient = jax.grad(lambda p: objectives.squared_error(p, _TARGETS).mean())(_PREDICTIONS)
        np.testing.assert_allclose(gradient, 2 * (_PREDICTIONS - _TARGETS) / 3, rtol=2.0**-22)


class RelativeSquaredErrorTest(absltest.TestCase):
    def test_is_of_each_image(self):
        self.assertIs(objectives.OBJECTIVES['relative_mse'], objectives.relative_squared_error)
        found = objectives.relative_squared_error(np.float32([5.0, 1.0]), np.float32([4.0, 2.0]))
        # Exact in float32.
        np.testing.assert_array_equal(found, [0.0625, 0.25])

    def test_gradient(self):
        gradient = jax.grad(lambda p: objectives.relative_squared_error(p, _TARGETS).mean())(
            _PREDICTIONS
        )
        wanted = 2 * (_PREDICTIONS - _TARGETS) / _TARGETS**2 / 3
        np.testing.assert_allclose(gradient, wanted, rtol=2.0**-21, atol=1e-8)


if __name__ == '__main__':
    absltest.main()
