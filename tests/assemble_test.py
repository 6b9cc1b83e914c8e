"""What the runs leave becomes the study's files, each run's and each condition's own."""

import errno
import os
import pathlib
import resource
import struct
from unittest import mock

import numpy as np
import tensorboardX.proto.event_pb2
from absl.testing import absltest

import small_study
from imbreg_jax.evaluation import evaluator
from imbreg_jax.results import assemble, files


def _scalars(path):
    """(step, tag, value) of each scalar of an event file, as TensorFlow's records keep them."""
    content, place, found = path.read_bytes(), 0, []
    while place < len(content):
        (size,) = struct.unpack_from('<Q', content, place)
        start = place + 12  # After the size, a checksum of four bytes; another ends the record.
        event = tensorboardX.proto.event_pb2.Event.FromString(content[start : start + size])
        found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
        place = start + size + 4
    return found


class TensorboardTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path) / 'tensorboard'

    def _rows(self, conditions, repeats, epochs):
        return [
            {
                'epoch': epoch,
                'condition': f'c{condition}',
                'repeat': repeat,
                'train_loss': None if epoch == 0 else float(epoch),
                'validation_mse': float(100 * condition + repeat),
                'validation_mape': 2.0,
                'validation_mpe': -1.0,
            }
            for epoch in range(epochs)
            for condition in range(conditions)
            for repeat in range(repeats)
        ]

    def _limit_files(self, more):
        """Lets this process open few files more than it has open, until the test ends."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        # A file gets the lowest number that is free, and the limit is one on numbers.
        opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(more)]
        for number in opened:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (opened[-1] + 1, hard))

    def test_of_more_runs_than_files_may_be_open_is_written(self):
        self._limit_files(64)
        assemble.write_tensorboard(self.folder, self._rows(6, 10, 2))
        for condition in range(6):
            for repeat in range(10):
                found = list((self.folder / f'c{condition}' / f'repeat_{repeat}').iterdir())
                self.assertLen(found, 1)
                # One epoch without and one with a training loss.
                self.assertLen(_scalars(found[0]), 7)

    def test_holds_each_runs_own_values_in_the_order_of_epochs(self):
        assemble.write_tensorboard(self.folder, self._rows(2, 2, 3))
        (path,) = (self.folder / 'c1' / 'repeat_1').iterdir()
        scalars = _scalars(path)
        self.assertEqual(
            [(step, value) for step, tag, value in scalars if tag == 'validation_mse'],
            [(0, 101.0), (1, 101.0), (2, 101.0)],
        )
        self.assertEqual(
            [(step, value) for step, tag, value in scalars if tag == 'train_loss'],
            [(1, 1.0), (2, 2.0)],
        )

    def test_a_full_disk_is_an_error_of_the_file_system(self):
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with mock.patch.object(files, 'whole', side_effect=full), self.assertRaises(OSError):
            assemble.write_tensorboard(self.folder, self._rows(1, 2, 20))

    def test_replaces_what_was_there(self):
        for conditions in (2, 1):
            assemble.write_tensorboard(self.folder, self._rows(conditions, 1, 1))
        self.assertEqual([path.name for path in self.folder.iterdir()], ['c0'])


class PredictionsTest(absltest.TestCase):
    def test_keep_each_conditions_own_targets(self):
        study = small_study.study({'measured': {}, 'drawn': {'task.target': 'generating'}})
        tests, dense = len(study.test_distributions), study.evaluation.dense_size
        merged = []
        for run in study.runs:
            own = np.float32(run.condition_index)
            merged.append(
                {
                    'dense_target': own + np.arange(dense, dtype=np.float32),
                    'dense_prediction': np.zeros(dense, np.float32),
                    'test_generating': np.ones((tests, 3), np.float32),
                    'test_target': np.full((tests, 3), 10 * own + run.repeat, np.float32),
                    'test_prediction': np.zeros((tests, 3), np.float32),
                    'validation_target': np.ones(4, np.float32),
                    'validation_prediction': np.ones(4, np.float32),
                    'moments': np.zeros(len(evaluator.MOMENTS)),
                }
            )
        arrays = assemble.predictions(study, merged)
        np.testing.assert_array_equal(
            arrays['dense_target'], np.arange(dense) + np.arange(2)[:, None]
        )
        self.assertEqual(arrays['test_target'].shape, (2, tests, 2, 3))
        np.testing.assert_array_equal(arrays['test_target'][:, 0, :, 0], [[0, 1], [10, 11]])


if __name__ == '__main__':
    absltest.main()
