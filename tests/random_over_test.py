"""Tests of imbreg_jax.remedies.random_over, against the package of the method's authors."""

import numpy as np
from absl.testing import absltest

import ubl
from imbreg_jax.remedies import random_over, resampling


def _made(groups, goals):
    return random_over.indices(groups, goals, np.random.default_rng(2))


class RandomOverTest(absltest.TestCase):
    def test_published_has_the_packages_shares(self):
        for name, case in ubl.CASES.items():
            with self.subTest(name):
                theirs = np.array(case['sizes']['over'])
                goals = random_over.goals(ubl.groups(case), variant='published')
                # It drops fractions of copies; here they count until all is brought to 80 images.
                np.testing.assert_allclose(goals, theirs / theirs.sum() * 80, atol=1)
                self.assertEqual(goals.sum(), 80)

    def test_has_its_share_of_rare_images_in_even_parts(self):
        groups = ubl.groups(ubl.CASES['both'])
        np.testing.assert_array_equal(random_over.goals(groups, 0.5), [20, 40, 20])
        np.testing.assert_array_equal(random_over.goals(groups, 0.75), [30, 20, 30])

    def test_keeps_rare_images_and_as_many_normal_ones_as_there_is_room_for(self):
        groups = ubl.groups(ubl.CASES['high'])
        found = _made(groups, random_over.goals(groups))
        counts = np.bincount(found, minlength=80)
        rare = groups.places == 1
        self.assertEqual(counts[rare].sum(), 40)
        self.assertGreaterEqual(counts[rare].min(), 1)
        self.assertEqual(counts[~rare].max(), 1)
        self.assertLen(np.unique(found), 40 + rare.sum())

    def test_of_bins(self):
        targets = 1 + np.random.default_rng(0).exponential(2.0, 3000)
        groups = resampling.of_bins(targets, 10)
        found = _made(groups, resampling.balanced(groups))
        self.assertLessEqual(np.ptp(np.bincount(groups.places[found])), 1)


if __name__ == '__main__':
    absltest.main()
