"""Tests of imbreg_jax.study.relevance, against the packages of the method's authors."""

import json
import pathlib

import numpy as np
from absl.testing import absltest, parameterized

from imbreg_jax.evaluation.metrics import METRICS
from imbreg_jax.study import relevance as relevance_lib
from imbreg_jax.study.relevance import by_whiskers, control_points, relevance, whiskers

_DATA = pathlib.Path(__file__).with_name('testdata')
# make_sera_fixtures.py says where they are from.
_CASES = json.loads(_DATA.joinpath('sera.json').read_text())
# make_relevance_fixtures.R says where they are from.
_UBL = json.loads(_DATA.joinpath('relevance.json').read_text())


class RelevanceTest(parameterized.TestCase):
    def test_and_the_area_are_those_of_the_authors(self):
        for name, case in _CASES.items():
            with self.subTest(name):
                targets, predictions = np.array(case['targets']), np.array(case['predictions'])
                found = by_whiskers(targets, whiskers(targets))
                np.testing.assert_allclose(found, case['relevance'], atol=1e-12)
                area = METRICS['sera'].compute(predictions, targets, {'relevance': found})
                # They add up thresholds that are 0.001 apart, of which there may be one too many:
                # each image is off by half of one, and those at the ends by one and a half.
                delta = 0.0015 * np.sum((predictions - targets) ** 2)
                self.assertAlmostEqual(area, case['sera'], delta=delta)

    def test_by_hand_is_that_of_ubl_but_for_turns(self):
        turned = ('turning', 'peaks')
        for name, case in _UBL['by_hand'].items():
            with self.subTest(name):
                at, points = np.array(case['at']), case['points']
                published = relevance(at, points, 'published')
                np.testing.assert_allclose(published, case['relevance'], atol=1e-14)
                ours = relevance(at, points)
                self.assertEqual(np.allclose(ours, published, atol=1e-14), name not in turned)
        self.assertGreater(max(_UBL['by_hand']['peaks']['relevance']), 1.005)

    def test_by_hand_runs_through_its_points_and_turns_nowhere_else(self):
        generator = np.random.default_rng(0)
        for _ in range(50):
            x = np.cumsum(generator.uniform(0.05, 3.0, 6))
            points = np.stack([x, generator.uniform(0, 1, 6)], -1)
            np.testing.assert_allclose(relevance(x, points), points[:, 1], atol=1e-15)
            beyond = relevance([x[0] - 9, x[-1] + 9], points)
            np.testing.assert_array_equal(beyond, points[[0, -1], 1])
            for (left, first), (right, second) in zip(points[:-1], points[1:], strict=True):
                between = relevance(np.linspace(left, right, 40), points)
                rising = np.diff(between) * np.sign(second - first)
                self.assertGreaterEqual(rising.min(), -1e-12)

    def test_sides_are_those_of_ubl(self):
        for name, case in _UBL['boxes'].items():
            targets = np.array(case['targets'])
            lower, median, upper = whiskers(targets, quartiles='hinges')
            for sides, kept in (
                ('both', [lower, median, upper]),
                ('low', [lower, median, np.nan]),
                ('high', [np.nan, median, upper]),
            ):
                with self.subTest(f'{name}, {sides}'):
                    # Without extremes it is 0 everywhere there, and undefined here.
                    found = np.nan_to_num(by_whiskers(targets, kept))
                    np.testing.assert_allclose(found, case[f'relevance_{sides}'], atol=1e-14)


