"""Tests of imbreg_jax.runner.study_run: whole studies in little; faults_test.py cuts them off."""

import contextlib
import pathlib
import shutil
from unittest import mock

import jax
import pandas as pd
from absl.testing import absltest

import kept_study
from imbreg_jax.compute import backend
from imbreg_jax.results import files
from imbreg_jax.results.workdir import Workdir, WorkdirError
from imbreg_jax.runner.study_run import StudyRun
from imbreg_jax.study import ConfigError
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


class StudyRunTest(kept_study.TestCase):
    def test_without_a_workdir_leaves_no_files_and_the_same_numbers(self):
        here = pathlib.Path(self.create_tempdir().full_path)
        with mock.patch.object(files, 'whole', side_effect=AssertionError):
            with contextlib.chdir(here):
                results = kept_study.run(None).finish()
        self.assertEmpty(list(here.iterdir()))
        pd.testing.assert_frame_equal(results, kept_study.table(self.reference))

    def test_a_finished_workdir_is_only_reported_on(self):
        shutil.copytree(self.reference, self.workdir)

        def report(workdir):
            with self.assertRaisesRegex(WorkdirError, 'is in use by a live process'):
                Workdir(workdir).__enter__()
            return f'of {workdir}'

        study = kept_study.run(None, name='else').study
        run = StudyRun(study, self.workdir, report=report)
        with mock.patch.object(backend, 'prepare', side_effect=AssertionError):
            with self.assertLogs('imbreg_jax', 'INFO') as logs:
                results = run.finish()
        self.assertIn('is finished: nothing is trained', logs.output[0])
        self.assertEqual(run.report, f'of {self.workdir}')
        pd.testing.assert_frame_equal(results, kept_study.table(self.reference))
        self.assertIs(run.results, results)

    def test_says_which_runs_ended_far_above_their_start(self):
        fields = {'training__learning_rate': 3.0, 'training__epochs': 1}
        with self.assertLogs('imbreg_jax', 'WARNING') as logs:
            kept_study.run(None, **fields).finish()
        self.assertRegex(
            logs.output[0],
            r'u1_10, repeat 1, ended far above .*: validation MSE [\d.e+]+, [\d.]+ before; a',
        )

    def test_refuses_the_workdir_of_another_study(self):
        with self.assertRaisesRegex(WorkdirError, 'holds another config .*seed: 0 -> 1'):
            kept_study.run(self.reference, seed=1).finish()

    def test_an_accelerator_that_is_required_and_absent_is_said(self):
        if jax.devices()[0].platform != 'cpu':
            self.skipTest('there is an accelerator')
        with self.assertRaisesRegex(ConfigError, 'require_accelerator = True: .* only the CPU'):
            kept_study.run(None, compute__require_accelerator=True).finish()

    def test_the_first_line_says_what_it_runs_on(self):
        with self.assertLogs('imbreg_jax', 'INFO') as logs:
            kept_study.run(None, training__epochs=1).finish()
        self.assertRegex(
            logs.output[0],
            rf'small: 4 runs \(2 conditions x 2 repeats\) in 1 program.* on \d+ .* device.*'
            rf'jax {jax.__version__}, Python .* GB of memory, data set cached',
        )


if __name__ == '__main__':
    absltest.main()
