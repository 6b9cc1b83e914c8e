"""Tests of imbreg_jax.remedies.uvote."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest
from scipy import stats

from imbreg_jax import remedies, study
from imbreg_jax.remedies import uvote
from imbreg_jax.training.remedy import Batch
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_DATA = pathlib.Path(__file__).with_name('testdata') / 'features.json'
_CASE = json.loads(_DATA.read_text())['uvote']


class LikelihoodTest(absltest.TestCase):
    def test_is_the_repositorys_in_value_and_gradient(self):
        """Two scales lie outside of its limits there."""
        targets, weights = jnp.float32(_CASE['targets']), jnp.float32(_CASE['weights'])
        wanted = _CASE['likelihood']

        def loss(outputs):
            return jnp.mean(weights * uvote.likelihoods(outputs, targets))

        value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.float32(wanted['outputs']))
        np.testing.assert_allclose(value, wanted['loss'], rtol=1e-5)
        np.testing.assert_allclose(gradient, wanted['gradient'], rtol=1e-5, atol=1e-6)

    def test_is_scipys_law(self):
        targets = np.array([1.0, 2.0, 7.0])
        outputs = np.array([[1.5, 0.3], [5.0, -1.0], [6.0, 2.0]])
        found = uvote.likelihoods(jnp.float32(outputs), jnp.float32(targets))
        wanted = -stats.laplace.logpdf(targets, outputs[:, 0], np.exp(outputs[:, 1]))
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


class HeadWeightsTest(absltest.TestCase):
    def test_are_the_repositorys_of_whole_ages(self):
        """Of ages from 0 to 40 each one is a bin there."""
        ages = np.array(_CASE['ages'])
        self.assertEqual((ages.min(), ages.max()), (0, 40))
        found = uvote.head_weights(ages, heads=3, bins=41, variant='published')
        self.assertEqual(found.shape, (len(ages), 3))
        chosen = found[_CASE['places']].T
        np.testing.assert_allclose(chosen, _CASE['head_weights'], rtol=1e-5)
        np.testing.assert_allclose(found.mean(0), 1, rtol=1e-12)
        np.testing.assert_array_equal(found[:, 0], 1)


class UVoteTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.method = remedies.parse('uvote(heads=3, scale_rate=0.5)')
        self.outputs = jnp.array([[1.0, 2, 3, 0.1, -4, 0], [4.0, 5, 6, -2, -1, -3]])

    def test_the_surest_head_answers(self):
        self.assertEqual(self.method.outputs, 6)
        np.testing.assert_array_equal(self.method.predict(self.outputs), [2, 6])

    def test_other_heads_learn_with_the_square_of_the_epochs_done(self):
        targets, table = jnp.array([2.0, 3.0]), jnp.array([[1.0, 2, 3], [1, 0.5, 0.25], [9, 9, 9]])
        scales = 0.5 * np.asarray(self.outputs[:, 3:])
        distance = np.abs(np.asarray(self.outputs[:, :3]) - np.asarray(targets)[:, None])
        each = np.log(2) + scales + distance / np.exp(scales)
        weights = np.array([0.5, 1.5])
        heads = (weights[:, None] * np.asarray(table[:2]) * each).mean(0)

        @jax.jit
        def loss(epoch):
            return self.method.loss(
                Batch(
                    jnp.arange(2),
                    None,
                    targets,
                    jnp.float32(weights),
                    None,
                    self.outputs[None],
                    epoch,
                    (),
                    {'head_weights': table},
                    {'scale_rate': 0.5},
                    None,
                    epochs=4,
                )  # fmt: skip
            )

        for epoch in range(4):
            wanted = heads[0] + (epoch / 4) ** 2 * heads[1:].sum()
            self.assertAlmostEqual(float(loss(epoch)), wanted, places=5)

    def test_network_has_its_outputs(self):
        config = study.default_config()
        config.remedy = 'uvote(heads=5)'
        self.assertEqual(study.resolve(config).conditions[0].architecture.outputs, 10)


if __name__ == '__main__':
    absltest.main()
