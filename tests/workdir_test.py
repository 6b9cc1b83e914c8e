"""Tests of imbreg_jax.results.workdir."""

import json
import os
import pathlib
from unittest import mock

from absl.testing import absltest, parameterized

from imbreg_jax import study as study_lib
from imbreg_jax.results import workdir as workdir_lib
from imbreg_jax.results.workdir import Workdir, WorkdirError


class WorkdirTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(self.create_tempdir().full_path) / 'workdir'

    def _study(self, **fields) -> study_lib.Study:
        config = study_lib.default_config()
        config.update(fields)
        return study_lib.resolve(config)

    def _begun(self, **fields) -> Workdir:
        workdir = Workdir(self.path)
        with workdir:
            workdir.write_config(self._study(**fields), ['cpu 0'], 'cpu', {'started': 'now'})
        return workdir

    def test_takes_the_same_study_and_refuses_another(self):
        self._begun()
        Workdir(self.path).check(self._study())
        Workdir(self.path).check(self._study(name='other', compute={'checkpoint_seconds': 1.0}))
        with self.assertRaisesRegex(WorkdirError, r'another config \(seed: 0 -> 3; repeats.*\)'):
            Workdir(self.path).check(self._study(seed=3, repeats=4))

    def test_remembers_under_which_versions_it_was_trained(self):
        study = self._study()

        def begin(devices, jax_version):
            with (
                Workdir(self.path) as workdir,
                mock.patch.object(workdir_lib, 'versions', lambda: {'jax': jax_version}),
            ):
                workdir.check(study)
                workdir.write_config(study, devices, 'cpu', {})
                return workdir.held['history']

        self.assertLen(begin(['cpu 0'], '1'), 1)
        # As long as nothing is trained, only the last start counts.
        self.assertLen(begin(['cpu 1'], '1'), 1)
        (self.path / 'checkpoints' / f'step_{1:012d}').mkdir(parents=True)
        self.assertLen(begin(['cpu 1'], '1'), 1)
        before, after = begin(['cpu 1'], '2')
        self.assertEqual(workdir_lib.changes(before, after), 'jax 1 -> 2')
        self.assertEqual(begin(['cpu 1'], '2'), [before, after])

    def test_remembers_under_which_flags_it_was_trained(self):
        for flags in ('', '--xla_a=1'):
            with mock.patch.dict(os.environ, {'XLA_FLAGS': flags}), Workdir(self.path) as workdir:
                workdir.check(self._study())
                workdir.write_config(self._study(), ['cpu 0'], 'cpu', {})
                history = workdir.held['history']
            (self.path / 'checkpoints' / f'step_{1:012d}').mkdir(parents=True, exist_ok=True)
        self.assertEqual(workdir_lib.changes(*history), 'xla_flags  -> --xla_a=1')
        # What an earlier version wrote does not say.
        del history[0]['arithmetic']
        self.assertEqual(workdir_lib.changes(*history), 'xla_flags None -> --xla_a=1')

    def test_says_how_imbalanced_each_condition_is_and_goes_on_where_that_was_not_said(self):
        config = study_lib.default_config()
        config.conditions = {'all': {}, 'some': {'train_distribution': 'u1_5'}}
        study = study_lib.resolve(config)
        with Workdir(self.path) as workdir:
            workdir.write_config(study, ['cpu 0'], 'cpu', {'started': 'now'})
        held = json.loads(workdir.config.read_text())
        for name, entry in held['conditions'].items():
            self.assertEqual(entry.pop('imbalance'), study.imbalance[name])
        self.assertEqual(study.imbalance['some']['u1_10']['kullback_leibler'], 'infinity')
        self.assertNotIn('Infinity', workdir.config.read_text())
        del held['digest']
        # As an earlier version left it.
        workdir.config.write_text(json.dumps(held))
        with Workdir(self.path) as workdir:
            self.assertEqual(workdir.check(study), study)
            workdir.write_config(study, ['cpu 0'], 'cpu', {'started': 'now'})
        held = json.loads(workdir.config.read_text())
        self.assertEqual(held['conditions']['all']['imbalance'], study.imbalance['all'])

    def test_refuses_a_newer_format(self):
        workdir = self._begun()
        held = json.loads(workdir.config.read_text())
        workdir.config.write_text(json.dumps(held | {'format': 2}))
        with self.assertRaisesRegex(WorkdirError, 'has format 2, and this version .* up to 1; use'):
            Workdir(self.path).check(self._study())

    @parameterized.parameters(
        '', '{', '[]', '{}', '3', '{"format": 1}', '{"format": 1, "config": 3}', '{"format": "x"}',
        '{"format": 1, "config": {}}', '{"format": null, "config": {}}', '[' * 10**5,
    )  # fmt: skip
    def test_refuses_a_config_that_cannot_be_read(self, text):
        self.path.mkdir()
        (self.path / 'config.json').write_text(text)
        with self.assertRaisesRegex(WorkdirError, 'name another --workdir') as caught:
            Workdir(self.path).check(self._study())
        self.assertNotIn('\n', str(caught.exception))

    def test_checkpoints_of_which_nothing_says_what_they_are_of_are_refused(self):
        workdir = self._begun()
        self.assertIsNone(workdir.read_plan())
        (workdir.checkpoints / 'step_000000000001').mkdir(parents=True)
        self.assertTrue(workdir.begun())
        with self.assertRaisesRegex(WorkdirError, 'plan.json is missing'):
            workdir.read_plan()
        workdir.config.unlink()
        with self.assertRaisesRegex(WorkdirError, 'checkpoints and no config.json'):
            workdir.check(self._study())

    def test_a_plan_that_is_not_as_it_was_written_is_refused(self):
        workdir = self._begun()
        values = {'chunk_steps': [2, 3], 'mapping': 'map', 'cached': True}
        workdir.write_plan(values)
        self.assertEqual(workdir.read_plan(), values)
        text = workdir.plan.read_text()
        self.assertIn('"mapping": "map"', text)
        (workdir.checkpoints / 'step_000000000001').mkdir(parents=True)
        altered = [
            '', '{', '[]', '3', 'null', text[:-9], text.replace('2', '3', 1),
            text.replace('"map"', '"mep"'), text.replace('true', 'false'),
            text.replace('"mapping"', '"maping"'), text.replace('"digest": "', '"digest": "0'),
        ]  # fmt: skip
        for each in altered:
            self.assertNotEqual(each, text)
            workdir.plan.write_text(each)
            with self.assertRaisesRegex(WorkdirError, 'plan.json is .* with other digits'):
                workdir.read_plan()
        # Of before plans had a digest: whoever reads it checks its values.
        workdir.plan.write_text(json.dumps(values))
        self.assertEqual(workdir.read_plan(), values)
        # Nothing was trained under it.
        (workdir.checkpoints / 'step_000000000001').rmdir()
        workdir.plan.write_text('{')
        self.assertIsNone(workdir.read_plan())

    def test_a_config_that_is_not_as_it_was_written_is_refused(self):
        workdir = self._begun()
        text = workdir.config.read_text()
        held = workdir_lib.read_config(workdir.config)
        for old, new in (('"seed": 0', '"seed": 1'), ('1e-08', '1e-07'), ('"u1_10"', '"u1_11"')):
            self.assertIn(old, text)
            workdir.config.write_text(text.replace(old, new, 1))
            with self.assertRaisesRegex(WorkdirError, 'config.json is not as it was written; put'):
                workdir_lib.read_config(workdir.config)
        # Of before configs had one.
        del held['digest']
        workdir.config.write_text(json.dumps(held))
        self.assertEqual(workdir_lib.read_config(workdir.config), held)

    def test_knows_which_files_of_a_finished_study_changed(self):
        workdir = self._begun()
        self.assertIsNone(workdir.damaged())
        for name in workdir_lib.RESULT_FILES:
            (self.path / name).write_text(name)
        workdir.write_config(self._study(), ['cpu 0'], 'cpu', {}, finished=True)
        again = Workdir(self.path)
        again.check(self._study())
        self.assertEqual(again.damaged(), [])
        (self.path / 'results.csv').write_text('x')
        (self.path / 'weights.npz').unlink()
        self.assertEqual(again.damaged(), ['results.csv', 'weights.npz'])

    def test_how_a_finished_study_is_analysed_may_change_and_nothing_else(self):
        self._begun()
        workdir = Workdir(self.path)
        study = self._study(analysis={'confidence': 0.9}, compute={'steps_per_chunk': 7})
        workdir.check(study)
        workdir.write_analysis(study)
        held = workdir_lib.read_config(workdir.config)['config']
        self.assertEqual(held['analysis']['confidence'], 0.9)
        self.assertEqual(held['compute']['steps_per_chunk'], 100)


if __name__ == '__main__':
    absltest.main()
