"""Tests of imbreg_jax.remedies.resampling, against the package of the methods' authors."""

import types

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest

import ubl
from imbreg_jax import remedies, study
from imbreg_jax.data.randomness import Purpose, member_key
from imbreg_jax.remedies import resampling
from imbreg_jax.training import step


def _generator():
    return np.random.default_rng(3)


class GroupsTest(absltest.TestCase):
    def test_of_relevance_are_the_packages_bumps(self):
        for name, case in ubl.CASES.items():
            with self.subTest(name):
                found = ubl.groups(case)
                np.testing.assert_array_equal(found.places, case['bump'])
                np.testing.assert_array_equal(found.counts, case['counts'])
                wanted = {'high': [0, 1], 'both': [1, 0, 1], 'given': [0, 1]}[name]
                np.testing.assert_array_equal(found.rare, wanted)

    def test_of_bins_have_each_an_image(self):
        found = resampling.of_bins(np.array([0.0, 0.1, 0.2, 0.3, 2.9, 2.95, 9.0]), bins=9)
        np.testing.assert_array_equal(found.places, [0, 0, 0, 0, 1, 1, 2])
        np.testing.assert_array_equal(found.rare, [False, True, True])
        np.testing.assert_array_equal(found.members(1), [4, 5])

    def test_of_twenty_bins_hardly_any_is_empty_and_of_more_some_are(self):
        laws = [np.random.default_rng(seed).normal(5.5, 1.0, 10_000) for seed in range(40)]
        # Within three standard errors of what scatters so much from seed to seed.
        for bins, empty, scatter in ((20, 0.1, 0.3), (50, 2, 1.6), (100, 8, 4)):
            left = [bins - len(resampling.of_bins(targets, bins).rare) for targets in laws]
            self.assertAlmostEqual(np.mean(left), empty, delta=3 * scatter / np.sqrt(40))

    def test_say_what_is_wrong(self):
        targets = np.linspace(1, 10, 11)
        rising = (targets - 1) / 10
        for relevance, threshold, message in (
            (np.full(11, np.nan), 0.5, 'no training target is relevant.*by hand'),
            (np.zeros(11), 0.5, 'no training target is relevant.*by hand'),
            (rising, 0.95, 'a threshold of 0.95 leaves no rare training target'),
            (rising + 0.1, 0.05, 'a threshold of 0.05 leaves no normal training target'),
        ):
            with self.assertRaisesRegex(ValueError, message):
                resampling.of_relevance(targets, relevance, threshold)


class GoalsTest(absltest.TestCase):
    def test_are_of_the_sets_size(self):
        for case in ubl.CASES.values():
            groups = ubl.groups(case)
            for goals in resampling.GOALS.values():
                self.assertEqual(goals(groups).sum(), 80)
        np.testing.assert_array_equal(resampling.split(np.array([1.0, 1, 1]), 80), [27, 26, 27])

    def test_balance_is_the_packages_to_rounding(self):
        for case in ubl.CASES.values():
            groups = ubl.groups(case)
            goals = resampling.balanced(groups)
            # It rounds the even part, and draws that many of each.
            even = round(80 / len(goals))
            self.assertLessEqual(np.abs(goals - even).max(), 1)
            self.assertEqual(case['whole']['smote'], even * len(goals))
            for group in case['groups']:
                made = len(group['smote']['rows'])
                self.assertEqual(made + len(group['members']), even)

    def test_extreme_is_the_packages_to_rounding(self):
        # It rounds factors on counts to 4 digits and sizes down: within an image of each bump.
        for case in ubl.CASES.values():
            groups = ubl.groups(case)
            goals = resampling.extreme(groups)
            inverse = 1 / groups.counts
            np.testing.assert_allclose(goals, 80 * inverse / inverse.sum(), atol=1)
            self.assertAlmostEqual(goals.sum(), case['whole']['noise.1'], delta=len(goals))


class DrawsTest(absltest.TestCase):
    def test_repeated_is_even(self):
        found = resampling.repeated(np.arange(7), 24, _generator())
        counts = np.bincount(found)
        self.assertLen(found, 24)
        self.assertCountEqual(counts, [3, 3, 3, 3, 4, 4, 4])
        part = resampling.repeated(np.arange(7), 5, _generator())
        self.assertLen(np.unique(part), 5)

    def test_filled_keeps_what_it_can_and_makes_the_rest(self):
        targets = np.arange(12.0)
        groups = resampling.Groups(np.repeat([0, 1], [9, 3]), np.array([False, True]))
        asked = []

        def make(members, count):
            asked.append((members.tolist(), count))
            return resampling.mixed(
                targets, np.full(count, 9), np.full(count, 11), np.full(count, 0.25)
            )

        found = resampling.filled(targets, groups, np.array([6, 6]), _generator(), make)
        self.assertEqual(asked, [([9, 10, 11], 3)])
        kept = found['first'][:6]
        self.assertLen(set(kept.tolist()), 6)
        self.assertLess(kept.max(), 9)
        np.testing.assert_array_equal(found['target'][:6], kept)
        self.assertCountEqual(found['first'][6:9], [9, 10, 11])
        np.testing.assert_array_equal(found['share'], [1] * 9 + [0.25] * 3)
        np.testing.assert_array_equal(found['target'][9:], 0.25 * 9 + 0.75 * 11)
        for name, kind in (('first', np.int32), ('second', np.int32), ('target', np.float32)):
            self.assertEqual(found[name].dtype, kind)


