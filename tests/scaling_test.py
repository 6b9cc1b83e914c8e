"""Tests of imbreg_jax.benchmark.scaling: what is trained in which way, and what is reckoned."""

import pytest
from absl.testing import absltest

from imbreg_jax.benchmark import scaling
from imbreg_jax.benchmark.scaling import Measured

# 8 runs of 100 images in 4 seconds, an eighth of a second to read and write what each left.
_WHOLE = Measured(1, 4, 30.0, 15.0, 10.0, 4.0, 1.5, 0.125, 800, 8)


class ReckonedTest(absltest.TestCase):
    def test_machines_share_training_and_nothing_else(self):
        one = scaling.reckoned(_WHOLE, 1, 80, 1000)
        self.assertEqual(
            one, {'start': 15, 'compile': 10, 'train': 400, 'merge': 10, 'all': 435}
        )  # fmt: skip
        self.assertEqual(scaling.reckoned(_WHOLE, 8, 80, 1000), one | {'train': 50, 'all': 85})
        # Of 80 runs each of 30 machines has some, and some of them three: none has a part of one.
        self.assertEqual(scaling.reckoned(_WHOLE, 30, 80, 1000)['train'], 15)
        self.assertEqual(scaling.reckoned(_WHOLE, 1000, 80, 1000)['train'], 5)

    def test_devices_are_shared_out_as_far_as_they_go(self):
        self.assertEqual(scaling.ways(1), [(1, 1)])
        self.assertEqual(scaling.ways(2), [(1, 2), (2, 1)])
        self.assertEqual(scaling.ways(8), [(1, 8), (2, 4), (4, 2)])

    def test_tables_say_both(self):
        half = Measured(2, 2, 33.0, 15.0, 10.0, 5.0, 1.5, 0.125, 800, 8)
        lines = scaling.text([_WHOLE, half])
        self.assertIn('| 1 | 4 | 30.0 | 15.0 | 10.0 | 4.0 | 1.5 | 200 | 1.00 |', lines)
        self.assertIn('| 2 | 2 | 33.0 | 15.0 | 10.0 | 5.0 | 1.5 | 160 | 0.80 |', lines)
        # 100 runs each of 750,000 images, at 200 a second.
        self.assertIn('| 1,000 | 15 s | 10 s | 4 days | 3 h | 4 days |', lines)


@pytest.mark.slow
class MeasureTest(absltest.TestCase):
    def test_every_way_trains_all_runs(self):
        rows = scaling.measure(2, 50, 'highest')
        self.assertEqual([(r.shards, r.devices) for r in rows], scaling.ways(len(scaling._cores())))
        for row in rows:
            self.assertEqual((row.runs, row.images), (2, 100))
            self.assertGreater(row.copied, 0)
            self.assertGreater(row.trained, 0)
            self.assertGreaterEqual(row.seconds, row.trained + row.merged)

    def test_a_process_that_fails_says_why(self):
        with self.assertRaisesRegex(RuntimeError, 'training.batch_size'):
            scaling.measure(2, 20, 'highest')


if __name__ == '__main__':
    absltest.main()
