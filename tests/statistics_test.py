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


def _compare(first, second, **options):
    (found,) = statistics.compare_many([(first, second)], **options)
    return found


def _errors(seed, effect=1.0, repeats=10, spread=0.1):
    """Returns [n] positive errors of two conditions, the first so many times the second."""
    rng = np.random.default_rng(seed)
    second = np.exp(spread * rng.standard_normal(repeats))
    return effect * second * np.exp(spread * rng.standard_normal(repeats)), second


class IntervalTest(absltest.TestCase):
    def test_intervals_are_scipys(self):
        values = np.random.default_rng(0).standard_normal(7)
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
        np.testing.assert_allclose(statistics.mean_interval(values, 0.9), expected, rtol=1e-12)
        found = _compare(values, 0 * values, ratio=False)
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        np.testing.assert_allclose((found.low, found.high), expected, rtol=1e-12)
        # The interval of a test with a direction holds what either of its sides does not exclude.
        found = _compare(values, 0 * values, ratio=False, directed=True)
        np.testing.assert_allclose(
            (found.low, found.high), statistics.mean_interval(values, 0.9), rtol=1e-12
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


class HolmTest(absltest.TestCase):
    def test_by_hand_and_by_statsmodels(self):
        # Sorted .01 .03 .04 times 3, 2, 1, made increasing: .03 .06 .06.
        np.testing.assert_allclose(statistics.holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
        p = np.random.default_rng(12).uniform(0, 0.1, 9)
        expected = multitest.multipletests(p, method='holm')[1]
        np.testing.assert_allclose(statistics.holm(p), expected, rtol=1e-12)

    def test_undefined_is_left_out(self):
        corrected = statistics.holm([0.01, math.nan, 0.02])
        np.testing.assert_allclose(corrected, [0.02, math.nan, 0.02], rtol=1e-12)


class FamilyTest(absltest.TestCase):
    def test_errs_once_in_twenty_at_most_whatever_its_size(self):
        # Four conditions held against one reference, all alike; and all at the edge of the margin.
        rng, trials = np.random.default_rng(6), 500
        for ratio, name in ((1.0, 'p_value'), (1.1, 'equivalence_p_value')):
            logs = 0.02 * rng.standard_normal((trials, 5, 10))
            errors = np.exp(logs + np.log([[1.0], *[[ratio]] * 4]))
            pairs = [(one[i], one[0]) for one in errors for i in range(1, 5)]
            p = np.array([getattr(c, name) for c in statistics.compare_many(pairs)])
            false = np.mean([(statistics.holm(own) < 0.05).any() for own in p.reshape(trials, 4)])
            self.assertLessEqual(false, 0.05 + _four_sigma(0.05, trials))
            self.assertGreater(false, 0)


class SignFlipTest(parameterized.TestCase):
    @parameterized.product(two_sided=(True, False), repeats=(2, 3, 9))
    def test_is_scipys_where_patterns_are_gone_through(self, two_sided, repeats):
        rng = np.random.default_rng(3)
        rows = [*(rng.standard_normal((4, repeats)) + 0.4), rng.integers(-2, 3, repeats) / 10]
        expected = [
            stats.permutation_test(
                (row,),
                np.mean,
                permutation_type='samples',
                alternative='two-sided' if two_sided else 'greater',
                n_resamples=np.inf,
            ).pvalue
            for row in rows
        ]
        found = statistics.sign_flip_p_values(np.stack(rows), two_sided)
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_of_many_repeats_patterns_are_drawn(self):
        # By the central limit the flips of 40 draws are nearly normal.
        row = np.random.default_rng(5).standard_normal(40)
        row += 0.3 - row.mean()
        z = row.sum() / math.sqrt(np.sum(row**2))
        for two_sided, expected in ((True, 2 * stats.norm.sf(z)), (False, stats.norm.sf(z))):
            (found,) = statistics.sign_flip_p_values(row[None], two_sided)
            self.assertAlmostEqual(found, expected, delta=0.01)
            # A test: what was seen is among the patterns, so p is never 0.
            (found,) = statistics.sign_flip_p_values(row[None] + 100, two_sided)
            self.assertEqual(found, 1 / (1 + statistics.DRAWN_PATTERNS))
        again = statistics.sign_flip_p_values(row[None], seed=1)
        self.assertNotEqual(again, statistics.sign_flip_p_values(row[None], seed=2))
        self.assertEqual(again, statistics.sign_flip_p_values(row[None], seed=1))


class ComparisonTest(parameterized.TestCase):
    @parameterized.product(ratio=(True, False), directed=(True, False), repeats=(2, 10, 40))
    def test_agrees_with_scipy_and_statsmodels(self, ratio, directed, repeats):
        first, second = _errors(1, 1.05, repeats)
        a, b = (np.log(first), np.log(second)) if ratio else (first, second)
        found = _compare(first, second, ratio=ratio, margin=0.2, directed=directed, seed=4)
        own, other = ('greater', 'less') if directed else ('two-sided', 'less')
        expected = {
            'p_value': stats.ttest_rel(a, b, alternative=own).pvalue,
            'reversed_p_value': stats.ttest_rel(a, b, alternative=other).pvalue,
            'effect': math.exp(np.mean(a - b)) if ratio else np.mean(a - b),
            'flip_p_value': statistics.sign_flip_p_values((a - b)[None], not directed, 4)[0],
            'first_mean': first.mean(),
        }
        if ratio:
            p, lower, upper = weightstats.ttost_paired(a, b, math.log(0.8), math.log(1.2))
            expected |= {
                'equivalence_p_value': p,
                'above_p_value': lower[1],
                'below_p_value': upper[1],
                'outside_p_value': min(1, 2 * min(1 - lower[1], 1 - upper[1])),
                'flip_below_p_value': statistics.sign_flip_p_values(
                    (math.log(1.2) + b - a)[None], False, 4
                )[0],
            }
        else:
            self.assertTrue(math.isnan(found.equivalence_p_value))
            self.assertTrue(math.isnan(found.repeats_needed))
        for name, value in expected.items():
            self.assertAlmostEqual(getattr(found, name), value, places=10, msg=name)

    def test_many_comparisons_are_each_what_it_is_alone(self):
        rng = np.random.default_rng(13)
        pairs, ratios, sizes = [], [], []
        for n in (1, 2, 3, 10, 10, 60, 0):
            first = np.exp(rng.standard_normal(n))
            for second in (np.exp(rng.standard_normal(n)), np.round(first), first, 2 * first):
                pairs.append((first, second))
                ratios.append(bool(rng.integers(2)))
                sizes.append(int(rng.integers(1, 10)))
        found = statistics.compare_many(pairs, ratios, tests=sizes)
        for (first, second), ratio, tests, one in zip(pairs, ratios, sizes, found, strict=True):
            # By their text: NaN equals nothing.
            self.assertEqual(repr(one), repr(_compare(first, second, ratio=ratio, tests=tests)))

    def test_a_margin_of_one_and_more_has_no_lower_end(self):
        first, second = _errors(2, 0.01)
        self.assertLess(_compare(first, second, margin=1.5).equivalence_p_value, 1e-6)
        self.assertGreater(_compare(first, second, margin=0.5).equivalence_p_value, 0.99)


class DetectableTest(parameterized.TestCase):
    @parameterized.product(level=(0.25, 0.05, 0.025, 0.025 / 9), repeats=(2, 3, 10, 300))
    def test_least_effect_has_the_power(self, level, repeats):
        effect = statistics.least_effects(level)[repeats - 2]
        power = smp.TTestPower().power(effect, repeats, level, alternative='larger')
        self.assertAlmostEqual(power, 0.8, places=5)

    def test_so_has_that_of_a_level_beyond_scipys_noncentral_t(self):
        # P(T > c) by integration over the spread: √(χ²/f)·c exceeds a normal of mean δ that often.
        for level, repeats in ((1e-5, 2), (1e-9, 3)):
            freedom = repeats - 1
            critical = -stats.t.ppf(level, freedom)
            shift = statistics.least_effects(level)[repeats - 2] * math.sqrt(repeats)
            chances = (np.arange(200_000) + 0.5) / 200_000
            spread = np.sqrt(stats.chi2.ppf(chances, freedom) / freedom)
            power = stats.norm.sf(critical * spread - shift).mean()
            self.assertAlmostEqual(power, 0.8, places=4)

    # Two-sided one-sample t, level 0.05, power 0.8: the values of any table or G*Power.
    @parameterized.parameters((0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10))
    def test_repeats_needed_are_the_textbooks(self, effect, expected):
        self.assertEqual(statistics.repeats_needed(np.array([effect]), 0.025), [expected])

    def test_what_is_never_shown(self):
        effects = np.array([0.0, 1e-3, -0.5, math.nan, math.inf])
        found = statistics.repeats_needed(effects, 0.05)
        np.testing.assert_array_equal(found, [math.inf, math.inf, math.inf, math.nan, 2])

    def test_a_ratio_as_large_as_detectable_is_shown_four_times_in_five(self):
        spread, trials = 0.1, 4000
        # The true spread, so that what is detectable is known and not itself an estimate.
        noise = np.array([-1.0, 1.0] * 5)
        exact = np.exp(spread * noise / noise.std(ddof=1))
        detectable = _compare(exact, np.ones(10), directed=True).detectable
        self.assertAlmostEqual(
            detectable, math.exp(spread * statistics.least_effects(0.05)[8]), places=12
        )
        rng = np.random.default_rng(10)
        draws = detectable * np.exp(spread * rng.standard_normal((trials, 10)))
        found = statistics.compare_many([(row, np.ones(10)) for row in draws], directed=True)
        shown = np.mean([c.p_value < 0.05 for c in found])
        self.assertAlmostEqual(shown, 0.8, delta=_four_sigma(0.8, trials))

    def test_repeats_needed_are_those_of_the_margin_and_of_holms_first_step(self):
        first, second = _errors(6)
        effect = math.log(1.1) / np.log(first / second).std(ddof=1)
        for directed, tests, level in ((True, 1, 0.05), (False, 1, 0.025), (False, 7, 0.025 / 7)):
            found = _compare(first, second, directed=directed, tests=tests)
            expected = statistics.repeats_needed(np.array([effect]), level)
            self.assertEqual(found.repeats_needed, expected)


class DegenerateTest(absltest.TestCase):
    # Warnings are errors in the tests: nothing here may give one.
    def test_nothing_to_say_is_nan(self):
        cases = {
            'none': [],
            'one': [1.0],
            'not a number': [1.0, math.nan, 2.0],
            'infinite': [1.0, math.inf, 2.0],
            'nothing but infinite': [math.inf] * 3,
            'no ratio': [1.0, 0.0, 2.0],
            'negative': [1.0, -1.0, 2.0],
        }
        for name, values in cases.items():
            with self.subTest(name):
                first = np.array(values)
                found = _compare(first, np.ones(len(first)))
                self.assertEqual(found.repeats, len(first))
                for field in (
                    'low',
                    'high',
                    'p_value',
                    'flip_p_value',
                    'reversed_p_value',
                    'equivalence_p_value',
                    'flip_equivalence_p_value',
                    'outside_p_value',
                    'detectable',
                    'repeats_needed',
                ):
                    self.assertTrue(math.isnan(getattr(found, field)), field)
                if name not in ('no ratio', 'negative'):
                    for number in (
                        *statistics.mean_interval(first),
                        *statistics.prediction_interval(first, 10),
                        statistics.prediction_p_value(first, 10, 1.0),
                    ):
                        self.assertTrue(math.isnan(number))
        self.assertAlmostEqual(_compare(np.array([3.0]), np.array([2.0])).effect, 1.5, places=12)

    def test_no_spread_and_extremes_give_no_warning(self):
        constant, steps = np.full(10, 0.3), np.arange(1.0, 11.0)
        cases = {
            'alike': (constant, constant),
            'apart by one number': (2 * constant, constant),
            # Ratios that are alike but for rounding.
            'apart up to rounding': (1.1 * steps, steps),
            'squares vanish': (1e-160 * steps, constant),
            'squares overflow': (1e200 * steps, constant),
            'differences overflow': (np.full(10, 1.7e308), np.linspace(-1.7e308, 0, 10)),
            'two repeats': (np.array([1.0, 2.0]), np.array([1.0, 1.0])),
        }
        for name, (first, second) in cases.items():
            for ratio in (True, False):
                with self.subTest(name, ratio=ratio):
                    found = _compare(first, second, ratio=ratio)
                    self.assertEqual(found.repeats, len(first))
        found = _compare(*cases['apart by one number'])
        self.assertEqual((found.repeats_needed, found.detectable), (2, 1))
        self.assertLess(found.p_value, 1e-12)
        self.assertEqual(_compare(*cases['alike']).p_value, 1)
        self.assertEqual(statistics.mean_interval(np.full(10, 2.0)), (2.0, 2.0))


if __name__ == '__main__':
    absltest.main()
