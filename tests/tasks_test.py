"""Tests of imbreg_jax.data.tasks: what an image shows, and what of it is the target."""

import jax
import numpy as np
from absl.testing import absltest, parameterized

from imbreg_jax.data import task as task_lib
from imbreg_jax.data.tasks import TASKS, disc, grating, scaled_noise

_SIZE = 52
# A mean of n float32 numbers, however its sum is ordered, is off by at most n * 6e-8 of the mean
# of their sizes, and in pairs or lanes by about log2(n) = 12 times 6e-8; the square root halves it.
_ROUNDING = 12 * 2.0**-24


def _images(count=20):
    generator = np.random.default_rng(0)
    generating = np.linspace(0.25, 20, count).astype(np.float32)
    noise = generator.standard_normal((count, _SIZE, _SIZE)).astype(np.float32)
    return generating, noise, np.zeros((count, 0), np.float32)


class StdTest(parameterized.TestCase):
    @parameterized.parameters(0, 1)
    def test_is_numpys_of_the_images_own_pixels(self, ddof):
        task = TASKS['std']
        images = np.asarray(task.synthesize(*_images()))
        wanted = images.astype(np.float64).std((1, 2, 3), ddof=ddof)
        np.testing.assert_allclose(task.measure(images, ddof), wanted, rtol=_ROUNDING)

    def test_is_the_populations_unless_told(self):
        images = np.array([[[1.0, 2.0], [3.0, 6.0]]], np.float32)[..., None]
        # Mean 3, squared distances 4 + 1 + 0 + 9.
        np.testing.assert_allclose(
            scaled_noise.pixel_std(images), [np.sqrt(14 / 4)], rtol=_ROUNDING
        )
        np.testing.assert_allclose(
            scaled_noise.pixel_std(images, 1), [np.sqrt(14 / 3)], rtol=_ROUNDING
        )

    def test_degrees_of_freedom_may_be_traced(self):
        images = np.asarray(scaled_noise.scaled_noise(*_images()))
        traced = jax.jit(scaled_noise.pixel_std)(images, np.array(1, np.int32))
        np.testing.assert_allclose(traced, scaled_noise.pixel_std(images, 1), rtol=_ROUNDING)

    def test_keeps_its_digits_where_the_mean_is_large(self):
        generating, noise, _ = _images()
        images = (1000 + generating[:, None, None] * noise).astype(np.float32)[..., None]
        wanted = images.astype(np.float64).std((1, 2, 3))
        # The mean, off by 12 * 6e-8 * 1000, adds the square of that; one pass would add its
        # product with 1000.
        absolute = (12 * 2.0**-24 * 1000) ** 2
        np.testing.assert_allclose(
            scaled_noise.pixel_std(images) ** 2, wanted**2, rtol=2 * _ROUNDING, atol=absolute
        )

    def test_scatters_about_the_generating_value_as_theory_says(self):
        generating, noise, none = _images(400)
        images = scaled_noise.scaled_noise(generating, noise, none)
        ratio = np.asarray(scaled_noise.pixel_std(images)) / generating
        spread = float(TASKS['std'].floor(1.0, _SIZE**2))  # 1.36 %
        self.assertAlmostEqual(spread, 0.0136, delta=5e-5)
        # The spread of 400 normal values is off by 1/sqrt(800), 5 times that with p < 1e-6.
        self.assertAlmostEqual(ratio.std() / spread, 1, delta=5 / np.sqrt(800))
        self.assertAlmostEqual(ratio.mean(), 1, delta=5 * spread / np.sqrt(400))

    def test_a_pixel_is_the_generating_value_times_its_noise(self):
        generating, noise, none = _images(3)
        np.testing.assert_array_equal(
            scaled_noise.scaled_noise(generating, noise, none)[..., 0],
            generating[:, None, None] * noise,
        )


