"""Tests of imbreg_jax.runner: whole studies in little; faults_test.py cuts them off."""

import dataclasses
import json
import pathlib
from unittest import mock

import jax
import ml_collections
import numpy as np
import pandas as pd
from absl.testing import absltest

import imbreg_jax
import small_study
from imbreg_jax import runner
from imbreg_jax.results import checkpoints
from imbreg_jax.results.checkpoints import CheckpointError
from imbreg_jax.results.workdir import Workdir, WorkdirError
from imbreg_jax.study import ConfigError
from imbreg_jax.training import engine as engine_lib
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_RESULTS = ('results.csv', 'predictions.npz', 'weights.npz', 'metrics.jsonl')
_CONDITIONS = {'u1_10': {'train_distribution': 'u1_10'}, 'u1_5': {'train_distribution': 'u1_5'}}


def _config(conditions=None, **fields) -> ml_collections.ConfigDict:
    fields = {'compute__checkpoint_seconds': 0.0, 'compute__compilation_cache': True} | fields
    fields = {'analysis__bootstrap_resamples': 99} | fields
    return small_study.config(_CONDITIONS if conditions is None else conditions, **fields)


class _Abandoned(BaseException):
    """Ends a study as a kill would, but for its process."""


class RunnerTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = pathlib.Path(absltest.TEST_TMPDIR.value) / 'runner_test'
        cls.reference = cls.root / 'reference'
        cls.table = imbreg_jax.run_study(cls._cached(), cls.reference)

    @classmethod
    def _cached(cls, conditions=None, **fields):
        return _config(conditions, compute__compilation_cache_dir=small_study.COMPILED, **fields)

    def setUp(self):
        super().setUp()
        self.workdir = pathlib.Path(self.create_tempdir().full_path) / 'w'
        # What a report says is tested elsewhere.
        self.enter_context(mock.patch.object(runner.analysis, 'build'))

    def _assert_same_results(self, workdir=None):
        for name in _RESULTS:
            found = ((workdir or self.workdir) / name).read_bytes()
            self.assertEqual(found, (self.reference / name).read_bytes(), name)

    def test_leaves_every_file_and_returns_the_table(self):
        names = {path.name for path in self.reference.iterdir()}
        self.assertContainsSubset(
            {*_RESULTS, 'config.json', 'plan.json', 'report.html', 'tables', 'figures'}, names
        )
        self.assertIsInstance(self.table, pd.DataFrame)
        held = json.loads((self.reference / 'config.json').read_text())
        self.assertEqual(held['format'], 1)
        self.assertContainsSubset(
            {'started', 'finished', 'seconds', 'compile_seconds', 'images_per_second'},
            held['timing'],
        )
        rows = [json.loads(x) for x in (self.reference / 'metrics.jsonl').read_text().splitlines()]
        self.assertEqual(
            [(row['epoch'], row['condition'], row['repeat']) for row in rows],
            [(e, c, k) for e in (0, 1, 2) for c in ('u1_10', 'u1_5') for k in (0, 1)],
        )
        self.assertLen(checkpoints.names(self.reference / 'checkpoints'), 2)

    def test_without_a_workdir_leaves_no_files_and_the_same_numbers(self):
        here = pathlib.Path(self.create_tempdir().full_path)
        with mock.patch.object(runner.files, 'whole', side_effect=AssertionError):
            with runner.contextlib.chdir(here):
                table = imbreg_jax.run_study(self._cached())
        self.assertEmpty(list(here.iterdir()))
        pd.testing.assert_frame_equal(table, self.table)

    def test_a_stop_saves_and_a_resumed_study_ends_with_the_same_bytes(self):
        train_chunk = engine_lib.Engine.train_chunk
        starts = 0
        while True:
            stop = runner.StopRequest()

            def chunk(*args, stop=stop):
                stop.signal = 15
                return train_chunk(*args)

            starts += 1
            study = small_study.study_lib.resolve(self._cached(compute__runs_per_program=0))
            run = runner.StudyRun(study, self.workdir, stop)
            with mock.patch.object(engine_lib.Engine, 'train_chunk', chunk):
                try:
                    run.finish()
                    break
                except runner.Stopped:
                    self.assertEqual((self.workdir / '.lock').read_text(), '')
            self.assertLess(starts, 10)
        # Two epochs of two chunks, each in a process of its own, so to speak; then the rest.
        self.assertEqual(starts, 5)
        self._assert_same_results()

    def _abandon(self, owner, name, when=lambda *_: True, **fields):
        """Runs a study that ends without a word where a method is called."""
        inner = getattr(owner, name)

        def method(*args):
            if when(*args):
                raise _Abandoned
            return inner(*args)

        study = small_study.study_lib.resolve(self._cached(**fields))
        with mock.patch.object(owner, name, method), self.assertRaises(_Abandoned):
            runner.StudyRun(study, self.workdir).finish()

    def test_a_stop_while_networks_are_evaluated_loses_only_their_evaluation(self):
        # Long after the last checkpoint that would be due: what is saved is saved for this.
        fields = {'compute__checkpoint_seconds': 1e6}
        self._abandon(runner.evaluator.Evaluator, 'finish', **fields)
        stop = runner.StopRequest()
        stop.signal = 15
        study = small_study.study_lib.resolve(self._cached(**fields))
        with mock.patch.object(runner.evaluator.Evaluator, 'finish', side_effect=AssertionError):
            with self.assertRaises(runner.Stopped):
                runner.StudyRun(study, self.workdir, stop).finish()
        with mock.patch.object(engine_lib.Engine, 'train_chunk', side_effect=AssertionError):
            with self.assertLogs('imbreg_jax', 'INFO') as logs:
                imbreg_jax.run_study(self._cached(**fields), self.workdir)
        self.assertIn('program 1 of 1, where its trained networks are evaluated', str(logs.output))
        self._assert_same_results()

    def test_rows_of_lost_steps_are_recorded_once(self):
        # Both epochs are in metrics.jsonl when it ends, and no checkpoint knows of either.
        self._abandon(runner.checkpoints, 'save', compute__checkpoint_seconds=1e6)
        before = (self.workdir / 'metrics.jsonl').read_bytes()
        self.assertLen(before.splitlines(), 12)
        self._abandon(engine_lib.Engine, 'train_chunk', compute__checkpoint_seconds=1e6)
        self.assertLen((self.workdir / 'metrics.jsonl').read_bytes().splitlines(), 4)
        imbreg_jax.run_study(self._cached(), self.workdir)
        self._assert_same_results()

    def test_positions_that_hold_rows_are_resumed_from(self):
        self._abandon(engine_lib.Engine, 'train_chunk', lambda _, __, epoch, ___: epoch == 1)
        folder = self.workdir / 'checkpoints'
        metrics = (self.workdir / 'metrics.jsonl').read_text().splitlines()
        for name in checkpoints.names(folder):
            position = json.loads((folder / name / 'position.json').read_text())
            del position['journal']
            epochs = position['epoch'] + 1
            position['rows'] = [json.loads(line) for line in metrics[: 4 * epochs]]
            (folder / name / 'position.json').write_text(json.dumps(position))
            manifest = json.dumps(checkpoints._digests(folder / name))
            (folder / name / 'manifest.json').write_text(manifest)
        (folder / 'epochs.jsonl').unlink()
        with self.assertLogs('imbreg_jax', 'INFO') as logs:
            imbreg_jax.run_study(self._cached(), self.workdir)
        self.assertIn('resuming in program 1 of 1, epoch 2', str(logs.output))
        self._assert_same_results()

    def test_epochs_that_were_edited_are_refused(self):
        self._abandon(engine_lib.Engine, 'train_chunk', lambda _, __, epoch, ___: epoch == 1)
        path = self.workdir / 'checkpoints' / 'epochs.jsonl'
        path.write_bytes(path.read_bytes().replace(b'"repeat": 1', b'"repeat": 0', 1))
        with self.assertRaisesRegex(CheckpointError, 'epochs.jsonl, which it needs, is damaged'):
            imbreg_jax.run_study(self._cached(), self.workdir)

    def test_a_finished_workdir_is_only_reported_on(self):
        with mock.patch.object(runner.backend, 'prepare', side_effect=AssertionError):
            with self.assertLogs('imbreg_jax', 'INFO') as logs:
                run = runner.StudyRun(
                    small_study.study_lib.resolve(self._cached(name='else')), self.reference
                )
                run.finish()
        self.assertIn('is finished: nothing is trained', logs.output[0])
        runner.analysis.build.assert_called_once()

    def test_a_report_that_cannot_be_made_loses_nothing_and_is_made_by_the_next_start(self):
        runner.analysis.build.side_effect = ValueError("'nonsense' is no backend\nat all.")
        with self.assertRaisesRegex(
            runner.analysis.AnalysisError,
            r'holds the finished study, but its report could not be made: ValueError in .*\.py, '
            r"line \d+: 'nonsense' is no backend at all; the same command makes it again$",
        ):
            imbreg_jax.run_study(self._cached(), self.workdir)
        self._assert_same_results()
        self.assertIn('finished', json.loads((self.workdir / 'config.json').read_text()))
        runner.analysis.build.side_effect = None
        with mock.patch.object(runner.backend, 'prepare', side_effect=AssertionError):
            study = small_study.study_lib.resolve(self._cached())
            run = runner.StudyRun(study, self.workdir)
            run.finish()
        self.assertIs(run.report, runner.analysis.build.return_value)

    def test_a_full_disk_under_the_report_is_no_fault_of_the_report(self):
        runner.analysis.build.side_effect = OSError(28, 'No space left on device', 'x')
        study = small_study.study_lib.resolve(self._cached())
        with self.assertRaisesRegex(OSError, 'No space left'):
            runner.StudyRun(study, self.reference).finish()

    def test_refuses_the_workdir_of_another_study(self):
        with self.assertRaisesRegex(WorkdirError, 'holds another config .*seed: 0 -> 1'):
            imbreg_jax.run_study(self._cached(seed=1), self.reference)

    def test_refuses_a_checkpoint_that_does_not_fit(self):
        self.workdir.mkdir()
        for name in ('config.json', 'plan.json'):
            (self.workdir / name).write_bytes((self.reference / name).read_bytes())
        held = json.loads((self.workdir / 'config.json').read_text())
        del held['finished'], held['digest']
        (self.workdir / 'config.json').write_text(json.dumps(held))
        position = {
            'unit': 0, 'epoch': 1, 'chunk': 0, 'rows': [], 'outcomes': [], 'seconds': 0.0,
            'compile_seconds': 0.0,
        }  # fmt: skip
        arrays = [np.zeros(3, np.float32), np.zeros(4)]
        checkpoints.save(self.workdir / 'checkpoints', 4, arrays, position, 2)
        with self.assertRaisesRegex(CheckpointError, 'holds 1 arrays that are not the'):
            imbreg_jax.run_study(self._cached(), self.workdir)

    def test_a_study_is_resumed_on_the_cores_it_was_begun_on(self):
        (self.workdir / 'checkpoints' / 'step_000000000001').mkdir(parents=True)
        held = json.loads((self.reference / 'config.json').read_text())
        del held['finished'], held['digest']
        (self.workdir / 'config.json').write_text(json.dumps(held))
        plan = json.loads((self.reference / 'plan.json').read_text())
        self.assertEqual(plan['cores'], runner.backend.threads())
        del plan['digest']
        Workdir(self.workdir).write_plan(plan | {'cores': 77})
        # As many are asked for; a process whose JAX was in use before cannot give them.
        prepare = runner.backend.prepare
        with mock.patch.object(runner.backend, 'prepare', side_effect=prepare) as asked:
            with self.assertRaisesRegex(WorkdirError, r'was begun on 77 core\(s\), and JAX was in'):
                imbreg_jax.run_study(self._cached(), self.workdir)
        self.assertEqual(asked.call_args.args[1], 77)

    def test_a_damaged_plan_is_refused_once_something_is_trained(self):
        self.workdir.mkdir()
        for name in ('config.json', 'checkpoints/x'):
            (self.workdir / name).parent.mkdir(exist_ok=True)
        (self.workdir / 'checkpoints' / 'step_000000000001').mkdir()
        held = json.loads((self.reference / 'config.json').read_text())
        del held['finished'], held['digest']
        (self.workdir / 'config.json').write_text(json.dumps(held))
        for text, message in (
            ('{', 'is unreadable'),
            ('{"a": 1}', 'is no plan that this version knows'),
            ('[]', 'is no plan'),
        ):
            (self.workdir / 'plan.json').write_text(text)
            with self.assertRaisesRegex(WorkdirError, message):
                imbreg_jax.run_study(self._cached(), self.workdir)

    def test_an_accelerator_that_is_required_and_absent_is_said(self):
        if jax.devices()[0].platform != 'cpu':
            self.skipTest('there is an accelerator')
        with self.assertRaisesRegex(ConfigError, 'require_accelerator = True: .* only the CPU'):
            imbreg_jax.run_study(self._cached(compute__require_accelerator=True))

    def test_the_first_line_says_what_it_runs_on(self):
        with self.assertLogs('imbreg_jax', 'INFO') as logs:
            imbreg_jax.run_study(self._cached(training__epochs=1))
        self.assertRegex(
            logs.output[0],
            rf'small: 4 runs \(2 conditions x 2 repeats\) in 1 program.* on \d+ .* device.*'
            rf'jax {jax.__version__}, Python .* GB of memory, data set cached',
        )

    def test_a_run_that_diverges_is_marked_and_the_others_are_untouched(self):
        study = small_study.study_lib.resolve(self._cached())
        balanced, wild = study.conditions
        # No config may say so: the first step moves every weight by 1e30, then the loss overflows.
        training = dataclasses.replace(wild.training, learning_rate=1e30)
        wild = dataclasses.replace(wild, training=training)
        study = dataclasses.replace(study, conditions=(balanced, wild))
        runner.StudyRun(study, self.workdir).finish()
        results, before = (
            pd.read_csv(path / 'results.csv', keep_default_na=False, dtype={'value': str})
            for path in (self.workdir, self.reference)
        )
        for condition in ('u1_10', ''):
            pd.testing.assert_frame_equal(
                results[results.condition == condition].reset_index(drop=True),
                before[before.condition == condition].reset_index(drop=True),
            )
        lost = results[results.condition == 'u1_5']
        marks = lost[lost.metric == 'diverged_epoch']
        self.assertEqual(list(marks.repeat), [0, 1])
        self.assertEqual(list(map(float, marks.value)), [1.0, 1.0])
        self.assertEqual(set(lost[lost.metric != 'diverged_epoch'].value), {'nan'})
        with np.load(self.workdir / 'weights.npz') as weights:
            for name, value in weights.items():
                self.assertTrue(np.isfinite(value).all(), name)
        table = runner.tables.results_table(results.assign(value=[float(v) for v in results.value]))
        self.assertEqual(set(table[table.condition == 'u1_5'].diverged), {2})


if __name__ == '__main__':
    absltest.main()
