"""Tests of imbreg_jax.study.imbalance: measures of a training law against a test law."""

import json
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized
from scipy import special, stats

from imbreg_jax import study
from imbreg_jax.study import laws
from imbreg_jax.study.imbalance import Imbalance, imbalance, of_laws
from imbreg_jax.study.laws import registry

_LAWS = (
    'u1_10', 'n5_5_1', 'truncated_normal(4, 2, 1, 9)', 'triangular(1, 4, 10)', 'beta(2, 3, 1, 10)',
    'inverse_triangular(1, 4, 10)', 'lognormal(3, 0.5)', 'exponential(1, 2)', 'pareto(1.5, 1, 10)',
    'gap(u1_10, 4, 6)', 'cut(normal(5.5, 2), 1, 10)', 'polygon(1, 3, 6, 1, 10, 1)',
    'mixture(u1_5, 0.9, uniform(5, 10), 0.1)', 'gap(normal(5.5, 2), 2, 3, 7, 8)',
)  # fmt: skip


def _measures(train: str, test: str) -> Imbalance:
    return imbalance(laws.parse(train), laws.parse(test))


class ClosedFormTest(parameterized.TestCase):
    @parameterized.parameters(
        # train, test: distance, divergence, missing share, effective share.
        ('u1_10', 'u1_10', 0, 0, 0, 1),
        ('u1_10', 'u1_5', 2.5, np.log(9 / 4), 0, 4 / 9),
        ('u1_5', 'u1_10', 2.5, np.inf, 5 / 9, 1),
        ('uniform(1, 6)', 'uniform(4, 7)', 2, np.inf, 1 / 3, 2 / 5),
        ('uniform(1, 2)', 'uniform(3, 4)', 2, np.inf, 1, 0),
        # Left of the gap mass 3 / 9 for 3 / 7, right 4 / 9 for 4 / 7: nothing but a factor.
        ('u1_10', 'gap(u1_10, 4, 6)', None, np.log(9 / 7), 0, 7 / 9),
        ('gap(u1_10, 4, 6)', 'u1_10', None, np.inf, 2 / 9, 1),
        ('normal(5, 1)', 'normal(7, 1)', 2, 2, 0, np.exp(-4)),
        ('normal(5, 1)', 'normal(5, 1.3)', 0.3 * np.sqrt(2 / np.pi), np.log(1 / 1.3) + 0.345, 0,
         1.3 * np.sqrt(2 - 1.3**2)),
        # The weights' variance is infinite from a standard deviation of √2 on.
        ('normal(5, 1)', 'normal(5, 1.5)', 0.5 * np.sqrt(2 / np.pi), np.log(1 / 1.5) + 0.625, 0, 0),
        ('u1_10', 'normal(5.5, 0.01)', None, np.log(9 / 0.01) - 0.5 * np.log(2 * np.pi * np.e), 0,
         2 * np.sqrt(np.pi) * 0.01 / 9),
        ('exponential(0, 2)', 'exponential(0, 1)', 1, np.log(2) - 0.5, 0, 3 / 4),
        # Densities with poles, and with zeros of which the weights are infinite on average.
        ('u1_10', 'beta(0.5, 0.5, 1, 10)', None, np.log(4 / np.pi), 0, 0),
        ('beta(0.5, 0.5, 1, 10)', 'u1_10', None, np.log(np.pi) - 1, 0, 8 / np.pi**2),
        ('inverse_triangular(1, 5.5, 10)', 'u1_10', 0.75, 1 - np.log(2), 0, 0),
        ('n5_5_1', 'u1_10', None, np.log(np.sqrt(2 * np.pi) / 9) + 81 / 24, 0, None),
        ('u1_10', 'n5_5_1', None, np.inf, 2 * special.ndtr(-4.5), None),
    )  # fmt: skip
    def test_measures(self, train, test, *expected):
        found = _measures(train, test)
        self.assertIsNone(found.bins)
        values = found.wasserstein, found.kullback_leibler, found.missing_share, (
            found.effective_share)  # fmt: skip
        for value, wanted in zip(values, expected, strict=True):
            if wanted is not None:
                # Of a pole, float64 does not see the nearest 1e-7.
                tolerance = 1e-6 if 'beta' in test else 1e-9
                np.testing.assert_allclose(value, wanted, rtol=1e-6, atol=tolerance)

    def test_what_is_never_drawn_is_not_missing(self):
        found = _measures('u1_10', 'normal(5.5, 0.5)')
        self.assertEqual(found.missing_share, 0)
        self.assertLess(found.kullback_leibler, 3)


