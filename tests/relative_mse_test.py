"""Tests of imbreg_jax.remedies.relative_mse."""

import jax.numpy as jnp
import numpy as np
from absl.testing import absltest

import small_study
from imbreg_jax import study
from imbreg_jax.remedies import relative_mse
from imbreg_jax.training import objectives


class RelativeMSETest(absltest.TestCase):
    def test_losses_see_percentage_errors_alone(self):
        targets = jnp.array([1.0, 4.0, 8.0])
        # Exact in float32.
        found = relative_mse.losses(1.25 * targets, targets)
        np.testing.assert_array_equal(found, [0.0625] * 3)

    def test_is_the_objective_of_that_name(self):
        self.assertIs(relative_mse.losses, objectives.OBJECTIVES['relative_mse'])
        made = small_study.study(
            {
                'remedy': {'remedy': 'relative_mse'},
                'objective': {'training.objective': 'relative_mse'},
                'none': {},
            }
        )
        # So that they are one program, of the same numbers.
        self.assertEqual(made.programs(), ((0, 1), (2,)))

    def test_goes_together_with_weights_and_not_with_another_loss(self):
        found = small_study.study({'a': {'remedy': 'relative_mse + inverse'}}).conditions[0]
        self.assertEqual(found.training.objective, 'relative_mse')
        with self.assertRaisesRegex(study.ConfigError, 'huber has a loss in the place of the obj'):
            small_study.study({'a': {'remedy': 'relative_mse + huber'}})


if __name__ == '__main__':
    absltest.main()
