"""Tests of imbreg_jax.remedies.rnc."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest

from imbreg_jax import remedies
from imbreg_jax.remedies import rnc
from imbreg_jax.training.remedy import Batch
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_DATA = pathlib.Path(__file__).with_name('testdata') / 'features.json'
_CASES = json.loads(_DATA.read_text())['rnc']


def _views(features):
    """[n, 2, F] as the repository has them to [2 n, F]."""
    return jnp.concatenate([features[:, 0], features[:, 1]])


class LossTest(absltest.TestCase):
    def test_is_the_repositorys_in_value_and_gradient(self):
        """Two targets are equal there, and one image's views have the same features."""
        for case in _CASES:
            targets = jnp.tile(jnp.float32(case['targets']), 2)

            def loss(features, case=case, targets=targets):
                return rnc.batch_loss(_views(features), targets, case['temperature'])

            value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.float32(case['features']))
            np.testing.assert_allclose(value, case['loss'], rtol=1e-5)
            self.assertGreater(np.abs(case['gradient']).max(), 0.02)
            np.testing.assert_allclose(gradient, case['gradient'], rtol=1e-4, atol=1e-6)

    def test_by_hand(self):
        """Features 0, 1, 3 and targets 1, 2, 4, temperature 1: s is minus the distance.

        Only the nearer one of two others has a rival, the further one: of the pairs (0, 1),
        (1, 0) and (2, 1) the losses are log(1 + e**(near - far)) with distances 1 and 3, 1 and 2,
        2 and 3; those of the other pairs are 0.
        """
        found = rnc.batch_loss(jnp.array([[0.0], [1.0], [3.0]]), jnp.array([1.0, 2.0, 4.0]), 1.0)
        wanted = (np.log1p(np.exp(-2)) + 2 * np.log1p(np.exp(-1))) / 6
        self.assertAlmostEqual(float(found), wanted, places=6)

    def test_far_features_do_not_overflow(self):
        features = 1e4 * jnp.float32(_CASES[0]['features'])
        targets = jnp.tile(jnp.float32(_CASES[0]['targets']), 2)
        value, gradient = jax.jit(jax.value_and_grad(rnc.batch_loss))(
            _views(features), targets, 2.0
        )
        # Where s differ by far, a loss is the difference of the distances.
        self.assertGreater(float(value), 100)
        self.assertTrue(bool(jnp.isfinite(gradient).all()))

    def test_dead_features_have_finite_gradients(self):
        gradient = jax.jit(jax.grad(rnc.batch_loss))(jnp.zeros((4, 3)), jnp.arange(4.0), 2.0)
        np.testing.assert_array_equal(gradient, jnp.zeros((4, 3)))


class PartsTest(absltest.TestCase):
    def test_contrast_comes_first_and_then_the_weighted_objective(self):
        method = remedies.parse('rnc')
        case = _CASES[0]
        features = jnp.swapaxes(jnp.float32(case['features']), 0, 1)
        targets = jnp.float32(case['targets'])
        outputs, weights = features[..., :1], targets / targets.mean()
        batch = Batch(
            None, None, targets, weights, features, outputs, 0, (), {},
            {'temperature': case['temperature']}, lambda outputs: (outputs[:, 0] - targets) ** 2,
            jnp.array(False),
        )  # fmt: skip
        loss = jax.jit(lambda weighted: method.loss(batch._replace(weighted=weighted)))
        np.testing.assert_allclose(loss(False), case['loss'], rtol=1e-5)
        wanted = np.mean(weights * (outputs[..., 0] - targets) ** 2)
        np.testing.assert_allclose(loss(True), wanted, rtol=1e-5)

    def test_does_not_go_with_another_schedule(self):
        with self.assertRaisesRegex(ValueError, 'rnc and rrt do not go together'):
            remedies.parse('rnc + rrt')


if __name__ == '__main__':
    absltest.main()
