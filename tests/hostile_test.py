"""Alters every file of a workdir as an enemy or a bad disk would, and looks what comes of it.

    python tests/hostile_test.py --hostile=all     every file and alteration, some minutes
    python tests/hostile_test.py                   the sample that the test command runs

Whatever was altered: `report`, `load` and the study's own command refuse it in one sentence or end
with the results of the study that was left alone; never a traceback, a hang or other numbers.
"""

import contextlib
import copy
import dataclasses
import json
import logging
import os
import pathlib
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pandas as pd
from absl import flags
from absl.testing import absltest

import imbreg_jax
import small_study
from imbreg_jax.analysis import loading
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.reader import AnalysisError
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.results import checkpoints
from imbreg_jax.results.checkpoints import CheckpointError
from imbreg_jax.results.workdir import Workdir, WorkdirError
from imbreg_jax.runner import planning
from imbreg_jax.runner.progress import Position, Progress
from imbreg_jax.runner.stop import Stopped, StopRequest
from imbreg_jax.runner.study_run import StudyRun
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_HOSTILE = flags.DEFINE_enum('hostile', 'some', ['some', 'all'], 'How many alterations.')
_SECONDS = 300  # None may take longer; a hang would.
_RESULTS = ('results.csv', 'predictions.npz', 'weights.npz', 'metrics.jsonl')
_REFUSALS = (WorkdirError, CheckpointError, AnalysisError)


