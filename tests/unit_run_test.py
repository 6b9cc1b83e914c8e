"""Tests of imbreg_jax.runner.unit_run: what is saved and recorded, and where a stop is heeded."""

import dataclasses
from unittest import mock

import numpy as np
import pandas as pd
from absl.testing import absltest

import kept_study
from imbreg_jax.analysis import tables
from imbreg_jax.evaluation.evaluator import Evaluator
from imbreg_jax.results import checkpoints
from imbreg_jax.runner.stop import Stopped, StopRequest
from imbreg_jax.runner.study_run import StudyRun
from imbreg_jax.training.engine import Engine
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


class UnitRunTest(kept_study.TestCase):
    def test_a_stop_saves_and_a_resumed_study_ends_with_the_same_bytes(self):
        train_chunk = Engine.train_chunk
        starts = 0
        while True:
            stop = StopRequest()

            def chunk(*args, stop=stop):
                stop.signal = 15
                return train_chunk(*args)

            starts += 1
            run = kept_study.run(self.workdir, stop)
            with mock.patch.object(Engine, 'train_chunk', chunk):
                try:
                    run.finish()
                    break
                except Stopped:
                    self.assertEqual((self.workdir / '.lock').read_text(), '')
            self.assertLess(starts, 10)
        # Two epochs of two chunks, the first step apart, each in a process of its own, so to speak;
        # then the rest.
        self.assertEqual(starts, 6)
        self.assert_same_results()

    def test_a_stop_while_networks_are_evaluated_loses_only_their_evaluation(self):
        # Long after the last checkpoint that would be due: what is saved is saved for this.
        fields = {'compute__checkpoint_seconds': 1e6}
        self.abandon(Evaluator, 'finish', **fields)
        stop = StopRequest()
        stop.signal = 15
        with mock.patch.object(Evaluator, 'finish', side_effect=AssertionError):
            with self.assertRaises(Stopped):
                kept_study.run(self.workdir, stop, **fields).finish()
        with mock.patch.object(Engine, 'train_chunk', side_effect=AssertionError):
            with self.assertLogs('imbreg_jax', 'INFO') as logs:
                kept_study.run(self.workdir, **fields).finish()
        self.assertIn('program 1 of 1, where its trained networks are evaluated', str(logs.output))
        self.assert_same_results()

    def test_rows_of_lost_steps_are_recorded_once(self):
        # Both epochs are in metrics.jsonl when it ends, and no checkpoint knows of either.
        self.abandon(checkpoints, 'save', compute__checkpoint_seconds=1e6)
        before = (self.workdir / 'metrics.jsonl').read_bytes()
        self.assertLen(before.splitlines(), 12)
        self.abandon(Engine, 'train_chunk', compute__checkpoint_seconds=1e6)
        self.assertLen((self.workdir / 'metrics.jsonl').read_bytes().splitlines(), 4)
        kept_study.run(self.workdir).finish()
        self.assert_same_results()

    def test_a_run_that_diverges_is_marked_and_the_others_are_untouched(self):
        study = kept_study.run(None).study
        balanced, wild = study.conditions
        # No config may say so: the first step moves every weight by 1e30, then the loss overflows.
        training = dataclasses.replace(wild.training, learning_rate=1e30)
        wild = dataclasses.replace(wild, training=training)
        study = dataclasses.replace(study, conditions=(balanced, wild))
        StudyRun(study, self.workdir).finish()
        results, before = (
            pd.read_csv(path / 'results.csv', keep_default_na=False, dtype={'value': str})
            for path in (self.workdir, self.reference)
        )
        for condition in ('u1_10', ''):
            pd.testing.assert_frame_equal(
                # What conditions differ in stands behind them.
                results.loc[results.condition == condition, before.columns].reset_index(drop=True),
                before[before.condition == condition].reset_index(drop=True),
            )
        lost = results[results.condition == 'u1_5']
        marks = lost[lost.metric == 'diverged_epoch']
        self.assertEqual(list(marks.repeat), [0, 1])
        self.assertEqual(list(map(float, marks.value)), [1.0, 1.0])
        networks = lost[lost.predictor.isin(['cnn', 'cnn_calibrated', 'cnn_scaled'])]
        self.assertEqual(set(networks[networks.metric != 'diverged_epoch'].value), {'nan'})
        with np.load(self.workdir / 'weights.npz') as weights:
            for name, value in weights.items():
                self.assertTrue(np.isfinite(value).all(), name)
        table = tables.results_table(results.assign(value=[float(v) for v in results.value]))
        self.assertEqual(set(table[table.condition == 'u1_5'].diverged), {2})


if __name__ == '__main__':
    absltest.main()
