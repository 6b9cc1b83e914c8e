"""Tests of imbreg_jax.remedies.conr."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

from imbreg_jax import remedies, study
from imbreg_jax.data.task import Task, register
from imbreg_jax.data.tasks import TASKS
from imbreg_jax.remedies import conr
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_DATA = pathlib.Path(__file__).with_name('testdata') / 'features.json'
_CASES = json.loads(_DATA.read_text())['conr']


def _loss(features, case, temperature=0.2, variant='paper', losses=conr.batch_loss):
    parts = [jnp.float32(case[name]) for name in ('targets', 'predictions', 'weights')]
    return losses(features, *parts, case['window'], case['push'], temperature, variant)


def _jitted(features, case, *rest, **named):
    return jax.jit(lambda features: _loss(features, case, *rest, **named))(features)


def _plain(case, temperature):
    """The paper's loss of each image, one pair after the other."""
    features, targets, predictions, weights = (
        np.array(case[name]) for name in ('features', 'targets', 'predictions', 'weights')
    )
    directions = features / np.linalg.norm(features, axis=1, keepdims=True)
    found = []
    for i, target in enumerate(targets):
        s = directions @ directions[i] / temperature
        alike = np.abs(targets - target) <= case['window']
        near = np.abs(predictions - predictions[i]) <= case['window']
        positives = [k for k in range(len(s)) if alike[k] and k != i]
        negatives = [k for k in range(len(s)) if near[k] and not alike[k]]
        if not positives or not negatives:
            found.append(0.0)
            continue
        push = sum(
            weights[i] * np.exp(case['push'] * abs(targets[k] - target) + s[k]) for k in negatives
        )
        whole = push + sum(np.exp(s[k]) for k in positives)
        found.append(-np.mean([np.log(np.exp(s[k]) / whole) for k in positives]))
    return np.array(found)


class LossTest(parameterized.TestCase):
    def test_published_is_the_repositorys_in_value_and_gradient(self):
        for case in _CASES:
            value, gradient = jax.jit(
                jax.value_and_grad(lambda f, case=case: _loss(f, case, variant='published'))
            )(jnp.float32(case['features']))
            np.testing.assert_allclose(value, case['loss'], rtol=1e-5)
            # Logits of up to 14 are off by 1e-6, as are then their exponentials, of themselves.
            self.assertGreater(np.abs(case['gradient']).max(), 1)
            np.testing.assert_allclose(gradient, case['gradient'], rtol=1e-4, atol=2e-5)

    @parameterized.parameters(0.2, 1.0)
    def test_paper_is_its_sum_over_pairs(self, temperature):
        for case in _CASES:
            features = jnp.float32(case['features'])
            found = _jitted(features, case, temperature, losses=conr.batch_losses)
            wanted = _plain(case, temperature)
            # Some images have negatives here, and some have none.
            self.assertEqual(set(wanted > 0), {True, False})
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
            mean = _jitted(features, case, temperature)
            np.testing.assert_allclose(mean, wanted.mean(), rtol=1e-5)

    def test_gradient_of_the_paper_is_that_of_numbers(self):
        case = _CASES[1]
        with jax.enable_x64(True):
            start = jnp.float64(case['features'])
            loss = jax.jit(lambda features: _loss(features, case))
            gradient = jax.jit(jax.grad(loss))(start)
            generator = np.random.default_rng(0)
            for _ in range(3):
                step = 1e-6 * generator.normal(size=start.shape)
                change = loss(start + step) - loss(start - step)
                np.testing.assert_allclose(change, 2 * (gradient * step).sum(), rtol=1e-6)

    def test_weights_of_one_number_differ_between_variants_only_in_the_published_mean(self):
        case = dict(_CASES[0], weights=[2.0] * 12)
        features = jnp.float32(case['features'])
        each = _jitted(features, case, variant='published', losses=conr.batch_losses)
        whole = _jitted(features, case, variant='published')
        np.testing.assert_allclose(whole, 2 * each.mean(), rtol=1e-6)

    def test_images_without_positives_or_direction_have_finite_gradients(self):
        """Published, the first makes the loss nan."""
        targets, predictions = jnp.array([1.0, 3.0, 5.0]), jnp.array([2.0, 2.0, 2.0])
        features = jnp.array([[1.0, 2.0], [0.0, 0.0], [2.0, 1.0]])
        rest = (targets, predictions, jnp.ones(3), 0.5, 0.1, 0.2)
        slope = jax.jit(jax.value_and_grad(conr.batch_loss), static_argnums=7)
        value, gradient = slope(features, *rest, 'paper')
        self.assertEqual(float(value), 0)
        np.testing.assert_array_equal(gradient, jnp.zeros((3, 2)))
        self.assertTrue(np.isnan(slope(features, *rest, 'published')[0]))
        twice = [jnp.tile(part, 2) for part in rest[:3]]
        _, gradient = slope(jnp.tile(features, (2, 1)), *twice, *rest[3:], 'paper')
        self.assertTrue(bool(jnp.isfinite(gradient).all() & (gradient != 0).any()))

    def test_predictions_have_no_gradient(self):
        case = _CASES[0]

        def loss(predictions):
            return _loss(jnp.float32(case['features']), dict(case, predictions=predictions))

        np.testing.assert_array_equal(jax.jit(jax.grad(loss))(jnp.float32(case['predictions'])), 0)


class TaskTest(absltest.TestCase):
    def test_is_refused_where_pixels_may_not_be_moved(self):
        task = Task('of_this_test', 'an image', 'unit', lambda g, noise, nuisance: noise[..., None])
        self.addCleanup(TASKS.pop, register(task).name)
        config = study.default_config()
        config.task.name = task.name
        study.resolve(config)
        config.remedy = 'conr + inverse'
        with self.assertRaisesRegex(
            study.ConfigError, 'remedy = .*the task of_this_test says of no'
        ):
            study.resolve(config)
        config.task.name = 'disc_radius'
        self.assertEqual(study.resolve(config).conditions[0].remedy.views, 2)

    def test_goes_with_no_other_views(self):
        kind = type('Views', (remedies.Remedy,), {'augment': lambda self, *_: None, 'name': 'a'})
        with self.assertRaisesRegex(ValueError, 'each has views of its own'):
            remedies.registry.combine([remedies.parse('conr'), kind()])


if __name__ == '__main__':
    absltest.main()
