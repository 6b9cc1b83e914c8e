"""Tests of imbreg_jax.training.objectives."""

import jax
import numpy as np
from absl.testing import absltest

from imbreg_jax.training import objectives

_PREDICTIONS = np.array([1.0, 2.0, -1.0], np.float32)
_TARGETS = np.array([1.0, 5.0, 1.0], np.float32)


class MeanLossTest(absltest.TestCase):
    def test_mse_is_the_mean_of_squares(self):
        self.assertIs(objectives.OBJECTIVES['mse'], objectives.squared_error)
        # 0, 9 and 4, exact in float32; a third of 13 is rounded once.
        loss = objectives.mean_loss(objectives.squared_error, _PREDICTIONS, _TARGETS, None)
        np.testing.assert_allclose(loss, 13 / 3, rtol=2.0**-23)

    def test_weights_multiply_each_images_loss(self):
        weights = np.array([100.0, 0.5, 2.0], np.float32)
        loss = objectives.mean_loss(objectives.squared_error, _PREDICTIONS, _TARGETS, weights)
        np.testing.assert_allclose(loss, (0 + 4.5 + 8) / 3, rtol=2.0**-23)

    def test_weights_of_one_are_no_weights(self):
        ones = np.ones(3, np.float32)
        np.testing.assert_array_equal(
            objectives.mean_loss(objectives.squared_error, _PREDICTIONS, _TARGETS, ones),
            objectives.mean_loss(objectives.squared_error, _PREDICTIONS, _TARGETS, None),
        )

    def test_gradient_of_mse(self):
        gradient = jax.grad(
            lambda p: objectives.mean_loss(objectives.squared_error, p, _TARGETS, None)
        )(_PREDICTIONS)
        np.testing.assert_allclose(gradient, 2 * (_PREDICTIONS - _TARGETS) / 3, rtol=2.0**-22)


if __name__ == '__main__':
    absltest.main()
