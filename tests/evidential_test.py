"""Tests of imbreg_jax.remedies.evidential."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest
from scipy import stats

import small_study
from imbreg_jax import remedies
from imbreg_jax.remedies import evidential
from imbreg_jax.study import ConfigError
from imbreg_jax.training.remedy import Batch
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_DATA = pathlib.Path(__file__).with_name('testdata') / 'features.json'
_CASE = {name: np.array(part) for name, part in json.loads(_DATA.read_text())['evidential'].items()}


def _batch(outputs, **dials):
    targets, weights = jnp.float32(_CASE['targets']), jnp.float32(_CASE['weights'])
    return Batch(None, None, targets, weights, None, outputs[None], 0, (), {}, dials, None)


class LossTest(absltest.TestCase):
    def test_is_the_repositorys_in_value_and_gradient(self):
        method = remedies.parse('evidential')

        def loss(outputs):
            return method.loss(_batch(outputs, strength=0.01, sharpness=0.1))

        value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.float32(_CASE['outputs']))
        np.testing.assert_allclose(value, _CASE['loss'], rtol=1e-5)
        # Logarithms of gamma functions of up to 10, and their differences, in float32.
        self.assertGreater(np.abs(_CASE['gradient']).max(), 0.01)
        np.testing.assert_allclose(gradient, _CASE['gradient'], rtol=1e-4, atol=1e-6)

    def test_is_students_law(self):
        """A normal law of unknown mean and variance: of 2 alpha degrees of freedom."""
        found = evidential.law(jnp.float32(_CASE['outputs'][1:]))
        location, observations, alpha, beta = map(np.float64, found)
        scale = np.sqrt(beta * (1 + observations) / (observations * alpha))
        wanted = -stats.t.logpdf(_CASE['targets'][1:], 2 * alpha, location, scale)
        targets = jnp.float32(_CASE['targets'][1:])
        np.testing.assert_allclose(evidential.likelihoods(found, targets), wanted, rtol=1e-4)

    def test_weights_are_on_observations(self):
        outputs = jnp.array([[3.0, 1.0, 0.5]])
        one, two = (evidential.law(outputs, weight) for weight in (1.0, 2.0))
        np.testing.assert_allclose(two.observations, 2 * one.observations)
        np.testing.assert_allclose(two.alpha - one.alpha, one.observations / 2, rtol=1e-6)
        self.assertLess(float(evidential.variance(two)[0]), float(evidential.variance(one)[0]))

    def test_an_image_of_no_weight_leaves_a_loss_and_its_slope(self):
        """As `relevance(floor=0)` gives to half of the images of some laws."""
        method = remedies.parse('evidential')
        dials = {name: jnp.float32(value) for name, value in method.dials().items()}
        outputs = jnp.array([[2.0, 1.0, 0.5], [3.0, 1.0, 0.5]])

        def loss(outputs, weights, targets):
            batch = Batch(
                None, None, targets, weights, None, outputs[None], 0, (), {}, dials, None
            )  # fmt: skip
            return method.loss(batch)

        found = jax.jit(jax.value_and_grad(loss))
        for targets in ([1.0, 3.0], [1.0, 9.0]):
            value, slope = found(outputs, jnp.array([2.0, 0.0]), jnp.array(targets))
            self.assertTrue(np.isfinite(value) and np.isfinite(slope).all())
            # However far off, what moves it is the penalty on the prior's alpha.
            self.assertLess(abs(slope[1, 0]), 1.01 * 0.01 * evidential.PRIOR_ALPHA / 2)

    def test_an_output_of_any_size_leaves_a_loss_and_its_slope(self):
        """Of a scale's below some -104 log(1 + e**x) is 0 in float32."""
        method = remedies.parse('evidential')
        targets = jnp.array([1.0, 2.0, 9.0])

        def loss(outputs, sharpness):
            batch = Batch(
                None, None, targets, jnp.ones(3), None, outputs[None], 0, (), {},
                {'strength': 0.01, 'sharpness': sharpness}, None,
            )  # fmt: skip
            return method.loss(batch)

        found = jax.jit(jax.value_and_grad(loss))
        for place, name in enumerate(('location', 'observations', 'scale')):
            for output in (-1e4, -200.0, -104.0, -80.0, 0.0, 1e4):
                # One image's location is its target, which leaves it no error.
                outputs = jnp.array([[1.0, 1.0, 0.5]] * 3).at[:, place].set(output)
                for sharpness in (0.1, 1.0, 10.0):
                    value, slope = found(outputs, sharpness)
                    with self.subTest(f'{name} {output}, sharpness {sharpness}'):
                        self.assertTrue(np.isfinite(value))
                        # And so is its square, which Adam takes.
                        self.assertTrue(np.isfinite(np.square(slope)).all())

    def test_refuses_an_objective_that_would_be_of_no_effect(self):
        with self.assertRaisesRegex(
            ConfigError, 'evidential has a loss in the place of the objective'
        ):
            small_study.study(remedy='evidential', training__objective='relative_mse')

    def test_prediction_is_the_location(self):
        method = remedies.parse('evidential')
        self.assertEqual(method.outputs, 3)
        np.testing.assert_array_equal(method.predict(jnp.arange(6.0).reshape(2, 3)), [0, 3])


if __name__ == '__main__':
    absltest.main()