class _Drawn:
    """A generator that has drawn already."""

    def __init__(self, values):
        self.values = values

    def normal(self, size):
        assert self.values.shape == size
        return self.values


class MadeTest(absltest.TestCase):
    """Images of a recipe: as they are, mixed, with noise, and both."""

    def setUp(self):
        super().setUp()
        generator = np.random.default_rng(5)
        scale = np.array([[[[1.0, 7.0]]]])
        self.images = (scale * generator.normal(3, 1, (6, 5, 4, 2))).astype(np.float32)
        self.recipe = {
            'first': np.array([2, 0, 5, 1, 1], np.int32),
            'second': np.array([2, 3, 5, 4, 4], np.int32),
            'share': np.array([1, 0.25, 1, 0.75, 0.0], np.float32),
            'noise': np.array([0, 0, 0.5, 0.125, 0], np.float32),
            'target': np.arange(5, dtype=np.float32),
        }

    def test_are_the_shares_of_two_and_noise_of_their_own_size(self):
        found = resampling.made(self.images, self.recipe, _generator())
        np.testing.assert_array_equal(found[0], self.images[2])
        np.testing.assert_array_equal(found[1], 0.25 * self.images[0] + 0.75 * self.images[3])
        np.testing.assert_array_equal(found[4], self.images[4])
        mixed = {2: self.images[5], 3: 0.75 * self.images[1] + 0.25 * self.images[4]}
        drawn = _generator().normal(size=found.shape)
        for place, image in mixed.items():
            spread = self.recipe['noise'][place] * image.std((0, 1))
            np.testing.assert_allclose(found[place], image + spread * drawn[place], rtol=1e-5)

    def test_are_those_of_training_but_for_what_is_drawn(self):
        pictures = jnp.asarray(self.images)
        source = types.SimpleNamespace(images=lambda at, split, index: pictures[index])
        at = types.SimpleNamespace(root=jax.random.key(4), repeat=1, member=0)
        key = member_key(at.root, at.repeat, at.member, Purpose.RECIPE_NOISE)
        index = jnp.arange(5)
        drawn = np.stack(
            [jax.random.normal(jax.random.fold_in(key, i), self.images.shape[1:]) for i in index]
        )
        tables = {name: jnp.asarray(part) for name, part in self.recipe.items()}
        for kind, parts in {
            'mix': list(self.recipe),
            'noise': ['first', 'noise', 'target'],
            'index': ['first'],
        }.items():
            with self.subTest(kind):
                recipe = {name: self.recipe[name] for name in parts}
                learner = types.SimpleNamespace(
                    source=source, remedy=types.SimpleNamespace(recipe=kind)
                )
                wanted, _ = step.pictures_of(learner, at, jnp.arange(6.0), tables, index)
                found = resampling.made(self.images, recipe, _Drawn(drawn))
                copies = recipe.get('noise', np.zeros(5)) == 0
                if kind == 'mix':
                    copies &= recipe['share'] == 1
                np.testing.assert_array_equal(found[copies], np.asarray(wanted)[copies])
                # Float32, of sums of 20 and of numbers up to 40.
                np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
                self.assertEqual(found.dtype, np.float32)

    def test_of_a_table_have_noise_of_what_is_given_for_each_feature(self):
        rows = np.arange(12).reshape(6, 2)
        recipe = {'first': np.array([1, 1, 3]), 'noise': np.array([0, 0.5, 2.0])}
        found = resampling.made(rows, recipe, _Drawn(np.ones((3, 2))), spread=[1.0, 10.0])
        np.testing.assert_array_equal(found, [[2, 3], [2.5, 8], [8, 27]])
        self.assertEqual(found.dtype, np.float64)


