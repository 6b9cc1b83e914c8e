"""Tests of imbreg_jax.results.tensorboard; journal_test.py cuts what is written here back."""

import errno
import os
import pathlib
import resource
from unittest import mock

from absl.testing import absltest

import event_files
from imbreg_jax.results import files
from imbreg_jax.results.tensorboard import EventFiles


def _row(condition=0, repeat=0, epoch=0):
    return {
        'condition': f'c{condition}',
        'train_distribution': 'u1_10',
        'repeat': repeat,
        'epoch': epoch,
        'train_loss': None if epoch == 0 else float(epoch),
        'validation_mse': float(100 * condition + repeat),
        'validation_mape': 2.0,
        'validation_mpe': -1.0,
        'validation_mae': 0.5,
        'diverged': repeat == 1,
        'wall_time': 1e9 + epoch,
    }


def _rows(conditions, repeats, epochs):
    return {
        (f'c{condition}', repeat, None): [_row(condition, repeat, epoch) for epoch in range(epochs)]
        for condition in range(conditions)
        for repeat in range(repeats)
    }


class EventFilesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path) / 'tensorboard'
        self.events = EventFiles(self.folder)

    def _path(self, condition=0, repeat=0) -> pathlib.Path:
        (path,) = (self.folder / f'c{condition}' / f'repeat_{repeat}').iterdir()
        return path

    def _limit_files(self, more):
        """Lets this process open few files more than it has open, until the test ends."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        # A file gets the lowest number that is free, and the limit is one on numbers.
        opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(more)]
        for number in opened:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (opened[-1] + 1, hard))

    def test_of_more_runs_than_files_may_be_open_are_written(self):
        self._limit_files(64)
        self.events.append([_row(c, k) for c in range(6) for k in range(10)])
        for _ in range(2):
            self.events.replace(_rows(6, 10, 2))
        self.events.append([_row(c, k, 2) for c in range(6) for k in range(10)])
        for condition in range(6):
            for repeat in range(10):
                found = event_files.scalars(self._path(condition, repeat))
                self.assertEqual(sorted({scalar.step for scalar in found}), [0, 1, 2])

    def test_hold_every_number_of_a_row_at_its_own_time(self):
        self.events.append([_row(1, 1)])
        self.events.append([_row(1, 1, 1)])
        found = event_files.scalars(self._path(1, 1))
        first = {
            'validation_mse': 101.0,
            'validation_mape': 2.0,
            'validation_mpe': -1.0,
            'validation_mae': 0.5,
            'diverged': 1.0,
        }
        self.assertEqual({s.tag: s.value for s in found if s.step == 0}, first)
        self.assertEqual(
            {s.tag: s.value for s in found if s.step == 1}, first | {'train_loss': 1.0}
        )
        self.assertEqual({(s.step, s.wall_time) for s in found}, {(0, 1e9), (1, 1e9 + 1)})

    def test_grow_into_what_they_are_when_written_at_once(self):
        for epoch in range(3):
            self.events.append([_row(epoch=epoch)])
        grown = self._path()
        content = grown.read_bytes()
        self.events.replace(_rows(1, 1, 3))
        self.assertEqual(self._path(), grown)
        grown.unlink()
        EventFiles(self.folder).replace(_rows(1, 1, 3))
        self.assertEqual(self._path().read_bytes(), content)

    def test_cut_back_go_on_in_a_later_file_and_leave_the_old_one_empty(self):
        # As TensorBoard, while it looks on, follows them.
        self.events.append([_row(epoch=0)])
        self.events.append([_row(epoch=1)])
        before = self._path()
        again = EventFiles(self.folder)
        again.replace(_rows(1, 1, 1))
        first, second = sorted(before.parent.iterdir())
        self.assertEqual((first, first.read_bytes()), (before, b''))
        self.assertEqual({s.step for s in event_files.scalars(second)}, {0})
        again.replace(_rows(1, 1, 1))
        self.assertEqual(self._path(), second)

    def test_a_half_written_record_is_cut_off(self):
        self.events.append([_row()])
        path = self._path()
        content = path.read_bytes()
        path.write_bytes(content[:-7])
        again = EventFiles(self.folder)
        for _ in range(2):
            again.replace(_rows(1, 1, 1))
        self.assertEqual(self._path().read_bytes(), content)
        again.append([_row(epoch=1)])
        self.assertEqual({s.step for s in event_files.scalars(self._path())}, {0, 1})

    def test_remains_of_killed_starts_go_and_files_of_others_stay(self):
        self.events.append([_row()])
        ours = self._path()
        others = [
            self.folder / 'notes.txt',
            self.folder / 'c0' / 'repeat_0' / 'events.out.tfevents.1700000000.their_machine',
            self.folder / 'c0' / 'repeat_0' / 'projector_config.pbtxt',
            self.folder / 'theirs' / 'repeat_0' / ours.name,
        ]
        for path in others:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('x')
        link = ours.with_name(ours.name.replace('tfevents.', 'tfevents.2'))
        link.symlink_to(others[0])
        others.append(link)
        remains = [
            ours.with_name(f'.{ours.name}.01234567.partial'),
            ours.with_name(ours.name.replace('tfevents.', 'tfevents.1')),
        ]
        for path in remains:
            path.write_text('x')
        for _ in range(2):
            self.events.replace({('c0', 0, None): [], ('c1', 0, None): []})
        found = [path for path in self.folder.rglob('*') if path.is_file()]
        self.assertCountEqual(found, others)
        self.assertEqual({path.read_text() for path in found}, {'x'})

    def test_a_full_disk_is_an_error_of_the_file_system(self):
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        for name in ('whole', 'append'):
            with mock.patch.object(files, name, side_effect=full), self.assertRaises(OSError):
                self.events.replace(_rows(1, 2, 20))
                self.events.append([_row(epoch=20)])


if __name__ == '__main__':
    absltest.main()
