"""Tests of imbreg_jax.remedies.smoter, against the package of the method's authors."""

import numpy as np
from absl.testing import absltest

import ubl
from imbreg_jax.remedies import resampling, smoter


class InterpolatedTest(absltest.TestCase):
    def test_cases_are_the_packages_given_its_draws(self):
        for case in ubl.CASES.values():
            features, targets = ubl.data(case)
            for group in case['groups']:
                made = group['smote']
                found = smoter.interpolated(
                    targets, np.array(group['members']), ubl.nearest(group), *ubl.draws(made)
                )
                share = found['share'][:, None]
                mixed = share * features[found['first']] + (1 - share) * features[found['second']]
                rows = np.array(made['rows'])
                np.testing.assert_allclose(mixed, rows[:, :3], rtol=1e-5, atol=1e-6)
                np.testing.assert_allclose(found['target'], rows[:, 3], rtol=1e-6)


class RecipeTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.case = ubl.CASES['both']
        self.features, self.targets = ubl.data(self.case)
        self.groups = ubl.groups(self.case)
        self.goals = resampling.balanced(self.groups)

    def _made(self, **parameters):
        return smoter.recipe(
            self.targets, self.features, self.groups, self.goals, np.random.default_rng(1),
            **parameters,
        )  # fmt: skip

    def test_fills_rare_groups_with_mixtures_of_neighbours(self):
        found = self._made()
        first, second, share = (found[name] for name in ('first', 'second', 'share'))
        self.assertLen(first, 80)
        np.testing.assert_array_equal(found['noise'], 0)
        new = share < 1
        places = self.groups.places
        np.testing.assert_array_equal(np.bincount(places[first]), self.goals)
        np.testing.assert_array_equal(places[first], places[second])
        self.assertEqual(new.sum(), sum(len(g['smote']['rows']) for g in self.case['groups']))
        for group in self.case['groups']:
            members = np.array(group['members'])
            near = dict(
                zip(members.tolist(), members[np.array(group['near'])].tolist(), strict=True)
            )
            chosen = new & np.isin(first, members)
            for one, other in zip(first[chosen], second[chosen], strict=True):
                self.assertIn(other, near[one])
            # Each is a seed as often as any other or once more.
            self.assertLessEqual(np.ptp(np.bincount(first[chosen])[members]), 1)
        self.assertBetween(share[new].mean(), 0.3, 0.7)

    def test_depends_on_its_generator_alone_and_asks_for_no_normal_image(self):
        class Seen:
            """Features that note which were asked for."""

            def __init__(self, features):
                self.features, self.asked = features, []

            def __getitem__(self, index):
                self.asked += index.tolist()
                return self.features[index]

        again = self._made()
        self.features = seen = Seen(self.features)
        for name, values in self._made().items():
            np.testing.assert_array_equal(values, again[name])
        self.assertCountEqual(seen.asked, np.flatnonzero(self.groups.places != 1))

    def test_fewer_images_than_neighbours_are_refused(self):
        with self.assertRaisesRegex(ValueError, '8 alike training images have no 8 neigh'):
            self._made(k=8)


class LabelTest(absltest.TestCase):
    """What the published target of a mixture of two images of noise is wrong by."""

    def test_mixtures_of_noise_are_weaker_than_their_labels(self):
        generator = np.random.default_rng(0)
        targets = generator.uniform(4, 5, 40)
        images = targets[:, None, None] * generator.normal(size=(40, 52, 52))
        targets = images.std((1, 2))
        pairs = np.arange(0, 40, 2), np.arange(1, 40, 2)
        for share in (0.5, 0.8, 1.0):
            made = resampling.mixed(targets, *pairs, np.full(20, share))
            measured = (share * images[pairs[0]] + (1 - share) * images[pairs[1]]).std((1, 2))
            parts = share * targets[pairs[0]], (1 - share) * targets[pairs[1]]
            # A measured std scatters by 1 / sqrt(2 * 52 * 52), its share, about that of the parts.
            np.testing.assert_allclose(measured, np.hypot(*parts), rtol=5 / 73.5)
            wrong = made['target'] / measured
            wanted = 1 / np.hypot(share, 1 - share)
            self.assertAlmostEqual(wrong.mean() / wanted, 1, delta=0.02)
        # In the mean over shares; the integral of sqrt(w**2 + (1 - w)**2).
        shares = (np.arange(1000) + 0.5) / 1000
        mean = 1 / 2 + np.arcsinh(1) / np.sqrt(8)
        self.assertAlmostEqual(np.mean(np.hypot(shares, 1 - shares)), mean, places=6)
        self.assertAlmostEqual(mean, 0.81, places=2)


if __name__ == '__main__':
    absltest.main()
