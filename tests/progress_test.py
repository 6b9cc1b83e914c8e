"""Tests of imbreg_jax.runner.progress: which checkpoints a study goes on from, and which not."""

import json

import numpy as np
from absl.testing import absltest

import kept_study
from imbreg_jax.results import checkpoints
from imbreg_jax.results.checkpoints import CheckpointError
from imbreg_jax.training.engine import Engine
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


class ProgressTest(kept_study.TestCase):
    def test_positions_that_hold_rows_are_resumed_from(self):
        self.abandon(Engine, 'train_chunk', lambda _, __, epoch, ___: epoch == 1)
        folder = self.workdir / 'checkpoints'
        metrics = (self.workdir / 'metrics.jsonl').read_text().splitlines()
        for name in checkpoints.names(folder):
            position = json.loads((folder / name / 'position.json').read_text())
            del position['journal']
            epochs = position['epoch'] + 1
            position['rows'] = [json.loads(line) for line in metrics[: 4 * epochs]]
            (folder / name / 'position.json').write_text(json.dumps(position))
            manifest = json.dumps(checkpoints._digests(folder / name))
            (folder / name / 'manifest.json').write_text(manifest)
        (folder / 'epochs.jsonl').unlink()
        with self.assertLogs('imbreg_jax', 'INFO') as logs:
            kept_study.run(self.workdir).finish()
        self.assertIn('resuming in program 1 of 1, epoch 2', str(logs.output))
        self.assert_same_results()

    def test_epochs_that_were_edited_are_refused(self):
        self.abandon(Engine, 'train_chunk', lambda _, __, epoch, ___: epoch == 1)
        path = self.workdir / 'checkpoints' / 'epochs.jsonl'
        path.write_bytes(path.read_bytes().replace(b'"repeat": 1', b'"repeat": 0', 1))
        with self.assertRaisesRegex(CheckpointError, 'epochs.jsonl, which it needs, is damaged'):
            kept_study.run(self.workdir).finish()

    def test_refuses_a_checkpoint_that_does_not_fit(self):
        self.begin_as_reference()
        position = {
            'unit': 0, 'epoch': 1, 'chunk': 0, 'rows': [], 'outcomes': [], 'seconds': 0.0,
            'compile_seconds': 0.0,
        }  # fmt: skip
        arrays = [np.zeros(3, np.float32), np.zeros(4)]
        checkpoints.save(self.workdir / 'checkpoints', 4, arrays, position, 2)
        with self.assertRaisesRegex(CheckpointError, 'holds 1 arrays that are not the'):
            kept_study.run(self.workdir).finish()


if __name__ == '__main__':
    absltest.main()
