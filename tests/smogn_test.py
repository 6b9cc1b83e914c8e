"""Tests of imbreg_jax.remedies.smogn, against the package of the method's authors."""

import numpy as np
from absl.testing import absltest

import ubl
from imbreg_jax.remedies import resampling, smogn, smoter


class SmognTest(absltest.TestCase):
    def test_mixes_where_the_package_does_and_to_its_cases(self):
        mixed = 0
        for case in ubl.CASES.values():
            _, targets = ubl.data(case)
            for group in case['groups']:
                made = group['smogn']
                seed, pick, way = ubl.draws(made)
                found = ubl.nearest(group)
                near = smogn.near(found, seed, pick)
                np.testing.assert_array_equal(near, ~np.isnan(way))
                mixed += near.sum()
                wanted = np.array(made['rows'])[near]
                new = smoter.interpolated(
                    targets, np.array(group['members']), found, seed[near], pick[near], way[near]
                )
                np.testing.assert_allclose(new['target'], wanted[:, 3], rtol=1e-6)
        self.assertEqual(mixed, 18)

    def test_noise_is_of_the_packages_size(self):
        scores = []
        for case in ubl.CASES.values():
            _, targets = ubl.data(case)
            for group in case['groups']:
                seed, _, way = ubl.draws(group['smogn'])
                far = np.isnan(way)
                members = np.array(group['members'])
                moved = np.array(group['smogn']['rows'])[far, 3] - targets[members[seed[far]]]
                scores += (moved / (0.02 * resampling.spread(targets[members]))).tolist()
        # Its noise in the unit that it is here said to have, of 55 draws.
        self.assertLen(scores, 55)
        self.assertAlmostEqual(np.std(scores), 1, delta=4 / np.sqrt(2 * len(scores)))

    def _made(self, case, **parameters):
        features, targets = ubl.data(case)
        groups = ubl.groups(case)
        goals = resampling.balanced(groups)
        generator = np.random.default_rng(1)
        return smogn.recipe(targets, features, groups, goals, generator, **parameters)

    def test_mixes_or_adds_noise(self):
        case = ubl.CASES['given']
        groups = ubl.groups(case)
        found = self._made(case, perturbation=0.1)
        mixes, noisy = found['share'] < 1, found['noise'] > 0
        self.assertFalse((mixes & noisy).any())
        self.assertEqual((mixes | noisy).sum(), 11)
        self.assertGreater(mixes.sum(), 0)
        self.assertGreater(noisy.sum(), 0)
        np.testing.assert_allclose(found['noise'][noisy], 0.1)
        np.testing.assert_array_equal(found['first'][noisy], found['second'][noisy])
        _, targets = ubl.data(case)
        moved = np.abs(found['target'][noisy] - targets[found['first'][noisy]])
        spread = resampling.spread(targets[groups.members(1)])
        self.assertBetween(moved.max() / (0.1 * spread), 0.01, 4)

    def test_noise_is_no_more_than_half_the_median_distance(self):
        case = ubl.CASES['both']
        found = self._made(case, perturbation=50.0)
        noisy = found['noise'] > 0
        half = {
            member: median / 2
            for group in case['groups']
            for member, median in zip(group['members'], group['median'], strict=True)
        }
        wanted = [half[member] for member in found['first'][noisy]]
        np.testing.assert_allclose(found['noise'][noisy], wanted, rtol=1e-6)


class NoiseTest(absltest.TestCase):
    def test_images_of_noise_are_not_mixed(self):
        """Unless a group's median is more than sqrt(3) times a target of its own."""
        generator = np.random.default_rng(0)
        for targets, some in (
            (generator.uniform(7, 12, 200), False),
            (np.r_[generator.uniform(1, 1.2, 40), generator.uniform(6, 8, 160)], True),
        ):
            images = targets[:, None] * generator.normal(size=(200, 2704))
            found = smogn.neighbours_lib.nearest(images, 5)
            mixes = found.distances < found.median[:, None] / 2
            self.assertEqual(mixes.any(), some)
            small = np.sqrt(3) * targets < np.median(targets)
            self.assertFalse(mixes[~small].any())


if __name__ == '__main__':
    absltest.main()
