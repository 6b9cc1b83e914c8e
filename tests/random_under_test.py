"""Tests of imbreg_jax.remedies.random_under, against the package of the method's authors."""

import numpy as np
from absl.testing import absltest

import ubl
from imbreg_jax.remedies import random_under, resampling


def _made(groups, left):
    return random_under.indices(groups, left, np.random.default_rng(2))


class RandomUnderTest(absltest.TestCase):
    def test_keeps_as_many_as_the_package(self):
        for name, case in ubl.CASES.items():
            with self.subTest(name):
                left = random_under.kept(ubl.groups(case))
                # It rounds factors on counts to 5 digits, and drops fractions of images.
                np.testing.assert_allclose(left, case['sizes']['under'], atol=1)

    def test_has_as_many_distinct_images_as_are_kept_each_as_often(self):
        for share in (0.5, 0.25):
            groups = ubl.groups(ubl.CASES['high'])
            left = random_under.kept(groups, share)
            found = _made(groups, left)
            self.assertLen(found, 80)
            counts = np.bincount(found, minlength=80)
            self.assertEqual((counts > 0).sum(), left.sum())
            self.assertLessEqual(np.ptp(counts[counts > 0]), 1)
            np.testing.assert_array_equal(np.bincount(groups.places[counts > 0]), left)
            self.assertAlmostEqual(left[1] / left.sum(), share, delta=0.01)
            self.assertTrue((counts[groups.places == 1] > 0).all())

    def test_of_bins(self):
        groups = resampling.of_bins(np.repeat([0.0, 1.0, 2.0, 3.0], [60, 30, 8, 2]), 4)
        np.testing.assert_array_equal(random_under.kept_of_bins(groups, 0.0), [2, 2, 2, 2])
        left = random_under.kept_of_bins(groups, 0.2)
        np.testing.assert_array_equal(left, [5, 5, 5, 2])
        found = _made(groups, left)
        self.assertLen(found, 100)
        self.assertLen(np.unique(found), 17)

    def test_the_default_leaves_of_normal_targets_what_is_claimed(self):
        def kept(seed, *most):
            targets = np.random.default_rng(seed).normal(5.5, 1.0, 10_000)
            return random_under.kept_of_bins(resampling.of_bins(targets, 20), *most).sum()

        self.assertBetween(np.median([kept(seed, 0.0) for seed in range(40)]), 38, 57)
        # They scatter by 34 from seed to seed: three standard errors.
        mean = np.mean([kept(seed) for seed in range(40)])
        self.assertAlmostEqual(mean, 780, delta=3 * 34 / np.sqrt(40))


if __name__ == '__main__':
    absltest.main()
