"""Tests of imbreg_jax.remedies.huber."""

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest

import published
from imbreg_jax.remedies import huber
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


class LossesTest(absltest.TestCase):
    def test_are_two_deltas_times_the_published_ones_and_so_are_gradients(self):
        held = published.losses()
        self.assertLen(held['huber'], 3)
        errors = np.abs(held['predictions'] - held['targets'])
        for case in held['huber'][:2]:  # Both parts of the loss are there.
            self.assertBetween((errors < case['delta']).sum(), 1, len(errors) - 1)
        for case in held['huber']:
            with self.subTest(case['delta']):

                def mean(predictions, case=case):
                    found = huber.losses(predictions, held['targets'], case['delta'])
                    return jnp.mean(held['weights'] * found)

                published.assert_agrees(mean, case, factor=2 * case['delta'])

    def test_with_a_large_delta_are_squared_errors(self):
        predictions, targets = jnp.array([1.0, 2.0, 7.0]), jnp.array([4.0, 2.5, 3.0])
        found = huber.losses(predictions, targets, 100.0)
        np.testing.assert_array_equal(found, (predictions - targets) ** 2)

    def test_slope_is_that_of_a_square_up_to_delta_and_stays(self):
        errors = jnp.array([-3.0, -1.0, 0.0, 1.0, 3.0])
        slope = jax.vmap(jax.grad(lambda x: huber.losses(x, 0.0, 1.5)))(errors)
        np.testing.assert_allclose(slope, [-3, -2, 0, 2, 3], rtol=1e-6)


if __name__ == '__main__':
    absltest.main()
