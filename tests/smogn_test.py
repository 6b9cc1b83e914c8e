"""Tests of imbreg_jax.remedies.smogn, against the package of the method's authors and another."""

import json
import pathlib

import numpy as np
from absl.testing import absltest
from scipy import interpolate

import ubl
from imbreg_jax.remedies import neighbours, relevance, resampling, smogn, smoter

# make_themis_fixtures.R says where it is from.
_THEMIS = json.loads(
    pathlib.Path(__file__).with_name('testdata').joinpath('themis.json').read_text()
)


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


class _Drawn:
    """A generator that has drawn already."""

    def __init__(self, values):
        self.values = np.array(values)

    def normal(self, mean, deviation, size):
        assert (mean, deviation, size) == (0.0, 1.0, len(self.values))
        return self.values


def _grown(rows, run):
    """What themis did to each group that grows.

    Yields:
      what it drew and made; the images of the group; our neighbours among them, and with its
      median in the place of ours; and of each new image seed, neighbour and way.
    """
    for group in run['groups']:
        members = np.array(group['members'])
        ours = neighbours.nearest(rows[members], min(5, len(members) - 1))
        theirs = ours._replace(median=np.median(ours.distances, axis=1))
        pick = np.array(group['picks']) - 1
        # Its seeds come again in the order in which they were drawn.
        seed = np.resize(np.array(group['seeds']) - 1, len(pick))
        yield group, members, ours, theirs, seed, pick, np.array(group['ways'], np.float64)


def _cases():
    for name, case in _THEMIS['cases'].items():
        rows, targets = ubl.data(ubl.CASES[name])
        for run in case['runs']:
            yield rows, targets, np.array(case['relevance']), run


