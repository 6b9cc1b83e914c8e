"""Cuts studies off in every phase and holds what they end with against an uninterrupted study.

    python tests/faults_test.py --cuts=all     every cut, some 20 minutes on 2 cores
    python tests/faults_test.py                the sample that the test command runs

A cut is a real one: a study runs in a process of its own, which is killed (SIGKILL) at a named
point or at a random time, or whose files are damaged between two starts, or whose disk is full, or
whose output nobody takes.
"""

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

from absl import flags
from absl.testing import absltest

import event_files

_CUTS = flags.DEFINE_enum('cuts', 'some', ['some', 'all'], 'How many cuts.')
_SEED = flags.DEFINE_integer('cut_seed', 0, 'Of the random cuts.')

_CHILD = '--child='
_CONFIG = """
from imbreg_jax import study


def get_config():
    config = study.default_config()
    config.name = 'cut'
    config.repeats = 2
    config.conditions = {name: {'train_distribution': name} for name in ('u1_10', 'u1_5')}
    config.test_distributions = ('u1_10', 'u1_5')
    config.data.image_size = 20
    config.data.train_size = 120
    config.data.validation_size = 20
    config.data.test_size = 20
    config.model.conv_features = (2, 3)
    config.model.dense_features = 4
    config.training.epochs = 2
    config.training.batch_size = 20
    config.training.learning_rate = 1e-3
    config.evaluation.batch_size = 20
    config.evaluation.dense_size = 20
    config.evaluation.moment_images = 20
    config.evaluation.moment_masks = 2
    config.compute.runs_per_program = 2
    config.compute.steps_per_chunk = 2
    config.compute.checkpoint_seconds = 0.0
    return config
"""
# Two programs of two runs; each has two epochs of three chunks.
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
        'file:figure_1_network.svg:half@1',
        'file:report.html:half@1',
    ],
}
_SAMPLE = [
    'orbax:during@2',
    'finish:during@1',
]


# ------------------------------------------------------------------------------------------------
# The process that is cut


class _Points:
    """Kills this process when it reaches a point for the n-th time."""

    def __init__(self, wanted: str):
        self.point, _, count = wanted.partition('@')
        self.left = int(count or 0)

    def reach(self, point: str, delay: float = 0.0) -> None:
        if point != self.point:
            return
        self.left -= 1
        if self.left == 0:
            if not delay:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()


