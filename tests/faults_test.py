"""Cuts studies off in every phase and holds what they end with against an uninterrupted study.

    python tests/faults_test.py --cuts=all     every cut, some 20 minutes on 2 cores
    python tests/faults_test.py                the sample that the test command runs

A cut is a real one: a study runs in a process of its own, which is killed (SIGKILL) at a named
point or at a random time, or whose files are damaged between two starts, or whose disk is full, or
whose output nobody takes.
"""

import json
import pathlib
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import pytest
from absl import flags
from absl.testing import absltest

import cutting

_CUTS = flags.DEFINE_enum('cuts', 'some', ['some', 'all'], 'How many cuts.')
_SEED = flags.DEFINE_integer('cut_seed', 0, 'Of the random cuts.')

_RESULTS = ('results.csv', 'predictions.npz', 'weights.npz', 'metrics.jsonl')
# A point is '<what>@<n>': the n-th time it is reached after a start. Each list is one study, which
# is started, killed at its first point, started again, and so on, and at last left alone.
_CHAINS = {
    'start': [
        'file:config.json:before@1',
        'file:config.json:half@1',
        'file:config.json:after@1',
        'file:plan.json:half@1',
        'file:plan.json:after@1',
        'engine@1',
        'compile@1',
        'validation@1',
        'append:epochs.jsonl:half@1',
        'append:metrics.jsonl:half@1',
        'file:epochs.jsonl:half@1',
        'file:metrics.jsonl:half@1',
        'append:events:half@1',
        'chunk:before@1',
        'chunk:after@1',
    ],
    'checkpoints': [
        'orbax:before@1',
        'orbax:during@1',
        'orbax:after@1',
        'file:position.json:half@1',
        'file:manifest.json:before@1',
        'file:manifest.json:after@1',
        'saved@1',
        'chunk:during@1',
        'chunk:after@2',
        'remove:before@1',
        'remove:renamed@1',
        'append:epochs.jsonl:half@1',
        'append:metrics.jsonl:half@1',
        'file:metrics.jsonl:half@1',
        'append:events:half@1',
        'file:events:half@1',
        'file:events:after@1',
        'orbax:during@2',
        'chunk:before@2',
    ],
    'evaluation': [
        'finish:before@1',
        'finish:during@1',
        'finish:after@1',
        'file:unit_0000.npz:half@1',
        'file:unit_0000.npz:after@1',
        'file:manifest.json:after@1',
        'engine@1',
        'finish:before@1',
        'file:unit_0001.npz:half@1',
        'saved@1',
    ],
    'results': [
        'file:metrics.jsonl:half@1',
        'file:metrics.jsonl:after@1',
        'file:predictions.npz:half@1',
        'file:weights.npz:half@1',
        'file:results.csv:half@1',
        'file:results.csv:after@1',
        'tensorboard:before@1',
        'tensorboard:after@2',
        'file:config.json:half@2',
        'file:config.json:after@2',
        'report@1',
        'file:network.svg:half@1',
        'file:report.html:half@1',
    ],
}


def _only_with_all(test: Any) -> Any:
    def wrapper(self):
        if not _all():
            self.skipTest('only with --cuts=all')
        test(self)

    wrapper.__name__ = test.__name__
    return wrapper


def _all() -> bool:
    return _CUTS.value == 'all'


