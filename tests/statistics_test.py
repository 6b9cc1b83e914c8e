"""Statistics against closed forms, other implementations and simulation."""

import math

import numpy as np
from absl.testing import absltest, parameterized
from scipy import stats
from statsmodels.stats import multitest, weightstats
from statsmodels.stats import power as smp

from imbreg_jax.analysis import statistics


def _four_sigma(probability: float, n: int) -> float:
    """Returns four standard errors of a frequency over n trials."""
    return 4 * math.sqrt(probability * (1 - probability) / n)


class IntervalTest(absltest.TestCase):
    def test_t_interval_is_the_textbooks(self):
        low, high = statistics.mean_interval(np.array([1.0, 2.0, 3.0, 4.0]))
        # t(0.975; 3) = 3.18245, s/√4 = 0.645497.
        self.assertAlmostEqual(low, 2.5 - 3.182446 * 0.6454972, places=5)
        self.assertAlmostEqual(high, 2.5 + 3.182446 * 0.6454972, places=5)

    def test_t_interval_covers_95_percent_at_ten_repeats(self):
        draws = np.random.default_rng(1).standard_normal((4000, 10))
        intervals = [statistics.mean_interval(row) for row in draws]
        coverage = np.mean([low <= 0 <= high for low, high in intervals])
        self.assertAlmostEqual(coverage, 0.95, delta=_four_sigma(0.95, 4000))

    def test_bca_interval_covers_only_about_90_percent_at_ten_repeats(self):
        draws = np.random.default_rng(2).standard_normal((1000, 10))
        intervals = [
            statistics.bca_interval(row, resamples=999, seed=i) for i, row in enumerate(draws)
        ]
        coverage = np.mean([low <= 0 <= high for low, high in intervals])
        self.assertAlmostEqual(coverage, 0.90, delta=_four_sigma(0.90, 1000))
        self.assertLess(coverage, 0.95)

    def test_bca_depends_on_its_seed_alone(self):
        values = np.random.default_rng(3).standard_normal(10)
        self.assertEqual(
            statistics.bca_interval(values, seed=5), statistics.bca_interval(values, seed=5)
        )
        self.assertNotEqual(
            statistics.bca_interval(values, resamples=99, seed=5),
            statistics.bca_interval(values, resamples=99, seed=6),
        )

    def test_prediction_interval_holds_the_mean_of_ten_further_repeats(self):
        draws = np.random.default_rng(4).standard_normal((4000, 20))
        hits = []
        p_values = []
        for row in draws:
            low, high = statistics.prediction_interval(row[:10], 10)
            hits.append(low <= row[10:].mean() <= high)
            p_values.append(statistics.prediction_p_value(row[:10], 10, row[10:].mean()))
        self.assertAlmostEqual(np.mean(hits), 0.95, delta=_four_sigma(0.95, 4000))
        # The interval and the p value are two views of one test.
        np.testing.assert_array_equal(np.array(p_values) >= 0.05, hits)

    def test_one_value_has_no_interval(self):
        for interval in (statistics.mean_interval, statistics.bca_interval):
            self.assertTrue(all(map(math.isnan, interval(np.array([1.0])))))
        self.assertTrue(all(map(math.isnan, statistics.prediction_interval(np.array([1.0]), 10))))

    def test_values_without_spread_have_an_interval_of_no_width(self):
        self.assertEqual(statistics.bca_interval(np.full(10, 2.0)), (2.0, 2.0))
        self.assertEqual(statistics.mean_interval(np.full(10, 2.0)), (2.0, 2.0))