def _flip(path: pathlib.Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[int(place * len(content))] ^= 1 << int(place * 800) % 8
    path.write_bytes(content)


def _replaced(make: Callable[[pathlib.Path], Any]) -> Callable[[pathlib.Path], None]:
    def replace(path: pathlib.Path) -> None:
        path.unlink()
        make(path)

    return replace


def _to_link(path: pathlib.Path) -> None:
    elsewhere = path.with_name(path.name + '.elsewhere')
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _to_other(path: pathlib.Path) -> None:
    """Another file's content, of the same kind where there is one."""
    others = sorted(p for p in path.parent.iterdir() if p.is_file() and p.name != path.name)
    alike = [p for p in others if p.suffix == path.suffix]
    chosen = (alike or others)[:1]
    path.write_bytes(chosen[0].read_bytes() if chosen else b'other')


_ALTERATIONS: dict[str, Callable[[pathlib.Path], Any]] = {
    **{
        f'flip at {place:.2f}': lambda path, place=place: _flip(path, place)
        for place in (0.0, 0.11, 0.23, 0.38, 0.5, 0.61, 0.77, 0.9, 0.99)
    },
    'first half': lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    'cut by a byte': lambda path: path.write_bytes(path.read_bytes()[:-1]),
    'doubled': lambda path: path.write_bytes(path.read_bytes() * 2),
    'empty': lambda path: path.write_bytes(b''),
    'zeros': lambda path: path.write_bytes(bytes(path.stat().st_size)),
    'another': _to_other,
    'removed': lambda path: path.unlink(),
    'a folder': _replaced(lambda path: path.mkdir()),
    'a pipe': _replaced(os.mkfifo),
    'a device': _replaced(lambda path: path.symlink_to('/dev/zero')),
    'a link': _to_link,
    'a dangling link': _replaced(lambda path: path.symlink_to('nowhere')),
    'a tebibyte': lambda path: os.truncate(path, 2**40),
    'deep': lambda path: path.write_bytes(b'[' * 10**5),
}


@contextlib.contextmanager
def _no_hang() -> Iterator[None]:
    def hang(*_: Any) -> None:
        raise TimeoutError(f'not at its end after {_SECONDS} s')

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class HostileTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = pathlib.Path(absltest.TEST_TMPDIR.value) / 'hostile_test'
        # What an earlier version left there would be taken for this one's.
        shutil.rmtree(cls.root, ignore_errors=True)
        cls.study = small_study.study(
            {'a': {}, 'b': {'train_distribution': 'n5_5_1'}},
            training__epochs=1,
            compute__checkpoint_seconds=0.0,
        )
        cls.finished = cls.root / 'finished'
        cls._finish(cls.finished)
        cls.rows = loading.load([cls.finished]).results
        cls.params = imbreg_jax.load(cls.finished).networks.params

    @classmethod
    def _finish(cls, workdir: pathlib.Path) -> None:
        StudyRun(cls.study, workdir).finish()

    def _altered(self, of: pathlib.Path) -> Iterator[tuple[str, pathlib.Path]]:
        """Copies of a workdir, each with one file altered, and what was done to it."""
        names = sorted(str(p.relative_to(of)) for p in of.rglob('*') if p.is_file())
        chance = random.Random(0)
        for name in names:
            every = list(_ALTERATIONS)
            # Orbax's files are many, and one manifest vouches for all of them.
            few = _HOSTILE.value == 'some' or '/arrays/' in name
            chosen = chance.sample(every, 2) if few else every
            for alteration in chosen:
                copied = self.root / 'altered'
                shutil.rmtree(copied, ignore_errors=True)
                shutil.copytree(of, copied)
                _ALTERATIONS[alteration](copied / name)
                yield f'{name}: {alteration}', copied

    def _assert_sound(self, does: Callable[[], Any], is_same: Callable[[Any], None]) -> bool:
        """Whether it was refused, in one sentence; else its results are the same."""
        with _no_hang():
            try:
                found = does()
            except _REFUSALS as error:
                self.assertNotIn('\n', str(error))
                str(error).encode()
                return True
        is_same(found)
        return False

    def _same_rows(self, study: FinishedStudy) -> None:
        pd.testing.assert_frame_equal(study.results, self.rows)

    def _same_params(self, networks: Any) -> None:
        jax.tree.map(np.testing.assert_array_equal, networks.params, self.params)

    def _same_files(self, workdir: pathlib.Path) -> None:
        for name in _RESULTS:
            self.assertEqual(
                (workdir / name).read_bytes(), (self.finished / name).read_bytes(), name
            )

    def test_a_finished_study_is_refused_or_the_same(self):
        refused = same = 0
        for what, workdir in self._altered(self.finished):
            with self.subTest(what):
                for does, is_same in (
                    (lambda w=workdir: loading.load([w]), self._same_rows),
                    (lambda w=workdir: imbreg_jax.load(w).networks, self._same_params),
                    (
                        lambda w=workdir: self._finish(w),
                        lambda _, w=workdir: self._same_files(w),
                    ),
                ):
                    was = self._assert_sound(does, is_same)
                    refused, same = refused + was, same + (not was)
        print(f'{refused} refused, {same} the same')
        self.assertGreater(refused, 0)
        self.assertGreater(same, 0)

    def test_a_study_on_its_way_is_refused_or_ends_the_same(self):
        if _HOSTILE.value != 'all':
            self.skipTest('only with --hostile=all')
        begun = self.root / 'begun'
        stop = StopRequest()
        stop.signal = signal.SIGTERM
        with self.assertRaises(Stopped):
            StudyRun(self.study, begun, stop).finish()
        refused = same = 0
        for what, workdir in self._altered(begun):
            with self.subTest(what):
                was = self._assert_sound(
                    lambda w=workdir: self._finish(w), lambda _, w=workdir: self._same_files(w)
                )
                refused, same = refused + was, same + (not was)
        print(f'{refused} refused, {same} the same')
        self.assertGreater(refused, 0)
        self.assertGreater(same, 0)


class PlanTest(absltest.TestCase):
    """A plan decides about numbers; nothing is trained here."""

    def setUp(self):
        super().setUp()
        self.study = small_study.study({'a': {}, 'b': {'model.order': 'relu_pool'}}, repeats=4)
        self.devices = jax.devices()[:1]
        self.plan = plan_lib.make(self.study, self.devices, 2**34)
        self.path = pathlib.Path(self.create_tempdir().full_path) / 'workdir'
        with Workdir(self.path) as self.workdir:
            self.workdir.write_config(self.study, ['cpu 0'], 'cpu', {})
            self.workdir.write_plan(self.plan.to_json())
        progress = Progress(self.study, self.workdir)
        progress.restore(self.plan)
        progress.save(Position(), [])

    def _taken(self) -> plan_lib.Plan:
        """The plan that the study goes on under."""
        return planning.plan_for(self.study, self.workdir, self.devices)

    def _resume(self) -> None:
        Progress(self.study, self.workdir).restore(self._taken())

    def _alternatives(self) -> Iterator[tuple[str, Any]]:
        """(field, value) of all kinds, none of them as it was."""
        values = self.plan.to_json()
        chunks = values['chunk_steps']
        steps = self.study.conditions[0].steps_per_epoch
        odd = (None, True, False, 0, -1, 1.5, 10**30, 'x', '', [], [1], {}, [chunks], 'MAP', 'cpu ')
        special: dict[str, tuple[Any, ...]] = {
            'platform': ('gpu', 'CPU'),
            'mapping': ('vmap', 'maps', 'mep'),
            'devices': (2, 10**6),
            'runs_per_unit': (1, len(self.study.runs) + 1),
            'chunk_steps': (
                [*chunks, 1],
                chunks[1:],
                [steps + 1, *chunks[1:]],
                [0, *chunks[1:]],
                [True, *chunks[1:]],
                [str(chunks[0]), *chunks[1:]],
                [1, *chunks[1:]],
            ),
        }
        for field, value in values.items():
            for other in (*odd, *special.get(field, ())):
                if other != value or type(other) is not type(value):
                    yield field, other

    def test_that_was_not_altered_is_taken(self):
        self.assertEqual(self._taken(), self.plan)
        self._resume()

    def test_with_any_bit_flipped_is_refused(self):
        content = self.workdir.plan.read_bytes()
        for place in range(len(content)):
            for bit in range(0, 8, 1 if _HOSTILE.value == 'all' else 3):
                altered = bytearray(content)
                altered[place] ^= 1 << bit
                self.workdir.plan.write_bytes(altered)
                with self.assertRaises(WorkdirError, msg=bytes(altered)) as caught:
                    self._taken()
                self.assertNotIn('\n', str(caught.exception))

    def test_with_any_field_altered_is_refused(self):
        held = json.loads(self.workdir.plan.read_text())
        for field in held:
            less = {key: value for key, value in held.items() if key != field}
            for altered in (less, less | {field.upper(): held[field]}, held | {field + '_': 1}):
                # Whoever takes the digest out has to know the plan that was begun.
                if altered == {k: v for k, v in held.items() if k != 'digest'}:
                    continue
                self.workdir.plan.write_text(json.dumps(altered))
                with self.assertRaises(WorkdirError, msg=field):
                    self._taken()
        for field, value in self._alternatives():
            self.workdir.plan.write_text(json.dumps(held | {field: value}))
            with self.assertRaises(WorkdirError, msg=f'{field} = {value}'):
                self._taken()

    def test_rewritten_as_a_whole_is_refused_or_changes_no_number_in_silence(self):
        for field, value in self._alternatives():
            values = copy.deepcopy(self.plan.to_json()) | {field: value}
            with self.subTest(f'{field} = {value}'):
                for with_digest in (True, False):
                    if with_digest:
                        self.workdir.write_plan(values)
                    else:  # as before plans had one
                        self.workdir.plan.write_text(json.dumps(values))
                    with self.assertLogs('imbreg_jax') as logs:
                        logging.getLogger('imbreg_jax').info('(so that there is a line)')
                        try:
                            self._resume()
                        except (WorkdirError, CheckpointError) as error:
                            self.assertNotIn('\n', str(error))
                            continue
                        taken = self._taken()
                    self.assertIs(type(taken.cached), bool)
                    self.assertIs(type(taken.rendered), bool)
                    free = {
                        name: getattr(taken, name)
                        for name in ('cached', 'rendered', 'bytes_predicted')
                    }
                    if dataclasses.replace(self.plan, **free) != taken:
                        said = ' '.join(logs.output)
                        self.assertIn('may have other last digits', said)
                        self.assertRegex(said, rf'{field} |was begun on')

    def test_of_checkpoints_of_an_earlier_version_is_refused(self):
        (name,) = checkpoints.names(self.workdir.checkpoints)
        position = json.loads((self.workdir.checkpoints / name / 'position.json').read_text())
        self.assertEqual(position['plan']['chunk_steps'], list(self.plan.chunk_steps))
        position['runs'] = position.pop('begun')
        checkpoints.save(self.workdir.checkpoints, 0, [], position, 1)
        with self.assertRaisesRegex(CheckpointError, r'\(made by an earlier version\)'):
            self._resume()


if __name__ == '__main__':
    absltest.main()
