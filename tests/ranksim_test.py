"""Tests of imbreg_jax.remedies.ranksim."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest
from scipy import stats

from imbreg_jax.remedies import ranksim
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_DATA = pathlib.Path(__file__).with_name('testdata') / 'features.json'
_slope = jax.jit(jax.value_and_grad(ranksim.penalty))


class RanksTest(absltest.TestCase):
    def test_are_scipys_from_the_greatest(self):
        values = np.random.default_rng(0).normal(size=(3, 8))
        found = ranksim.ranks(jnp.float32(values), jnp.ones(8, bool))
        wanted = stats.rankdata(-values, axis=1) / 8
        np.testing.assert_allclose(found, wanted, rtol=1e-6)

    def test_of_equal_values_the_later_comes_first(self):
        found = ranksim.ranks(jnp.array([2.0, 5.0, 2.0]), jnp.ones(3, bool))
        np.testing.assert_allclose(found, [1, 1 / 3, 2 / 3], rtol=1e-6)

    def test_those_that_do_not_count_have_no_part(self):
        counted = np.array([True, False, True, True])
        values = jnp.array([2.0, 9.0, 5.0, 1.0])
        found = np.asarray(ranksim.ranks(values, jnp.asarray(counted)))
        np.testing.assert_allclose(found, [2 / 3, 0, 1 / 3, 1], rtol=1e-6)

    def test_gradient_by_hand(self):
        """Values 1, 2, 3 have ranks 1, 2/3, 1/3.

        Of a loss with gradient (4, 0, -4) at a step of 1 they become 5, 2, -1, whose ranks are
        1/3, 2/3, 1: the quotient is (-2/3, 0, 2/3).
        """
        weights = jnp.array([4.0, 0.0, -4.0])

        def loss(values, step):
            return weights @ ranksim.differentiable_ranks(values, jnp.ones(3, bool), step)

        values = jnp.array([1.0, 2.0, 3.0])
        np.testing.assert_allclose(
            jax.grad(loss)(values, 1.0), [-2 / 3, 0, 2 / 3], rtol=1e-6, atol=1e-7
        )
        # A step too short to change the order shows no slope.
        np.testing.assert_array_equal(jax.grad(loss)(values, 0.2), [0, 0, 0])


class PenaltyTest(absltest.TestCase):
    def test_is_the_repositorys_in_value_and_gradient(self):
        for case in json.loads(_DATA.read_text())['ranksim']:

            def loss(features, case=case):
                found = ranksim.penalty(
                    features, jnp.float32(case['targets']), case['interpolation']
                )
                return case['strength'] * found

            value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.float32(case['features']))
            self.assertGreater(np.abs(case['gradient']).max(), 0.01)
            np.testing.assert_allclose(value, case['loss'], rtol=1e-5)
            np.testing.assert_allclose(gradient, case['gradient'], rtol=1e-4, atol=1e-5)

    def test_is_nothing_where_features_are_in_the_order_of_targets(self):
        angles = jnp.array([0.1, 0.25, 0.6, 1.2])
        features = jnp.stack([jnp.cos(angles), jnp.sin(angles)], 1)
        self.assertEqual(float(_slope(features, 3 * angles, 2.0)[0]), 0)
        self.assertGreater(float(_slope(features, jnp.array([1.0, 4, 2, 3]), 2.0)[0]), 0.1)

    def test_one_image_of_each_target_counts(self):
        case = json.loads(_DATA.read_text())['ranksim'][0]
        features, targets = jnp.float32(case['features']), jnp.float32(case['targets'])
        again = jnp.concatenate([targets, targets[2:5]])
        np.testing.assert_array_equal(
            ranksim.first_of_each(again), [True] * len(targets) + [False] * 3
        )
        more = jnp.concatenate([features, features[:3] + 7])
        value, gradient = _slope(more, again, 2.0)
        np.testing.assert_allclose(value, case['loss'], rtol=1e-5)
        np.testing.assert_array_equal(gradient[len(targets) :], 0)
        np.testing.assert_allclose(gradient[: len(targets)], case['gradient'], rtol=1e-4, atol=1e-5)

    def test_dead_features_have_finite_gradients(self):
        features = jnp.zeros((4, 3)).at[0].set(1.0)
        _, gradient = _slope(features, jnp.arange(4.0), 2.0)
        self.assertTrue(bool(jnp.isfinite(gradient).all()))


if __name__ == '__main__':
    absltest.main()