class FaultsTest(absltest.TestCase):
    machine: cutting.Machine
    reference: pathlib.Path
    half_way: pathlib.Path

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = pathlib.Path(tempfile.mkdtemp(dir=flags.FLAGS.test_tmpdir or None))
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.machine = cutting.Machine(folder)
        cls.reference = folder / 'reference'
        done = cls.machine.start(cls.reference, '' if _all() else 'noreport')
        assert done.returncode == 0, done.stderr
        assert (cls.reference / 'checkpoints' / 'unit_0001.npz').exists()
        # It has two checkpoints, and the remains of one that was being written.
        cls.half_way = folder / 'half_way'
        cut = cls.machine.start(cls.half_way, 'orbax:during@3')
        assert cut.returncode == -signal.SIGKILL, cut.stderr
        cls.machine.cuts += 1

    @classmethod
    def tearDownClass(cls):
        print(f'{cls.machine.cuts} cuts', file=sys.stderr)
        super().tearDownClass()

    def _workdir(self, like: pathlib.Path | None = None) -> pathlib.Path:
        workdir = pathlib.Path(tempfile.mkdtemp(dir=self.machine.folder))
        if like is not None:
            shutil.copytree(like, workdir, dirs_exist_ok=True)
        return workdir

    def _count(self) -> None:
        type(self).machine.cuts += 1

    def assert_ends_like_the_reference(self, workdir: pathlib.Path, point: str = 'noreport'):
        done = self.machine.start(workdir, point)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_same_results(workdir)
        self.assertEmpty(list(workdir.rglob('.*.partial')))
        self.assertEqual((workdir / '.lock').read_text(), '')
        return done

    def assert_same_results(self, workdir: pathlib.Path):
        for name in _RESULTS:
            self.assertEqual(
                (workdir / name).read_bytes(), (self.reference / name).read_bytes(), name
            )
        self.assertEqual(cutting.scalars(workdir), cutting.scalars(self.reference))

    def assert_sentence(self, text: str):
        self.assertNotIn('Traceback', text)

    def _cut_at(self, workdir: pathlib.Path, points: Sequence[str]):
        for point in points:
            with self.subTest(point):
                cut = self.machine.start(workdir, point)
                self.assertEqual(cut.returncode, -signal.SIGKILL, cut.stderr)
                self._count()
                for name in _RESULTS[:3]:
                    if (workdir / name).exists():
                        self.assertEqual(
                            (workdir / name).read_bytes(), (self.reference / name).read_bytes()
                        )

    @pytest.mark.slow
    def test_damage_a_signal_and_a_kill_one_after_the_other_change_no_byte(self):
        """One of each, since every start costs seconds; `--cuts=all` has each by itself."""
        workdir = self._workdir(self.half_way)
        newest, _, arrays = self._newest(workdir)
        cutting.flip(workdir / arrays[0])
        done = self.machine.signal(workdir, [signal.SIGTERM])
        self.assertEqual(done.returncode, 128 + signal.SIGTERM, done.stderr)
        self.assertIn(f'checkpoint {newest} (', done.stderr)
        self.assertIn('is not used; step_', done.stderr)
        self.assertIn('stopped and saved; to resume, give the same command', done.stderr)
        self.assertEqual((workdir / '.lock').read_text(), '')
        self.assert_sentence(done.stderr)
        self._cut_at(workdir, ['finish:during@1'])
        done = self.assert_ends_like_the_reference(workdir)
        self.assertIn('was killed without a word', done.stderr)

    def _newest(self, workdir: pathlib.Path) -> tuple[str, list[pathlib.Path], list[pathlib.Path]]:
        """The newest checkpoint, its files, and those of them that hold arrays."""
        newest = sorted((workdir / 'checkpoints').glob('step_*'))[-1]
        files = sorted(p.relative_to(workdir) for p in newest.rglob('*') if p.is_file())
        return newest.name, files, [path for path in files if '/d/' in str(path)]

    @_only_with_all
    def test_a_study_killed_at_named_points_ends_with_the_same_bytes(self):
        for name, points in _CHAINS.items():
            with self.subTest(name):
                workdir = self._workdir()
                self._cut_at(workdir, points)
                done = self.assert_ends_like_the_reference(workdir, '')
                self.assertIn('was killed without a word', done.stderr)
                self.assertTrue((workdir / 'report.html').exists())

    @_only_with_all
    def test_a_study_killed_at_random_times_ends_with_the_same_bytes(self):
        chance = random.Random(_SEED.value)
        for _ in range(3):
            workdir = self._workdir()
            for _ in range(4):
                seconds = chance.uniform(1, 14)
                done = self.machine.start(workdir, after=seconds)
                print(f'cut after {seconds:.1f} s: status {done.returncode}', file=sys.stderr)
                if done.returncode == -signal.SIGKILL:  # else it had come to its end
                    self._count()
            self.assert_ends_like_the_reference(workdir)

    @_only_with_all
    def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(self):
        newest, files, arrays = self._newest(self.half_way)
        kinds = (cutting.truncate, cutting.flip, cutting.remove)
        faults = [(path, fault) for path in files for fault in kinds]
        of_arrays = [pair for pair in faults if pair[0] in arrays]
        chosen = [(f, d) for f, d in faults if f.name in ('manifest.json', 'position.json')]
        chosen += random.Random(_SEED.value).sample(of_arrays, min(4, len(of_arrays)))
        for path, fault in chosen:
            with self.subTest(f'{fault.__name__} {path}'):
                workdir = self._workdir(self.half_way)
                fault(workdir / path)
                done = self.assert_ends_like_the_reference(workdir)
                self.assertIn(f'checkpoint {newest} (', done.stderr)
                self.assertIn('is not used; step_', done.stderr)
                self._count()

    @_only_with_all
    def test_training_is_never_begun_anew_without_being_told(self):
        workdir = self._workdir(self.half_way)
        for path in (workdir / 'checkpoints').glob('step_*'):
            cutting.truncate(path / 'position.json')
        done = self.machine.start(workdir)
        self.assertEqual(done.returncode, 2)
        self.assertIn('can be used: step_', done.stderr)
        self.assert_sentence(done.stderr)
        shutil.copytree(self.reference, workdir, dirs_exist_ok=True)
        for name, word in (
            ('config.json', 'put its config.json back'),
            ('plan.json', 'other digits'),
        ):
            (workdir / name).rename(workdir / 'away')
            (workdir / 'results.csv').write_text('')
            done = self.machine.start(workdir)
            self.assertEqual(done.returncode, 2)
            self.assertIn(word, done.stderr)
            self.assert_sentence(done.stderr)
            (workdir / 'away').rename(workdir / name)

    @_only_with_all
    def test_what_a_finished_study_lost_is_made_again(self):
        for name in (*_RESULTS, 'checkpoints/unit_0001.npz'):
            with self.subTest(name):
                workdir = self._workdir(self.reference)
                cutting.truncate(workdir / name)
                if name.startswith('checkpoints'):
                    (workdir / 'results.csv').unlink()
                done = self.assert_ends_like_the_reference(workdir)
                self.assertIn('made again', done.stderr)
                self._count()
                shutil.rmtree(workdir / 'checkpoints')
                done = self.assert_ends_like_the_reference(workdir, '')
                self.assertIn('is finished', done.stderr)
                cutting.truncate(workdir / 'results.csv')
                done = self.machine.start(workdir)
                self.assertEqual(done.returncode, 2)
                self.assertIn('results.csv changed or went missing', done.stderr)

    @_only_with_all
    def test_a_full_disk_ends_in_a_sentence_and_loses_nothing(self):
        for kilobytes in (4, 200, 330, 420, 600, 900, 1200):
            workdir = self._workdir()
            with self.subTest(kilobytes), cutting.mounted(workdir, f'size={kilobytes}k') as mounted:
                if not mounted:
                    self.skipTest('this machine does not let us mount a file system')
                done = self.machine.start(workdir)
                print(f'{kilobytes}k: {done.returncode} {done.stderr[-300:]}', file=sys.stderr)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn('No space left on device', done.stderr)
                self.assert_sentence(done.stderr)
                self._count()
                cutting.mount('-o', 'remount,size=20m', str(workdir))
                self.assert_ends_like_the_reference(workdir)

    @_only_with_all
    def test_a_read_only_workdir_is_refused(self):
        workdir = self._workdir()
        with cutting.mounted(workdir, 'size=1m,ro') as mounted:
            if not mounted:
                self.skipTest('this machine does not let us mount a file system')
            done = self.machine.start(workdir)
            self.assertEqual(done.returncode, 2)
            self.assertIn('cannot be written (Read-only file system)', done.stderr)
            self.assert_sentence(done.stderr)
            cache = f'--config.compute.compilation_cache_dir={workdir}'
            done = self.machine.start(self._workdir(), '', cache)
            self.assertEqual(done.returncode, 2)
            self.assertIn('compiled programs cannot be kept there', done.stderr)
            self.assert_sentence(done.stderr)

    @_only_with_all
    def test_memory_that_runs_out_splits_the_runs_over_programs(self):
        workdir = self._workdir()
        done = self.machine.start(workdir, 'oom@2', '--config.compute.runs_per_program=0')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('123,456,789 bytes were asked for', done.stderr)
        self.assertIn('going on with the same images drawn anew instead of cached', done.stderr)
        self.assertIn('going on with programs of up to 2 runs', done.stderr)
        self.assert_same_results(workdir)
        self._count()
        workdir = self._workdir()
        done = self.machine.start(workdir, 'oom@0')
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn('out of memory: 123,456,789 bytes were asked for', done.stderr)
        self.assert_sentence(done.stderr)
        self._count()

    @_only_with_all
    def test_a_signal_saves_and_says_how_to_resume(self):
        workdir = self._workdir()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            names = f"--config.compute.stop_signals=('{number.name}',)"
            done = self.machine.signal(workdir, [number], names)
            self.assertEqual(done.returncode, 128 + number, done.stderr)
            self.assertIn('stopped and saved; to resume, give the same command', done.stderr)
            self.assertEqual((workdir / '.lock').read_text(), '')
            self.assert_sentence(done.stderr)
            self._count()
        done = self.assert_ends_like_the_reference(workdir)
        self.assertNotIn('killed', done.stderr)

    @_only_with_all
    def test_a_second_interrupt_ends_at_once(self):
        workdir = self._workdir()
        done = self.machine.signal(workdir, [signal.SIGINT, signal.SIGINT], slow=600)
        self.assertEqual(done.returncode, 130, done.stderr)
        self._count()
        done = self.machine.signal(workdir, [signal.SIGTERM], slow=600)
        self.assertEqual(done.returncode, 143, done.stderr)
        self.assertIn('to resume', done.stderr)
        self._count()
        self.assert_ends_like_the_reference(workdir)

    @_only_with_all
    def test_an_interrupt_that_comes_twice_and_that_nobody_hears_saves(self):
        for stderr in ('full', 'gone', 'closed'):
            with self.subTest(stderr), cutting.unheard(stderr) as (shell, descriptor):
                workdir = self._workdir()
                # Only the stop makes a checkpoint, so that one proves that it was heeded.
                done = self.machine.signal(
                    workdir,
                    [signal.SIGINT, signal.SIGINT],
                    '--config.compute.checkpoint_seconds=1000',
                    apart=0.05,
                    shell=shell,
                    stderr=descriptor,
                )
                self.assertEqual(done.returncode, 128 + signal.SIGINT)
                self.assertLen(list((workdir / 'checkpoints').glob('step_*')), 1)
                self.assertEqual((workdir / '.lock').read_text(), '')
                self._count()
                done = self.machine.start(workdir, 'noreport', shell='exec "$@" >/dev/full 2>&-')
                self.assertEqual(done.returncode, 0)
                self.assert_same_results(workdir)

    @_only_with_all
    def test_a_study_whose_output_goes_nowhere_ends_with_the_same_bytes(self):
        for shell in (
            'exec "$@" >&- 2>&- <&-',
            'exec "$@" >/dev/full 2>/dev/full',
            '"$@" 2>&1 | true; exit ${PIPESTATUS[0]}',
            'PYTHONIOENCODING=ascii exec "$@"',
        ):
            with self.subTest(shell):
                workdir = self._workdir()
                done = self.machine.start(workdir, shell=shell)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assert_same_results(workdir)
                self.assertTrue((workdir / 'report.html').exists())
                self._count()

    @_only_with_all
    def test_a_limit_on_files_ends_in_a_sentence_and_loses_nothing(self):
        for kilobytes in (4, 16, 70, 80):
            with self.subTest(kilobytes):
                workdir = self._workdir()
                shell = f'ulimit -f {kilobytes}; exec "$@"'
                done = self.machine.start(workdir, '', shell=shell)
                print(f'{kilobytes}k: {done.returncode} {done.stderr[-300:]}', file=sys.stderr)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn('File too large; what was finished is kept', done.stderr)
                self.assert_sentence(done.stderr)
                self._count()
                self.assert_ends_like_the_reference(workdir)

    @_only_with_all
    def test_a_drawing_library_that_fails_takes_no_result_along(self):
        workdir = self._workdir()
        done = self.machine.start(workdir, 'nodrawing')
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn('its report could not be made: ZeroDivisionError in', done.stderr)
        self.assertIn('trained on', done.stdout)
        self.assert_sentence(done.stderr)
        self.assert_same_results(workdir)
        self._count()
        done = self.assert_ends_like_the_reference(workdir, '')
        self.assertIn('is finished: nothing is trained', done.stderr)
        self.assertTrue((workdir / 'report.html').exists())

    @_only_with_all
    def test_a_folder_in_use_or_of_another_study_is_refused(self):
        workdir = self._workdir(self.reference)
        done = self.machine.start(workdir, '', '--config.seed=1')
        self.assertEqual(done.returncode, 2)
        self.assertIn('holds another config (seed: 0 -> 1)', done.stderr)
        held = json.loads((workdir / 'config.json').read_text())
        (workdir / 'config.json').write_text(json.dumps(held | {'format': 99}))
        done = self.machine.start(workdir)
        self.assertEqual(done.returncode, 2)
        self.assertIn('has format 99', done.stderr)


if __name__ == '__main__':
    absltest.main()