class RemedyTest(absltest.TestCase):
    """What the remedies have in common."""

    def setUp(self):
        super().setUp()
        self.targets = 1 + np.random.default_rng(0).exponential(2.0, 4000)

    def _tables(self, spec, *images):
        return remedies.parse(spec).tables(self.targets, None, _generator(), *images)

    def test_all_have_the_sets_size_and_more_rare_images(self):
        rare = resampling.of_relevance(
            self.targets, remedies.parse('wercs').relevance(self.targets), 0.5
        ).places
        share = {
            'random_over': None,
            'random_over(by="relevance", share=0.25)': 0.25,
            'random_under': None,
            'random_under(by="relevance", share=0.25)': 0.25,
            'wercs': None,
            'smoter(neighbours="target")': 0.5,
            'smogn(neighbours="target")': 0.5,
            'gaussian_noise(by="relevance")': 0.5,
        }
        for spec, wanted in share.items():
            with self.subTest(spec):
                found = self._tables(spec)['first']
                self.assertLen(found, 4000)
                self.assertGreater(rare[found].mean(), 1.2 * rare.mean())
                if wanted:
                    self.assertAlmostEqual(rare[found].mean(), wanted, delta=0.001)

    def test_points_by_hand_and_sides_say_what_is_rare(self):
        low = remedies.parse('smoter(points=((2, 1), (4, 0)))').groups(self.targets)
        np.testing.assert_array_equal(low.rare, [True, False])
        self.assertAlmostEqual(self.targets[low.places == 0].max(), 3, delta=0.01)
        with self.assertRaisesRegex(ValueError, 'below the lower'):
            remedies.parse('smoter(sides="low")').groups(self.targets)

    def test_relabelled_asks_for_new_images_alone(self):
        class Images:
            """Images whose measured targets are their places."""

            def measured(self, recipe, index):
                return index.astype(np.float32)

        for spec in ('smoter', 'smogn'):
            given = self._tables(f'{spec}(neighbours="target")')
            measured = self._tables(f'{spec}(neighbours="target", relabel=True)', Images())
            new = (given['share'] < 1) | (given['noise'] > 0)
            self.assertBetween(new.mean(), 0.2, 0.5)
            np.testing.assert_array_equal(
                measured['target'], np.where(new, np.arange(4000), given['target'])
            )
        given = self._tables('gaussian_noise')
        measured = self._tables('gaussian_noise(relabel=True)', Images())
        new = given['noise'] > 0
        np.testing.assert_array_equal(
            measured['target'], np.where(new, np.arange(4000), given['target'])
        )

    def test_without_images_those_that_see_some_say_so(self):
        for spec in ('smoter', 'smogn', 'gaussian_noise(relabel=True)'):
            with self.assertRaisesRegex(ValueError, 'none are given'):
                self._tables(spec)


class RefusalTest(absltest.TestCase):
    """What the config refuses before anything is trained."""

    def _resolve(self, spec, law='exponential(1, 2)', **fields):
        config = study.default_config()
        config.update_from_flattened_dict({'remedy': spec, 'train_distribution': law} | fields)
        return study.resolve(config)

    def test_of_laws_and_tasks(self):
        by_hand = 'points=((5, 0), (10, 1))'
        for spec, law, fields, message in (
            ('smogn', 'u1_10', {}, 'outside of the whiskers'),
            ('wercs', 'u1_10', {}, 'outside of the whiskers'),
            ('random_over(by="relevance")', 'u1_10', {}, 'outside of the whiskers'),
            ('smoter(points=((1, 0.6), (9, 1)))', 'u1_10', {}, 'leaves no normal training target'),
            ('smoter(points=((1, 0), (99, 1)))', 'u1_10', {}, 'leaves no rare training target'),
            ('wercs(points=((11, 0), (12, 1)))', 'u1_10', {}, 'targets any relevance'),
            ('smoter(k=500)', 'n5_5_1', {'data.train_size': 2000}, 'have no 500 neighbours each'),
            (
                f'smoter({by_hand}, relabel=True)', 'u1_10', {'task.target': 'generating'},
                'are generating values, which nothing measures',
            ),
            (
                f'smogn({by_hand}, relabel=True)', 'u1_10', {'task.name': 'disc_radius'},
                'targets of the task disc_radius are generating values',
            ),
            (
                f'inverse + gaussian_noise({by_hand}, relabel=True)', 'u1_10',
                {'task.target': 'generating'}, 'are generating values, which nothing measures',
            ),
        ):  # fmt: skip
            with self.subTest(spec), self.assertRaisesRegex(study.ConfigError, message):
                self._resolve(spec, law, **fields)
        for spec in (f'smoter({by_hand}, relabel=True)', f'wercs({by_hand})', 'random_under'):
            self._resolve(spec, 'u1_10')

    def test_names_the_condition(self):
        config = study.default_config()
        config.conditions = {'rare': {'remedy': 'smoter'}}
        with self.assertRaisesRegex(study.ConfigError, r'rare.*remedy.*of U\(1, 10\)|rare.*whisk'):
            study.resolve(config)


if __name__ == '__main__':
    absltest.main()
