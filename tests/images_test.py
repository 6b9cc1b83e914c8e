"""Tests of imbreg_jax.data.images: an image is a function of key and index, however it is asked."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

from imbreg_jax.data import images, pixel_laws, randomness

_SIZE = 12


def _key():
    return randomness.purpose_key(randomness.root_key(0), 0, randomness.Purpose.TRAIN_IMAGES)


def _bits(array):
    return np.asarray(array).view(np.uint32)


class NoiseTest(absltest.TestCase):
    def test_an_image_depends_on_its_index_alone(self):
        all_of_them = images.noise(_key(), np.arange(10, dtype=np.int32), _SIZE)
        some = images.noise(_key(), np.array([7, 2, 2], np.int32), _SIZE)
        np.testing.assert_array_equal(_bits(some), _bits(all_of_them)[[7, 2, 2]])

    def test_images_differ(self):
        noise = np.asarray(images.noise(_key(), np.arange(50, dtype=np.int32), _SIZE))
        self.assertLen(np.unique(noise[:, 0, 0]), 50)

    def test_is_standard_normal(self):
        noise = np.asarray(images.noise(_key(), np.arange(1000, dtype=np.int32), _SIZE), np.float64)
        count = noise.size
        # Of n standard normals: the mean's standard error is 1/sqrt(n), that of the second,
        # third and fourth moments sqrt(2/n), sqrt(15/n), sqrt(96/n); 5 of each, p < 1e-6.
        for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
            error = 5 * np.sqrt(variance / count)
            self.assertAlmostEqual((noise**power).mean(), expected, delta=error, msg=str(power))

    def test_neighbours_are_independent(self):
        noise = np.asarray(images.noise(_key(), np.arange(1000, dtype=np.int32), _SIZE), np.float64)
        for products in (
            noise[:, :, 1:] * noise[:, :, :-1],
            noise[:, 1:] * noise[:, :-1],
            noise[1:] * noise[:-1],
        ):
            self.assertAlmostEqual(products.mean(), 0, delta=5 / np.sqrt(products.size))


class TableTest(parameterized.TestCase):
    @parameterized.parameters(7, 501)
    def test_holds_what_would_be_drawn_bit_for_bit(self, count):
        draw = lambda key, i: images.noise(key, i, _SIZE)  # noqa: E731
        table = jax.jit(lambda key: images.walk(count, functools.partial(draw, key)))(_key())
        self.assertEqual(table.shape, (count, _SIZE, _SIZE))
        # In a program of its own, with other work about it, in another order.
        order = np.random.default_rng(0).permutation(count).astype(np.int32)
        drawn = jax.jit(lambda key, i: (2 * draw(key, i), i))(_key(), order)[0]
        np.testing.assert_array_equal(_bits(2 * table)[order], _bits(drawn))


class WalkTest(parameterized.TestCase):
    @parameterized.parameters((10, 5), (10, 3), (10, 10), (10, 11), (1, 4), (7, 1), (3, 0))
    def test_visits_every_image_once_whatever_the_batch(self, count, batch):
        def visit(index):
            self.assertLessEqual(len(index), max(batch, 1) if batch else images.WALK_BATCH)
            return {'index': index, 'pair': jnp.stack([index, -index], -1)}

        seen = images.walk(count, visit, batch)
        np.testing.assert_array_equal(seen['index'], np.arange(count))
        np.testing.assert_array_equal(seen['pair'], np.arange(count)[:, None] * [1, -1])


class NuisanceTest(absltest.TestCase):
    def test_is_uniform_and_of_an_image_alone(self):
        index = np.arange(2000, dtype=np.int32)
        found = np.asarray(images.nuisance(_key(), index, 3))
        some = images.nuisance(_key(), index[[7, 2]], 3)
        np.testing.assert_array_equal(some, found[[7, 2]])
        for column in found.T:
            # The Kolmogorov-Smirnov distance of n uniforms exceeds 2.5 / sqrt(n) with p < 1e-5.
            distance = np.abs(np.sort(column) - np.linspace(0, 1, len(column))).max()
            self.assertLess(distance, 2.5 / np.sqrt(len(column)))

    def test_is_independent_of_the_noise_of_every_law(self):
        index = np.arange(2000, dtype=np.int32)
        found = np.asarray(images.nuisance(_key(), index, 2))
        for name, law in pixel_laws.PIXEL_LAWS.items():
            noise = images.noise(_key(), index, _SIZE, draw=law.draw)
            noise = np.asarray(noise).reshape(len(index), -1)
            for column in found.T:
                # Angles that are shared would show in the cosine of the place.
                for shape in (column, np.cos(2 * np.pi * column)):
                    for pixel in noise[:, :4].T:
                        correlation = abs(np.corrcoef(shape, np.clip(pixel, -3, 3))[0, 1])
                        self.assertLess(correlation, 5 / np.sqrt(len(index)), name)

    def test_may_be_none(self):
        self.assertEqual(images.nuisance(_key(), np.arange(3, dtype=np.int32), 0).shape, (3, 0))


if __name__ == '__main__':
    absltest.main()
