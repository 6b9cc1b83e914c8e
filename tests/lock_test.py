"""Tests of imbreg_jax.results.lock, as a workdir that is entered has it."""

import errno
import os
import pathlib
import signal
import subprocess
import sys
from unittest import mock

from absl.testing import absltest

from imbreg_jax.results import lock
from imbreg_jax.results.workdir import Workdir, WorkdirError

_HOLD = """
import sys, time
from imbreg_jax.results.workdir import Workdir
with Workdir(sys.argv[1]):
    print('held', flush=True)
    time.sleep(60)
"""


class LockTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(self.create_tempdir().full_path) / 'workdir'

    def _hold(self) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, '-c', _HOLD, str(self.path)], stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), 'held\n')
        return process

    def test_a_live_process_keeps_others_out_and_a_dead_one_does_not(self):
        process = self._hold()
        with self.assertRaisesRegex(WorkdirError, rf'live process \(process {process.pid} on .*'):
            Workdir(self.path).__enter__()
        process.kill()
        process.wait()
        with Workdir(self.path) as workdir:
            self.assertStartsWith(workdir.killed, f'process {process.pid} on ')

    def test_a_process_that_ends_knowingly_leaves_no_note(self):
        with Workdir(self.path):
            self.assertIn(f'process {os.getpid()} on', (self.path / '.lock').read_text())
        with Workdir(self.path) as workdir:
            self.assertEqual(workdir.killed, '')
        with self.assertRaises(ZeroDivisionError), Workdir(self.path):
            1 / 0  # noqa: B018
        with Workdir(self.path) as workdir:
            self.assertEqual(workdir.killed, '')
            workdir.end()
            self.assertEqual((self.path / '.lock').read_text(), '')

    def test_a_terminated_process_is_told_as_killed(self):
        process = self._hold()
        process.send_signal(signal.SIGTERM)
        process.wait()
        with Workdir(self.path) as workdir:
            self.assertNotEmpty(workdir.killed)

    def test_a_file_system_without_locks_is_said_and_used(self):
        error = OSError(errno.ENOLCK, 'No locks available')
        with mock.patch.object(lock.fcntl, 'flock', side_effect=error):
            with self.assertLogs('imbreg_jax', 'WARNING') as logs, Workdir(self.path):
                pass
        self.assertIn('has no locks', logs.output[0])


if __name__ == '__main__':
    absltest.main()