class AnyLawTest(parameterized.TestCase):
    def test_a_law_is_balanced_against_itself(self):
        for spec in _LAWS:
            found = _measures(spec, spec)
            np.testing.assert_allclose(
                [found.wasserstein, found.kullback_leibler, found.missing_share],
                0, atol=1e-8, err_msg=spec,
            )  # fmt: skip
            self.assertAlmostEqual(found.effective_share, 1, delta=1e-7, msg=spec)

    def test_measures_agree_with_those_of_large_samples(self):
        count = 20_000
        u = (np.arange(count) + 0.5) / count
        for test in ('u1_10', 'cut(normal(5.5, 2), 1, 10)'):
            law = laws.parse(test)
            at = law.ppf(u)
            for train in _LAWS:
                with self.subTest(train, test=test):
                    other = laws.parse(train)
                    found = imbalance(other, law)
                    drawn = other.ppf(u)
                    distance = stats.wasserstein_distance(drawn, at)
                    # Strata of 1 / count: tails miss at most the outer ones' spread.
                    self.assertAlmostEqual(found.wasserstein, distance, delta=2e-3)
                    density = other.pdf(at)
                    missing = np.mean(density == 0)
                    self.assertAlmostEqual(found.missing_share, missing, delta=2 / count)
                    if missing:
                        self.assertEqual(found.kullback_leibler, np.inf)
                    else:
                        divergence = np.mean(np.log(law.pdf(at) / density))
                        self.assertAlmostEqual(found.kullback_leibler, divergence, delta=1e-3)
                    if found.effective_share > 0.2:
                        weights = law.pdf(drawn) / other.pdf(drawn)
                        share = weights.sum() ** 2 / (weights**2).sum() / count
                        self.assertAlmostEqual(found.effective_share, share, delta=5e-3)

    def test_names_are_measured_once_and_survive_json(self):
        tests = [laws.parse('u1_10'), laws.parse('u1_5')]
        trains = {name: laws.parse('uniform(1, 5)') for name in ('a', 'b')}
        trains['unknown'] = laws.parse(f"table(sha256='{'a' * 64}')", laws.nowhere)
        found = json.loads(json.dumps(of_laws(trains, tests), allow_nan=False))
        self.assertEqual(found['a'], found['b'])
        self.assertEqual(list(found['a']), ['u1_10', 'u1_5'])
        self.assertEqual(found['unknown'], {})
        read = Imbalance.from_plain(found['a']['u1_10'])
        self.assertEqual(read, _measures('u1_5', 'u1_10'))
        self.assertEqual(read.kullback_leibler, np.inf)
        for damaged in (None, 3, [], {}, found['a']['u1_10'] | {'bins': 'x'}):
            with self.assertRaises((TypeError, KeyError, ValueError)):
                Imbalance.from_plain(damaged)
        with self.assertRaisesRegex(ValueError, 'are not kept here'):
            imbalance(trains['unknown'], tests[0])


