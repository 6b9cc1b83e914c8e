"""Tests of imbreg_jax.data.tasks: what an image shows, and what of it is the target."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from scipy import stats

from imbreg_jax import study
from imbreg_jax.data import task as task_lib
from imbreg_jax.data.pixel_laws import PIXEL_LAWS
from imbreg_jax.data.tasks import (
    TASKS,
    blobs,
    correlated_noise,
    disc,
    grating,
    needle,
    position,
    scaled_noise,
    shifted_noise,
)
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_SIZE = 52
# A mean of n float32 numbers, however its sum is ordered, is off by at most n * 6e-8 of the mean
# of their sizes, and in pairs or lanes by about log2(n) = 12 times 6e-8; the square root halves it.
_ROUNDING = 12 * 2.0**-24


# The finest grating turns by 160 radians across an image, rounded a few times, twice their sine.
_PHASE = 2 * 160 * 3 * 2.0**-24
# Of the loops over all tasks, which share one shape.
_COUNT, _SIDE = 200, 28
_PIXELS = _SIDE**2


def _scatter_of_maximum(g, n):
    """Of the greatest of n normal draws: its standard deviation over its mean."""
    uniform = (np.arange(100_000) + 0.5) / 100_000
    greatest = stats.norm.ppf(uniform ** (1 / n))
    return g * greatest.std() / greatest.mean()


def _scatter_of_quantile(g, n):
    quantile = stats.norm.ppf(0.9)
    return g * np.sqrt(0.9 * 0.1 / n) / stats.norm.pdf(quantile) / quantile


def _scatter_of_range(g, n):
    quartile = stats.norm.ppf(0.75)
    return g * np.sqrt(0.25 / n) / stats.norm.pdf(quartile) / (2 * quartile)


# What numpy makes of pixels [b, n], and by how much that scatters about generating values of normal
# noise, asymptotically.
_MEASURED = {
    'std': (lambda p: p.std(1), lambda g, n: g / np.sqrt(2 * n)),
    'variance': (lambda p: p.var(1), lambda g, n: g * np.sqrt(2 / n)),
    'mean_absolute_deviation': (
        lambda p: np.abs(p - p.mean(1, keepdims=True)).mean(1),
        lambda g, n: g * np.sqrt((np.pi / 2 - 1) / n),
    ),
    'interquartile_range': (lambda p: stats.iqr(p, 1), _scatter_of_range),
    'ninth_decile': (lambda p: np.quantile(p, 0.9, axis=1), _scatter_of_quantile),
    'maximum': (lambda p: p.max(1), _scatter_of_maximum),
    'mean': (lambda p: p.mean(1), lambda g, n: 0 * g + n**-0.5),
    'median': (lambda p: np.median(p, 1), lambda g, n: 0 * g + np.sqrt(np.pi / 2 / n)),
    'signal_to_noise': (
        lambda p: p.mean(1) / p.std(1),
        lambda g, n: np.sqrt((1 + g**2 / 2) / n),
    ),
}


def _given(name):
    """Generating values, noise and nuisances of the loops over all tasks."""
    generator = np.random.default_rng(2)
    noise = generator.standard_normal((_COUNT, _SIDE, _SIDE)).astype(np.float32)
    nuisance = generator.uniform(size=(_COUNT, TASKS[name].nuisance)).astype(np.float32)
    return np.linspace(1, 10, _COUNT, dtype=np.float32), noise, nuisance


@functools.cache
def _maker(name):
    task = TASKS[name]
    dials = {'task.target': np.float32(0), 'task.ddof': np.float32(0)}

    def make(generating, noise, nuisance):
        images = task.images(generating, noise, nuisance, PIXEL_LAWS['normal'])
        return images, task.targets(images, generating, dials)

    return jax.jit(make)


@functools.cache
def _made(name):
    return tuple(map(np.asarray, _maker(name)(*_given(name))))


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


class EveryTaskTest(parameterized.TestCase):
    """What holds of each task, in images of normal noise; the bounds of chance are of p < 1e-6."""

    @parameterized.parameters(*TASKS)
    def test_images_and_targets_are_finite_and_lie_where_its_entry_says(self, name):
        task, (generating, noise, _) = TASKS[name], _given(name)
        images, targets = _made(name)
        self.assertEqual(images.shape, (*noise.shape, task.channels))
        self.assertEqual((images.dtype, targets.dtype), (np.float32, np.float32))
        self.assertTrue(np.isfinite(images).all())
        self.assertTrue(np.isfinite(targets).all())
        self.assertLess(task.domain[0], 1)
        self.assertGreater(task.domain[1], 10)
        self.assertLessEqual(task.least_image_size, 28)
        self.assertRegex(task.label, r'^[a-z ]+ \([a-z0-9 ]+\)$')
        if task.measure is None:
            np.testing.assert_array_equal(targets, generating)

    @parameterized.parameters(*TASKS)
    def test_an_image_is_the_same_in_whatever_place(self, name):
        generating, noise, nuisance = (np.roll(given, 7, axis=0) for given in _given(name))
        rolled, targets = _maker(name)(generating, noise, nuisance)
        images, wanted = _made(name)
        np.testing.assert_allclose(np.roll(rolled, -7, 0), images, atol=_PHASE)
        np.testing.assert_allclose(np.roll(targets, -7), wanted, rtol=1e-6)

    @parameterized.parameters(*_MEASURED)
    def test_a_measured_target_is_numpys(self, name):
        images, targets = _made(name)
        pixels = images.reshape(_COUNT, -1).astype(np.float64)
        # Where pixels are subtracted, what they round by is of their size.
        np.testing.assert_allclose(
            targets, _MEASURED[name][0](pixels), rtol=4 * _ROUNDING, atol=2e-6
        )

    @parameterized.parameters(*_MEASURED)
    def test_a_measured_target_scatters_about_the_generating_value_as_theory_says(self, name):
        generating = _given(name)[0].astype(np.float64)
        spread = _MEASURED[name][1](generating, _PIXELS)
        ratio = (_made(name)[1] - generating) / spread
        self.assertAlmostEqual(ratio.mean(), 0, delta=5 / np.sqrt(_COUNT))
        # Of a maximum, whose fourth moment is nearly twice a normal law's, the most.
        self.assertAlmostEqual(ratio.std(), 1, delta=5 / np.sqrt(_COUNT))
        # An image's own statistic is an estimate, and none without bias is better than the floor.
        floor = TASKS[name].floor(generating, _PIXELS)
        self.assertTrue((spread > (1 - 1e-9) * floor).all())

    @parameterized.parameters(*(name for name in _MEASURED if TASKS[name].expected))
    def test_targets_lie_about_generating_values_whatever_the_law_of_a_pixel(self, name):
        for law in PIXEL_LAWS.values():
            drawn = law.distribution.rvs((_COUNT, _PIXELS), random_state=1)
            found = _MEASURED[name][0](drawn)
            error = 5 * found.std() / np.sqrt(_COUNT)
            wanted = TASKS[name].expected(law.distribution, _PIXELS)
            self.assertAlmostEqual(found.mean(), wanted, delta=error, msg=law.name)

    @parameterized.parameters(*_MEASURED)
    def test_a_factor_and_a_constant_do_to_its_statistic_what_is_said(self, name):
        task, (images, targets) = TASKS[name], _made(name)
        measure = jax.jit(task.measure)
        doubled = 2.0**task.degree * targets
        np.testing.assert_allclose(measure(2 * images), doubled, rtol=4 * _ROUNDING)
        if task.shift is None:
            self.assertGreater(np.abs(measure(images + 3) - targets).min(), 0.1)
        else:
            wanted = targets + 3 * task.shift
            np.testing.assert_allclose(measure(images + 3), wanted, rtol=1e-5, atol=1e-5)

    def test_only_statistics_of_pixels_have_a_degree_or_a_shift(self):
        self.assertEqual({name for name in TASKS if TASKS[name].measure}, set(_MEASURED))
        for name, task in TASKS.items():
            self.assertEqual(task.degree is None, name not in _MEASURED, name)
            self.assertTrue(task.shift is None or name in _MEASURED, name)

    def test_each_says_what_training_on_it_takes_and_the_papers_is_the_papers(self):
        fields = study.FIELDS
        paper = TASKS['std'].budget
        self.assertEqual(paper.learning_rate, fields['training.learning_rate'].default)
        self.assertEqual(paper.epochs, fields['training.epochs'].default)
        self.assertEqual(paper.train_size, fields['data.train_size'].default)
        self.assertTrue(paper.dropout)
        for task in TASKS.values():
            self.assertGreater(min(dataclasses.astuple(task.budget)[:3]), 0)


class FloorTest(absltest.TestCase):
    """Bounds with a derivation of their own; those of forms are in `template_test.py`."""

    def test_of_a_blur_is_that_of_its_covariance(self):
        side = 8
        basis = np.eye(side**2, dtype=np.float32).reshape(-1, side, side)

        synthesize = jax.jit(TASKS['correlation_length'].synthesize)

        def covariance(generating):
            images = synthesize(np.full(side**2, generating, np.float32), basis, None)
            response = np.asarray(images, np.float64).reshape(side**2, -1)
            return response.T @ response

        step = 0.01
        middle, low, high = covariance(1.5), covariance(1.5 - step), covariance(1.5 + step)
        np.testing.assert_allclose(np.diag(middle), 1, rtol=1e-5)
        relative = np.linalg.solve(middle, (high - low) / (2 * step))
        information = np.trace(relative @ relative) / 2
        found = TASKS['correlation_length'].floor(1.5, side**2)
        np.testing.assert_allclose(found, information**-0.5, rtol=0.001)

    def test_of_a_median_is_that_of_the_density_of_skewed_noise(self):
        def log_density(parameters, pixel):
            median, skew = parameters

            # The solution of pixel - median = z + skew (sqrt(1 + z**2) - 1).
            def noise(pixel):
                moved = pixel - median + skew
                return (moved - skew * jnp.sqrt(moved**2 + 1 - skew**2)) / (1 - skew**2)

            return jnp.log(jax.grad(noise)(pixel)) - noise(pixel) ** 2 / 2

        noise, weights = np.polynomial.hermite_e.hermegauss(40)
        scores = jax.jit(jax.vmap(jax.grad(log_density), (None, 0)))
        variances = []
        for skew in shifted_noise.MOST_SKEW * (2 * (np.arange(8) + 0.5) / 8 - 1):
            pixels = noise + skew * (np.sqrt(1 + noise**2) - 1)
            score = np.asarray(scores(np.float32([0, skew]), pixels), np.float64)
            information = (score * (weights / weights.sum())[:, None]).T @ score
            variances.append(np.linalg.inv(information)[0, 0])
        found = TASKS['median'].floor(5.0, 100)
        np.testing.assert_allclose(found, np.sqrt(np.mean(variances) / 100), rtol=0.01)


class DrawnTest(parameterized.TestCase):
    """Images of a form whose size is the target, over noise that is switched off here."""

    def _drawn(self, name, generating, nuisance):
        generating = np.asarray(generating, np.float32)
        flat = np.zeros((len(nuisance), _SIZE, _SIZE), np.float32)
        nuisance = np.asarray(nuisance, np.float32)
        images = jax.jit(TASKS[name].synthesize)(generating, flat, nuisance)
        return np.asarray(images, np.float64)[..., 0]

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

    def test_a_needle_has_the_generating_angle_at_a_random_place(self):
        angles = np.array([1.0, 3.0, 5.5, 8.0, 10.0])
        places = np.random.default_rng(0).uniform(0.1, 0.9, (len(angles), 2))
        side, edge = np.arange(_SIZE), 2 * needle.LENGTH
        for image, angle, place in zip(
            self._drawn('needle_angle', angles, places), angles, places, strict=True
        ):
            weight = image / image.sum()
            row, column = weight.sum(1) @ side, weight.sum(0) @ side
            span = _SIZE - 1 - 2 * edge
            np.testing.assert_allclose((row, column), edge + place * span, atol=0.3)
            down, right = side[:, None] - row, side - column
            moments = [(weight * part).sum() for part in (down * right, right**2, down**2)]
            found = np.arctan2(2 * moments[0], moments[1] - moments[2]) / 2 % np.pi
            self.assertAlmostEqual(found * needle.UNITS / np.pi, angle, delta=0.05)

    def test_blobs_are_as_many_as_generated(self):
        counts = np.array([0.5, 1.0, 2.25, 5.5, 10.0, 20.0])
        nuisance = np.random.default_rng(0).uniform(size=(len(counts), 1 + 2 * blobs.MOST))
        images = self._drawn('blob_count', counts, nuisance)
        contrast = 3.0 * 2.0 ** nuisance[:, 0]
        # A blob's sum is 2 pi radius**2 times its height; at the edge 2 radii of it are seen.
        found = images.sum((1, 2)) / (contrast * 2 * np.pi * blobs.RADIUS**2)
        np.testing.assert_allclose(found, counts, rtol=0.03)
        self.assertGreater(np.unravel_index(images[1].argmax(), images[1].shape)[0], 0)

    def test_a_position_is_where_the_blob_is(self):
        places = np.array([1.0, 3.0, 5.5, 8.0, 10.0])
        rows = np.linspace(0, 1, len(places))[:, None]
        images = self._drawn('position', places, rows)
        found = (images.sum(1) @ np.arange(_SIZE)) / images.sum((1, 2))
        # At 1 and 10 the blob's edge of 2.3 radii is cut off.
        np.testing.assert_allclose(found * position.UNITS / (_SIZE - 1), places, atol=0.02)

    def test_a_blur_has_the_generating_width(self):
        widths = np.array([1.0, 3.0, 5.5, 8.0, 10.0])
        dot = np.zeros((len(widths), 64, 64), np.float32)
        dot[:, 0, 0] = 1
        noise = np.random.default_rng(0).standard_normal((len(widths), 64, 64))
        given = np.concatenate([dot, noise]).astype(np.float32)
        generating = np.tile(widths, 2).astype(np.float32)
        images = np.asarray(jax.jit(correlated_noise.correlated_noise)(generating, given, None))
        responses, images = np.split(images[..., 0].astype(np.float64), 2)
        power = np.abs(np.fft.fft2(responses)) ** 2
        grain = correlated_noise.GRAIN**2
        for width, found in zip(widths * correlated_noise.PIXELS, power, strict=True):
            self.assertAlmostEqual(found.mean(), 1, places=5)
            # Of pure blur, the logarithm falls by (2 pi width frequency)**2 along an axis.
            pure = np.log(found[0, :3] - grain)
            wanted = (2 * np.pi * width * np.arange(3) / 64) ** 2
            np.testing.assert_allclose(pure[0] - pure, wanted, rtol=1e-3, atol=1e-4)
        # And numpy, in float64, makes the same images of the same noise.
        wanted = np.fft.ifft2(np.sqrt(power) * np.fft.fft2(given[len(widths) :])).real
        np.testing.assert_allclose(images, wanted, atol=2e-5)

    @parameterized.parameters(
        'blob_count', 'disc_radius', 'grating_period', 'needle_angle', 'position'
    )
    def test_lies_over_the_noise_and_its_target_is_the_generating_value(self, name):
        task = TASKS[name]
        generating, noise, _ = _images(4)
        nuisance = np.full((4, task.nuisance), 0.5, np.float32)
        images = jax.jit(task.synthesize)(generating, noise, nuisance)
        bare = self._drawn(name, generating, nuisance)
        np.testing.assert_allclose(images[..., 0], bare + noise, atol=_PHASE)
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
        synthesize = jax.jit(task.synthesize)
        both = synthesize(generating, noise, nuisance)
        self.assertEqual(both.shape, (2, 3, _SIZE, _SIZE, task.channels))
        for row, values in zip(both, generating, strict=True):
            alone = synthesize(values, noise, nuisance)
            np.testing.assert_allclose(row, alone, rtol=1e-6, atol=_PHASE)


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