class WhiskersTest(parameterized.TestCase):
    @parameterized.parameters('plain', 'adjusted')
    def test_are_those_of_r(self, kind):
        for name, case in _UBL['boxes'].items():
            with self.subTest(name):
                found = whiskers(case['targets'], quartiles='hinges', adjusted=kind == 'adjusted')
                wanted = case[kind]
                np.testing.assert_allclose(
                    found,
                    [
                        wanted['lower'] if wanted['below'] else np.nan,
                        wanted['median'],
                        wanted['upper'] if wanted['above'] else np.nan,
                    ],
                    rtol=1e-14,
                )

    def test_medcouple_is_that_of_robustbase(self):
        for case in _UBL['boxes'].values():
            found = relevance_lib.medcouple(case['targets'])
            self.assertAlmostEqual(found, case['medcouple'], places=13)

    def test_medcouple_by_its_definition(self):
        for targets in (
            [0.0, 1, 3],
            [0.0, 1, 3, 9],
            [1.0, 1, 1, 4, 7],
            [2.0, 2, 2],
            [0.0, 2, 2, 3],
        ):
            values = np.array(targets) - np.median(targets)
            upper, lower = values[values >= 0], -values[values <= 0]
            level = np.sum(values == 0)
            pairs = [(a - b) / (a + b) for a in upper for b in lower if a or b]
            # Of those on the median, numbered from 1: the sign of level + 1 - i - j.
            places = range(1, level + 1)
            pairs += [np.sign(level + 1 - i - j) for i in places for j in places]
            self.assertAlmostEqual(relevance_lib.medcouple(targets), np.median(pairs), places=15)

    def test_of_many_runs(self):
        targets = np.random.default_rng(0).exponential(size=(3, 101))
        for options in ({}, {'quartiles': 'hinges'}, {'adjusted': True}, {'reach': 3.0}):
            found = whiskers(targets, **options)
            np.testing.assert_array_equal(found, [whiskers(row, **options) for row in targets])

    def test_relevance_is_undefined_without_extremes(self):
        targets = np.linspace(1, 10, 1001)
        found = whiskers(targets)
        np.testing.assert_array_equal(found, [np.nan, 5.5, np.nan])
        self.assertTrue(np.isnan(by_whiskers(np.array([1.0, 5.5, 12.0]), found)).all())

    def test_of_other_targets(self):
        """Beyond a whisker all are relevant, and on a side without extremes none."""
        found = by_whiskers(np.array([-5.0, 0, 1, 2, 3, 9]), np.array([np.nan, 1.0, 3.0]))
        np.testing.assert_array_equal(found, [0, 0, 0, 0.5, 1, 1])

    def test_of_targets_that_are_mostly_alike(self):
        targets = np.r_[np.zeros(90), np.full(10, 3.0)]
        found = whiskers(targets)
        np.testing.assert_array_equal(found, [np.nan, 0, 0])
        np.testing.assert_array_equal(by_whiskers(np.array([-1.0, 0, 3]), found), [0, 0, 1])


class ControlPointsTest(parameterized.TestCase):
    def test_of_a_box_plot(self):
        targets = np.r_[np.arange(101.0), 400.0, -300.0]
        found = control_points(targets)
        np.testing.assert_array_equal(found, [[0, 1], [50, 0], [100, 1]])
        np.testing.assert_array_equal(control_points(targets, sides='low'), found[:2])
        np.testing.assert_array_equal(control_points(targets, sides='high'), found[1:])
        # 201 to 301 are beyond 50 + 3 times 50; reach brings them within.
        np.testing.assert_array_equal(control_points(targets, reach=6.0, sides='low')[0], [0, 1])

    def test_by_hand_are_as_given(self):
        given = ((1, 0), (5.5, 0.25), (10, 1))
        np.testing.assert_array_equal(control_points(np.ones(3), given), given)

    @parameterized.parameters(
        ('both', 'no training target lies outside of the whiskers of a box plot'),
        ('low', 'no training target lies below the lower whisker'),
        ('high', 'no training target lies above the upper whisker'),
    )
    def test_uniform_targets_have_none(self, sides, words):
        targets = np.linspace(1, 10, 1001)
        with self.assertRaisesRegex(ValueError, words) as caught:
            control_points(targets, sides=sides)
        self.assertIn('points=((1, 1), (5.5, 0), (10, 1))', str(caught.exception))

    @parameterized.parameters(
        ([(1, 0)],),
        ([(1, 0), (1, 1)],),
        ([(2, 0), (1, 1)],),
        ([(1, 0), (2, 1.5)],),
        ([(1, 0), (2, -0.1)],),
        ([(1, 0), (2, 0)],),
        ([(1, 0), (2, np.nan)],),
        ([(1, 0), (np.inf, 1)],),
        ([1, 2],),
        ([(1, 0, 0), (2, 1, 0)],),
        ([(1, 0), (2,)],),
        ('ab',),
    )
    def test_what_is_none_is_refused(self, given):
        with self.assertRaisesRegex(ValueError, '^control points must be two or more pairs'):
            control_points(np.arange(9.0), given)


if __name__ == '__main__':
    absltest.main()