class SecondOpinionTest(absltest.TestCase):
    """Against themis, of which this module says what it does otherwise."""

    def test_groups_and_their_sizes_are_the_same(self):
        for _, targets, phi, run in _cases():
            groups = resampling.of_relevance(targets, phi, 0.5)
            even = round(len(targets) / len(groups.counts))
            self.assertLessEqual(np.abs(resampling.balanced(groups) - even).max(), 1)
            kept = np.bincount(groups.places[run['kept']])
            np.testing.assert_array_equal(kept, np.minimum(groups.counts, even))
            grown = np.flatnonzero(groups.counts < even)
            for place, group in zip(grown, run['groups'], strict=True):
                self.assertCountEqual(group['members'], groups.members(place))
                self.assertLen(group['rows'], even - groups.counts[place])

    def test_mixtures_are_the_same_of_the_same_draws(self):
        mixed = 0
        for rows, targets, _, run in _cases():
            for group, members, _, theirs, seed, pick, way in _grown(rows, run):
                near = smogn.near(theirs, seed, pick)
                np.testing.assert_array_equal(near, ~np.isnan(way))
                new = smoter.interpolated(
                    targets, members, theirs, seed[near], pick[near], way[near]
                )
                wanted = np.array(group['rows'])[near]
                images = resampling.made(rows, new, np.random.default_rng())
                # Shares are float32, of rows of up to 4.
                np.testing.assert_allclose(images, wanted[:, :3], atol=1e-6)
                np.testing.assert_allclose(new['target'], wanted[:, 3], rtol=1e-6)
                mixed += near.sum()
        self.assertEqual(mixed, 30)

    def test_noise_on_targets_is_the_same_of_the_same_draws(self):
        """Its documents' `perturbation` is what it takes, where UBL has 0.02 whatever is asked."""
        least = set()
        for rows, targets, _, run in _cases():
            for group, members, _, theirs, seed, _, way in _grown(rows, run):
                far = np.isnan(way)
                noise = np.minimum(run['perturbation'], theirs.median[seed[far]] / 2)
                least |= set(np.round(noise, 3).tolist())
                spread = resampling.spread(targets[members])
                np.testing.assert_allclose(group['sizes'], noise * spread, rtol=1e-12)
                found = resampling.noisy(
                    targets, members[seed[far]], noise, spread, _Drawn(group['scores'])
                )
                wanted = np.array(group['rows'])[far, 3]
                np.testing.assert_allclose(found['target'], wanted, rtol=1e-6)
        # Both perturbations, and half distances that are less.
        self.assertContainsSubset({0.02, 0.3}, least)
        self.assertGreater(len(least), 2)

    def test_near_is_of_half_the_median_to_all_of_the_group_and_not_to_neighbours(self):
        more = 0
        for rows, _, _, run in _cases():
            for _, members, ours, theirs, seed, pick, way in _grown(rows, run):
                # Of more than one image beside a seed and its neighbours, theirs is never more.
                self.assertGreaterEqual(len(members), 7)
                self.assertTrue((theirs.median <= ours.median * (1 + 1e-12)).all())
                near = smogn.near(ours, seed, pick)
                self.assertTrue(near[~np.isnan(way)].all())
                more += (near & np.isnan(way)).sum()
        self.assertEqual(more, 10)

    def test_a_group_of_fewer_than_k_neighbours_has_fewer_there_and_is_refused_here(self):
        data = np.array(_THEMIS['small']['rows'])
        ((group, members, _, theirs, seed, pick, way),) = _grown(data[:, :2], _THEMIS['small'])
        np.testing.assert_array_equal(members, [36, 37, 38, 39])
        self.assertEqual(max(group['picks']), 3)
        np.testing.assert_array_equal(smogn.near(theirs, seed, pick), ~np.isnan(way))
        phi = relevance.relevance(data[:, 2], ((1, 0), (4, 0), (8, 1)))
        groups = resampling.of_relevance(data[:, 2], phi, 0.5)
        np.testing.assert_array_equal(groups.members(1), members)
        with self.assertRaisesRegex(ValueError, '4 alike .* have no 5 neighbours'):
            smogn.recipe(
                data[:, 2], data[:, :2], groups, resampling.balanced(groups),
                np.random.default_rng(0),
            )  # fmt: skip

    def test_relevance_by_hand_meets_ours_at_its_points_and_slopes_at_its_ends(self):
        # By hand: the mean of both secants at a point between, and of one at an end.
        slopes = {
            'rising': [0.2 / 3, 0.1, 0.8 / 6],
            'valley': [-0.25, 0, 0.25],
            'turning': [-0.25, -0.025, 0.2],
            'two': [1 / 6, 1 / 6],
            'within': [0.05, 0.05],
        }
        for name, case in _THEMIS['by_hand'].items():
            with self.subTest(name):
                at, (x, y) = np.array(case['at']), np.transpose(case['points'])
                found = np.array(case['relevance'])
                ends = np.clip(at, x[0], x[-1])
                curve = interpolate.CubicHermiteSpline(x, y, slopes[name])(ends)
                beyond = np.where(at < x[0], slopes[name][0], slopes[name][-1]) * (at - ends)
                np.testing.assert_allclose(found, np.clip(curve + beyond, 0, 1), atol=1e-14)
                ours = relevance.relevance(at, case['points'])
                places = np.isin(at, x)
                np.testing.assert_allclose(ours[places], found[places], atol=1e-14)
                # Beyond ends of 0 and 1 there is no other.
                outside = (at < x[0]) | (at > x[-1])
                same = np.allclose(ours[outside], found[outside], atol=1e-14)
                self.assertEqual(same, name != 'within')
                self.assertFalse(np.allclose(ours, found, atol=0.01))
        # Between two points ours crosses a half where a line does.
        two = _THEMIS['by_hand']['two']
        ours = relevance.relevance(two['at'], two['points'])
        np.testing.assert_array_equal(ours >= 0.5, np.array(two['relevance']) >= 0.5)

    def test_whiskers_are_relevant_there_where_there_is_nothing_beyond_them(self):
        """So that evenly spread targets, which are refused here, are resampled."""
        targets, phi = (np.array(_THEMIS['even'][part]) for part in ('targets', 'relevance'))
        ends = [targets.argmin(), targets.argmax()]
        np.testing.assert_array_equal(phi[ends], 1)
        with self.assertRaisesRegex(ValueError, 'outside of the whiskers'):
            relevance.control_points(targets)
        points = ((targets.min(), 1), (np.median(targets), 0), (targets.max(), 1))
        np.testing.assert_array_equal(relevance.relevance(targets, points)[ends], 1)
        # And of targets with extremes above alone, those below are relevant too.
        _, skewed = ubl.data(ubl.CASES['high'])
        phi = np.array(_THEMIS['cases']['high']['relevance'])
        self.assertEqual(phi[skewed.argmin()], 1)
        self.assertEqual(ubl.CASES['high']['relevance'][skewed.argmin()], 0)


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
