"""Tests of imbreg_jax.remedies.relevance; those of φ itself are in relevance_test.py."""

import numpy as np
from absl.testing import absltest

from imbreg_jax import study
from imbreg_jax.data.tasks import TASKS
from imbreg_jax.remedies import relevance
from imbreg_jax.study import relevance as relevance_lib


class RelevanceTest(absltest.TestCase):
    def test_by_hand(self):
        # Half of the way up a cubic with level ends is half of its height.
        targets = np.array([1.0, 3.0, 5.0, 7.5, 10.0, 12.0])
        found = relevance.weights(targets, ((1, 0), (5, 0), (10, 1)), floor=0.2)
        raw = np.array([0.2, 0.2, 0.2, 0.6, 1.0, 1.0])
        np.testing.assert_allclose(found, raw / raw.mean(), rtol=1e-12)

    def test_by_a_box_plot(self):
        targets = 1 + np.random.default_rng(0).exponential(2.0, 5000)
        for options in ({}, {'sides': 'high'}, {'reach': 2.5}, {'adjusted': True}):
            points = relevance_lib.control_points(targets, **options)
            raw = 0.1 + 0.9 * relevance_lib.relevance(targets, points)
            found = relevance.weights(targets, **options)
            np.testing.assert_allclose(found, raw / raw.mean(), rtol=1e-12)

    def test_a_floor_of_one_is_no_weight_and_of_none_leaves_targets_out(self):
        targets = 1 + np.random.default_rng(0).exponential(2.0, 1000)
        np.testing.assert_allclose(relevance.weights(targets, floor=1.0), 1, rtol=1e-12)
        found = relevance.weights(targets, floor=0.0)
        np.testing.assert_array_equal(found == 0, targets <= np.median(targets))

    def test_no_relevance_is_refused(self):
        targets = np.linspace(1, 10, 1001)
        with self.assertRaisesRegex(ValueError, 'give control points by hand'):
            relevance.weights(targets)
        with self.assertRaisesRegex(ValueError, 'give none of the training targets any relevance'):
            relevance.weights(targets, ((20, 0), (30, 1)))

    def test_the_remedy_has_every_parameter_of_the_function(self):
        targets = np.random.default_rng(0).standard_t(3, 500)
        for given in (
            {'floor': 0.3, 'sides': 'low', 'reach': 2.0, 'adjusted': True},
            {'points': ((-1.0, 1.0), (0.0, 0.0))},
        ):
            found = relevance.Relevance(**given).tables(targets, None, None)['weights']
            np.testing.assert_array_equal(found, relevance.weights(targets, **given))

    def test_fitted_it_has_the_points_of_those_targets_whatever_it_weighs(self):
        targets = 1 + np.random.default_rng(0).exponential(2.0, 5000)
        even = np.linspace(1, 10, 500)
        for given in ({}, {'floor': 0.3, 'sides': 'high'}, {'reach': 2.5}, {'adjusted': True}):
            method = relevance.Relevance(**given)
            fitted = method.fitted(targets)
            np.testing.assert_array_equal(
                *(each.tables(targets, None, None)['weights'] for each in (fitted, method))
            )
            given.pop('floor', None)
            points = relevance_lib.control_points(targets, **given)
            wanted = relevance.weights(even, points, method.floor)
            np.testing.assert_array_equal(fitted.tables(even, None, None)['weights'], wanted)
        by_hand = relevance.Relevance(points=((1.0, 0.0), (5.0, 1.0)))
        self.assertEqual(by_hand.fitted(targets), by_hand)
        with self.assertRaisesRegex(ValueError, 'give control points by hand'):
            relevance.Relevance().fitted(even)

    def test_effective_numbers_of_images_are_those_that_are_claimed(self):
        """66 and 47 percent of 50,000; of Kish's number, which scatters less than a percent."""
        generator = np.random.default_rng(0)
        for targets, low, high, share in (
            (generator.normal(5.5, 1.0, 50_000), 0.3, 3.1, 0.66),
            (1 + generator.exponential(2.0, 50_000), 0.4, 3.9, 0.47),
        ):
            found = relevance.weights(targets)
            self.assertAlmostEqual(found.min(), low, delta=0.03)
            self.assertAlmostEqual(found.max(), high, delta=0.1)
            self.assertAlmostEqual(1 / np.mean(found**2), share, delta=0.01)


class CheckTest(absltest.TestCase):
    def _refused(self, law, count=50_000, **options):
        fields = {'data.train_size': count, 'training.epochs': 1}
        try:
            relevance.Relevance(**options).check(fields, TASKS['std'], study.parse(law))
        except ValueError as error:
            return str(error)
        return ''

    def test_of_laws(self):
        for law in ('u1_10', 'u1_5'):
            self.assertIn('0 of 50000 training targets are expected to lie', self._refused(law))
            self.assertEqual(self._refused(law, points=((1.0, 0.0), (5.0, 1.0))), '')
        beyond = self._refused('u1_10', points=((10.5, 0.0), (12.0, 1.0)))
        self.assertIn('give none of the training targets any relevance', beyond)
        self.assertIn('points=((1.004, 1), (5.5, 0), (9.996, 1))', self._refused('u1_10'))
        # Of a normal law 0.7 percent lie outside, of an exponential one 4.8 percent, all above.
        self.assertEqual(self._refused('n5_5_1'), '')
        self.assertEqual(self._refused('exponential(1, 2)', 300), '')
        self.assertIn('of 1000 training', self._refused('n5_5_1', 1000))
        self.assertIn('below the lower whisker', self._refused('exponential(1, 2)', sides='low'))
        self.assertEqual(self._refused('n5_5_1', 4100, sides='high'), '')
        self.assertNotEqual(self._refused('n5_5_1', 3900, sides='high'), '')

    def test_what_passes_has_relevant_targets_in_every_repeat(self):
        law = study.parse('n5_5_1')
        count = next(n for n in range(100, 10_000, 10) if not self._refused('n5_5_1', n))
        for seed in range(100):
            targets = law.ppf(np.random.default_rng(seed).uniform(size=count))
            self.assertGreater(np.ptp(relevance.weights(targets)), 1)


if __name__ == '__main__':
    absltest.main()
