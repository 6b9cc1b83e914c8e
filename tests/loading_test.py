"""Several workdirs become one study, or a sentence says why not."""

import dataclasses
import json
import pathlib

import numpy as np
import pandas as pd
from absl.testing import absltest

import simulated_study
from imbreg_jax.analysis import finished, leaderboard, loading
from imbreg_jax.analysis.sections import shrinkage, warnings


class LoadingTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.create_tempdir().full_path)

    def _write(self, name, **options):
        return simulated_study.write(self.root / name, **{'images': 50, 'repeats': 3, **options})

    def _one(self, name, **options):
        return self._write(
            name, conditions={name: simulated_study.PAPER_CONDITIONS[name]}, **options
        )

    def test_single_condition_workdirs_merge_to_what_one_workdir_holds(self):
        together = loading.load([self._write('paper')])
        apart = loading.load([self._one(name) for name in simulated_study.PAPER_CONDITIONS])
        self.assertEqual(list(together.conditions), list(apart.conditions))
        self.assertEqual(together.variants(), apart.variants())
        for condition in together.conditions:
            for test in ('u1_10', 'all'):
                pd.testing.assert_series_equal(
                    together.values('cnn', condition, test, 'mse'),
                    apart.values('cnn', condition, test, 'mse'),
                )
        self.assertLen(apart.values('random_guess', '', 'u1_10', 'mse'), 3)

    def _guessing(self, name, factor, repeats=3, **fields):
        """Returns a workdir of one condition whose random guesses score otherwise."""
        workdir = self._one(name, repeats=repeats)
        path = workdir / 'results.csv'
        rows = pd.read_csv(path, keep_default_na=False)
        rows.loc[rows['predictor'] == 'random_guess', 'value'] *= factor
        rows.to_csv(path, index=False)
        header = json.loads((workdir / 'config.json').read_text())
        header['config']['evaluation'].update(fields)
        (workdir / 'config.json').write_text(json.dumps(header))
        simulated_study.seal(workdir)
        return workdir

    def test_each_network_is_held_against_the_guess_of_its_own_workdir(self):
        first, second = self._one('u1_10'), self._guessing('u1_5', 0.5, guess_high=5.0)
        third = self._one('n5_5_1')
        study = loading.load([first, second, third])
        (note,) = study.notes
        self.assertIn("Workdir 'u1_5' holds other random guesses than 'u1_10'", note)
        self.assertIn('evaluation.guess_high is 5.0 there and 10.0 here', note)
        common = study.values('random_guess', '', 'u1_10', 'mse')
        self.assertLen(common, 3)
        for condition, factor in (('u1_10', 1), ('u1_5', 0.5), ('n5_5_1', 1)):
            found = study.baseline(condition, 'u1_10', 'mse')
            np.testing.assert_allclose(found, factor * common, rtol=1e-12)
            self.assertEqual(list(found.index), [0, 1, 2])
        held = study.baseline_condition('u1_5', 'u1_10', 'mse')
        self.assertIn('u1_5/results.csv', study.source('random_guess', held, 'u1_10', 'mse'))

    def test_workdirs_that_guess_alike_share_one_baseline(self):
        study = loading.load([self._one('u1_10'), self._one('u1_5')])
        self.assertEmpty(study.notes)
        self.assertEqual(study.baseline_condition('u1_5', 'u1_10', 'mse'), '')

    def test_a_baseline_of_a_diverged_network_still_counts(self):
        workdirs = [self._one('u1_10'), self._guessing('u1_5', 0.5)]
        study = loading.load(workdirs)
        study = dataclasses.replace(study, diverged={('u1_5', 1): 3})
        self.assertLen(study.baseline('u1_5', 'u1_10', 'mse'), 3)
        self.assertIn('although their configs name no reason', study.notes[0])

    def test_one_name_for_two_test_distributions_is_refused(self):
        first, second = self._one('u1_10'), self._one('u1_5')
        header = json.loads((second / 'config.json').read_text())
        header['test_distributions']['n5_5_1']['spec'] = 'normal(5.5, 2)'
        (second / 'config.json').write_text(json.dumps(header))
        simulated_study.seal(second)
        with self.assertRaisesRegex(
            loading.AnalysisError, r"test distribution 'n5_5_1' of workdir 'u1_5' is normal\(5.5, 2"
        ):
            loading.load([first, second])

    def test_more_repeats_of_a_condition_are_joined(self):
        study = loading.load(
            [
                self._one('u1_10'),
                self._write(
                    'more', conditions={'u1_10': {'train_distribution': 'u1_10'}}, first_repeat=3
                ),
            ]
        )
        self.assertEqual(study.repeats('u1_10'), [0, 1, 2, 3, 4, 5])

    def test_sources_name_the_lines_of_the_file(self):
        workdir = self._one('u1_10')
        source = loading.load([workdir]).source('cnn', 'u1_10', 'u1_10', 'mse')
        lines = (workdir / 'results.csv').read_text().splitlines()
        first = int(source.split('lines ')[1].split('–')[0])
        self.assertTrue(lines[first - 1].startswith('u1_10,u1_10,cnn,0,u1_10,mse,'))
        self.assertIn('(3 rows: ', source)

    def test_diverged_runs_do_not_count(self):
        study = loading.load([self._write('paper', diverged=[('u1_5', 1)])])
        self.assertEqual(study.diverged, {('u1_5', 1): 3})
        self.assertEqual(study.repeats('u1_5'), [0, 2])
        self.assertEqual(list(study.values('cnn', 'u1_5', 'u1_10', 'mse').index), [0, 2])
        self.assertEqual(study.repeats('u1_10'), [0, 1, 2])

    def test_of_folds_each_data_set_counts_once(self):
        folder = self._write(
            'folds',
            conditions={'u1_10': {'train_distribution': 'u1_10'}},
            networks={'u1_10': (0.9, 0.01, 0.02)},
            repeats=6,
            diverged=[('u1_10', 2)],
        )
        plain = loading.load([folder]).values('cnn', 'u1_10', 'u1_10', 'mse')
        header = json.loads((folder / 'config.json').read_text('utf-8'))
        header['config']['data']['folds'] = 2
        (folder / 'config.json').write_text(json.dumps(header), encoding='utf-8')
        simulated_study.seal(folder)
        study = loading.load([folder])
        found = study.values('cnn', 'u1_10', 'u1_10', 'mse')
        # Of repeats 2 and 3 one diverged, so that data set 1 is not whole.
        self.assertEqual(list(found.index), [0, 2])
        self.assertAlmostEqual(found[0], plain[[0, 1]].mean())
        self.assertAlmostEqual(found[2], plain[[4, 5]].mean())
        guesses = study.baseline('u1_10', 'u1_10', 'mse')
        self.assertEqual(list(guesses.index), [0, 1, 2])
        # All folds were trained, so that there is nothing to be trained.
        (said,) = [text for text in warnings.warnings(study) if 'folds' in text]
        self.assertIn('over data sets with all of their folds, of which there are 2;', said)

    def test_data_sets_that_lack_folds_are_named_and_do_not_count(self):
        made = {'conditions': {'u1_10': {}}, 'networks': {'u1_10': (0.9, 0.01, 0.02)}}

        def said(*folders):
            for folder in folders:
                header = json.loads((folder / 'config.json').read_text('utf-8'))
                header['config']['data']['folds'] = 3
                (folder / 'config.json').write_text(json.dumps(header), encoding='utf-8')
                simulated_study.seal(folder)
            study = loading.load(folders)
            values = study.values('cnn', 'u1_10', 'u1_10', 'mse')
            self.assertEqual(list(values.index), study.data_sets('u1_10'))
            return study, [text for text in warnings.warnings(study) if 'folds' in text]

        part = self._write('part', repeats=2, **made)
        study, texts = said(part)
        self.assertIn('of which there are 0; with fewer than two,', texts[0])
        self.assertIn('data set 0 lacks repeat 2: ', texts[1])
        self.assertEmpty(study.trained)
        self.assertEmpty(leaderboard.resamples(study)[0])
        rest = self._write('rest', repeats=5, first_repeat=2, **made)
        study, texts = said(part, rest)
        self.assertIn('of which there are 2; curves', texts[0])
        self.assertIn('data set 2 lacks repeats 7, 8: ', texts[1])
        np.testing.assert_array_equal(leaderboard.resamples(study)[0], [0, 1])
        # Another condition has what the first lacks.
        other = self._write(
            'other',
            conditions={'u1_5': {'train_distribution': 'u1_5'}},
            networks={'u1_5': (0.9, 0.01, 0.02)},
            repeats=9,
        )
        study, texts = said(part, rest, other)
        self.assertIn('of which there are 2 to 3, by condition; curves', texts[0])
        self.assertStartsWith(texts[1], f'{study.titles["u1_10"]}: Of its 3 folds data set 2')

    def test_moments_of_an_earlier_version_that_are_not_of_the_prediction_are_dropped(self):
        specs = {
            'plain': '',
            'weighted': 'inverse + evidential',
            'logarithm': 'log_target',
            'bagged': 'balanced_mse(space="log") + lds',
            'voted': 'uvote',
            'of_ones_own': 'not_there_now(a=1)',
        }
        folder = self._write(
            'remedies',
            conditions={name: {'remedy': spec} for name, spec in specs.items()},
            networks=dict.fromkeys(specs, (0.9, 0.01, 0.02)),
        )
        study = loading.load([folder])
        having = {name for (name, _), run in study.runs.items() if run.moments}
        self.assertEqual(having, {'plain', 'weighted', 'of_ones_own'})
        content = shrinkage.SECTION.build(study)
        (frame, *_) = (table.frame for table in content.tables)
        self.assertEqual(set(frame['condition']), having)
        left_out = ', '.join(study.titles[name] for name in specs if name not in having)
        self.assertEndsWith(content.notes[-1], f'those of {left_out}.')

    def test_conditions_that_differ_in_settings_are_variants(self):
        study = loading.load(
            [
                self._write(
                    'sensitivity',
                    conditions={
                        'paper': {},
                        'relu_pool': {'model': {'order': 'relu_pool'}},
                        'relu_pool_u1_5': {
                            'model.order': 'relu_pool',
                            'train_distribution': 'u1_5',
                        },
                    },
                    networks=dict.fromkeys(
                        ('paper', 'relu_pool', 'relu_pool_u1_5'), (0.9, 0.01, 0.03)
                    ),
                )
            ]
        )
        self.assertEqual(
            study.variants(),
            [
                finished.Variant('', {'u1_10': 'paper'}),
                finished.Variant(
                    'model.order = relu_pool', {'u1_10': 'relu_pool', 'u1_5': 'relu_pool_u1_5'}
                ),
            ],
        )

    def test_conditions_are_read_in_the_papers_order_whatever_order_the_config_has(self):
        conditions = {
            'n5_5_1-relu_pool': {'train_distribution': 'n5_5_1', 'model': {'order': 'relu_pool'}},
            'n5_5_1': {'train_distribution': 'n5_5_1'},
            'triangular': {'train_distribution': 'triangular(1, 5, 10)'},
            'u1_10': {'train_distribution': 'u1_10'},
        }
        study = loading.load(
            [
                self._write(
                    'sorted',
                    conditions=conditions,
                    networks=dict.fromkeys(conditions, (0.9, 0.01, 0.03)),
                )
            ]
        )
        self.assertEqual(
            list(study.conditions), ['u1_10', 'n5_5_1', 'triangular', 'n5_5_1-relu_pool']
        )
        self.assertEqual([v.name for v in study.variants()], ['', 'model.order = relu_pool'])
        self.assertEqual(study.conditions['n5_5_1-relu_pool'].title, 'N(5.5, 1)-relu_pool')

    def test_settings_that_are_not_the_papers_are_said(self):
        workdir = self._one('u1_10')
        header = json.loads((workdir / 'config.json').read_text())
        header['config']['training']['epochs'] = 3
        (workdir / 'config.json').write_text(json.dumps(header))
        self.assertIn(
            'training.epochs is 3; the paper has 15', loading.load([workdir]).departures()
        )

    def test_other_seeds_are_refused(self):
        with self.assertRaisesRegex(loading.AnalysisError, "'u1_5' has seed 1 and 'u1_10' has 0"):
            loading.load([self._one('u1_10'), self._one('u1_5', seed=1)])

    def test_one_condition_with_two_sets_of_values_is_refused(self):
        first, second = (
            self._one('u1_10'),
            self._write('again', conditions={'u1_10': {'train_distribution': 'u1_10'}}),
        )
        path = second / 'results.csv'
        rows = pd.read_csv(path, keep_default_na=False)
        rows.loc[0, 'value'] = 7.0
        rows.to_csv(path, index=False)
        simulated_study.seal(second)
        with self.assertRaisesRegex(
            loading.AnalysisError, "condition 'u1_10', repeat 0, has other"
        ):
            loading.load([first, second])


if __name__ == '__main__':
    absltest.main()
