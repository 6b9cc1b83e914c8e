"""Tests of imbreg_jax.data.tasks: the target is what numpy measures on the image's own pixels."""

import jax
import numpy as np
from absl.testing import absltest, parameterized

from imbreg_jax.data import tasks

_SIZE = 52
# A mean of n float32 numbers, however its sum is ordered, is off by at most n * 6e-8 of the mean
# of their sizes, and in pairs or lanes by about log2(n) = 12 times 6e-8; the square root halves it.
_ROUNDING = 12 * 2.0**-24


def _images(count=20):
    generator = np.random.default_rng(0)
    generating = np.linspace(0.25, 20, count).astype(np.float32)
    noise = generator.standard_normal((count, _SIZE, _SIZE)).astype(np.float32)
    return generating, noise


class StdTest(parameterized.TestCase):
    @parameterized.parameters(0, 1)
    def test_is_numpys_of_the_images_own_pixels(self, ddof):
        task = tasks.TASKS['std']
        images = np.asarray(task.synthesize(*_images()))
        wanted = images.astype(np.float64).std((1, 2), ddof=ddof)
        np.testing.assert_allclose(task.measure(images, ddof), wanted, rtol=_ROUNDING)

    def test_is_the_populations_unless_told(self):
        images = np.array([[[1.0, 2.0], [3.0, 6.0]]], np.float32)
        # Mean 3, squared distances 4 + 1 + 0 + 9.
        np.testing.assert_allclose(tasks.pixel_std(images), [np.sqrt(14 / 4)], rtol=_ROUNDING)
        np.testing.assert_allclose(tasks.pixel_std(images, 1), [np.sqrt(14 / 3)], rtol=_ROUNDING)

    def test_degrees_of_freedom_may_be_traced(self):
        images = np.asarray(tasks.scaled_noise(*_images()))
        traced = jax.jit(tasks.pixel_std)(images, np.array(1, np.int32))
        np.testing.assert_allclose(traced, tasks.pixel_std(images, 1), rtol=_ROUNDING)

    def test_keeps_its_digits_where_the_mean_is_large(self):
        generating, noise = _images()
        images = (1000 + generating[:, None, None] * noise).astype(np.float32)
        wanted = images.astype(np.float64).std((1, 2))
        # The mean, off by 12 * 6e-8 * 1000, adds the square of that; one pass would add its
        # product with 1000.
        absolute = (12 * 2.0**-24 * 1000) ** 2
        np.testing.assert_allclose(
            tasks.pixel_std(images) ** 2, wanted**2, rtol=2 * _ROUNDING, atol=absolute
        )

    def test_scatters_about_the_generating_value_as_theory_says(self):
        generating, _ = _images(400)
        _, noise = _images(400)
        ratio = np.asarray(tasks.pixel_std(tasks.scaled_noise(generating, noise))) / generating
        spread = 1 / np.sqrt(2 * _SIZE**2)  # 1.36 %
        # The spread of 400 normal values is off by 1/sqrt(800), 5 times that with p < 1e-6.
        self.assertAlmostEqual(ratio.std() / spread, 1, delta=5 / np.sqrt(800))
        self.assertAlmostEqual(ratio.mean(), 1, delta=5 * spread / np.sqrt(400))

    def test_a_pixel_is_the_generating_value_times_its_noise(self):
        generating, noise = _images(3)
        np.testing.assert_array_equal(
            tasks.scaled_noise(generating, noise), generating[:, None, None] * noise
        )


if __name__ == '__main__':
    absltest.main()
