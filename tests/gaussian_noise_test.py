"""Tests of imbreg_jax.remedies.gaussian_noise."""

import jax.numpy as jnp
import numpy as np
from absl.testing import absltest

import ubl
from imbreg_jax import remedies
from imbreg_jax.data import images, randomness
from imbreg_jax.data.pixel_laws import PIXEL_LAWS
from imbreg_jax.data.tasks import TASKS
from imbreg_jax.remedies import bins, gaussian_noise, relevance, resampling


def _made(targets, bins):
    groups = resampling.of_bins(targets, bins)
    goals = resampling.balanced(groups)
    return gaussian_noise.recipe(targets, groups, goals, np.random.default_rng(5))


class RecipeTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.targets = 1 + np.random.default_rng(0).exponential(2.0, 3000)
        self.found = _made(self.targets, bins=10)
        self.places = bins.places(self.targets, 10)

    def test_bins_have_the_same_number_of_images(self):
        self.assertLen(self.found['first'], 3000)
        counts = np.bincount(self.places[self.found['first']], minlength=10)
        occupied = np.bincount(self.places, minlength=10) > 0
        self.assertLessEqual(np.ptp(counts[occupied]), 1)

    def test_originals_come_once_and_as_they_are(self):
        first, noise, target = (self.found[name] for name in ('first', 'noise', 'target'))
        kept = first[noise == 0]
        self.assertLen(np.unique(kept), len(kept))
        np.testing.assert_array_equal(target[noise == 0], self.targets[kept].astype(np.float32))
        # A bin with fewer images than its share keeps them all; one with more needs no copy.
        for place in np.unique(self.places):
            members = np.flatnonzero(self.places == place)
            copies = (noise > 0) & (self.places[first] == place)
            share = (self.places[first] == place).sum()
            self.assertEqual(copies.sum(), max(0, share - len(members)))

    def test_copies_move_by_the_spread_of_their_bin(self):
        first, noise, target = (self.found[name] for name in ('first', 'noise', 'target'))
        np.testing.assert_allclose(noise[noise > 0], 0.1)
        for place in np.unique(self.places):
            copies = (noise > 0) & (self.places[first] == place)
            spread = self.targets[self.places == place].std(ddof=1)
            if copies.sum() < 100 or spread == 0:
                continue
            moved = target[copies] - self.targets[first[copies]]
            error = 5 / np.sqrt(2 * copies.sum())
            self.assertAlmostEqual(moved.std() / (0.1 * spread), 1, delta=error)

            # Each image is copied as often as any other or once more.
            counts = np.bincount(first[copies])[np.unique(first[copies])]
            self.assertLessEqual(np.ptp(counts), 1)

    def test_bumps_have_as_many_images_as_in_the_package(self):
        for case in ubl.CASES.values():
            _, targets = ubl.data(case)
            groups = ubl.groups(case)
            found = gaussian_noise.recipe(
                targets, groups, resampling.balanced(groups), np.random.default_rng(5)
            )
            counts = np.bincount(groups.places[found['first']])
            even = case['whole']['noise'] / len(counts)
            self.assertLessEqual(np.abs(counts - even).max(), 1)
            self.assertLen(found['first'], 80)

    def test_goes_by_bumps_of_relevance(self):
        method = remedies.parse('gaussian_noise(by="relevance")')
        found = method.tables(self.targets, None, np.random.default_rng(5))
        self.assertCountEqual(found, ['first', 'noise', 'target'])
        groups = method.groups(self.targets)
        np.testing.assert_array_equal(groups.rare, [False, True])
        np.testing.assert_array_equal(np.bincount(groups.places[found['first']]), 1500)
        self.assertFalse((found['noise'][groups.places[found['first']] == 0] > 0).any())

    def test_depends_on_its_generator_alone(self):
        again = _made(self.targets, bins=10)
        for name, values in self.found.items():
            np.testing.assert_array_equal(values, again[name])


class PixelsTest(absltest.TestCase):
    def test_an_images_own_deviation_is_a_pixels_over_the_group_but_for_the_images_means(self):
        """As the module says it, of the first of the rare images."""
        targets = 1 + np.random.default_rng(0).exponential(2.0, 16_000)
        targets = targets[targets < 10][:4000]
        phi = relevance.relevance(targets, relevance.control_points(targets))
        rare = jnp.asarray(targets[phi >= 0.5][:400], jnp.float32)
        index, law = jnp.arange(len(rare)), PIXEL_LAWS['normal']
        key = randomness.purpose_key(randomness.root_key(0), 0, randomness.Purpose.TRAIN_IMAGES)
        noise = images.noise(key, index, 52, draw=law.draw)
        for name, wanted in {
            'std': 1.0,
            'disc_radius': 1.0,
            'grating_period': 1.0,
            'needle_angle': 1.0,
            'blob_count': 1.0,
            'mean': 0.6,
            'signal_to_noise': 0.33,
        }.items():
            with self.subTest(name):
                task = TASKS[name]
                nuisance = images.nuisance(key, index, task.nuisance)
                made = np.asarray(task.images(rare, noise, nuisance, law), np.float64)
                own, group = made.var((1, 2)).mean(), made.var(0, ddof=1).mean()
                self.assertAlmostEqual(np.sqrt(own / group), wanted, delta=0.006)


if __name__ == '__main__':
    absltest.main()
