"""Which remedies are held against no remedy, and what is said of them."""

import math
import pathlib
import warnings

import numpy as np
import pandas as pd
from absl.testing import absltest, parameterized
from scipy import stats

import simulated_study
from imbreg_jax.analysis import leaderboard, loading, places, remedy_names, statistics
from simulated_remedies import grid, of, strata, write

_RATE = places.RATE
_KEY = ['remedy', 'law', 'test_distribution', 'metric']


class LeaderboardTest(parameterized.TestCase):
    def _study(self, conditions, *arguments, **options):
        return write(self.create_tempdir().full_path, conditions, *arguments, **options)

    def _table(self, study):
        found, _ = places.places(study)
        return leaderboard.table(study, found, leaderboard.ranks(study, found))

    def _chosen_twice(self, **options):
        """A study at two rates, whose training laws and test law choose others of a remedy."""
        conditions = {
            f'{law} {r or "none"} {rate}': of(r, law, training__learning_rate=rate)
            for law in ('u1_10', 'u1_5')
            for r in ('', 'inverse()')
            for rate in (1e-3, 1e-2)
        }

        def selection(own, law):
            far = law and own['remedy'] and own['train_distribution'] == 'u1_5'
            return 1.0 if own[_RATE] == (1e-2 if far else 1e-3) else 2.0

        def bias(own):
            return 0.05 if own['remedy'] and own[_RATE] == 1e-2 else 0.1

        # What metrics.jsonl would choose: results.csv goes first.
        other = {
            'selection': selection,
            'validation': lambda own: 1.0 if own[_RATE] == 1e-2 else 2.0,
        }
        return self._study(conditions, bias, **(other | options))

    def test_the_test_law_may_choose_another_rate_and_stands_beside(self):
        study = self._chosen_twice()
        self.assertEqual(places.informed_tests(study), ['u1_10'])
        for law, rate in (('', 1e-3), ('u1_10', 1e-2)):
            place = places.places(study, law)[0][1]
            self.assertEqual([entry.rate for entry in place.entries], [1e-3, rate])
        before = self._table(study)
        frame, sums, helping = leaderboard.informed(study, before)
        pd.testing.assert_frame_equal(frame[before.columns], before)
        rows = frame[frame['metric'] == 'mse'].set_index(['law', 'remedy'])
        changed = rows.loc['uniform(1, 5)', 'inverse()']
        own, none = (
            study.values('cnn', f'u1_5 {name}', 'u1_10', 'mse').to_numpy()
            for name in ('inverse() 0.01', 'none 0.001')
        )
        self.assertAlmostEqual(
            changed['informed_ratio'], np.exp(np.mean(np.log(own) - np.log(none)))
        )
        self.assertEqual((changed['rate'], changed['informed_rate']), (1e-3, 1e-2))
        self.assertEqual(changed['informed_verdict'], 'better')
        self.assertIn('inverse() 0.01', changed['informed_source'])
        for key in ('ratio', 'low', 'high', 'verdict'):
            kept = rows.loc['uniform(1, 10)', 'inverse()']
            self.assertEqual(kept[f'informed_{key}'], kept[key])
        self.assertEqual(leaderboard.same_rate(frame), {False: (1, 2), True: (2, 2)})
        (row,) = sums[sums['remedy'] == 'inverse()'].to_dict('records')
        self.assertEqual((row['informed_better'], row['informed_worse']), (1, 0))
        self.assertAlmostEqual(row['informed_ratio'], changed['informed_ratio'])
        told = helping.set_index('law')
        self.assertEqual(
            told['best'].to_dict(), {'uniform(1, 10)': '', 'uniform(1, 5)': 'inverse()'}
        )
        self.assertEqual(told.loc['uniform(1, 5)', 'condition'], 'u1_5 inverse() 0.01')
        self.assertEqual(told.loc['uniform(1, 5)', 'ratio'], changed['informed_ratio'])

    def test_nothing_stands_beside_where_the_test_law_chose_nothing(self):
        for study in (
            self._study(grid(('', 'a()')), selection=lambda own, law: 1.0),
            self._chosen_twice(selection=None),
        ):
            frame = self._table(study)
            found, sums, helping = leaderboard.informed(study, frame)
            self.assertIs(found, frame)
            self.assertEmpty(sums)
            self.assertEmpty(helping)

    def test_parts_of_a_study_are_one_leaderboard_though_one_alone_has_no_remedy(self):
        whole = grid(('', 'a()', 'b()'))
        biases = {'': 0.1, 'a()': 0.08, 'b()': 0.12}
        parts = [('', 'a()'), ('b()',)]
        root = pathlib.Path(self.create_tempdir().full_path)
        bias = lambda own: biases[own['remedy']]  # noqa: E731
        folders = [root / str(i) for i in range(len(parts))]
        for folder, remedies in zip(folders, parts, strict=True):
            write(folder, grid(remedies), bias)
        expected = self._table(self._study(whole, bias)).drop(columns='source')
        for order in (folders, folders[::-1]):
            joined = loading.load(order)
            self.assertEmpty(places.places(loading.load([folders[1]]))[0])
            found = self._table(joined).drop(columns='source')
            keys = ['law', 'remedy', 'metric']
            pd.testing.assert_frame_equal(
                *(
                    frame.sort_values(keys).set_index(keys)
                    for frame in (found, expected)
                )
            )  # fmt: skip

    def test_ratios_and_their_tests_are_paired_by_repeat_and_corrected_within_a_family(self):
        biases = {'': 0.1, 'inverse()': 0.09, 'fds()': 0.12, 'wercs()': 0.1}
        study = self._study(grid(biases), lambda own: biases[own['remedy']])
        frame = self._table(study).set_index(_KEY)
        for law, spec in (('u1_10', 'uniform(1, 10)'), ('u1_5', 'uniform(1, 5)')):
            base = study.values('cnn', f'{law} none', 'u1_10', 'mse').to_numpy()
            p_values = []
            for remedy in list(biases)[1:]:
                row = frame.loc[remedy, spec, 'u1_10', 'mse']
                own = study.values('cnn', f'{law} {remedy}', 'u1_10', 'mse').to_numpy()
                steps = np.log(own) - np.log(base)
                interval = stats.t.interval(0.95, 7, steps.mean(), stats.sem(steps))
                np.testing.assert_allclose(
                    np.log([row['low'], row['ratio'], row['high']]),
                    [interval[0], steps.mean(), interval[1]],
                )
                self.assertAlmostEqual(row['p'], stats.ttest_1samp(steps, 0).pvalue)
                flips = stats.permutation_test((steps,), np.mean, permutation_type='samples')
                self.assertAlmostEqual(row['flip_p'], flips.pvalue)
                self.assertAlmostEqual(row['mean'], own.mean())
                self.assertIn('; ', row['source'])
                p_values.append(row['p'])
            found = [frame.loc[r, spec, 'u1_10', 'mse']['holm_p'] for r in list(biases)[1:]]
            np.testing.assert_allclose(found, statistics.holm(p_values))
            verdicts = [frame.loc[r, spec, 'u1_10', 'mse']['verdict'] for r in biases]
            self.assertEqual(verdicts[:3], ['', 'better', 'worse'])
            self.assertIn(verdicts[3], ['same within the margin', 'better', 'worse'])
            self.assertEqual(frame.loc['', spec, 'u1_10', 'mse']['balanced'], law == 'u1_10')

    def test_a_small_difference_helps_and_is_neutral_all_the_same(self):
        frame = pd.DataFrame(
            [
                ('a', 0.98, 0.01, 0.01),
                ('a', 1.02, 0.01, 0.01),
                ('a', 0.7, 0.01, 0.9),
                ('a', 1.4, 0.01, 0.9),
                ('a', 1.0, 0.8, 0.01),
                ('a', 1.2, 0.3, 0.8),
                ('a', math.nan, math.nan, math.nan),
                ('', math.nan, math.nan, math.nan),
            ],
            columns=['remedy', 'ratio', 'holm_p', 'holm_same_p'],
        )
        found = leaderboard.judged(frame, 0.05)
        same = 'same within the margin'
        verdicts = ['better', 'worse', 'better', 'worse', same, 'undecided', 'undecided', '']
        self.assertEqual(list(found['verdict']), verdicts)
        neutral = [same, same, 'better', 'worse', same, 'undecided', 'undecided', '']
        self.assertEqual(list(found['neutrality']), neutral)

    def test_ranks_are_over_the_same_resampled_repeats(self):
        rng = np.random.default_rng(0)
        common = rng.standard_normal(10)
        # The first is always below the others, whatever all share; these two cannot be told apart.
        logs = np.stack([common, common + 0.1, common + 0.1 + 1e-3 * rng.standard_normal(10)])
        times = rng.multinomial(10, np.full(10, 0.1), 500).astype(float)
        found = leaderboard.resampled(logs, times)
        self.assertEqual(leaderboard.rank_interval(found[:, 0], 0.05), (1, 1, 1))
        np.testing.assert_allclose(found.sum(axis=1), 6)
        for k in (1, 2):
            mean, low, high = leaderboard.rank_interval(found[:, k], 0.05)
            self.assertEqual((low, high), (2, 3))
            self.assertBetween(mean, 2, 3)
        np.testing.assert_array_equal(leaderboard.resampled(logs[[1, 1]], times), 1.5)
        again = leaderboard.resampled(np.zeros((2, 1)), np.array([[0.0], [1.0]]))
        np.testing.assert_array_equal(again, [[np.nan, np.nan], [1.5, 1.5]])
        nothing = leaderboard.rank_interval(np.array([np.nan]), 0.05)
        self.assertTrue(np.isnan(nothing).all())

    def test_a_rank_has_an_interval_where_chance_alone_makes_no_sure_winner(self):
        self.assertEqual(leaderboard.least_repeats(0.05), 6)
        self.assertEqual(leaderboard.least_repeats(0.5), 2)
        biases = {'': 0.1, 'inverse()': 0.08, 'fds()': 0.12}
        for repeats, known in ((5, False), (6, True)):
            study = self._study(grid(biases), lambda own: biases[own['remedy']], repeats=repeats)
            frame = self._table(study)
            mse = frame[frame['metric'] == 'mse']
            self.assertEqual(mse['rank'].notna().all(), known)
            first = leaderboard.sure_winners(mse)
            self.assertEqual(set(first['remedy']), {'inverse()'} if known else set())
            self.assertTrue(frame[frame['metric'] == 'mae']['rank'].isna().all())

    def test_ranks_are_the_same_each_time_and_another_seed_draws_others(self):
        conditions = grid(('', 'inverse()'))
        study = self._study(conditions)
        repeats, times = leaderboard.resamples(study)
        np.testing.assert_array_equal(repeats, range(8))
        np.testing.assert_array_equal(times, leaderboard.resamples(study)[1])
        np.testing.assert_array_equal(times.sum(axis=1), 8)
        study.headers[0]['config']['analysis']['seed'] = 1
        self.assertTrue((times != leaderboard.resamples(study)[1]).any())

    def test_of_folds_data_sets_are_resampled(self):
        """Two that differ by noise alone: neither is sure to be first, whatever the numbers."""
        study = self._study(grid(('', 'inverse()'), ('u1_10',)), repeats=24, first_repeat=24)
        study.headers[0]['config']['data']['folds'] = 3
        sets, times = leaderboard.resamples(study)
        np.testing.assert_array_equal(sets, range(8, 16))
        np.testing.assert_array_equal(times.sum(axis=1), 8)
        frame = self._table(study)
        mse = frame[frame['metric'] == 'mse']
        self.assertEqual(set(mse['repeats']), {8})
        self.assertEqual(set(mse['rank_low']), {1})
        self.assertEqual(set(mse['rank_high']), {2})

    def test_what_diverges_often_is_compared_where_it_did_not_and_leaves_others_their_ranks(self):
        lost = [('u1_10 fds()', k) for k in range(5)]
        study = self._study(grid(('', 'inverse()', 'fds()'), ('u1_10',)), diverged=lost)
        frame = self._table(study).set_index(['remedy', 'metric'])
        row = frame.loc['fds()', 'mse']
        self.assertEqual((row['repeats'], row['lost']), (3, 5))
        self.assertTrue(math.isfinite(row['ratio']) and math.isnan(row['rank']))
        self.assertTrue(math.isfinite(frame.loc['inverse()', 'mse']['rank']))

    def test_strata_say_what_is_given_and_what_is_taken(self):
        study = self._study(grid(('', 'inverse()')), strata=strata)
        frame = self._table(study)
        (row,) = leaderboard.rarest(frame).to_dict('records')
        self.assertEqual((row['law'], row['stratum']), ('uniform(1, 5)', 'mae_zero'))
        # Noise of one percent of its own, over eight repeats.
        self.assertAlmostEqual(row['rarest'], 0.5, delta=0.02)
        self.assertAlmostEqual(row['many'], 1.25, delta=0.05)
        self.assertLess(row['many_low'], row['many'])
        found, _ = places.places(study)
        rows = leaderboard.summary(
            study, found, frame, leaderboard.ranks(study, found), 'u1_10', 'mse'
        ).set_index('remedy')
        self.assertEqual(rows.loc['inverse()', 'rarest'], row['rarest'])
        self.assertEqual(rows.loc['inverse()', 'many'], row['many'])
        self.assertTrue(math.isnan(rows.loc['', 'rarest']))

    def test_all_remedies_are_compared_on_the_same_rare_targets(self):
        frame = self._table(self._study(grid(('', 'a()', 'b()')), strata=strata))
        lost = (frame['remedy'] == 'a()') & (frame['metric'] == 'mae_zero')
        self.assertTrue(lost.any())
        columns = ['mean', 'ratio', 'low', 'high']
        frame.loc[lost, columns] = math.nan
        found = leaderboard.rarest(frame)
        self.assertEqual(
            found[['remedy', 'stratum']].to_dict('records'),
            [{'remedy': 'b()', 'stratum': 'mae_zero'}],
        )

    def test_the_summary_is_over_imbalanced_laws_with_the_balanced_one_beside(self):
        laws = ('u1_10', 'u1_5', 'n5_5_1')
        biases = {
            ('', 'u1_10'): 0.1, ('', 'u1_5'): 0.1, ('', 'n5_5_1'): 0.1,
            ('a()', 'u1_10'): 0.2, ('a()', 'u1_5'): 0.05, ('a()', 'n5_5_1'): 0.08,
            ('b()', 'u1_10'): 0.1, ('b()', 'u1_5'): 0.12, ('b()', 'n5_5_1'): 0.13,
        }  # fmt: skip
        study = self._study(
            grid(('', 'a()', 'b()'), laws),
            lambda own: biases[own['remedy'], own['train_distribution']],
        )
        found, _ = places.places(study)
        made = leaderboard.ranks(study, found)
        frame = leaderboard.table(study, found, made)
        rows = leaderboard.summary(study, found, frame, made, 'u1_10', 'mse')
        self.assertEqual(list(rows['remedy']), ['a()', '', 'b()'])
        a, _, b = rows.to_dict('records')
        self.assertEqual((a['laws'], a['better'], a['worse']), (2, 2, 0))
        self.assertEqual((b['better'], b['worse'], b['undecided'] + b['same']), (0, 2, 0))
        self.assertEqual((a['rank'], a['rank_low'], a['rank_high']), (1, 1, 1))
        steps = [
            np.log(
                study.values('cnn', f'{law} a()', 'u1_10', 'mse')
                / study.values('cnn', f'{law} none', 'u1_10', 'mse')
            )
            for law in laws[1:]
        ]
        mean = np.mean(steps, axis=0)
        interval = stats.t.interval(0.95, 7, mean.mean(), stats.sem(mean))
        np.testing.assert_allclose(
            np.log([a['low'], a['ratio'], a['high']]), [interval[0], mean.mean(), interval[1]]
        )
        self.assertGreater(a['balanced'], 2)
        self.assertEqual(leaderboard.order(frame, 'u1_10', 'mse'), ['a()', 'b()'])

    @parameterized.parameters(
        (
            ['', 'inverse(bins=20, power=1.0)', 'inverse(bins=20, power=0.5)'],
            ['no remedy', 'inverse(power=1.0)', 'inverse(power=0.5)'],
        ),
        (
            ['', 'fds(bins=20) + inverse(bins=20)', 'fds(bins=20)'],
            ['no remedy', 'fds + inverse', 'fds'],
        ),
        (['inverse(', 'a(3)', 'a.b()'], ['inverse(', 'a(3)', 'a.b()']),
        # Alike but for the order of what they are made of, and therefore whole.
        (['a(x=1)', 'a( x = 1 )'], ['a(x=1)', 'a( x = 1 )']),
    )
    def test_a_remedy_is_called_what_tells_it_apart(self, specs, expected):
        self.assertEqual(remedy_names.labels(specs), dict(zip(specs, expected, strict=True)))

    def test_up_to_a_factor_a_gain_may_be_gone_and_another_appear(self):
        bias = {'': 0.4, 'huber()': 0.1, 'fds()': 0.1, 'lds()': 0.4, 'conr()': 0.9}
        workdir = self.create_tempdir().full_path
        write(workdir, grid(tuple(bias), ('u1_10',)), lambda own: bias[own['remedy']])
        path = pathlib.Path(workdir) / 'results.csv'
        frame = pd.read_csv(path, keep_default_na=False, na_values={'value': ['']})
        # What some of them give is more than a factor, and one of these is no better with it.
        left = (frame['predictor'] == 'cnn_scaled') & (frame['metric'] == 'mse')
        noise = 1 + 0.01 * np.random.default_rng(0).random(left.sum())
        frame.loc[left, 'value'] = noise * np.where(
            frame.loc[left, 'condition'].str.contains('fds|lds'), 0.05, 0.1
        )
        frame.to_csv(path, index=False)
        simulated_study.seal(pathlib.Path(workdir))
        study = loading.load([pathlib.Path(workdir)])
        found, _ = places.places(study)
        left = leaderboard.scaled(study, found, self._table(study), 'u1_10', 'mse')
        shown = dict(
            zip(left['remedy'], zip(left['before'], left['verdict'], strict=True), strict=True)
        )
        better, same = leaderboard.BETTER, leaderboard.SAME
        expected = {'huber()': (better, same), 'fds()': (better, better)}
        self.assertEqual({name: shown[name] for name in expected}, expected)
        self.assertEqual([shown[name][1] for name in ('lds()', 'conr()')], [better, same])
        self.assertNotIn(better, [shown[name][0] for name in ('lds()', 'conr()')])
        # As a table of the networks so scaled has it.
        values = {
            name: study.values('cnn_scaled', f'u1_10 {name or "none"}', 'u1_10', 'mse')
            for name in bias
        }
        for row in left.to_dict('records'):
            logs = np.log(values[row['remedy']] / values[''])
            np.testing.assert_allclose(row['ratio'], np.exp(logs.mean()))
            np.testing.assert_allclose(row['p'], stats.ttest_1samp(logs, 0).pvalue)
        np.testing.assert_allclose(left['holm_p'], statistics.holm(left['p'].to_numpy(float)))
        (answer,) = leaderboard.answers(study, found, left, 'u1_10', 'mse', 'cnn_scaled').to_dict(
            'records'
        )
        self.assertEqual((answer['compared'], answer['better'], answer['same']), (4, 2, 2))
        logs = np.log(values[answer['best']] / values[''])
        wanted = stats.t.interval(1 - 0.05 / 4, len(logs) - 1, logs.mean(), stats.sem(logs))
        np.testing.assert_allclose(np.log([answer['low'], answer['high']]), wanted)
        none = leaderboard.scaled(study, found, self._table(study), 'u1_10', 'mpe')
        self.assertEmpty(none)

    def test_one_repeat_and_networks_that_all_diverge_leave_nothing_to_warn_of(self):
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            frame = self._table(self._study(grid(('', 'inverse()')), repeats=1))
            self.assertEqual(set(frame['verdict']), {'', 'undecided'})
            lost = [('u1_10 none', 0), ('u1_10 none', 1)]
            study = self._study(grid(('', 'a()'), ('u1_10',)), repeats=2, diverged=lost)
            self.assertEmpty(places.places(study)[0])


if __name__ == '__main__':
    absltest.main()
