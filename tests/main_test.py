"""Tests of imbreg_jax.main: what is refused before anything starts."""

import os
import signal
import subprocess
import sys
import time
from unittest import mock

from absl.testing import absltest, flagsaver, parameterized

from imbreg_jax import command, main

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SMOKE = os.path.join(_ROOT, 'configs', 'smoke.py')


class RefusalTest(parameterized.TestCase):
    """Mistakes that a command line can hold, each in a process of its own."""

    @parameterized.parameters(
        (['--config=nowhere.py'], "--config = 'nowhere.py': there is no such file"),
        (['--confg=x'], 'did you mean'),
        ([f'--config={_SMOKE}', '--workdri=x'], 'did you mean --workdir.'),
        ([f'--config={_SMOKE}', '--config.repeats=three'], 'config.repeats = '),
        ([f'--config={_SMOKE}', '--config.training.lerning_rate=1'], 'training.learning_rate.'),
        ([f'--config={_SMOKE}', '--config.data.image_size=3'], 'it must be at least 16'),
        ([f'--config={_SMOKE}', 'x'], 'arguments are flags'),
        ([f'--config={_SMOKE}', '--shard=8'], "--shard = '8': it must be a number and of how many"),
    )
    def test_one_sentence_and_status_2_within_seconds(self, arguments, message):
        workdir = os.path.join(self.create_tempdir().full_path, 'w')
        if '--workdri=x' not in arguments:
            arguments = [*arguments, f'--workdir={workdir}']
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, '-m', 'imbreg_jax.main', *arguments],
            capture_output=True,
            text=True,
            cwd=_ROOT,
        )
        seconds = time.monotonic() - began
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(message, done.stderr)
        self.assertEqual(done.stderr.count('\n'), 1, done.stderr)
        self.assertEqual(done.stdout, '')
        self.assertFalse(os.path.exists(workdir))
        # The promise is 5 s on an idle machine; other tests keep the cores busy.
        self.assertLess(seconds, 5 * max(1.0, os.getloadavg()[0]))

    def test_help_ends_well(self):
        done = subprocess.run(
            [sys.executable, '-m', 'imbreg_jax.main', '--help'], capture_output=True, text=True,
            cwd=_ROOT,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('--workdir=DIR', done.stdout)
        self.assertIn("--config.training.learning_rate: the optimiser's step size", done.stdout)
        self.assertNotIn('Traceback', done.stderr)


class StartTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))
        self.run = self.enter_context(mock.patch.object(command, 'run', return_value=7))
        # Whatever another test of this process has named.
        self.enter_context(flagsaver.flagsaver(workdir=None, shard=None))

    def test_a_study_is_run_in_its_workdir(self):
        for arguments, workdir in (([], 'workdirs/smoke-seed_3'), (['--workdir=w'], 'w')):
            with self.subTest(workdir):
                status = main.main(['main', f'--config={_SMOKE}', '--config.seed=3', *arguments])
                self.assertEqual(status, 7)
                study, named = self.run.call_args.args
                self.assertEqual((study.seed, named), (3, workdir))

    def test_a_shard_is_trained_where_a_flag_or_a_batch_system_asks_for_one(self):
        pod = {'JOB_COMPLETION_INDEX': '1', 'JOB_COMPLETIONS': '2'}
        for arguments, environment, shard in (
            ([], {}, None),
            ([], pod, (2, 2)),
            ([], pod | {'JOB_COMPLETION_INDEX': '0', 'JOB_COMPLETIONS': '1'}, None),
            (['--shard=3/8'], pod, (3, 8)),
            (['--shard=1/1'], pod, None),
        ):
            with mock.patch.dict(os.environ, environment), flagsaver.flagsaver(shard=None):
                main.main(['main', f'--config={_SMOKE}', *arguments])
                self.assertEqual(self.run.call_args.kwargs['shard'], shard)


class InterruptTest(absltest.TestCase):
    def test_an_interrupt_while_importing_says_nothing(self):
        # An import sends it.
        for module, library in (('main', 'scipy'), ('report', 'pandas'), ('benchmark', 'scipy')):
            with self.subTest(module):
                folder = self.create_tempdir()
                folder.create_file(
                    f'{library}.py',
                    'import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: pass',
                )
                done = subprocess.run(
                    [sys.executable, '-m', f'imbreg_jax.{module}', '--workdir=x'],
                    capture_output=True, text=True, cwd=_ROOT, timeout=60,
                    env=os.environ | {'PYTHONPATH': folder.full_path},
                )  # fmt: skip
                self.assertEqual((done.returncode, done.stdout, done.stderr), (130, '', ''))


if __name__ == '__main__':
    absltest.main()
