"""Tests of imbreg_jax.runner.process_run, compute.processes and results.sending.

In the slow ones processes meet through JAX's distributed runtime on this machine.
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tarfile
import time
from unittest import mock

import pytest
from absl.testing import absltest, parameterized

import kept_study
from imbreg_jax.compute import processes
from imbreg_jax.results import merging, sending
from imbreg_jax.results.layout import RESULT_FILES, WorkdirError
from imbreg_jax.runner.process_run import ProcessRun
from imbreg_jax.runner.stop import Stopped
from imbreg_jax.study import resolve
from imbreg_jax.study.shards import Shard

_CONFIG = pathlib.Path(__file__).parent.parent / 'configs' / 'smoke.py'
_COMMAND = (sys.executable, '-m', 'imbreg_jax.main', f'--config={_CONFIG}', '--config.repeats=3')
# Long enough for a signal between two checkpoints, the first of which comes soon.
_LONG = ('--config.training.epochs=40', '--config.compute.checkpoint_seconds=1')
_SECONDS = 240
# Becomes the command that follows, on the core whose number comes first. Not between fork and exec:
# JAX, which other tests of the process may use, warns of anything there.
_ON_CORE = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
os.execv(sys.argv[2], sys.argv[2:])
"""


def _start(workdir, *arguments, environment=None) -> subprocess.Popen:
    """A process that has one core, as each host has its own; what it says goes beside its files."""
    core = min(os.sched_getaffinity(0))
    log = pathlib.Path(f'{workdir}.{(environment or {}).get(processes.INDEX, "alone")}.log')
    with open(log, 'w') as file:
        return subprocess.Popen(
            [
                sys.executable,
                '-c',
                _ON_CORE,
                str(core),
                *_COMMAND,
                f'--workdir={workdir}',
                *arguments,
            ],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | (environment or {}),
        )


