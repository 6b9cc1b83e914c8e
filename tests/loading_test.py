"""Several workdirs become one study, or a sentence says why not."""

import dataclasses
import json
import os
import pathlib

import numpy as np
import pandas as pd
from absl.testing import absltest

import simulated_study
from imbreg_jax.analysis import finished, loading


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

    def test_values_are_read_to_the_last_bit(self):
        workdir = self._one('u1_10')
        rows = pd.read_csv(workdir / 'results.csv', keep_default_na=False)
        rows['value'] = rows['value'].astype(object)
        rows.loc[0, 'value'] = '0.1234567890123456789'
        rows.to_csv(workdir / 'results.csv', index=False)
        simulated_study.seal(workdir)
        study = loading.load([workdir])
        value = study.values('cnn', 'u1_10', 'u1_10', 'mse')[0]
        self.assertEqual(value, float('0.1234567890123456789'))

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

    def test_what_is_missing_or_damaged_is_named(self):
        for name in ('config.json', 'results.csv', 'metrics.jsonl', 'predictions.npz'):
            workdir = self._write(f'without_{name}')
            (workdir / name).write_bytes((workdir / name).read_bytes()[:40])
            with self.assertRaisesRegex(loading.AnalysisError, name):
                loading.load([workdir])
            (workdir / name).unlink()
            with self.assertRaisesRegex(loading.AnalysisError, f'{name} is not there'):
                loading.load([workdir])

    def _refused(self, workdir, message):
        with self.assertRaisesRegex(loading.AnalysisError, message) as caught:
            loading.load([workdir])
        self.assertNotIn('\n', str(caught.exception))

    def test_files_that_are_not_those_that_the_study_left_are_refused(self):
        workdir = self._one('u1_10')
        other = self._write('other', conditions={'u1_10': {}}, seed=1)
        for name in ('results.csv', 'metrics.jsonl', 'predictions.npz'):
            path = workdir / name
            content = path.read_bytes()
            last = content.rstrip(b'\n').rfind(b'\n')
            for altered in (
                content.replace(b'9', b'8', 1),  # edited
                content[: last + 1],  # cut
                content + content[last + 1 :],  # doubled
                (other / name).read_bytes(),  # of another study
                b'',
            ):
                path.write_bytes(altered)
                self._refused(workdir, f'{name} is not as the study left it; put it back')
            path.write_bytes(content)
        self.assertLen(loading.load([workdir]).runs, 3)

    def test_a_study_that_is_not_finished_is_refused(self):
        workdir = self._one('u1_10')
        header = json.loads((workdir / 'config.json').read_text())
        del header['finished']
        (workdir / 'config.json').write_text(json.dumps(header))
        self._refused(workdir, 'the study in this folder is not finished; train it')

    def test_a_config_that_was_edited_is_refused(self):
        workdir = self._one('u1_10')
        path = workdir / 'config.json'
        header = json.loads(path.read_text())
        path.write_text(json.dumps(header | {'digest': 'x'}))
        simulated_study.seal(workdir)
        loading.load([workdir])
        path.write_text(path.read_text().replace('"epochs": 15', '"epochs": 16'))
        self._refused(workdir, 'config.json is not as it was written; put it back')

    def test_results_that_do_not_fit_their_study_are_refused(self):
        workdir = self._one('u1_10')
        path = workdir / 'results.csv'
        text = path.read_text()
        lines = text.splitlines(keepends=True)
        for altered, message in (
            (text + lines[-1], f'results.csv has in line {len(lines) + 1} a value that it has bef'),
            (text.replace('u1_10,u1_10,cnn,', 'x,u1_10,cnn,'), "rows of condition 'x', which"),
            (text.replace(',cnn,2,', ',cnn,3,'), 'rows of repeat 3, which'),
            (text.replace(',u1_5,', ',u1_6,'), "rows of test_distribution 'u1_6', which"),
            (lines[0] + lines[1], "has no row of condition 'u1_10', repeat 1"),
            (text.replace(',cnn,2,', ',cnn,two,'), 'has a repeat that is no integer'),
            (lines[0], 'has a repeat that is no integer|has no row'),
            (text + 'u1_10,u1_10,cnn,0,,diverged_epoch,nan\n', 'diverged_epoch that is no epoch'),
            (text + 'u1_10,u1_10,cnn,0,u1_10,new,1,2,3\n', 'cannot be read'),
            (text + 'u1_10,u1_10,cnn,0,u1_10,new,x\n', 'has a value that is no number'),
            ('\0', 'results.csv'),
        ):
            path.write_text(altered)
            simulated_study.seal(workdir)
            self._refused(workdir, message)

    def test_metrics_that_do_not_fit_their_study_are_refused(self):
        workdir = self._one('u1_10')
        path = workdir / 'metrics.jsonl'
        text = path.read_text()
        for altered, message in (
            ('3\n' + text, 'cannot be read: line 1 has no condition, repeat and epoch'),
            (text.replace('"repeat": 1', '"repeat": 1.5'), 'has no condition, repeat and epoch'),
            (text.replace('"repeat": 1', '"repeat": 7'), 'rows of repeat 7, which'),
            (text.replace('"condition": "u1_10"', '"condition": "x"'), "condition 'x', which"),
            (text.replace('"train_loss": null', '"train_loss": {}'), 'train_loss that is no num'),
            (text.replace('"train_loss": null', '"train_loss": "x"'), 'train_loss that is no num'),
            ('[' * 10**5, 'cannot be read'),
            ('', 'has no row of condition'),
        ):
            path.write_text(altered)
            simulated_study.seal(workdir)
            self._refused(workdir, f'metrics.jsonl .*{message}')

    def test_predictions_that_do_not_fit_their_study_are_refused(self):
        workdir = self._write('two', conditions={'n5_5_1': {}, 'u1_10': {}})
        path = workdir / 'predictions.npz'
        with np.load(path) as file:
            arrays = dict(file)
        swapped = arrays['condition'].copy()
        swapped[0], swapped[3] = swapped[3], swapped[0]
        for made in (
            {},
            {'conditions': np.array(['n5_5_1', 'x'])},
            {'repeats': np.array([0, 1, 3])},
            {'test_distributions': np.array(['u1_10', 'u1_5'])},
            {'condition': arrays['condition'][:-1]},
            {'repeat': arrays['repeat'] + 1},
            {'condition': swapped, 'repeat': np.array([0, 1, 2, 1, 0, 2])},
            {'test_prediction': arrays['test_prediction'][:, :, 1:]},
            {'test_target': arrays['test_target'][0]},
            {'dense_prediction': arrays['dense_prediction'].astype(str)},
            {'validation_target': arrays['validation_target'][0]},
            {'moments': arrays['moments'][:, 1:]},
        ):
            kept = arrays | made if made else {k: v for k, v in arrays.items() if k != 'repeats'}
            np.savez(path, **kept)
            simulated_study.seal(workdir)
            self._refused(workdir, "predictions.npz does not fit its study's config.json: ")

    def test_a_header_with_values_of_another_kind_is_refused(self):
        workdir = self._one('u1_10')
        path = workdir / 'config.json'
        header = json.loads(path.read_text())
        for field, value in (
            ('conditions', None),
            ('conditions', {}),
            ('conditions', {'u1_10': 3}),
            ('conditions', {'u1_10': {'label': 3}}),
            ('test_distributions', ['u1_10']),
            ('timing', 3),
            ('timing', {'seconds': 'long'}),
            ('versions', []),
            ('devices', 3),
            ('config', header['config'] | {'repeats': 0}),
            ('config', header['config'] | {'seed': '0'}),
            ('config', header['config'] | {'first_repeat': 0.5}),
            ('config', header['config'] | {'analysis': 3}),
            ('config', header['config'] | {'analysis': {'confidence': 'high'}}),
            ('config', header['config'] | {'conditions': {'u1_10': 3}}),
            ('config', header['config'] | {'evaluation': {}}),
        ):
            path.write_text(json.dumps(header | {field: value}))
            self._refused(workdir, 'config.json (is damaged: |cannot be read as a config)')

    def test_files_that_are_no_files_are_refused_and_not_waited_for(self):
        for name in ('config.json', 'results.csv', 'metrics.jsonl', 'predictions.npz'):
            workdir = self._write(name, conditions={'u1_10': {}})
            (workdir / name).unlink()
            os.mkfifo(workdir / name)
            self._refused(workdir, f'{name} cannot be read .it is no regular file')
            (workdir / name).unlink()
            (workdir / name).symlink_to('/dev/zero')
            self._refused(workdir, f'{name} cannot be read .it is no regular file')

    def test_a_name_that_is_not_utf8_is_refused_in_a_sentence_that_can_be_printed(self):
        name = os.fsdecode(os.fsencode(self.root) + b'/w\xff')
        with self.assertRaisesRegex(loading.AnalysisError, 'a name that is not UTF-8') as caught:
            loading.load([name])
        str(caught.exception).encode()

    def test_a_newer_format_is_refused(self):
        workdir = self._one('u1_10')
        header = json.loads((workdir / 'config.json').read_text())
        (workdir / 'config.json').write_text(json.dumps({**header, 'format': 99}))
        with self.assertRaisesRegex(loading.AnalysisError, 'has format 99'):
            loading.load([workdir])

    def test_arrays_of_a_run_are_its_own(self):
        workdir = self._write('paper')
        study = loading.load([workdir])
        with np.load(workdir / 'predictions.npz') as arrays:
            np.testing.assert_array_equal(
                study.runs['n5_5_1', 2].test_prediction['u1_5'], arrays['test_prediction'][8, 1]
            )
            np.testing.assert_array_equal(
                study.runs['n5_5_1', 2].test_target['u1_5'], arrays['test_target'][2, 1, 2]
            )

    def test_each_condition_has_its_own_dense_target(self):
        # Not in the order in which the conditions are read.
        conditions = {'n5_5_1': {'train_distribution': 'n5_5_1'}, 'u1_10': {}}
        workdir = self._write('two', conditions=conditions)
        path = workdir / 'predictions.npz'
        with np.load(path) as file:
            arrays = dict(file)
        one = arrays['dense_generating']
        for stored, normal, balanced in (
            (np.stack([one, 1.1 * one]), one, 1.1 * one),
            # As files were before conditions could differ in their target.
            (one, one, one),
        ):
            np.savez(path, **{**arrays, 'dense_target': stored})
            simulated_study.seal(workdir)
            study = loading.load([workdir])
            for repeat in range(3):
                for name, expected in (('n5_5_1', normal), ('u1_10', balanced)):
                    np.testing.assert_array_equal(study.runs[name, repeat].dense_target, expected)


if __name__ == '__main__':
    absltest.main()
