"""Tests of imbreg_jax.remedies.scale_augmentation; remedy_test.py trains with it."""

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from scipy import stats

import small_study
from imbreg_jax import remedies, study
from imbreg_jax.data.tasks import TASKS
from imbreg_jax.remedies import scale_augmentation
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_WITH_DEGREE = [name for name, task in TASKS.items() if task.degree]
_WITHOUT = [name for name, task in TASKS.items() if not task.degree]


def _dials(low=1.0, high=10.0):
    return {'low': jnp.float32(low), 'high': jnp.float32(high)}


class ScaledTest(parameterized.TestCase):
    @parameterized.parameters(*_WITH_DEGREE)
    def test_targets_are_what_the_task_measures_on_the_images(self, name):
        task = TASKS[name]
        generator = np.random.default_rng(0)
        generating = jnp.float32(generator.uniform(1, 5, 6))
        noise = jnp.float32(generator.normal(size=(6, 20, 20)))
        nuisance = jnp.float32(generator.uniform(size=(6, task.nuisance)))
        images = task.synthesize(generating, noise, nuisance)
        dials = {'task.ddof': jnp.float32(1), 'task.target': jnp.float32(0)}
        wanted = jnp.float32([0.5, 1, 3, 7, 10, 20])
        changed, targets = scale_augmentation.scaled(
            images, task.targets(images, generating, dials), wanted, task.degree
        )
        np.testing.assert_array_equal(targets, wanted)
        self.assertEqual(changed.shape, images.shape)
        # A sum of 400 in float32, a root and a power.
        np.testing.assert_allclose(
            task.targets(changed, generating, dials), wanted, rtol=40 * 2.0**-24
        )

    def test_the_tasks_of_both_kinds_are_several(self):
        self.assertContainsSubset({'std', 'variance', 'mean'}, _WITH_DEGREE)
        self.assertEqual({TASKS[name].degree for name in _WITH_DEGREE}, {1, 2})
        self.assertContainsSubset({'disc_radius', 'signal_to_noise'}, _WITHOUT)

    def test_what_has_no_positive_target_stays(self):
        images = jnp.ones((3, 2, 2, 1))
        targets = jnp.array([-1.0, 0.0, 2.0])
        changed, found = scale_augmentation.scaled(images, targets, jnp.full(3, 4.0))
        np.testing.assert_array_equal(found, [-1, 0, 4])
        np.testing.assert_array_equal(changed[:, 0, 0, 0], [1, 1, 2])


class VaryTest(parameterized.TestCase):
    @parameterized.parameters((1.0, 10.0), (2.0, 3.0))
    def test_targets_are_uniform_whatever_the_training_law(self, low, high):
        method = remedies.parse(f'scale_augmentation(low={low}, high={high})')
        self.assertEqual(method.dials(), {'low': low, 'high': high})
        skewed = jnp.float32(1 + np.random.default_rng(0).exponential(0.5, 4000))
        images = skewed[:, None, None, None] * jnp.ones((4000, 1, 1, 1))
        key = jax.random.key(0)
        changed, targets = method.vary(images, skewed, 1, _dials(low, high), key)
        law = stats.uniform(low, high - low)
        self.assertGreater(stats.kstest(np.asarray(targets), law.cdf).pvalue, 0.01)
        self.assertLess(abs(np.corrcoef(targets, skewed)[0, 1]), 5 / np.sqrt(4000))
        np.testing.assert_allclose(changed[:, 0, 0, 0], targets, rtol=4 * 2.0**-24)
        other = method.vary(images, skewed, 1, _dials(low, high), jax.random.key(1))[1]
        self.assertFalse((other == targets).all())


class RefusalTest(parameterized.TestCase):
    @parameterized.parameters(*_WITHOUT)
    def test_of_a_task_without_a_degree(self, name):
        with self.assertRaisesRegex(
            study.ConfigError,
            f'config.remedy = .*scale_augmentation multiplies pixels .* task {name}',
        ):
            small_study.study(
                remedy='scale_augmentation',
                task__name=name,
                data__image_size=32,
                evaluation__dense_high=10.5,
            )

    def test_of_bounds_that_cross(self):
        with self.assertRaisesRegex(ValueError, 'low = 3.0; it must be below its high, 2.0'):
            remedies.parse('scale_augmentation(low=3.0, high=2.0)')

    @parameterized.parameters(
        'inverse', 'fds', 'balanced_mse(variant="gai")', 'balanced_mse(variant="bni")'
    )
    def test_of_what_looks_at_training_targets(self, other):
        name = remedies.parse(other).name
        for spec in (f'{other} + scale_augmentation', f'scale_augmentation + {other}'):
            with self.assertRaisesRegex(ValueError, f'{name} looks at the training targets'):
                remedies.parse(spec)

    def test_not_of_what_makes_the_training_set_or_a_loss(self):
        found = remedies.parse('gaussian_noise + scale_augmentation + relative_mse')
        self.assertTrue(found.varies)
        self.assertTrue(remedies.parse('scale_augmentation + huber + homogeneous').varies)

    def test_not_of_a_loss_that_looks_at_the_batch_alone(self):
        for space in ('target', 'log'):
            spec = f'balanced_mse(space={space!r}) + scale_augmentation'
            (found,) = small_study.study(remedy=spec).conditions
            self.assertTrue(found.remedy.varies)
            self.assertFalse(found.remedy.sees_targets)
            # What it looks at are the targets that a step has, not those of the training set.
            self.assertCountEqual(
                found.remedy.tables(np.linspace(1, 2, 9), None, None), ['weights']
            )


if __name__ == '__main__':
    absltest.main()