class DrawnTest(parameterized.TestCase):
    """Images of a form whose size is the target, over noise that is switched off here."""

    def _drawn(self, name, generating, nuisance):
        generating = np.asarray(generating, np.float32)
        flat = np.zeros((len(nuisance), _SIZE, _SIZE), np.float32)
        nuisance = np.asarray(nuisance, np.float32)
        return np.asarray(TASKS[name].synthesize(generating, flat, nuisance), np.float64)[..., 0]

    def test_a_disc_has_the_generating_radius(self):
        radii = np.array([2.0, 3.0, 5.5, 10.0, 20.0])
        places = np.random.default_rng(0).uniform(size=(len(radii), 2))
        images = self._drawn('disc_radius', radii, places)
        # Its height's integral: a soft edge of logistic width s adds pi**3 s**2 / 3 to the area.
        soft = disc.SOFTNESS / 2
        area = np.pi * radii**2 + np.pi**3 * soft**2 / 3
        np.testing.assert_allclose(images.sum((1, 2)) / disc.CONTRAST, area, rtol=0.02)

    def test_a_disc_lies_within_its_image_at_a_random_place(self):
        corners = [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.25, 0.5)]
        images = self._drawn('disc_radius', [6.0] * 4, corners)
        side = np.arange(_SIZE)
        span = _SIZE - 1 - 12
        for image, (row, column) in zip(images, corners, strict=True):
            weight = image / image.sum()
            centre = (weight.sum(1) @ side, weight.sum(0) @ side)
            np.testing.assert_allclose(centre, (6 + row * span, 6 + column * span), atol=0.15)

    def test_a_grating_has_the_generating_period_in_its_direction(self):
        for period in (1.0, 2.5, 6.0):
            for turn, axis in ((0.0, 1), (0.5, 0)):
                (image,) = self._drawn('grating_period', [period], [(turn, 0.3)])
                line = image.take(5, axis=1 - axis)
                along = np.arange(_SIZE)
                angle = 2 * np.pi * along / (grating.PIXELS * period) + 2 * np.pi * 0.3
                np.testing.assert_allclose(line, grating.AMPLITUDE * np.sin(angle), atol=1e-4)
                # And it does not vary across.
                self.assertLess(np.ptp(image, axis=1 - axis).max(), 1e-4)

    @parameterized.parameters('disc_radius', 'grating_period')
    def test_lies_over_the_noise_and_its_target_is_the_generating_value(self, name):
        task = TASKS[name]
        generating, noise, _ = _images(4)
        nuisance = np.full((4, task.nuisance), 0.5, np.float32)
        images = task.synthesize(generating, noise, nuisance)
        bare = self._drawn(name, generating, nuisance)
        np.testing.assert_allclose(images[..., 0], bare + noise, atol=1e-5)
        for target in (0.0, 1.0):
            dials = {'task.target': np.float32(target), 'task.ddof': np.float32(0)}
            np.testing.assert_array_equal(task.targets(images, generating, dials), generating)

    @parameterized.parameters(*TASKS)
    def test_several_values_share_an_images_noise_and_place(self, name):
        """[T, b] generating values are T images each of b noises."""
        task = TASKS[name]
        _, noise, _ = _images(3)
        generating = np.array([[2.0, 4.0, 6.0], [1.0, 3.0, 9.0]], np.float32)
        nuisance = np.random.default_rng(1).uniform(size=(3, task.nuisance)).astype(np.float32)
        both = task.synthesize(generating, noise, nuisance)
        self.assertEqual(both.shape, (2, 3, _SIZE, _SIZE, task.channels))
        for row, values in zip(both, generating, strict=True):
            np.testing.assert_array_equal(row, task.synthesize(values, noise, nuisance))


class RegisterTest(absltest.TestCase):
    def test_a_task_of_ones_own_may_be_replaced_and_a_shipped_one_not(self):
        def flat(generating, noise, nuisance):
            return (generating[..., None, None] + 0 * noise)[..., None]

        own = task_lib.Task('flat_of_this_test', 'a flat image', 'pixel', flat)
        self.addCleanup(TASKS.pop, own.name)
        self.assertIs(task_lib.register(own), own)
        again = task_lib.register(task_lib.Task(own.name, 'the same', 'pixel', flat))
        self.assertIs(TASKS[own.name], again)
        with self.assertRaisesRegex(ValueError, 'takes threshold; it may take'):
            task_lib.register(
                task_lib.Task('other', '', '', flat, measure=lambda images, threshold: images)
            )
        with self.assertRaisesRegex(ValueError, "there is a task 'std' already"):
            task_lib.register(task_lib.Task('std', '', '', flat))


if __name__ == '__main__':
    absltest.main()
