"""Verdicts on data that was made to make each claim stand, fail or stay undecided."""

import dataclasses
import pathlib
from unittest import mock

import numpy as np
import pandas as pd
from absl.testing import absltest, parameterized

import simulated_study
from imbreg_jax.analysis import claims, loading

_SEEN = np.random.default_rng(0).standard_normal(10)
# Ten numbers of mean 0 and standard deviation 1, so that effects are what they say.
_NOISE = (_SEEN - _SEEN.mean()) / _SEEN.std(ddof=1)


class ClaimsTest(parameterized.TestCase):
    def _study(self, cells, **options):
        """Returns a study with values overwritten: (condition, test[, predictor]) -> [10] or 1."""
        workdir = simulated_study.write(
            pathlib.Path(self.create_tempdir().full_path), images=100, **options
        )
        path = workdir / 'results.csv'
        rows = pd.read_csv(path, keep_default_na=False)
        for (condition, test, *predictor), values in cells.items():
            for metric in ('mse', 'mape'):
                chosen = (
                    (rows['condition'] == condition)
                    & (rows['predictor'] == (predictor or ['cnn'])[0])
                    & (rows['test_distribution'] == test)
                    & (rows['metric'] == metric)
                )
                rows.loc[chosen, 'value'] = np.broadcast_to(values, chosen.sum())
        rows.to_csv(path, index=False)
        simulated_study.seal(workdir)
        return loading.load([workdir])

    def _verdict(self, study, claim, metric='mse', predictor='cnn'):
        (found,) = [
            v
            for v in claims.verdicts(study)
            if (v.claim, v.metric, v.predictor) == (claim, metric, predictor)
        ]
        return found

    def test_networks_that_beat_the_baseline_stand(self):
        verdict = self._verdict(self._study({}), 1)
        self.assertEqual(verdict.status, claims.STANDS)
        self.assertIn('90 of 90', verdict.reason)
        self.assertIn('results.csv lines', verdict.evidence[0].source)

    def test_one_network_that_loses_to_the_baseline_is_enough_to_fail(self):
        values = np.full(10, 0.1)
        values[3] = 99.0
        verdict = self._verdict(self._study({('u1_5', 'u1_5'): values}), 1)
        self.assertEqual(verdict.status, claims.FAILS)
        self.assertIn('89 of 90', verdict.reason)
        self.assertIn('not so U(1, 5) repeat 3 on U(1, 5) (99.00 against ', verdict.reason)
        self.assertIn('the pair that decides: random guess on U(1, 5)', verdict.reason)
        self.assertNotIn('more;', verdict.reason)

    def test_of_many_networks_that_fail_a_handful_is_named(self):
        cells = {('u1_5', 'u1_5'): 99.0, ('n5_5_1', 'u1_10'): 1e4}
        verdict = self._verdict(self._study(cells), 1)
        self.assertIn('70 of 90', verdict.reason)
        self.assertEqual(verdict.reason.count(' against '), 5 + 1)
        self.assertIn(' and 15 more; the pair that decides', verdict.reason)

    def test_the_pair_that_decides_is_the_one_with_the_weakest_test_not_the_closest(self):
        # On U(1, 5) the network comes closer to its guess, on N(5.5, 1) it scatters far more.
        study = self._study({})
        guesses = {t: study.values('random_guess', '', t, 'mse') for t in ('u1_5', 'n5_5_1')}
        cells = {
            ('u1_5', 'u1_5'): 0.9 * guesses['u1_5'].to_numpy(),
            ('u1_5', 'n5_5_1'): guesses['n5_5_1'].to_numpy() * (0.5 + 0.2 * _NOISE),
        }
        verdict = self._verdict(self._study(cells), 1)
        self.assertEqual(verdict.status, claims.STANDS)
        self.assertIn('decides: random guess on N(5.5, 1)', verdict.reason)
        closest = max(verdict.evidence, key=lambda e: e.holm_p_value)
        self.assertEqual(closest.first, 'random guess on N(5.5, 1)')

    def test_a_network_is_held_against_the_guess_on_its_own_targets(self):
        study = self._study({('u1_5', 'u1_5'): 1.0})
        # As a condition has it whose targets are defined otherwise: a guess that errs by less.
        rows = study.results[
            (study.results['predictor'] == 'random_guess')
            & (study.results['test_distribution'] == 'u1_5')
        ]
        groups = {
            ('random_guess', 'u1_5', 'u1_5', metric): loading.Values(
                *(group[name].to_numpy() for name in ('repeat',)),
                np.full(len(group), 0.5),
                *(group[name].to_numpy() for name in ('source', 'line')),
            )
            for metric, group in rows.groupby('metric')
        }
        study = dataclasses.replace(study, _groups={**study._groups, **groups})
        verdict = self._verdict(study, 1)
        self.assertEqual(verdict.status, claims.FAILS)
        self.assertIn('80 of 90', verdict.reason)
        self.assertIn('U(1, 5) repeat 0 on U(1, 5) (1.000 against 0.5000)', verdict.reason)

    @parameterized.parameters(
        ((1.0, 2.0, 3.0), claims.STANDS),
        ((3.0, 2.0, 1.0), claims.FAILS),
        ((1.0, 3.0, 2.0), claims.FAILS),
        ((1.0, 2.0, 2.0), claims.UNDECIDED),
    )
    def test_order(self, levels, expected):
        balanced, normal, missing = levels
        study = self._study(
            {
                ('u1_10', 'u1_10'): balanced + 0.1 * _NOISE,
                ('n5_5_1', 'u1_10'): normal - 0.1 * _NOISE,
                ('u1_5', 'u1_10'): missing + 0.1 * _NOISE,
            }
        )
        self.assertEqual(self._verdict(study, 2).status, expected)

    def test_undecided_says_how_many_repeats_would_decide(self):
        # Differences of mean 0.5 standard deviations, a first Holm step of two tests: 41 repeats
        # for power 0.8 at 0.025 (34 at 0.05).
        study = self._study(
            {
                ('u1_10', 'u1_10'): 5.0,
                ('n5_5_1', 'u1_10'): 5.5 + _NOISE,
                ('u1_5', 'u1_10'): 99.0,
            }
        )
        verdict = self._verdict(study, 2)
        self.assertEqual(verdict.status, claims.UNDECIDED)
        self.assertIn('10 repeats cannot decide it; about 41 would', verdict.note)

    def test_undecided_says_what_is_shown_to_be_the_same(self):
        study = self._study(
            {
                ('u1_10', 'u1_10'): 5.0,
                ('n5_5_1', 'u1_10'): 5.0 + 0.01 * _NOISE,
                ('u1_5', 'u1_10'): 99.0,
            }
        )
        verdict = self._verdict(study, 2)
        self.assertEqual(verdict.status, claims.UNDECIDED)
        self.assertIn('shown to be the same within the margin (TOST p < 0.001)', verdict.note)

    def test_undecided_by_one_outlier_says_so(self):
        # Nine differences near 0.1 and one of 9: the t test is blinded, the ranks are not.
        differences = np.append(0.1 + 0.01 * np.arange(9), 9.0)
        study = self._study(
            {
                ('u1_10', 'u1_10'): 5.0,
                ('n5_5_1', 'u1_10'): 5.0 + differences,
                ('u1_5', 'u1_10'): 99.0,
            }
        )
        verdict = self._verdict(study, 2)
        self.assertEqual(verdict.status, claims.UNDECIDED)
        self.assertIn(
            'the signed-rank test decides it (Wilcoxon with Holm p = 0.004)', verdict.note
        )

    def test_a_diverged_network_beats_no_baseline(self):
        verdict = self._verdict(self._study({}, diverged=[('u1_5', 3)]), 1)
        self.assertEqual(verdict.status, claims.UNDECIDED)
        self.assertIn('87 of 87', verdict.reason)
        self.assertIn('since diverged: U(1, 5) repeat 3', verdict.reason)

    def test_conditions_that_differ_in_a_setting_are_held_against_the_same_law(self):
        networks = {name: simulated_study.PAPER_NETWORKS[name] for name in ('u1_10', 'u1_5')}
        conditions = {name: {'train_distribution': name} for name in networks}
        for name in list(networks):
            networks[f'{name}-relu'] = networks[name]
            conditions[f'{name}-relu'] = conditions[name] | {'model': {'order': 'relu_pool'}}
        study = self._study({}, conditions=conditions, networks=networks)
        table = claims.comparisons(study)
        pairs = set(zip(table['first'], table['second'], strict=True))
        self.assertEqual(pairs, {('u1_5', 'u1_10'), ('u1_10-relu', 'u1_10'), ('u1_5-relu', 'u1_5')})

    def _pairs(self, conditions):
        study = self._study(
            {},
            conditions=conditions,
            networks=dict.fromkeys(conditions, (0.9, 0.01, 0.03)),
            repeats=2,
            test_distributions=('u1_10',),
        )
        found, lone = claims.compared_pairs(study)
        table = claims.comparisons(study)
        self.assertEqual(
            list(dict.fromkeys(zip(table['first'], table['second'], strict=True))), found
        )
        return set(found), lone

    def test_conditions_that_differ_in_law_and_setting_are_not_compared(self):
        relu, wide = {'model.order': 'relu_pool'}, {'model.dense_features': 99}
        law = {'train_distribution': 'u1_5'}
        found, lone = self._pairs({'a': {}, 'b': relu | law})
        self.assertEqual((found, lone), (set(), ['b']))
        # The same law under the same other setting, or the same settings, is a partner.
        found, lone = self._pairs({'a': {}, 'b': relu | law, 'c': relu, 'd': relu | wide | law})
        self.assertEqual(found, {('c', 'a'), ('b', 'c'), ('d', 'b')})
        self.assertEmpty(lone)

    def test_conditions_that_differ_in_two_settings_are_not_compared(self):
        relu, wide = {'model.order': 'relu_pool'}, {'model.dense_features': 99}
        found, lone = self._pairs({'a': {}, 'both': relu | wide})
        self.assertEqual((found, lone), (set(), ['both']))
        found, lone = self._pairs({'a': {}, 'relu': relu, 'both': relu | wide})
        self.assertEqual((found, lone), ({('relu', 'a'), ('both', 'relu')}, []))

    def test_of_many_laws_each_is_held_against_the_first(self):
        laws = [*simulated_study.LAWS, *(f'uniform(1, {high})' for high in (6, 7, 8))]
        added = {law: (law, law, simulated_study.LAWS['u1_5'][2]) for law in laws[-3:]}
        with mock.patch.dict(simulated_study.LAWS, added):
            found, lone = self._pairs({law: {'train_distribution': law} for law in laws})
        self.assertEqual(found, {(law, 'u1_10') for law in laws if law != 'u1_10'})
        self.assertEmpty(lone)

    def test_a_large_study_has_no_bootstrap_and_the_same_verdicts(self):
        study = self._study({})
        with mock.patch.object(claims, 'MOST_BOOTSTRAPPED_CELLS', 8):
            found = claims.verdicts(study)
            table = claims.comparisons(study)
        for one, other in zip(found, claims.verdicts(study), strict=True):
            self.assertEqual((one.status, one.reason), (other.status, other.reason))
        self.assertTrue(
            np.isnan([e.comparison.bca_interval for v in found for e in v.evidence]).all()
        )
        self.assertTrue(table['bca_low'].isna().all())
        self.assertFalse(table['t_low'].isna().any())

    def test_values_that_say_nothing_give_verdicts_without_a_warning(self):
        for name, values in (
            ('alike', 1.0), ('zero', 0.0), ('lost', np.nan), ('infinite', np.inf), ('huge', 1e300),
        ):  # fmt: skip
            with self.subTest(name):
                cells = {
                    (condition, test, predictor): values
                    for condition in simulated_study.PAPER_CONDITIONS
                    for test in simulated_study.PAPER_CONDITIONS
                    for predictor in ('cnn', 'cnn_calibrated')
                }
                study = self._study(cells, repeats=3)
                statuses = {v.claim: v.status for v in claims.verdicts(study)}
                self.assertLen(statuses, 6)
                if name in ('lost', 'infinite'):
                    self.assertEqual(statuses[1], claims.UNTESTED)
                self.assertLen(claims.comparisons(study), 18)

    @parameterized.parameters(
        (1.02, 0.01, claims.STANDS),
        (0.50, 0.01, claims.STANDS),  # A gain is no cost.
        (1.50, 0.01, claims.FAILS),
        (1.09, 0.10, claims.UNDECIDED),
    )
    def test_costs_little(self, ratio, noise, expected):
        study = self._study({('u1_10', 'u1_10'): 1.0, ('n5_5_1', 'u1_10'): ratio + noise * _NOISE})
        verdict = self._verdict(study, 3)
        self.assertEqual(verdict.status, expected)
        self.assertIn('margin 10 % of 1.000', verdict.reason)

    @parameterized.parameters((0.5, claims.STANDS), (2.0, claims.FAILS))
    def test_better_at_home(self, home, expected):
        study = self._study({('u1_5', 'u1_5'): home + 0.1 * _NOISE, ('u1_5', 'u1_10'): 1.0})
        self.assertEqual(self._verdict(study, 4).status, expected)

    @parameterized.parameters((9.1, claims.STANDS), (5.0, claims.FAILS), (14.0, claims.FAILS))
    def test_about_the_same_is_two_sided(self, home, expected):
        study = self._study(
            {
                ('u1_10', 'u1_10'): 9.0,
                ('n5_5_1', 'n5_5_1'): home + 0.1 * _NOISE,
                ('n5_5_1', 'u1_10'): 9.0,
            }
        )
        self.assertEqual(self._verdict(study, 5, 'mape').status, expected)

    def test_average_over_all_tests_pairs_the_three_test_sets(self):
        study = self._study(
            {('u1_10', test): 1.0 + 0.1 * _NOISE for test in ('u1_10', 'u1_5', 'n5_5_1')}
            | {('n5_5_1', test): 2.0 for test in ('u1_10', 'u1_5', 'n5_5_1')}
            | {('u1_5', test): 3.0 + 0.1 * _NOISE for test in ('u1_10', 'u1_5', 'n5_5_1')}
        )
        verdict = self._verdict(study, 6)
        self.assertEqual(verdict.status, claims.STANDS)
        self.assertAlmostEqual(verdict.evidence[0].comparison.first_mean, 2.0)

    def test_what_the_study_lacks_is_not_tested(self):
        study = self._study({}, conditions={'u1_10': {}}, networks=simulated_study.PAPER_NETWORKS)
        statuses = {v.claim: v.status for v in claims.verdicts(study)}
        self.assertEqual(statuses[1], claims.STANDS)
        self.assertEqual({statuses[c] for c in (2, 3, 4, 5, 6)}, {claims.UNTESTED})

    def test_one_repeat_decides_nothing(self):
        for verdict in claims.verdicts(self._study({}, repeats=1)):
            self.assertEqual(verdict.status, claims.UNDECIDED)
            self.assertIn('1 repeat: no spread', verdict.note)

    def test_conclusions_that_calibration_takes_away_are_named(self):
        study = self._study(
            {
                ('u1_5', 'u1_5'): 0.1,
                ('u1_5', 'u1_10'): 0.5 + 0.1 * _NOISE,
                ('u1_5', 'u1_5', 'cnn_calibrated'): 0.1,
                ('u1_5', 'u1_10', 'cnn_calibrated'): 0.05 + 0.01 * _NOISE,
            }
        )
        table = claims.survival(claims.verdicts(study)).set_index(['claim', 'metric'])
        self.assertEqual(table.loc[(1, 'mse'), 'survives'], 'yes')
        self.assertEqual(table.loc[(4, 'mse'), 'survives'], 'no')

    def test_comparisons_pair_only_repeats_that_both_have(self):
        study = self._study({}, diverged=[('u1_5', 4)])
        table = claims.comparisons(study)
        pairs = table[(table['first'] == 'u1_5') | (table['second'] == 'u1_5')]['repeats']
        self.assertEqual(set(pairs), {9})
        self.assertEqual(set(table[table['first'] == 'n5_5_1']['repeats']), {9, 10})
        self.assertLen(table, 3 * 3 * 2)


if __name__ == '__main__':
    absltest.main()