class TestsTest(parameterized.TestCase):
    @parameterized.parameters('two-sided', 'less', 'greater')
    def test_t_test_agrees_with_scipy(self, alternative):
        values = np.random.default_rng(5).standard_normal(10) + 0.4
        expected = stats.ttest_1samp(values, 0, alternative=alternative).pvalue
        self.assertAlmostEqual(
            statistics.one_sample_p_value(values, alternative), expected, places=12
        )

    def test_t_test_without_spread_compares_the_mean_with_zero(self):
        self.assertEqual(statistics.one_sample_p_value(np.full(5, 3.0)), 0.0)
        self.assertEqual(statistics.one_sample_p_value(np.zeros(5)), 1.0)
        self.assertEqual(statistics.one_sample_p_value(np.full(5, 3.0), 'less'), 1.0)

    def test_wilcoxon_of_ten_positive_differences(self):
        # All signs alike: 2 of 2^10 sign patterns are as extreme.
        self.assertAlmostEqual(
            statistics.wilcoxon_p_value(np.arange(1.0, 11.0)), 2 / 1024, places=12
        )
        self.assertEqual(statistics.wilcoxon_p_value(np.zeros(10)), 1.0)

    def test_holm_by_hand(self):
        # Sorted .01 .03 .04 times 3, 2, 1, made increasing: .03 .06 .06.
        corrected = statistics.holm([0.01, 0.04, 0.03])
        np.testing.assert_allclose(corrected, [0.03, 0.06, 0.06], rtol=1e-12)

    def test_holm_agrees_with_statsmodels(self):
        p = np.random.default_rng(12).uniform(0, 0.1, 9)
        expected = multitest.multipletests(p, method='holm')[1]
        np.testing.assert_allclose(statistics.holm(p), expected, rtol=1e-12)

    def test_holm_leaves_undefined_out(self):
        corrected = statistics.holm([0.01, math.nan, 0.02])
        np.testing.assert_allclose(corrected, [0.02, math.nan, 0.02], rtol=1e-12)

    def test_holm_keeps_the_family_error_at_5_percent(self):
        p = stats.norm.sf(np.random.default_rng(6).standard_normal((2000, 5)))
        false = np.mean([(statistics.holm(row) < 0.05).any() for row in p])
        self.assertLessEqual(false, 0.05 + _four_sigma(0.05, 2000))

    def test_cliffs_delta_by_hand(self):
        self.assertEqual(statistics.cliffs_delta(np.array([1, 2]), np.array([0, 2])), 0.25)
        self.assertEqual(statistics.cliffs_delta(np.array([5, 6]), np.array([1, 2])), 1.0)

    def test_comparison_of_known_differences(self):
        second = np.array([1.0, 2.0, 3.0, 4.0])
        found = statistics.compare(second + [1, 2, 3, 2], second, resamples=999)
        self.assertEqual(found.difference, 2.0)
        self.assertAlmostEqual(found.cohens_d, 2 / math.sqrt(2 / 3), places=12)
        self.assertEqual(found.repeats, 4)
        self.assertLess(found.t_interval[0], 2.0)
        self.assertLess(found.bca_interval[0], 2.0)

    def test_comparison_of_one_pair_is_undefined_but_not_an_error(self):
        found = statistics.compare(np.array([2.0]), np.array([1.0]))
        self.assertEqual(found.difference, 1.0)
        self.assertTrue(math.isnan(found.t_p_value))
        self.assertIsNone(found.repeats_needed)


class ManyTest(absltest.TestCase):
    def test_many_comparisons_are_each_what_it_is_alone(self):
        rng = np.random.default_rng(13)
        pairs, sizes = [], []
        for n in (1, 2, 3, 10, 10, 10, 60, 0):
            first = rng.standard_normal(n)
            for second in (rng.standard_normal(n), np.round(first), first, first - 1):
                pairs.append((first, second))
                sizes.append(int(rng.integers(1, 10)))
        found = statistics.compare_many(pairs, 0.9, 99, 3, sizes)
        for (first, second), tests, one in zip(pairs, sizes, found, strict=True):
            # By their text: NaN equals nothing.
            self.assertEqual(repr(one), repr(statistics.compare(first, second, 0.9, 99, 3, tests)))
        triples = [(first, second, second + 9) for first, second in pairs]
        for triple, one in zip(triples, statistics.equivalence_many(triples, 0.1), strict=True):
            self.assertEqual(repr(one), repr(statistics.equivalence(*triple, 0.1)))

    def test_ranks_of_many_are_tested_as_scipy_tests_one(self):
        rng = np.random.default_rng(14)
        rows = [rng.standard_normal(12), rng.integers(-3, 4, 12), np.arange(12) - 2.0]
        pairs = [(row.astype(float), np.zeros(12)) for row in rows]
        for row, found in zip(rows, statistics.compare_many(pairs, resamples=0), strict=True):
            expected = stats.wilcoxon(row[row != 0]).pvalue
            self.assertAlmostEqual(found.wilcoxon_p_value, expected, places=12)

    def test_without_resamples_there_is_no_bootstrap(self):
        found = statistics.compare(np.arange(4.0), np.ones(4), resamples=0)
        self.assertTrue(all(map(math.isnan, found.bca_interval)))
        self.assertTrue(all(map(math.isfinite, found.t_interval)))


