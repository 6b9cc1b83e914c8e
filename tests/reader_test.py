"""A workdir is read as its study left it, or a sentence says what is wrong with it."""

import json
import os
import pathlib

import numpy as np
import pandas as pd
from absl.testing import absltest

import simulated_study
from imbreg_jax.analysis import loading


class ReaderTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.create_tempdir().full_path)

    def _write(self, name='u1_10', **options):
        options = {'conditions': {'u1_10': {}}, 'images': 50, 'repeats': 3, **options}
        return simulated_study.write(self.root / name, **options)

    def test_values_are_read_to_the_last_bit(self):
        workdir = self._write()
        rows = pd.read_csv(workdir / 'results.csv', keep_default_na=False)
        rows['value'] = rows['value'].astype(object)
        rows.loc[0, 'value'] = '0.1234567890123456789'
        rows.to_csv(workdir / 'results.csv', index=False)
        simulated_study.seal(workdir)
        study = loading.load([workdir])
        value = study.values('cnn', 'u1_10', 'u1_10', 'mse')[0]
        self.assertEqual(value, float('0.1234567890123456789'))

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
        workdir = self._write()
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
        workdir = self._write()
        header = json.loads((workdir / 'config.json').read_text())
        del header['finished']
        (workdir / 'config.json').write_text(json.dumps(header))
        self._refused(workdir, 'the study in this folder is not finished; train it')

    def test_a_config_that_was_edited_is_refused(self):
        workdir = self._write()
        path = workdir / 'config.json'
        header = json.loads(path.read_text())
        path.write_text(json.dumps(header | {'digest': 'x'}))
        simulated_study.seal(workdir)
        loading.load([workdir])
        path.write_text(path.read_text().replace('"epochs": 15', '"epochs": 16'))
        self._refused(workdir, 'config.json is not as it was written; put it back')

    def test_results_that_do_not_fit_their_study_are_refused(self):
        workdir = self._write()
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
        workdir = self._write()
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
        workdir = self._write()
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
            ('timing', {'conditions': {'u1_10': {'images': 1, 'seconds': 'long'}}}),
            ('timing', {'conditions': [1]}),
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
        workdir = self._write()
        header = json.loads((workdir / 'config.json').read_text())
        (workdir / 'config.json').write_text(json.dumps({**header, 'format': 99}))
        with self.assertRaisesRegex(loading.AnalysisError, 'has format 99'):
            loading.load([workdir])

    def test_arrays_of_a_run_are_its_own(self):
        workdir = self._write('paper', conditions=simulated_study.PAPER_CONDITIONS)
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
