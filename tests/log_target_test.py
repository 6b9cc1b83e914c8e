"""Tests of imbreg_jax.remedies.log_target."""

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest

from imbreg_jax import remedies
from imbreg_jax.remedies import log_target


class LossesTest(absltest.TestCase):
    def test_see_an_errors_ratio_alone(self):
        targets = jnp.array([1.0, 3.0, 10.0])
        found = log_target.losses(jnp.log(1.2 * targets), targets)
        # Of logarithms of up to 2.5, each with a rounding of 2**-24 of itself.
        np.testing.assert_allclose(found, np.log(1.2) ** 2, rtol=8 * 2.0**-24 * 2.5 / np.log(1.2))

    def test_are_least_where_the_prediction_is_the_target(self):
        method = remedies.parse('log_target')
        targets = jnp.array([0.5, 2.0, 9.0])
        outputs = jnp.log(targets)[:, None]
        np.testing.assert_allclose(method.predict(outputs), targets, rtol=1e-6)
        slope = jax.grad(lambda x: log_target.losses(x[:, 0], targets).sum())(outputs)
        np.testing.assert_array_equal(slope, np.zeros((3, 1)))

    def test_predictions_begin_about_one(self):
        np.testing.assert_array_equal(remedies.parse('log_target').predict(jnp.zeros((4, 1))), 1)


if __name__ == '__main__':
    absltest.main()
