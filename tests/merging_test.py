"""Tests of imbreg_jax.results.merging: rows of shards in the study's order; see shard_run_test."""

import json

import numpy as np
from absl.testing import absltest

import small_study
from imbreg_jax.results import assemble, files, merging
from imbreg_jax.study import shards
from imbreg_jax.study.shards import Shard

# An ensemble, a condition with a guess of its own, a law whose name has a comma, a dial.
_CONDITIONS = {
    'a': {'remedy': 'ensemble(size=2)'},
    'drawn': {'task.target': 'generating'},
    'b': {'train_distribution': 'uniform(1, 6)', 'training.learning_rate': 1e-4},
}


class OrderTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.study = small_study.study(_CONDITIONS, repeats=3)
        numbers = range(1, 6)
        self.parts = [shards.part(self.study, Shard(number, 5)) for number in numbers]

    def _arrays(self, part):
        """What results are made of, other for each of them."""
        tests, count = len(part.test_distributions), part.test_size
        value = np.float32
        return [
            {
                'test_target': np.full((tests, count), 1 + place, value),
                'test_generating': np.ones((tests, count), value),
                'test_prediction': np.full((tests, count), 2 + repeat, value),
                'validation_target': np.ones(4, value),
                'validation_prediction': np.full(4, 2 + place, value),
                'diverged_epoch': np.int32(place == repeat),
                'best_constant': np.float64(2.5 + place),
                'linear_moments': np.full((tests, count), 0.5 * repeat),
                'relevance_points': np.full(3, np.nan),
            }
            for place, repeat in part.results
        ]

    def test_results_are_those_of_the_whole_study(self):
        whole, *parts = (
            files.results_csv(assemble.results(study, self._arrays(study)))
            for study in (self.study, *self.parts)
        )
        # In whatever order shards are found.
        for contents in (parts, parts[::-1]):
            found = b''.join(merging._result_rows(self.study, contents))
            self.assertEqual(found.splitlines(), whole.splitlines())

    def test_epochs_are_those_of_the_whole_study(self):
        def rows(study):
            return [
                {**assemble.run_columns(study, run), 'epoch': epoch, 'train_loss': run.member + 0.5}
                for epoch in range(3)
                for run in study.runs
            ]

        whole = files.json_lines(assemble.in_order(self.study, rows(self.study)))
        parts = [files.json_lines(rows(part)) for part in reversed(self.parts)]
        found = b''.join(merging._epoch_rows(self.study, parts))
        self.assertEqual(found, whole)
        self.assertIn('member', json.loads(found.splitlines()[0]))


if __name__ == '__main__':
    absltest.main()