class DegenerateTest(absltest.TestCase):
    # Warnings are errors in the tests: nothing here may give one.
    def test_nothing_to_say_is_nan(self):
        cases = {
            'none': [],
            'one': [1.0],
            'not a number': [1.0, math.nan, 2.0],
            'infinite': [1.0, math.inf, 2.0],
            'nothing but infinite': [math.inf] * 3,
            'lost': [math.nan] * 3,
        }
        for name, values in cases.items():
            with self.subTest(name):
                first = np.array(values)
                found = statistics.compare(first, np.ones(len(first)), resamples=99)
                self.assertEqual(found.repeats, len(first))
                for number in (
                    found.std, found.t_p_value, found.wilcoxon_p_value, found.cohens_d,
                    *found.t_interval, *found.bca_interval,
                    *statistics.mean_interval(first),
                    *statistics.bca_interval(first, resamples=99),
                    *statistics.prediction_interval(first, 10),
                    statistics.prediction_p_value(first, 10, 1.0),
                    statistics.one_sample_p_value(first),
                    statistics.wilcoxon_p_value(first),
                    statistics.equivalence(first, first + 1, first, 0.1).p_value,
                ):  # fmt: skip
                    self.assertTrue(math.isnan(number))
                self.assertIsNone(found.repeats_needed)
                needed, _ = statistics.repeats_needed_for_margin(first, first, first, 0.1, 0.05)
                self.assertIsNone(needed)

    def test_no_spread_and_extremes_give_no_warning(self):
        constant, tiny = np.full(10, 0.3), 1e-160 * np.arange(1.0, 11.0)
        cases = {
            'alike': (constant, constant),
            'apart by one number': (constant + 1, constant),
            # Differences that are alike but for rounding.
            'apart up to rounding': (np.linspace(0, 1, 10) + 0.1, np.linspace(0, 1, 10)),
            'squares vanish': (tiny, np.zeros(10)),
            'squares overflow': (1e200 * np.arange(1.0, 11.0), np.zeros(10)),
            'differences overflow': (np.full(10, 1.7e308), np.linspace(-1.7e308, 0, 10)),
            'two repeats': (np.array([1.0, 2.0]), np.array([1.0, 1.0])),
        }
        for name, (first, second) in cases.items():
            with self.subTest(name):
                found = statistics.compare(first, second, resamples=99)
                self.assertEqual(found.repeats, len(first))
                statistics.equivalence(first, second, second, 0.1)
                statistics.repeats_needed_for_margin(first, second, second, 0.1, 0.05)
        found = statistics.compare(*cases['apart by one number'], resamples=99)
        self.assertEqual(found.repeats_needed, 2)  # No fewer can be tested.
        self.assertLess(found.t_p_value, 1e-12)


