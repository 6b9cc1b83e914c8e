"""Tests of imbreg_jax.evaluation.references, against scipy, numpy and closed forms."""

import jax
import numpy as np
from absl.testing import absltest, parameterized
from scipy import stats

import small_study
from imbreg_jax import study
from imbreg_jax.evaluation.references import floors, linear, pixel_moments


class PixelMomentsTest(absltest.TestCase):
    def test_are_those_of_all_pixels(self):
        images = np.random.default_rng(0).gamma(2.0, size=(3, 4, 8, 9, 2)).astype(np.float32)
        images[0, 0] = 2.5
        found = jax.jit(pixel_moments)(images)
        self.assertEqual(found.shape, (3, 4, 5))
        for place in np.ndindex(3, 4):
            image = images[place].astype(np.float64)
            pixels = image.ravel()
            steps = [np.abs(np.diff(image, axis=axis)).mean() for axis in (0, 1)]
            alike = np.ptp(pixels) == 0
            shape = (0, 0) if alike else (stats.skew(pixels), stats.kurtosis(pixels, fisher=False))
            expected = [pixels.mean(), pixels.std(), *shape, np.mean(steps)]
            # Sums of 144 float32 of size 1 to 100.
            np.testing.assert_allclose(found[place], expected, rtol=1e-5, atol=1e-6)


class LinearTest(absltest.TestCase):
    def test_is_least_squares(self):
        generator = np.random.default_rng(0)
        features = generator.normal([3, 10, 0, 1, 2], [1, 0.1, 1e2, 2, 0.5], (300, 5))
        targets = features @ [1, 20, 1e-2, -1, 0.3] + generator.normal(size=300)
        others = generator.normal(size=(2, 7, 5))
        design = np.c_[np.ones(300), features]
        weights = np.linalg.solve(design.T @ design, design.T @ targets)
        expected = weights[0] + others @ weights[1:]
        found = linear(features, targets, others)
        # The normal equations square the condition of the design, some 1e4, in steps of 1e-16.
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        at = linear(features, targets, features)
        np.testing.assert_allclose((targets - at) @ design, 0, atol=1e-6)

    def test_of_features_that_say_nothing_is_the_mean(self):
        targets = np.array([1.0, 2, 6])
        features = np.full((3, 2), 0.1, np.float32)
        found = linear(features, targets, np.random.default_rng(0).normal(size=(4, 2)))
        np.testing.assert_allclose(found, 3)


class FloorsTest(parameterized.TestCase):
    def _floors(self, **fields):
        made = small_study.study({'a': {}}, **fields)
        return floors(made.conditions[0], made.test_distributions)

    def test_of_a_measured_target_is_nothing(self):
        np.testing.assert_array_equal(self._floors(), [0, 0])

    def test_of_a_generating_one_is_the_mean_bound(self):
        found = self._floors(task__target='generating')
        # Mean of sigma**2 / (2 pixels); the midpoints of 256 levels leave out a little of tails.
        for value, law in zip(found, map(study.parse, ('u1_10', 'n5_5_1')), strict=True):
            square = law.mean**2 + (27 / 4 if law.name == 'u1_10' else 1)
            self.assertAlmostEqual(value, square / 800, delta=1e-3 * square / 800)

    @parameterized.parameters('laplace', 'uniform')
    def test_of_other_noise_is_unknown(self, law):
        found = self._floors(task__target='generating', data__pixel_law=law)
        self.assertTrue(np.isnan(found).all())


if __name__ == '__main__':
    absltest.main()