class WithoutDensityTest(absltest.TestCase):
    def _table(self, values: np.ndarray) -> laws.Distribution:
        path = self.create_tempfile(content='\n'.join(map(str, values))).full_path
        return laws.parse(f'table({path!r})')

    def test_tables_are_compared_in_bins(self):
        u = (np.arange(20_000) + 0.5) / 20_000
        uniform = laws.parse('u1_10')
        # Of so many: 2·20000^(1/3) bins.
        for spec in ('triangular(-4, 5, 12)', 'u1_10', 'exponential(1, 5)', 'gap(u1_10, 4, 6)'):
            with self.subTest(spec):
                law = laws.parse(spec)
                found, wanted = imbalance(self._table(law.ppf(u)), uniform), imbalance(law, uniform)
                self.assertEqual(found.bins, 55)
                self.assertAlmostEqual(found.wasserstein, wanted.wasserstein, delta=2e-3)
                # A bin that is missing in part has targets all the same.
                self.assertAlmostEqual(found.missing_share, wanted.missing_share, delta=2 / 55)
                if wanted.missing_share == 0:
                    wanted_divergence = wanted.kullback_leibler
                    self.assertAlmostEqual(found.kullback_leibler, wanted_divergence, delta=2e-3)
                    self.assertAlmostEqual(
                        found.effective_share, wanted.effective_share, delta=2e-3
                    )

    def test_a_sample_of_a_law_is_almost_balanced_against_it(self):
        sample = self._table(np.random.default_rng(0).uniform(1, 10, 20_000))
        for pair in ((sample, laws.parse('u1_10')), (laws.parse('u1_10'), sample)):
            found = imbalance(*pair)
            # χ² with 54 degrees of freedom over 2n and n: 0.00135 and 0.0027 on average.
            self.assertBetween(found.kullback_leibler, 0.0006, 0.0025)
            self.assertBetween(1 - found.effective_share, 0.0012, 0.005)
            self.assertEqual(found.missing_share, 0)

    def test_whole_numbers_are_atoms(self):
        few = self._table(np.repeat(np.arange(1, 7), [100, 200, 300, 200, 100, 100]))
        even = self._table(np.repeat(np.arange(1, 7), 100))
        p, q = np.array([1, 2, 3, 2, 1, 1]) / 10, np.ones(6) / 6
        found = imbalance(few, even)
        # Between the atoms lies a thousandth or less.
        self.assertAlmostEqual(found.kullback_leibler, np.sum(q * np.log(q / p)), delta=5e-3)
        self.assertAlmostEqual(found.effective_share, 1 / np.sum(q**2 / p), delta=5e-3)
        distance = stats.wasserstein_distance(np.arange(6), np.arange(6), p, q)
        self.assertAlmostEqual(found.wasserstein, distance, delta=5e-3)

    def test_a_law_of_ones_own_needs_no_more_than_the_protocol(self):
        class Steps:
            """One half at 2, and the other uniform on [3, 5]."""

            mean, support = 3.0, (2.0, 5.0)

            def ppf(self, u):
                return np.where(u <= 0.5, 2.0, 1 + 4 * u)

            def pdf(self, x):
                assert np.all((x >= 2) & (x <= 5))
                return np.where(x > 3, 0.25, 0.0)

            def cdf(self, x):
                return np.where(x < 2, 0, np.clip(0.5 + (x - 3) / 4, 0.5, 1))

        with mock.patch.dict(registry._ENTRIES):

            @laws.register(label='Steps', example='steps()')
            def steps() -> laws.Law:
                return Steps()

            found = _measures('uniform(2, 5)', 'steps()')
            self.assertEqual(found.bins, 100)
            self.assertAlmostEqual(found.wasserstein, 0.5, delta=1e-7)
            # No training target is a 2.
            self.assertAlmostEqual(found.missing_share, 0.5, delta=1e-7)
            self.assertAlmostEqual(found.effective_share, 2 / 3, delta=0.02)
            # As a training law its density says all: a third of the test targets is missing.
            found = _measures('steps()', 'uniform(2, 5)')
            self.assertIsNone(found.bins)
            self.assertAlmostEqual(found.missing_share, 1 / 3, delta=1e-7)
            # Of the training targets the half at 2 has no weight.
            self.assertAlmostEqual(found.effective_share, 0.5, delta=1e-7)


class StudyTest(absltest.TestCase):
    def test_a_study_knows_its_measures_and_is_the_same_without(self):
        config = study.default_config()
        config.conditions = {'some': {'train_distribution': 'u1_5'}, 'all': {}}
        made = study.resolve(config)
        self.assertEqual(list(made.imbalance), ['some', 'all'])
        for name, of_tests in made.imbalance.items():
            self.assertEqual(list(of_tests), [law.name for law in made.test_distributions])
            self.assertEqual(
                Imbalance.from_plain(of_tests['u1_10']).missing_share > 0, name == 'some'
            )
        self.assertNotIn('imbalance', json.dumps([study.identity(made), made.resolved]))


if __name__ == '__main__':
    absltest.main()