class EquivalenceTest(absltest.TestCase):
    def test_tost_agrees_with_statsmodels_when_the_reference_is_known(self):
        rng = np.random.default_rng(7)
        first, second = rng.standard_normal(10) + 10.2, rng.standard_normal(10) + 10
        found = statistics.equivalence(first, second, np.full(10, 10.0), 0.1)
        p, lower, upper = weightstats.ttost_paired(first, second, -1.0, 1.0)
        self.assertAlmostEqual(found.p_value, p, places=12)
        self.assertAlmostEqual(found.above_p_value, lower[1], places=12)
        self.assertAlmostEqual(found.below_p_value, upper[1], places=12)

    def test_a_difference_at_the_margin_is_called_equivalent_5_percent_of_the_time(self):
        rng = np.random.default_rng(8)
        called = []
        for _ in range(3000):
            reference = 10 + rng.standard_normal(10)
            first = 1.1 * reference + rng.standard_normal(10)
            called.append(statistics.equivalence(first, reference, reference, 0.1).p_value < 0.05)
        self.assertAlmostEqual(np.mean(called), 0.05, delta=_four_sigma(0.05, 3000))

    def test_far_inside_is_equivalent_and_far_outside_is_shown_to_be_outside(self):
        reference = np.linspace(9.9, 10.1, 10)
        noise = 0.01 * np.random.default_rng(9).standard_normal(10)
        inside = statistics.equivalence(reference + noise, reference, reference, 0.1)
        outside = statistics.equivalence(2 * reference + noise, reference, reference, 0.1)
        self.assertLess(inside.p_value, 1e-6)
        self.assertGreater(outside.p_value, 0.99)
        self.assertLess(outside.exceeds_p_value, 1e-6)
        self.assertLess(outside.outside_p_value, 1e-6)


class PowerTest(parameterized.TestCase):
    # Two-sided one-sample t, level 0.05, power 0.8: the values of any table or G*Power.
    @parameterized.parameters((0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10))
    def test_repeats_needed_are_the_textbooks(self, effect, expected):
        self.assertEqual(statistics.repeats_needed(effect), expected)

    def test_power_agrees_with_statsmodels_where_that_has_one(self):
        known = 0
        for effect in (0.1, 0.6, 2.0, 9.59):
            for repeats in (2, 3, 10, 300):
                for alpha in (0.05, 0.05 / 9):
                    for alternative in ('two-sided', 'larger'):
                        found = statistics.power(effect, repeats, alpha, alternative)
                        self.assertBetween(found, 0, 1 + 1e-15)
                        expected = smp.TTestPower().power(
                            effect, repeats, alpha, alternative=alternative
                        )
                        # It is undefined where the far tail all but vanishes.
                        if not math.isnan(expected):
                            known += 1
                            self.assertAlmostEqual(found, expected, places=12)
        self.assertGreater(known, 40)

    def test_repeats_needed_have_the_power_and_one_fewer_have_not(self):
        # 2 repeats at a third of 5 %: statsmodels has no power there, by integration it is 0.28.
        for effect, alpha in ((9.59, 0.05 / 3), (8.91, 0.05 / 9), (0.3, 0.05), (1.0, 1e-5)):
            needed = statistics.repeats_needed(effect, alpha)
            self.assertGreaterEqual(statistics.power(effect, needed, alpha), 0.8)
            self.assertLess(statistics.power(effect, needed - 1, alpha), 0.8)

    def test_power_by_simulation(self):
        draws = np.random.default_rng(10).standard_normal((4000, 10)) + 0.9
        rejected = np.mean([statistics.one_sample_p_value(row) < 0.05 for row in draws])
        expected = statistics.power(0.9, 10)
        self.assertAlmostEqual(rejected, expected, delta=_four_sigma(expected, 4000))

    def test_no_effect_needs_more_than_anyone_has(self):
        self.assertIsNone(statistics.repeats_needed(0.0))
        self.assertIsNone(statistics.repeats_needed(1e-3))
        self.assertIsNone(statistics.repeats_needed(-0.5, alternative='larger'))

    def test_margin_says_on_which_side_the_data_lie(self):
        rng = np.random.default_rng(11)
        reference = np.full(10, 10.0)
        inside = reference + 0.2 + rng.standard_normal(10)
        outside = reference + 3 + rng.standard_normal(10)
        self.assertEqual(
            statistics.repeats_needed_for_margin(inside, reference, reference, 0.1, 0.05)[1],
            'inside',
        )
        self.assertEqual(
            statistics.repeats_needed_for_margin(outside, reference, reference, 0.1, 0.05)[1],
            'outside',
        )


if __name__ == '__main__':
    absltest.main()
