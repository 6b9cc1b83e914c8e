"""Tests of imbreg_jax.remedies.rebagg, against the package of the method's authors."""

import numpy as np
from absl.testing import absltest

import ubl
from imbreg_jax import remedies, study
from imbreg_jax.remedies import rebagg, smoter


def _rare(case):
    groups = ubl.groups(case)
    return groups.rare[groups.places]


class SharesTest(absltest.TestCase):
    def test_drawn_samples_have_as_many_rare_and_normal_rows_as_in_the_package(self):
        for case in ubl.CASES.values():
            rare = _rare(case)
            for method, shares in (('balance', [0.5]), ('variation', rebagg.SHARES)):
                found = []
                for share in shares:
                    places = rebagg.drawn(rare, share, np.random.default_rng(1))
                    self.assertLen(places, 80)
                    self.assertEqual(places.dtype, np.int32)
                    found.append([rare[places].sum(), (~rare[places]).sum(), 0])
                self.assertCountEqual(found, case['rebagg'][method])

    def test_images_occur_as_often_as_in_the_package(self):
        for case in ubl.CASES.values():
            _, targets = ubl.data(case)
            points = tuple(map(tuple, np.array(case['control'])[:, :2].tolist()))
            remedy = remedies.parse(f'rebagg(points={points})')
            np.testing.assert_allclose(remedy.relevance(targets), case['relevance'], atol=1e-6)
            generator = np.random.default_rng(2)
            drawn = [remedy.tables(targets, None, generator)['first'] for _ in range(1000)]
            counts = np.stack([np.bincount(each, minlength=80) for each in drawn])
            error = np.hypot(case['rebagg']['error'], counts.std(0) / np.sqrt(1000))
            away = (counts.mean(0) - case['rebagg']['mean']) / error
            # Of 80 images five standard errors away is one in 20,000.
            self.assertLess(np.abs(away).max(), 5)
            # Members differ in their share: more than what binomial draws would.
            self.assertLen({int(_rare(case)[each].sum()) for each in drawn}, len(rebagg.SHARES))

    def test_balanced_members_have_half_of_each(self):
        targets = 1 + np.random.default_rng(0).exponential(2.0, 3000)
        remedy = remedies.parse('rebagg(variation=False)')
        groups = remedy.groups(targets)
        rare = groups.rare[groups.places]
        first, second = (
            remedy.tables(targets, None, np.random.default_rng(seed))['first'] for seed in (0, 1)
        )
        for places in (first, second):
            self.assertEqual(rare[places].sum(), 1500)
        self.assertTrue((first != second).any())


class MixedTest(absltest.TestCase):
    def test_sets_have_the_packages_sizes_to_rounding(self):
        for case in ubl.CASES.values():
            features, targets = ubl.data(case)
            rare = _rare(case)
            for method, shares in (('balanceSMT', [0.5]), ('variationSMT', rebagg.SHARES)):
                theirs = {normal: (kept, new) for kept, normal, new in case['rebagg'][method]}
                self.assertLen(theirs, len(shares))
                for share in shares:
                    made = rebagg.mixed(targets, features, rare, share, np.random.default_rng(1))
                    self.assertLen(made['first'], 80)
                    new = made['share'] < 1
                    kept = ~new & rare[made['first']]
                    self.assertLen(np.unique(made['first'][kept]), kept.sum())
                    normal = (~rare[made['first']]).sum()
                    self.assertEqual(kept.sum(), theirs[normal][0])
                    # A part of a mixture is dropped by the package: none or one fewer.
                    self.assertBetween(new.sum() - theirs[normal][1], 0, 1)
                    self.assertTrue(rare[made['first'][new]].all())
                    self.assertTrue(rare[made['second'][new]].all())

    def test_mixtures_are_the_packages_given_its_draws(self):
        for name, case in ubl.CASES.items():
            features, targets = ubl.data(case)
            group = case['rebagg']['group']
            members = np.array(group['members'])
            np.testing.assert_array_equal(np.sort(members), np.flatnonzero(_rare(case)))
            found = smoter.interpolated(
                targets, members, ubl.nearest(group), *ubl.draws(group['smote'])
            )
            share = found['share'][:, None]
            mixed = share * features[found['first']] + (1 - share) * features[found['second']]
            rows = np.array(group['smote']['rows'])
            np.testing.assert_allclose(mixed, rows[:, :3], rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(found['target'], rows[:, 3], rtol=1e-5, atol=1e-6)
            if name == 'both':
                bumps = np.array(case['bump'])
                self.assertTrue((bumps[found['first']] != bumps[found['second']]).any())

    def test_neighbours_are_sought_among_all_rare_images(self):
        case = ubl.CASES['both']
        features, targets = ubl.data(case)
        made = rebagg.mixed(targets, features, _rare(case), 0.5, np.random.default_rng(1))
        bumps = np.array(case['bump'])
        self.assertTrue((bumps[made['first']] != bumps[made['second']]).any())


class RemedyTest(absltest.TestCase):
    def test_what_it_is(self):
        copies, mixtures = map(remedies.parse, ('rebagg(size=3)', 'rebagg(synthetic=True)'))
        self.assertEqual((copies.members, mixtures.members), (3, 10))
        self.assertEqual((copies.recipe, mixtures.recipe), ('index', 'mix'))
        self.assertEqual((copies.sees_images, mixtures.sees_images), (False, True))
        # Copies share the program of no remedy, mixtures that of mixtures.
        self.assertEqual(copies.code, ())
        self.assertNotEqual(mixtures.code, ())
        both = remedies.parse('rebagg(size=3) + inverse')
        self.assertEqual(both.members, 3)

    def test_refuses(self):
        for spec, message in (
            ('rebagg + ensemble', 'each is an ensemble'),
            ('rebagg + random_over', 'each makes a training set'),
        ):
            with self.assertRaisesRegex(ValueError, message):
                remedies.parse(spec)
        targets = 1 + np.random.default_rng(0).exponential(2.0, 200)
        with self.assertRaisesRegex(ValueError, 'none are given'):
            remedies.parse('rebagg(synthetic=True)').tables(targets, None, np.random.default_rng(0))
        config = study.default_config()
        config.remedy = 'rebagg'
        with self.assertRaisesRegex(study.ConfigError, 'outside of the whiskers'):
            study.resolve(config)

    def test_targets_of_mixtures_may_be_measured(self):
        class Images:
            """Images whose measured targets are their places."""

            def measured(self, recipe, index):
                return index.astype(np.float32)

        targets = 1 + np.random.default_rng(0).exponential(2.0, 2000)

        def made(more, *images):
            remedy = remedies.parse(f'rebagg(synthetic=True, neighbours="target"{more})')
            return remedy.tables(targets, None, np.random.default_rng(4), *images)

        given, measured = made(''), made(', relabel=True', Images())
        new = given['share'] < 1
        self.assertGreater(new.sum(), 100)
        wanted = np.where(new, np.arange(2000), given['target'])
        np.testing.assert_array_equal(measured['target'], wanted)


if __name__ == '__main__':
    absltest.main()
