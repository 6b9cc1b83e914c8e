"""Tests of imbreg_jax.remedies.homogeneous."""

import jax
import numpy as np
from absl.testing import absltest, parameterized

import small_study
from imbreg_jax import study
from imbreg_jax.model import network
from imbreg_jax.model.activations import ACTIVATIONS
from imbreg_jax.remedies import homogeneous
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


def _network(**fields):
    """The network of a condition, and parameters that are no initialisation's."""
    condition = small_study.study(**fields).conditions[0]
    made = network.of(condition.model)
    size = condition.data.image_size
    generator = np.random.default_rng(0)
    shapes = jax.eval_shape(made.init, jax.random.key(0), np.zeros((1, size, size, 1)))
    params = jax.tree.map(lambda s: generator.normal(0, 0.3, s.shape), shapes)
    images = generator.normal(0.0, 2.0, (5, size, size, 1))
    return jax.jit(made.apply), params, images


class HomogeneousTest(parameterized.TestCase):
    @parameterized.parameters(
        {},
        {'model__pool': 'max', 'model__activation': 'leaky_relu'},
        {'model__order': 'relu_pool'},
    )
    def test_a_factor_on_the_image_is_one_on_the_prediction(self, **fields):
        apply, params, images = _network(remedy='homogeneous', **fields)
        with jax.enable_x64(True):
            found = apply(params, images)
            self.assertGreater(np.ptp(found), 0.1)
            for factor in (1e-3, 0.7, 30.0):
                scaled = apply(params, factor * images)
                np.testing.assert_allclose(scaled, factor * found, rtol=1e-9)

    def test_with_biases_it_is_not(self):
        apply, params, images = _network()
        with jax.enable_x64(True):
            ratio = np.asarray(apply(params, 2 * images)) / np.asarray(apply(params, images))
        self.assertGreater(np.abs(ratio - 2).max(), 0.01)

    @parameterized.parameters(
        *(('activation', a) for a in ACTIVATIONS if a not in homogeneous.ACTIVATIONS),
        *(('normalization', n) for n in ('input', 'layer', 'instance', 'batch')),
    )
    def test_is_refused_where_it_would_not_be_homogeneous(self, field, value):
        with self.assertRaisesRegex(
            study.ConfigError, f'config.remedy = .*with model.{field} {value} a network'
        ):
            small_study.study(remedy='homogeneous', **{f'model__{field}': value})

    @parameterized.parameters('log_target', "balanced_mse(space='log')")
    def test_is_refused_where_outputs_are_logarithms(self, other):
        with self.assertRaisesRegex(study.ConfigError, 'config.remedy = .*is a logarithm'):
            small_study.study(remedy=f'homogeneous + {other}')
        small_study.study(remedy='homogeneous + balanced_mse')

    def test_is_one_expression_that_changes_nothing_else(self):
        made = small_study.study(
            {
                'none': {'remedy': ''},
                'weights': {'remedy': 'inverse'},
                'remedy': {},
                'field': {'remedy': '', 'model.bias': False},
            },
            remedy='homogeneous',
        )
        self.assertEqual([c.model.bias for c in made.conditions], [True, True, False, False])
        self.assertEqual(made.programs(), ((0, 1), (2, 3)))
        parameters = [c.architecture.parameters for c in made.conditions]
        # 3 + 4 of maps, 6 of features and one of the output.
        self.assertEqual(np.subtract(parameters[0], parameters).tolist(), [0, 0, 14, 14])
        # The config keeps what it says, so that it is one change; and makes the same study again.
        self.assertTrue(made.resolved['model']['bias'])
        self.assertEqual(made.resolved['conditions']['remedy'], {})
        self.assertEqual(study.resolve(made.resolved), made)
        self.assertFalse(study.identity(made)['conditions']['remedy']['model']['bias'])


if __name__ == '__main__':
    absltest.main()