class SeveralTest(parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def _together(self, workdirs, *arguments):
        """Starts a process for each of these workdirs, and one runtime for all."""
        with socket.socket() as free:
            free.bind(('localhost', 0))
            address = f'localhost:{free.getsockname()[1]}'
        started = []
        for index, workdir in enumerate(workdirs):
            environment = {
                processes.ADDRESS: address,
                processes.COUNT: str(len(workdirs)),
                processes.INDEX: str(index),
            }
            started.append(_start(workdir, '--distributed', *arguments, environment=environment))
            self.addCleanup(_end, started[-1])
        return started

    def _statuses(self, started):
        return [process.wait(_SECONDS) for process in started]

    def _said(self, workdir, index):
        return pathlib.Path(f'{workdir}.{index}.log').read_text()

    def _assert_as_whole(self, workdir, *arguments):
        whole = self.folder / 'whole'
        self.assertEqual(_start(whole, *arguments).wait(_SECONDS), 0)
        for name in RESULT_FILES:
            self.assertEqual((workdir / name).read_bytes(), (whole / name).read_bytes(), name)

    @pytest.mark.slow
    def test_one_is_killed_and_fewer_go_on(self):
        workdir = self.folder / 'shared'
        started = self._together([workdir] * 3, *_LONG)
        checkpoints = workdir / 'shards' / '3_of_3' / 'checkpoints'
        deadline = time.monotonic() + _SECONDS
        while not list(checkpoints.glob('step_*/manifest.json')):
            self.assertLess(time.monotonic(), deadline, self._said(workdir, 2))
            time.sleep(0.1)
        started[2].kill()
        statuses = self._statuses(started)
        # One's death ends all.
        self.assertNotIn(0, statuses)
        self.assertFalse((workdir / 'results.csv').exists())
        self.assertEqual(self._statuses(self._together([workdir] * 2, *_LONG)), [0, 0])
        said = self._said(workdir, 0)
        self.assertIn('process 1 of 2 trains shards 1, 3 of 3', said)
        self.assertIn('resuming', said.split('shard 1 of 3 is finished')[1])
        self.assertIn('Report: ', said)
        self.assertNotIn('Report: ', self._said(workdir, 1))
        self._assert_as_whole(workdir, *_LONG)

    @pytest.mark.slow
    def test_hosts_share_no_folder_and_it_is_started_again(self):
        workdirs = [self.folder / 'first', self.folder / 'second']
        for _ in range(2):
            self.assertEqual(self._statuses(self._together(workdirs)), [0, 0])
            self.assertIn('Report: ', self._said(workdirs[0], 0))
        self.assertFalse((workdirs[1] / 'results.csv').exists())
        self._assert_as_whole(workdirs[0])

    @pytest.mark.slow
    def test_all_are_asked_to_stop_and_go_on(self):
        workdir = self.folder / 'shared'
        started = self._together([workdir] * 2, *_LONG)
        deadline = time.monotonic() + _SECONDS
        while not list((workdir / 'shards').glob('2_of_2/checkpoints/step_*/manifest.json')):
            self.assertLess(time.monotonic(), deadline, self._said(workdir, 1))
            time.sleep(0.1)
        for process in started:
            process.send_signal(signal.SIGTERM)
        self.assertEqual(self._statuses(started), [128 + signal.SIGTERM] * 2)
        self.assertIn('stopped and saved', self._said(workdir, 1))
        self.assertEqual(self._statuses(self._together([workdir] * 2, *_LONG)), [0, 0])
        self._assert_as_whole(workdir, *_LONG)

    @pytest.mark.slow
    def test_one_that_waits_for_another_stops_with_it(self):
        workdir = self.folder / 'shared'
        started = self._together([workdir] * 2, *_LONG)
        # One has fewer runs than the other.
        deadline = time.monotonic() + _SECONDS
        while not merging.finished(workdir, 2):
            self.assertLess(time.monotonic(), deadline, self._said(workdir, 1))
            time.sleep(0.1)
        self.assertLen(merging.finished(workdir, 2), 1)
        for process in started:
            process.send_signal(signal.SIGTERM)
        self.assertEqual(self._statuses(started), [128 + signal.SIGTERM] * 2)
        self.assertEqual(self._statuses(self._together([workdir] * 2, *_LONG)), [0, 0])

    @parameterized.parameters(
        ((), {}, 'JAX cannot join other processes'),
        (('--shard=1/2',), {}, 'leave out --shard'),
        ((), {processes.COUNT: 'two'}, "JAX_NUM_PROCESSES is 'two' and must be a number"),
    )
    @pytest.mark.slow
    def test_refused(self, arguments, environment, sentence):
        workdir = self.folder / 'refused'
        started = _start(workdir, '--distributed', *arguments, environment=environment)
        self.assertEqual(started.wait(_SECONDS), 2)
        (log,) = self.folder.glob('refused.*.log')
        self.assertIn(sentence, log.read_text())
        self.assertFalse(workdir.exists())


class AgreementTest(absltest.TestCase):
    """How many shards there are, from what processes say of their folders."""

    def setUp(self):
        super().setUp()
        self.workdir = pathlib.Path(self.create_tempdir().full_path)

    def _agree(self, told, begun=()):
        for of in begun:
            merging.folder(self.workdir, Shard(1, of)).mkdir(parents=True)
        joined = mock.Mock(spec=processes.Processes, index=0, count=3)
        joined.gather.side_effect = lambda name, own: [own, *told]
        return ProcessRun(resolve(kept_study.config()), joined, self.workdir)._agree_on_shards()

    def test_one_for_each_process_or_as_many_as_it_was_begun_in(self):
        self.assertEqual(self._agree([b'[]', b'[]']), 3)
        self.assertEqual(self._agree([b'[]', b'[4]']), 4)
        self.assertEqual(self._agree([b'[]', b'[4]'], begun=[4]), 4)
        with self.assertRaisesRegex(WorkdirError, 'begun in shards of 4 and of 5; remove'):
            self._agree([b'[5]', b'[]'])


class StoppedTest(absltest.TestCase):
    def test_all_stop_where_one_of_them_was_asked_to(self):
        workdir = pathlib.Path(self.create_tempdir().full_path)
        joined = mock.Mock(spec=processes.Processes, index=0, count=2)
        joined.gather.side_effect = lambda name, own: [own, b'null']
        run = ProcessRun(resolve(kept_study.config()), joined, workdir)
        with self.assertRaises(Stopped):
            run._send(2)


class SendingTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def _shard(self, workdir, shard, **contents):
        place = merging.folder(self.folder / workdir, shard)
        for name, content in contents.items():
            path = place / name.replace('__', '/')
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return place

    def test_sends_what_a_shard_left_and_not_what_it_would_resume_from(self):
        sent = [Shard(2, 3), Shard(3, 3)]
        for shard in sent:
            self._shard(
                'there', shard, config='{}', checkpoints__unit_0='u', checkpoints__step_01='s'
            )
        self._shard('here', Shard(1, 3), config='own')
        begun = self._shard('here', Shard(2, 3), plan='begun here, too')
        content = sending.packed(self.folder / 'there', sent)
        sending.unpack(self.folder / 'here', content, sent)
        sending.unpack(self.folder / 'here', b'', [])
        names = [path.relative_to(begun).as_posix() for path in sorted(begun.rglob('*'))]
        self.assertEqual(names, ['checkpoints', 'checkpoints/unit_0', 'config'])
        self.assertEqual(merging.found(self.folder / 'here'), [Shard(n, 3) for n in (1, 2, 3)])
        held = {path.name for path in (self.folder / 'here' / 'shards').iterdir()}
        self.assertEqual(held, {'1_of_3', '2_of_3', '3_of_3'})
        self.assertEqual(sending.packed(self.folder / 'there', []), b'')

    def test_what_cannot_be_unpacked_leaves_all_as_it_was(self):
        begun = self._shard('here', Shard(2, 3), plan='begun')
        with self.assertRaises(tarfile.ReadError):
            sending.unpack(self.folder / 'here', b'no archive' * 200, [Shard(2, 3)])
        self.assertEqual([path.name for path in begun.iterdir()], ['plan'])
        self.assertLen(list((self.folder / 'here' / 'shards').iterdir()), 1)


def _end(process):
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()


if __name__ == '__main__':
    absltest.main()