def _child(wanted: str, argv: Sequence[str]) -> int:
    """Runs the command line with a cut, or another fault, built in."""
    import quick_compilation
    from imbreg_jax import analysis, main
    from imbreg_jax.analysis import loading
    from imbreg_jax.evaluation import evaluator
    from imbreg_jax.results import checkpoints, files, tensorboard
    from imbreg_jax.training import engine

    quick_compilation.setUpModule()
    points = _Points(wanted)

    def around(owner: Any, name: str, point: str, delay: float = 0.0) -> None:
        inner = getattr(owner, name)

        def wrapper(*args, **kwargs):
            points.reach(f'{point}:before')
            points.reach(f'{point}:during', delay)
            result = inner(*args, **kwargs)
            points.reach(f'{point}:after')
            return result

        setattr(owner, name, wrapper)

    def at_end(owner: Any, name: str, point: str) -> None:
        inner = getattr(owner, name)

        def wrapper(*args, **kwargs):
            result = inner(*args, **kwargs)
            points.reach(point)
            return result

        setattr(owner, name, wrapper)

    whole = files.whole

    def name_of(path: pathlib.Path) -> str:
        # The names of TensorBoard's files begin so, and go on with the time.
        return 'events' if path.name.startswith('events.') else path.name

    @contextlib.contextmanager
    def cut_whole(path: pathlib.Path) -> Iterator[Any]:
        name = name_of(path)
        points.reach(f'file:{name}:before')
        with whole(path) as file:
            write = file.write

            def half(content):
                if points.left == 1:
                    write(bytes(content)[: len(content) // 2])
                    file.flush()
                    points.reach(points.point)
                points.left -= points.point == f'file:{name}:half'
                return write(content)

            if points.point == f'file:{name}:half':
                file = mock.Mock(wraps=file, write=half)
            yield file
        points.reach(f'file:{name}:after')

    append = files.append

    def cut_append(path: pathlib.Path, content: bytes) -> None:
        point = f'append:{name_of(path)}:half'
        if points.point == point and points.left == 1:
            append(path, content[: len(content) // 2])
        points.reach(point)
        append(path, content)

    files.whole = cut_whole
    files.append = cut_append
    around(checkpoints, '_write_arrays', 'orbax', 0.02)
    at_end(checkpoints, 'save', 'saved')
    around(checkpoints, '_remove', 'remove')
    rmtree = shutil.rmtree

    def cut_rmtree(path, *args, **kwargs):
        if str(path).endswith('.removed'):
            points.reach('remove:renamed')
        return rmtree(path, *args, **kwargs)

    shutil.rmtree = cut_rmtree
    at_end(engine.Engine, '__init__', 'engine')
    train_chunk = engine.Engine.train_chunk
    around(engine.Engine, 'train_chunk', 'chunk', 0.01)
    if points.point == 'compile':

        def compiling(*args):
            points.reach('compile', 0.3)
            return train_chunk(*args)

        engine.Engine.train_chunk = compiling
    if points.point == 'oom':
        # A device on which so many runs do not fit.
        def too_many(self, *args):
            if len(self.unit.runs) > points.left:
                import jax

                raise jax.errors.JaxRuntimeError(
                    'RESOURCE_EXHAUSTED: Out of memory allocating 123456789 bytes.'
                )
            return train_chunk(self, *args)

        engine.Engine.train_chunk = too_many
    at_end(evaluator.Evaluator, 'validation', 'validation')
    around(evaluator.Evaluator, 'finish', 'finish', 0.2)
    around(tensorboard.EventFiles, 'replace', 'tensorboard')
    if points.point == 'slow':
        # Long enough for a signal to come while it lasts.
        inner = engine.Engine.train_chunk
        engine.Engine.train_chunk = lambda *args: (inner(*args), time.sleep(points.left))[0]
    build = analysis.build

    def cut_build(*args):
        points.reach('report')
        if points.point in ('noreport', 'oom'):  # What it says is not the matter.
            results = loading.load(args[0]).results
            return mock.Mock(**{'study.results': results, 'terminal_summary.return_value': ''})
        if points.point == 'nodrawing':
            return 1 / 0
        return build(*args)

    analysis.build = cut_build
    return main.main(['imbreg_jax.main', *argv])


# ------------------------------------------------------------------------------------------------
# The process that cuts


class _Machine:
    """Starts studies in processes of their own, with a compilation cache that they share."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.config = folder / 'config.py'
        self.config.write_text(_CONFIG)
        self.cuts = 0

    def command(self, workdir: pathlib.Path, point: str, *arguments: str) -> list[str]:
        return [
            sys.executable,
            os.path.abspath(__file__),
            f'{_CHILD}{point}',
            f'--config={self.config}',
            f'--workdir={workdir}',
            f'--config.compute.compilation_cache_dir={self.folder / "xla"}',
            *arguments,
        ]

    def start(
        self,
        workdir: pathlib.Path,
        point: str = '',
        *arguments: str,
        after: float | None = None,
        shell: str = 'exec "$@"',
    ) -> subprocess.CompletedProcess[str]:
        """Runs until its end, or until it is killed `after` seconds; `shell` runs "$@"."""
        process = subprocess.Popen(
            ['bash', '-c', shell, 'bash', *self.command(workdir, point, *arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            out, err = process.communicate(timeout=300 if after is None else after)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            if after is None:
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


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
    machine: _Machine
    reference: pathlib.Path

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = pathlib.Path(tempfile.mkdtemp(dir=flags.FLAGS.test_tmpdir or None))
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.machine = _Machine(folder)
        cls.reference = folder / 'reference'
        done = cls.machine.start(cls.reference, '' if _all() else 'noreport')
        assert done.returncode == 0, done.stderr
        assert (cls.reference / 'checkpoints' / 'unit_0001.npz').exists()

    @classmethod
    def tearDownClass(cls):
        print(f'{cls.machine.cuts} cuts', file=sys.stderr)
        super().tearDownClass()

    def _workdir(self) -> pathlib.Path:
        return pathlib.Path(tempfile.mkdtemp(dir=self.machine.folder))

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
        self.assertEqual(_scalars(workdir), _scalars(self.reference))

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

    @_only_with_all
    def test_a_study_killed_at_named_points_ends_with_the_same_bytes(self):
        for name, points in _CHAINS.items():
            with self.subTest(name):
                workdir = self._workdir()
                self._cut_at(workdir, points)
                done = self.assert_ends_like_the_reference(workdir, '')
                self.assertIn('was killed without a word', done.stderr)
                self.assertTrue((workdir / 'report.html').exists())

    def test_a_study_stopped_killed_and_damaged_ends_with_the_same_bytes(self):
        workdir = self._workdir()
        done, _ = self._signalled(workdir, [signal.SIGTERM], point='slow@1')
        self.assertEqual(done.returncode, 128 + signal.SIGTERM, done.stderr)
        self.assertIn('stopped and saved; to resume, give the same command', done.stderr)
        self.assert_sentence(done.stderr)
        self.assertLen(list((workdir / 'checkpoints').glob('step_*')), 1)
        self.assertEqual((workdir / '.lock').read_text(), '')
        self._count()
        self._cut_at(workdir, _SAMPLE)
        newest = max((workdir / 'checkpoints').glob('step_*'))
        _flip(max(newest.rglob('d/*'), key=lambda path: path.stat().st_size))
        self._count()
        done = self.assert_ends_like_the_reference(workdir)
        self.assertIn('was killed without a word', done.stderr)
        self.assertIn(f'checkpoint {newest.name} (', done.stderr)
        self.assertIn('is damaged) is not used; step_', done.stderr)

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
        half_way = self._workdir()
        cut = self.machine.start(half_way, 'orbax:before@3')
        self.assertEqual(cut.returncode, -signal.SIGKILL, cut.stderr)
        self._count()
        newest = sorted((half_way / 'checkpoints').glob('step_*'))[-1].name
        files = sorted(
            path.relative_to(half_way)
            for path in (half_way / 'checkpoints' / newest).rglob('*')
            if path.is_file()
        )
        faults = [(path, fault) for path in files for fault in (_truncate, _flip, _remove)]
        chance = random.Random(_SEED.value)
        arrays = [pair for pair in faults if '/d/' in str(pair[0])]
        chosen = [(f, d) for f, d in faults if f.name in ('manifest.json', 'position.json')]
        chosen = [*chosen, *chance.sample(arrays, min(4, len(arrays)))]
        for path, fault in chosen:
            with self.subTest(f'{fault.__name__} {path}'):
                workdir = self._workdir()
                shutil.copytree(half_way, workdir, dirs_exist_ok=True)
                fault(workdir / path)
                done = self.assert_ends_like_the_reference(workdir)
                self.assertIn(f'checkpoint {newest} (', done.stderr)
                self.assertIn('is not used; step_', done.stderr)
                self._count()

    @_only_with_all
    def test_training_is_never_begun_anew_without_being_told(self):
        workdir = self._workdir()
        cut = self.machine.start(workdir, 'orbax:before@3')
        self.assertEqual(cut.returncode, -signal.SIGKILL, cut.stderr)
        self._count()
        for path in (workdir / 'checkpoints').glob('step_*'):
            _truncate(path / 'position.json')
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
                workdir = self._workdir()
                shutil.copytree(self.reference, workdir, dirs_exist_ok=True)
                _truncate(workdir / name)
                if name.startswith('checkpoints'):
                    (workdir / 'results.csv').unlink()
                done = self.assert_ends_like_the_reference(workdir)
                self.assertIn('made again', done.stderr)
                self._count()
                shutil.rmtree(workdir / 'checkpoints')
                done = self.assert_ends_like_the_reference(workdir, '')
                self.assertIn('is finished', done.stderr)
                _truncate(workdir / 'results.csv')
                done = self.machine.start(workdir)
                self.assertEqual(done.returncode, 2)
                self.assertIn('results.csv changed or went missing', done.stderr)

    @_only_with_all
    def test_a_full_disk_ends_in_a_sentence_and_loses_nothing(self):
        for kilobytes in (4, 200, 330, 420, 600, 900, 1200):
            workdir = self._workdir()
            with self.subTest(kilobytes), _mounted(workdir, f'size={kilobytes}k') as mounted:
                if not mounted:
                    self.skipTest('this machine does not let us mount a file system')
                done = self.machine.start(workdir)
                print(f'{kilobytes}k: {done.returncode} {done.stderr[-300:]}', file=sys.stderr)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn('No space left on device', done.stderr)
                self.assert_sentence(done.stderr)
                self._count()
                _mount('-o', 'remount,size=20m', str(workdir))
                self.assert_ends_like_the_reference(workdir)

    @_only_with_all
    def test_a_read_only_workdir_is_refused(self):
        workdir = self._workdir()
        with _mounted(workdir, 'size=1m,ro') as mounted:
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

    def test_memory_that_runs_out_splits_the_runs_over_programs(self):
        workdir = self._workdir()
        done = self.machine.start(workdir, 'oom@2', '--config.compute.runs_per_program=0')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('123,456,789 bytes were asked for', done.stderr)
        self.assertIn('going on with the same images drawn anew instead of cached', done.stderr)
        self.assertIn('going on with programs of up to 2 runs', done.stderr)
        self.assert_same_results(workdir)
        self._count()

    @_only_with_all
    def test_memory_that_no_plan_has_is_said_in_a_sentence(self):
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
            done, seconds = self._signalled(workdir, [number], names)
            self.assertEqual(done.returncode, 128 + number, done.stderr)
            self.assertIn('stopped and saved; to resume, give the same command', done.stderr)
            self.assertLess(seconds, 12)
            self.assertEqual((workdir / '.lock').read_text(), '')
            self.assert_sentence(done.stderr)
            self._count()
        done = self.assert_ends_like_the_reference(workdir)
        self.assertNotIn('killed', done.stderr)

    @_only_with_all
    def test_a_second_interrupt_ends_at_once(self):
        workdir = self._workdir()
        done, seconds = self._signalled(workdir, [signal.SIGINT, signal.SIGINT], point='slow@60')
        self.assertEqual(done.returncode, 130, done.stderr)
        self.assertLess(seconds, 4)
        self._count()
        done, seconds = self._signalled(workdir, [signal.SIGTERM], point='slow@60')
        self.assertEqual(done.returncode, 143, done.stderr)
        self.assertLess(seconds, 12)
        self.assertIn('to resume', done.stderr)
        self._count()
        self.assert_ends_like_the_reference(workdir)

    @_only_with_all
    def test_an_interrupt_that_comes_twice_and_that_nobody_hears_saves(self):
        for stderr in ('full', 'gone', 'closed'):
            with self.subTest(stderr), _unheard(stderr) as (shell, descriptor):
                workdir = self._workdir()
                # Only the stop makes a checkpoint, so that one proves that it was heeded.
                done, seconds = self._signalled(
                    workdir,
                    [signal.SIGINT, signal.SIGINT],
                    '--config.compute.checkpoint_seconds=1000',
                    point='slow@1',
                    apart=0.05,
                    shell=shell,
                    stderr=descriptor,
                )
                self.assertEqual(done.returncode, 128 + signal.SIGINT)
                self.assertLess(seconds, 12)
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

    def _signalled(
        self,
        workdir,
        numbers,
        *arguments,
        point='',
        apart=1.2,
        shell='exec "$@"',
        stderr=subprocess.PIPE,
    ):
        process = subprocess.Popen(
            ['bash', '-c', shell, 'bash', *self.machine.command(workdir, point, *arguments)],
            stderr=stderr,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        # Once it has something to save. The metrics of epoch 0 come right before training.
        before = _stamp(workdir)
        deadline = time.monotonic() + 120
        while _stamp(workdir) == before and time.monotonic() < deadline:
            time.sleep(0.02)
        began = time.monotonic()
        for place, number in enumerate(numbers):
            # An interrupt right after the first is taken for the same one.
            time.sleep(apart if place else 0.5)
            process.send_signal(number)
        _, err = process.communicate(timeout=60)
        seconds = time.monotonic() - began
        return subprocess.CompletedProcess(process.args, process.returncode, '', err), seconds

    @_only_with_all
    def test_a_folder_in_use_or_of_another_study_is_refused(self):
        workdir = self._workdir()
        shutil.copytree(self.reference, workdir, dirs_exist_ok=True)
        done = self.machine.start(workdir, '', '--config.seed=1')
        self.assertEqual(done.returncode, 2)
        self.assertIn('holds another config (seed: 0 -> 1)', done.stderr)
        held = json.loads((workdir / 'config.json').read_text())
        (workdir / 'config.json').write_text(json.dumps(held | {'format': 99}))
        done = self.machine.start(workdir)
        self.assertEqual(done.returncode, 2)
        self.assertIn('has format 99', done.stderr)


def _scalars(workdir: pathlib.Path) -> list[tuple[str, int, str, float]]:
    """Every run's TensorBoard scalars, without their times."""
    paths = sorted((workdir / 'tensorboard').rglob('*tfevents*'))
    return [
        (str(path.parent.relative_to(workdir)), scalar.step, scalar.tag, scalar.value)
        for path in paths
        for scalar in event_files.scalars(path)
    ]


def _stamp(workdir: pathlib.Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return (workdir / 'metrics.jsonl').stat().st_mtime_ns
    return 0


@contextlib.contextmanager
def _unheard(kind: str) -> Iterator[tuple[str, int]]:
    """A standard error that nobody hears: how a shell runs a command, and the descriptor."""
    read, write = os.pipe()
    try:
        if kind == 'gone':
            os.close(read)
        if kind == 'full':
            os.set_blocking(write, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(write, b' ' * 4096)
            os.set_blocking(write, True)
        yield 'exec "$@" 2>&-' if kind == 'closed' else 'exec "$@"', write
    finally:
        os.close(write)
        if kind != 'gone':
            os.close(read)


def _truncate(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _remove(path: pathlib.Path) -> None:
    path.unlink()


def _mount(*arguments: str) -> bool:
    try:
        return subprocess.run(['mount', *arguments], capture_output=True).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def _mounted(folder: pathlib.Path, options: str) -> Iterator[bool]:
    """A small file system in memory; False where this machine does not let us mount it."""
    if not _mount('-t', 'tmpfs', '-o', options, 'tmpfs', str(folder)):
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(['umount', '-l', str(folder)], check=True)


if __name__ == '__main__':
    if len(sys.argv) > 1 and sys.argv[1].startswith(_CHILD):
        sys.exit(_child(sys.argv[1].removeprefix(_CHILD), sys.argv[2:]))
    absltest.main()
