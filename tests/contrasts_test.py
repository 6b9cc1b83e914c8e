"""Tests of imbreg_jax.analysis.contrasts: which pairs are asked about, and what is found."""

import pathlib

import numpy as np
import pandas as pd
from absl.testing import absltest

import simulated_remedies
import simulated_study
from imbreg_jax.analysis import contrasts, loading, places
from imbreg_jax.analysis.leaderboard import BETTER, SAME, WORSE

_SIMULATED = {
    'none': (0.8, 0.004, 0.01),
    'opposed': (1.2, 0.004, 0.01),
    'alike': (0.8, 0.004, 0.01),
}


def table(study, name, predictor='cnn'):
    """What one question finds."""
    rows = contrasts.QUESTIONS[name](study, places.places(study)[0], predictor)
    return contrasts.table(study, rows, name == 'laws')


class ContrastsTest(absltest.TestCase):
    def _study(self, conditions, *arguments, **options):
        folder = self.create_tempdir().full_path
        return simulated_remedies.write(folder, conditions, *arguments, **options)

    def _simulated(self, networks, conditions, **options):
        folder = self.create_tempdir().full_path
        options = {'repeats': 8, 'images': 200, 'test_distributions': ('u1_10',), **options}
        simulated_study.write(folder, conditions, networks, **options)
        return loading.load([folder])

    def test_missing_targets_are_of_laws_that_miss_some(self):
        conditions = simulated_remedies.grid(('', 'inverse()'))
        study = self._study(conditions, strata=simulated_remedies.strata)
        frame = table(study, 'missing')
        self.assertEqual(list(frame['law']), ['uniform(1, 5)'])
        self.assertEqual(list(frame['verdict']), [BETTER])
        base, own = (
            study.values('cnn', f'u1_5 {name}', 'u1_10', 'mae_zero')
            for name in ('none', 'inverse()')
        )
        self.assertAlmostEqual(frame['ratio'][0], np.exp(np.log(own / base).mean()), places=12)

    def test_parameters_are_compared_with_the_first_value_alone(self):
        remedies = (
            '',
            'smogn(k=5, relabel=False)',
            'smogn(k=5, relabel=True)',
            'smogn(k=7, relabel=True)',
            'inverse(bins=5)',
        )
        conditions = simulated_remedies.grid(remedies, ('u1_5',))
        study = self._study(conditions, lambda own: 0.05 if 'True' in own['remedy'] else 0.1)
        frame = table(study, 'parameters')
        own = frame[frame['metric'] == 'mse']
        self.assertEqual(
            [tuple(row) for row in own[['what', 'against', 'verdict']].itertuples(index=False)],
            [
                ('smogn, k=5: relabel=True', 'relabel=False', BETTER),
                ('smogn, relabel=True: k=7', 'k=5', SAME),
            ],
        )

    def test_a_law_is_the_same_where_its_remedy_makes_it_so(self):
        conditions = simulated_remedies.grid(('', 'homogeneous()'), ('u1_10', 'u1_5', 'n5_5_1'))
        biases = {'u1_10': 0.1, 'u1_5': 0.2, 'n5_5_1': 0.12}
        study = self._study(
            conditions,
            lambda own: 0.1 if own['remedy'] else biases[own['train_distribution']],
        )
        frame = table(study, 'laws')
        mse = frame[frame['metric'] == 'mse'].set_index(['what', 'law'])['verdict']
        self.assertEqual(mse['no remedy', 'uniform(1, 5)'], WORSE)
        self.assertEqual(mse['no remedy', 'normal(5.5, 1)'], WORSE)
        self.assertEqual(mse['homogeneous', 'uniform(1, 5)'], SAME)
        self.assertEqual(mse['homogeneous', 'normal(5.5, 1)'], SAME)
        self.assertEqual(set(frame['against']), {'U(1, 10)'})

    def test_laws_are_of_networks_without_a_remedy_too(self):
        conditions = {
            f'{law}-{norm}': simulated_remedies.of('', law, model__normalization=norm)
            for law in ('u1_10', 'u1_5')
            for norm in ('none', 'input')
        }
        study = self._study(conditions)
        self.assertLen(table(study, 'laws').groupby('what'), 2)
        self.assertEmpty(table(study, 'missing'))

    def test_each_law_has_the_rate_that_was_chosen_for_its_networks(self):
        best = {('', 'u1_10'): 1e-3, ('a()', 'u1_10'): 1e-2, ('', 'u1_5'): 1e-2}
        conditions = {
            f'{law} {r or "none"} {rate}': simulated_remedies.of(
                r, law, training__learning_rate=rate
            )
            for law in ('u1_10', 'u1_5')
            for r in ('', 'a()')
            for rate in (1e-3, 1e-2)
        }

        def validation(own):
            wanted = best.get((own['remedy'], own['train_distribution']), 1e-3)
            return 1.0 if own[places.RATE] == wanted else 2.0

        study = self._study(conditions, validation=validation)
        frame = table(study, 'laws')
        frame = frame[frame['metric'] == 'mse'].set_index('what')
        self.assertEqual(list(frame.index), ['no remedy', 'a'])
        for what, first, second in (
            ('no remedy', 'u1_5 none 0.01', 'u1_10 none 0.001'),
            ('a', 'u1_5 a() 0.001', 'u1_10 a() 0.01'),
        ):
            own, balanced = (study.values('cnn', n, 'u1_10', 'mse') for n in (first, second))
            wanted = np.exp(np.mean(np.log(own / balanced)))
            self.assertAlmostEqual(frame.loc[what, 'ratio'], wanted)

    def test_settings_compare_what_a_remedy_gives(self):
        conditions = {
            f'{remedy or "none"} {rate}': simulated_remedies.of(
                remedy, 'u1_5', model__conv_dropout_rate=rate
            )
            for rate in (0.5, 0.0)
            for remedy in ('', 'lds()')
        }

        def bias(own):
            return 0.05 if own['remedy'] or not own['model.conv_dropout_rate'] else 0.1

        study = self._study(conditions, bias)
        frame = table(study, 'settings')
        (row,) = frame[frame['metric'] == 'mse'].to_dict('records')
        self.assertEqual(row['verdict'], BETTER)
        self.assertIn('conv_dropout_rate = 0.5 to std, conv_dropout_rate = 0', row['against'])
        values = {name: study.values('cnn', name, 'u1_10', 'mse') for name in conditions}
        logs = np.log(values['lds() 0.5']) - np.log(values['none 0.5'])
        logs -= np.log(values['lds() 0.0']) - np.log(values['none 0.0'])
        self.assertAlmostEqual(row['ratio'], np.exp(logs.mean()), places=12)

    def test_what_networks_have_not_learnt_imbalance_cannot_cost(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        bias = {'': 0.1, 'lds()': 0.3}
        simulated_remedies.write(
            folder, simulated_remedies.grid(tuple(bias)), lambda own: bias[own['remedy']]
        )
        path = folder / 'results.csv'
        frame = pd.read_csv(path, keep_default_na=False, na_values={'value': ['']})
        constant = frame[(frame['predictor'] == 'cnn') & (frame['metric'] == 'mse')]
        frame = pd.concat([frame, constant.assign(predictor='best_constant', value=1.0)])
        frame.to_csv(path, index=False)
        simulated_study.seal(folder)
        study = loading.load([folder])
        self.assertEqual(contrasts.unlearnt(study), ['lds (std)'])
        self.assertEqual(set(table(study, 'laws')['what']), {'no remedy'})

    def test_settings_are_held_against_the_references_whatever_its_law_has(self):
        conditions = {
            f'{remedy or "none"} {rate}': simulated_remedies.of(
                remedy, 'u1_5', model__conv_dropout_rate=rate
            )
            for rate in (0.0, 0.3)
            for remedy in ('', 'lds()')
        }
        # The reference, of a law under which there is no remedy.
        conditions['balanced'] = simulated_remedies.of('', model__conv_dropout_rate=0.3)
        (row,) = table(self._study(conditions), 'settings').groupby('against')
        self.assertEqual(row[0], 'std, conv_dropout_rate = 0.3 to std, conv_dropout_rate = 0')

    def _averaged(self, **options):
        conditions = {
            'none': simulated_remedies.of('', 'u1_5'),
            'opposed': simulated_remedies.of('inverse()', 'u1_5'),
            'alike': simulated_remedies.of('lds()', 'u1_5'),
        }
        return self._simulated(_SIMULATED, conditions, **options)

    def test_errors_are_those_of_the_results_and_of_the_mean(self):
        study = self._averaged()
        found = contrasts.errors(study, 'uniform(1, 5)', ('opposed', 'none'), 'u1_10')
        for metric in ('mse', 'mape', 'mae'):
            opposed, none, mean = found[metric]
            for name, own in (('opposed', opposed), ('none', none)):
                kept = study.values('cnn', name, 'u1_10', metric)
                np.testing.assert_allclose(own, kept, rtol=1e-5)
        for repeat in study.repeats('none'):
            one, other = (study.runs[name, repeat] for name in ('opposed', 'none'))
            both = (one.test_prediction['u1_10'] + other.test_prediction['u1_10']) / 2
            away = np.abs(np.float64(both) - one.test_target['u1_10'])
            self.assertAlmostEqual(mean[repeat], away.mean(), delta=1e-6 * away.mean())

    def test_scaled_each_and_the_mean_has_its_own_factor(self):
        study = self._averaged()
        pair = ('opposed', 'none')
        found = contrasts.errors(study, 'uniform(1, 5)', pair, 'u1_10', 'cnn_scaled')
        for repeat in study.repeats('none'):
            runs = [study.runs[name, repeat] for name in pair]
            told = [np.float64(run.test_prediction['u1_10']) for run in runs]
            target = np.float64(runs[0].test_target['u1_10'])
            for predicted, values in zip([*told, sum(told) / 2], found['mse'], strict=True):
                _, (left,), *_ = np.linalg.lstsq(predicted[:, None], target, rcond=None)
                least = left / len(target)
                self.assertAlmostEqual(values[repeat], least, delta=1e-9 * least)

    def test_the_mean_of_opposed_errors_is_better_than_either(self):
        frame = table(self._averaged(), 'averaged')
        mse = frame[frame['metric'] == 'mse'].set_index(['what', 'against'])
        # What its best factor gives to each, their mean does not give again.
        left = table(self._averaged(), 'averaged', 'cnn_scaled')
        left = left[left['metric'] == 'mse'].set_index(['what', 'against'])
        for against in (contrasts.MEAN, contrasts.MEAN_TO_ALONE):
            self.assertEqual(mse.loc[('inverse', against), 'verdict'], BETTER)
            self.assertLess(mse.loc[('inverse', against), 'ratio'], 0.5)
            self.assertGreater(left.loc[('inverse', against), 'ratio'], 0.5)
            self.assertEqual(mse.loc[('lds', against), 'verdict'], SAME)
            self.assertAlmostEqual(mse.loc[('lds', against), 'ratio'], 1, places=9)

    def _kept(self, verdicts):
        """What is kept, of (MAE of zero-shot, of many-shot) by what is compared."""
        rows = [
            {
                'setting': 'std', 'law': 'l', 'what': 'r', 'test_distribution': 't',
                'against': against, 'metric': metric, 'ratio': 1.0, 'verdict': verdict,
            }
            for against, both in verdicts.items()
            for metric, verdict in zip(('mae_zero', 'mae_many'), both, strict=True)
        ]  # fmt: skip
        (row,) = contrasts.kept(pd.DataFrame(rows)).to_dict('records')
        return row['keeps_alone'], row['keeps_mean']

    def test_both_are_kept_where_rare_is_better_and_frequent_no_worse(self):
        for verdicts, expected in (
            ((BETTER, SAME), 'stands'),
            ((BETTER, BETTER), 'stands'),
            ((BETTER, WORSE), 'fails'),
            ((WORSE, SAME), 'fails'),
            ((SAME, SAME), 'undecided'),
            ((BETTER, 'undecided'), 'undecided'),
        ):
            found = self._kept({contrasts.ALONE: (WORSE, SAME), contrasts.MEAN: verdicts})
            self.assertEqual(found, ('fails', expected), verdicts)

    def test_strata_go_by_the_law(self):
        kept = contrasts.kept(table(self._averaged(), 'averaged'))
        self.assertEqual(list(kept['stratum']), ['mae_zero'] * 2)
        self.assertEqual(list(kept['keeps_mean']), ['stands', 'undecided'])

    def test_two_plain_networks_are_the_control_and_no_remedy(self):
        conditions = {
            'none': simulated_remedies.of('', 'u1_5'),
            'two': simulated_remedies.of('ensemble(size=2)', 'u1_5'),
            'opposed': simulated_remedies.of('inverse()', 'u1_5'),
        }
        networks = {**_SIMULATED, 'two': (0.85, 0.004, 0.01)}
        frame = table(self._simulated(networks, conditions), 'averaged')
        self.assertEqual(set(frame['what']), {'inverse'})
        own = frame[(frame['metric'] == 'mse') & (frame['against'] == contrasts.MEAN_TO_TWO)]
        self.assertEqual(list(own['verdict']), [BETTER])

    def test_corrections_run_over_what_is_held_against_one_thing(self):
        conditions = simulated_remedies.grid(('', 'a()', 'b()', 'c()'), ('u1_5',))
        frame = table(self._study(conditions, lambda own: 0.1), 'averaged')
        for _, part in frame.groupby(['against', 'metric']):
            self.assertLen(part, 3)
            self.assertAlmostEqual(part['holm_same_p'].min(), min(1, 3 * part['same_p'].min()))


if __name__ == '__main__':
    absltest.main()
