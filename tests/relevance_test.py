"""Tests of imbreg_jax.evaluation.relevance, against the package of the method's authors."""

import json
import pathlib

import numpy as np
from absl.testing import absltest

from imbreg_jax.evaluation.metrics import METRICS
from imbreg_jax.evaluation.relevance import points, relevance

# make_sera_fixtures.py says where they are from.
_CASES = json.loads(pathlib.Path(__file__).with_name('testdata').joinpath('sera.json').read_text())


class RelevanceTest(absltest.TestCase):
    def test_and_the_area_are_those_of_the_authors(self):
        for name, case in _CASES.items():
            with self.subTest(name):
                targets, predictions = np.array(case['targets']), np.array(case['predictions'])
                found = relevance(targets, points(targets))
                np.testing.assert_allclose(found, case['relevance'], atol=1e-12)
                area = METRICS['sera'].compute(predictions, targets, {'relevance': found})
                # They add up thresholds that are 0.001 apart, of which there may be one too many:
                # each image is off by half of one, and those at the ends by one and a half.
                delta = 0.0015 * np.sum((predictions - targets) ** 2)
                self.assertAlmostEqual(area, case['sera'], delta=delta)

    def test_is_undefined_without_extremes(self):
        targets = np.linspace(1, 10, 1001)
        found = points(targets)
        np.testing.assert_array_equal(found, [np.nan, 5.5, np.nan])
        self.assertTrue(np.isnan(relevance(np.array([1.0, 5.5, 12.0]), found)).all())

    def test_of_other_targets(self):
        """Beyond a whisker all are relevant, and on a side without extremes none."""
        found = relevance(np.array([-5.0, 0, 1, 2, 3, 9]), np.array([np.nan, 1.0, 3.0]))
        np.testing.assert_array_equal(found, [0, 0, 0, 0.5, 1, 1])

    def test_of_targets_that_are_mostly_alike(self):
        targets = np.r_[np.zeros(90), np.full(10, 3.0)]
        np.testing.assert_array_equal(points(targets), [np.nan, 0, 0])
        np.testing.assert_array_equal(relevance(np.array([-1.0, 0, 3]), points(targets)), [0, 0, 1])

    def test_points_of_many_runs(self):
        targets = np.random.default_rng(0).exponential(size=(3, 101))
        np.testing.assert_array_equal(points(targets), [points(row) for row in targets])


if __name__ == '__main__':
    absltest.main()
