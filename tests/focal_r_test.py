"""Tests of imbreg_jax.remedies.focal_r."""

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

import published
from imbreg_jax.remedies import focal_r
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


class LossesTest(parameterized.TestCase):
    def test_agree_with_the_published_ones_and_so_do_gradients(self):
        held = published.losses()
        self.assertLen(held['focal_r'], 6)
        for case in held['focal_r']:
            with self.subTest(case['power'], beta=case['beta'], gamma=case['gamma']):

                def mean(predictions, case=case):
                    parts = case['beta'], case['gamma'], case['power']
                    found = focal_r.losses(predictions, held['targets'], *parts)
                    return jnp.mean(held['weights'] * found)

                published.assert_agrees(mean, case)

    @parameterized.product(power=(1, 2), gamma=(0.0, 0.3, 1.0, 2.0))
    def test_a_prediction_that_is_its_target_costs_nothing_and_pulls_nowhere(self, power, gamma):
        at = jnp.array([3.0, 3.0])
        value, slope = jax.value_and_grad(
            lambda x, g: focal_r.losses(x, jnp.array([3.0, 4.0]), 0.2, g, power).sum()
        )(at, gamma)
        self.assertGreater(value, 0)
        self.assertEqual(slope[0], 0)
        self.assertLess(slope[1], 0)

    def test_without_its_power_is_the_plain_loss(self):
        predictions, targets = jnp.array([1.0, 2.0, 7.0]), jnp.array([4.0, 2.5, 3.0])
        for power in (1, 2):
            found = focal_r.losses(predictions, targets, 0.2, 0.0, power)
            np.testing.assert_allclose(found, jnp.abs(predictions - targets) ** power, rtol=1e-6)

    def test_small_errors_keep_their_digits(self):
        """2 sigmoid(x) - 1 of a small x would lose them in float32."""
        error = np.float32(2.0**-12)
        found = focal_r.losses(jnp.float32([1 + error]), jnp.float32([1.0]), 0.2, 1.0, 1)
        # tanh(x) is x but for x**3 / 3, of 1e-9 here.
        np.testing.assert_allclose(found, [np.float64(error) ** 2 * 0.1], rtol=1e-6)


if __name__ == '__main__':
    absltest.main()
