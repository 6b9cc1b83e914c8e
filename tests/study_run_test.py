"""Tests of imbreg_jax.runner.study_run: whole studies in little; faults_test.py cuts them off."""

import contextlib
import json
import pathlib
import shutil
from unittest import mock

import jax
import pandas as pd
import pytest
from absl.testing import absltest

import kept_study
from imbreg_jax.compute import backend
from imbreg_jax.compute.plan import OutOfMemory
from imbreg_jax.evaluation.evaluator import Evaluator
from imbreg_jax.results import files
from imbreg_jax.results.workdir import Workdir, WorkdirError
from imbreg_jax.runner.study_run import StudyRun
from imbreg_jax.runner.unit_run import UnitRun
from imbreg_jax.study import ConfigError
from imbreg_jax.training.engine import Engine
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

# Two epochs of two chunks, of which the first begins with a step apart.
_CHUNKS = 2 * 2 + 1
_FULL = jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating 123456789 bytes.')


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
        fields = {'training__learning_rate': 3.0}
        with self.assertLogs('imbreg_jax', 'WARNING') as logs:
            kept_study.run(None, **fields).finish()
        self.assertRegex(
            logs.output[0],
            r'u1_10, repeat 0, ended far above .*: validation MSE [\d.e+]+, [\d.]+ before; a',
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
            kept_study.run(None).finish()
        self.assertRegex(
            logs.output[0],
            rf'small: 4 runs \(2 conditions x 2 repeats\) in 1 program.* on \d+ .* device.*'
            rf'jax {jax.__version__}, Python .* GB of memory, data set cached',
        )


class OutOfMemoryTest(kept_study.TestCase):
    """A device on which less fits than the plan foresaw."""

    def _fails(self, owner, name, error, when):
        """Raises an error at those calls of a method, counted from 1, for which `when` holds."""
        inner, self.calls = getattr(owner, name), 0

        def method(this, *args):
            self.calls += 1
            if when(this, self.calls):
                raise error
            return inner(this, *args)

        return mock.patch.object(owner, name, method)

    def _plan(self):
        return json.loads((self.workdir / 'plan.json').read_text())

    def test_once_ends_as_if_nothing_had_been(self):
        for name, owner, method, call, error in (
            # Before there is a checkpoint, from one on, and where networks are evaluated.
            ('first chunk', Engine, 'train_chunk', 1, _FULL),
            ('later chunk', Engine, 'train_chunk', 3, _FULL),
            ('first validation', Evaluator, 'validation', 1, _FULL),
            ('evaluation', Evaluator, 'finish', 1, _FULL),
            ('host', Engine, 'train_chunk', 2, MemoryError('of the host')),
        ):
            with self.subTest(name):
                shutil.rmtree(self.workdir, ignore_errors=True)
                fails = self._fails(owner, method, error, lambda _, n, call=call: n == call)
                with fails, self.assertLogs('imbreg_jax', 'WARNING') as logs:
                    kept_study.run(self.workdir).finish()
                self.assert_same_results()
                self.assertLen(logs.output, 1)
                self.assertRegex(
                    logs.output[0], 'out of memory.*; going on with the same images drawn anew'
                )
                if error is _FULL:
                    self.assertIn('123,456,789 bytes were asked for', logs.output[0])
                self.assertFalse(self._plan()['cached'])
                if owner is Engine:
                    # The one call more that failed: what was trained is not trained again.
                    self.assertEqual(self.calls, _CHUNKS + 1)

    def test_without_a_workdir_begins_anew(self):
        with self._fails(Engine, 'train_chunk', _FULL, lambda _, n: n == 3):
            results = kept_study.run(None).finish()
        self.assertEqual(self.calls, 3 + _CHUNKS)
        pd.testing.assert_frame_equal(results, kept_study.table(self.reference))

    @pytest.mark.slow
    def test_splits_the_runs_where_the_images_are_not_what_is_too_much(self):
        def too_many(engine, _):
            return len(engine.unit.runs) > 2

        with self._fails(Engine, 'initialize', _FULL, too_many):
            with self.assertLogs('imbreg_jax', 'INFO') as logs:
                kept_study.run(self.workdir).finish()
        self.assertIn('going on with programs of up to 2 runs, one after', str(logs.output))
        self.assertEqual((self._plan()['cached'], self._plan()['runs_per_unit']), (False, 2))
        self.assert_same_results()

    @pytest.mark.slow
    def test_splits_also_runs_that_are_under_way(self):
        def too_many(engine, calls):
            return calls > 2 and len(engine.unit.runs) > 2

        with self._fails(Engine, 'train_chunk', _FULL, too_many):
            kept_study.run(self.workdir).finish()
        # Two chunks of all runs; two calls that failed; two units through the other chunks.
        self.assertEqual(self.calls, 2 + 2 + 2 * (_CHUNKS - 2))
        self.assert_same_results()

    @pytest.mark.slow
    def test_ends_the_study_where_no_plan_needs_less(self):
        with self._fails(Engine, 'initialize', _FULL, lambda *_: True):
            with self.assertLogs('imbreg_jax', 'WARNING') as logs:
                with self.assertRaisesRegex(
                    OutOfMemory, 'with 1 runs in a program.*need less: a smaller config.training'
                ) as caught:
                    kept_study.run(self.workdir).finish()
        self.assertNotIn('\n', str(caught.exception))
        self.assertIs(caught.exception.__cause__, _FULL)
        said = [line.partition('; going on with ')[2] for line in logs.output]
        self.assertEqual(
            said,
            [
                'the same images drawn anew instead of cached',
                'programs of up to 2 runs, one after the other',
                'programs of up to 1 runs, one after the other',
            ],
        )

    def test_is_no_other_error(self):
        error = jax.errors.JaxRuntimeError('INTERNAL: the device is gone')
        with self._fails(Engine, 'train_chunk', error, lambda *_: True):
            with self.assertRaises(jax.errors.JaxRuntimeError) as caught:
                kept_study.run(None).finish()
        self.assertIs(caught.exception, error)
        self.assertEqual(self.calls, 1)


class CompilationTest(kept_study.TestCase):
    def test_units_after_the_first_trace_and_compile_nothing(self):
        heard = []

        def listen(event, *_, **__):
            if event.endswith(('jaxpr_trace_duration', 'backend_compile_duration')):
                heard.append(event)

        made = []
        inner = UnitRun.run

        def run(unit_run, *args):
            inner(unit_run, *args)
            made.append((len(unit_run.unit.runs), len(heard)))
            heard.clear()

        jax.monitoring.register_event_duration_secs_listener(listen)
        self.addCleanup(jax.monitoring.unregister_event_duration_listener, listen)
        # As in the test above, so that a folder has the compiled programs; the process has none of
        # them, as this run shares nothing.
        fields = {'repeats': 3, 'data__cache': 'never', 'compute__runs_per_program': 2}
        with mock.patch.object(UnitRun, 'run', run):
            StudyRun(kept_study.run(None, **fields).study).finish()
        self.assertEqual([runs for runs, _ in made], [2, 2, 2])
        self.assertGreater(made[0][1], 0)
        self.assertEqual([events for _, events in made[1:]], [0, 0])


if __name__ == '__main__':
    absltest.main()
