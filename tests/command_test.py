"""Tests of imbreg_jax.command: what a study at the command line says, and its exit status."""

import io
import os
import signal
import time
from unittest import mock

import pandas as pd
from absl.testing import absltest, flagsaver, parameterized

import small_study
from imbreg_jax import main
from imbreg_jax.analysis import AnalysisError
from imbreg_jax.compute.plan import OutOfMemory
from imbreg_jax.results.checkpoints import CheckpointError
from imbreg_jax.results.workdir import WorkdirError
from imbreg_jax.runner.stop import Stopped
from imbreg_jax.runner.study_run import StudyRun
from imbreg_jax.study import ConfigError

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SMOKE = os.path.join(_ROOT, 'configs', 'smoke.py')


class CommandTest(parameterized.TestCase):
    """The exit status and the sentence for each way in which a study can end."""

    def setUp(self):
        super().setUp()
        for name in ('SIGTERM', 'SIGINT'):
            number = getattr(signal, name)
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.workdir = os.path.join(self.create_tempdir().full_path, 'w')

    def _main(self, finish, *arguments: str) -> tuple[int, str]:
        """Runs the command line with a study that does what `finish` does."""
        stderr = self.enter_context(mock.patch.object(main.sys, 'stderr', _Stderr()))
        with mock.patch.object(StudyRun, 'finish', finish):
            status = main.main(
                ['main', f'--config={_SMOKE}', f'--workdir={self.workdir}', *arguments]
            )
        return status, stderr.text

    @parameterized.parameters(
        (ConfigError('a', 1, 'it must be 2'), 2, 'config.a = 1: it must be 2.'),
        (WorkdirError('no such luck'), 2, 'no such luck'),
        (CheckpointError('none is good'), 2, 'none is good'),
        (OutOfMemory('too large'), 2, 'too large'),
        (AnalysisError('no rows'), 1, 'no rows'),
        (OSError(28, 'No space left on device', '/a/b'), 1, '/a/b: No space left on device; what'),
        (OSError(28, 'No space left on device'), 1, 'w: No space left on device; what was'),
        (MemoryError('of the host'), 1, 'out of memory (of the host); what was finished is kept'),
    )
    def test_an_expected_end_is_one_sentence(self, error, expected, message):
        def finish(run):
            raise error

        status, text = self._main(finish)
        self.assertEqual(status, expected)
        self.assertIn(message, text)
        self.assertEqual(text.count('\n'), 1)

    def test_an_error_of_ours_keeps_its_traceback(self):
        def finish(run):
            return 1 / 0

        with self.assertRaises(ZeroDivisionError):
            self._main(finish)

    @parameterized.parameters('SIGTERM', 'SIGINT', 'SIGUSR1')
    def test_a_signal_asks_for_a_stop(self, name):
        number = getattr(signal, name)
        self.addCleanup(signal.signal, number, signal.getsignal(number))

        def finish(run):
            os.kill(os.getpid(), number)
            while run.stop.signal is None:
                time.sleep(0.01)
            time.sleep(0.3)  # A chunk that lasts: who waits for it is told so.
            raise Stopped

        status, text = self._main(finish, f"--config.compute.stop_signals=('{name}',)")
        self.assertEqual(status, 128 + number)
        self.assertIn(f'{name}: stopping as soon as what is in hand is saved', text)
        self.assertIn('stopped and saved; to resume, give the same command again (workdir', text)

    def test_nobody_who_reads_is_needed_for_a_stop(self):
        def finish(run):
            os.kill(os.getpid(), signal.SIGINT)
            while run.stop.signal is None:
                time.sleep(0.01)
            time.sleep(0.3)
            raise Stopped

        read, write = os.pipe()
        os.close(read)
        with open(write, 'w') as broken, mock.patch.object(main.sys, 'stderr', broken):
            with mock.patch.object(StudyRun, 'finish', finish):
                status = main.main(['main', f'--config={_SMOKE}', f'--workdir={self.workdir}'])
        self.assertEqual(status, 130)

    def _finished(self, *names: str, summary: str = 'Verdicts: none'):
        """A stand-in for `finish` whose study has these conditions."""
        rows = [
            (name, 'u1_10', 'cnn', k, 'u1_10', 'mse', 1.0 + k) for name in names for k in (0, 1)
        ]
        columns = 'condition train_distribution predictor repeat test_distribution metric value'

        def finish(run):
            run.results = pd.DataFrame(rows, columns=columns.split())
            run.report = mock.Mock() if summary else None
            self.summary = mock.Mock(return_value=summary)
            if summary:
                run.report.terminal_summary = self.summary

        return finish

    def test_a_finished_study_prints_its_summary_and_all_of_it_on_request(self):
        stdout = self.enter_context(mock.patch.object(main.sys, 'stdout', io.StringIO()))
        self.enter_context(flagsaver.flagsaver(verbose=False))
        for arguments, verbose in (((), False), (('--verbose',), True)):
            finish = self._finished('u1_10')
            status, _ = self._main(finish, *arguments)
            self.assertEqual(status, 0)
            self.assertEqual(self.summary.call_args.args[:2], (verbose, False))
        self.assertEqual(stdout.getvalue(), 'Verdicts: none\n' * 2)

    def test_where_the_report_failed_the_table_is_printed_all_the_same(self):
        stdout = self.enter_context(mock.patch.object(main.sys, 'stdout', io.StringIO()))

        def finish(run):
            self._finished('u1_10')(run)
            run.report = None
            raise AnalysisError('no report')

        status, text = self._main(finish)
        self.assertEqual((status, text.strip()), (1, 'no report'))
        self.assertIn('U(1, 10)', stdout.getvalue())
        self.assertIn('1.500 ± 0.707', stdout.getvalue())

    def test_conditions_that_share_a_law_are_told_apart(self):
        stdout = self.enter_context(mock.patch.object(main.sys, 'stdout', io.StringIO()))
        conditions = {'u1_10': {}, 'no_dropout': {'model.conv_dropout_rate': 0.0}}
        study = small_study.study(
            {name: {'train_distribution': 'u1_10'} | more for name, more in conditions.items()}
        )
        with mock.patch.object(main, 'resolve', return_value=study):
            self._main(self._finished(*conditions, summary=''))
        lines = stdout.getvalue().splitlines()[2:4]
        first = {' '.join(line.split('  ')[0].split()) for line in lines}
        self.assertEqual(first, {'U(1, 10)', 'no_dropout [U(1, 10)]'})

    @parameterized.parameters('/dev/full', 'ascii', 'gone')
    def test_a_terminal_that_cannot_print_changes_no_status(self, kind):
        if kind == 'gone':
            read, write = os.pipe()
            os.close(read)
            stdout = open(write, 'w')
        elif kind == 'ascii':
            path = self.create_tempfile().full_path
            stdout = open(path, 'w', encoding='ascii')
        else:
            stdout = open(kind, 'w')
        with stdout, mock.patch.object(main.sys, 'stdout', stdout):
            status, text = self._main(self._finished('u1_10', summary='−5 ± 1'))
            self.assertEqual((status, text.strip()), (0, ''))
        if kind == 'ascii':
            with open(path, encoding='ascii') as file:
                printed = file.read()
            self.assertEqual(printed, '-5 +- 1\n')


class _Stderr:
    """Collects what is printed, and what is written to its file descriptor."""

    def __init__(self):
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)

    def write(self, text: str) -> int:
        return os.write(self._write, text.encode())

    def flush(self) -> None:
        """Nothing is buffered."""

    def fileno(self) -> int:
        return self._write

    @property
    def text(self) -> str:
        os.write(self._write, b' ')  # An empty pipe cannot be read.
        return os.read(self._read, 10**5).decode()


if __name__ == '__main__':
    absltest.main()
