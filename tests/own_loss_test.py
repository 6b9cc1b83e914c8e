"""Tests of imbreg_jax.remedies.own_loss."""

import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

import small_study
from imbreg_jax import remedies, study
from imbreg_jax.remedies.own_loss import OwnLoss
from imbreg_jax.remedies.registry import REMEDIES
from imbreg_jax.training.remedy import Batch

_OWN = [
    name
    for name, kind in REMEDIES.items()
    if issubclass(kind, OwnLoss) and kind.__module__.startswith('imbreg_jax.')
]


class OwnLossTest(parameterized.TestCase):
    def test_there_are_several(self):
        self.assertContainsSubset({'focal_r', 'huber', 'log_target', 'balanced_mse'}, _OWN)

    @parameterized.parameters(*_OWN)
    def test_is_the_weighted_mean_over_images_and_views(self, name):
        method = remedies.parse(name)
        targets = jnp.array([1.0, 2.0, 4.0])
        outputs = jnp.array([[1.5, 1.0, 5.0], [0.5, 2.5, 3.0]])[..., None]
        nothing = jnp.zeros(0)
        dials = {dial: jnp.float32(value) for dial, value in method.dials().items()}

        def loss(weights):
            batch = Batch(
                nothing, nothing, targets, jnp.asarray(weights), nothing, outputs, jnp.int32(0),
                (), {}, dials, lambda outputs: 0.0,
            )  # fmt: skip
            return float(method.loss(batch)), batch

        each = [loss(3.0 * row)[0] for row in np.eye(3, dtype=np.float32)]
        whole, batch = loss(np.float32([0.5, 1.0, 1.5]))
        np.testing.assert_allclose(whole, np.mean(np.multiply(each, [0.5, 1.0, 1.5])), rtol=1e-5)
        rows = [method.losses(view, batch) for view in outputs]
        np.testing.assert_allclose(each, np.mean(rows, 0), rtol=1e-5)

    @parameterized.parameters(*_OWN, 'evidential', 'uvote')
    def test_refuses_an_objective_that_would_be_of_no_effect(self, name):
        with self.assertRaisesRegex(
            study.ConfigError,
            f'config.remedy = .*{name} has a loss in the place of the objective, and '
            'training.objective relative_mse would be of no effect; it must be mse',
        ):
            small_study.study(remedy=name, training__objective='relative_mse')
        with self.assertRaisesRegex(study.ConfigError, 'relative_mse would be of no effect'):
            small_study.study(remedy=f'{name} + relative_mse')


if __name__ == '__main__':
    absltest.main()
