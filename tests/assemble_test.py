"""What the runs leave becomes the study's files, each run's and each condition's own."""

import numpy as np
import pandas as pd
from absl.testing import absltest

import small_study
from imbreg_jax.evaluation import baseline, evaluator
from imbreg_jax.evaluation.metrics import METRICS, shots
from imbreg_jax.results import assemble


class ResultsTest(absltest.TestCase):
    def _results(self, conditions, **fields):
        """The rows of a study whose targets are 1 + condition in every place."""
        study = small_study.study(conditions, **fields)
        tests, count = len(study.test_distributions), study.test_size
        merged = [
            {
                'test_target': np.full((tests, count), 1.0 + run.condition_index, np.float32),
                'test_generating': np.ones((tests, count), np.float32),
                'test_prediction': np.ones((tests, count), np.float32),
                'validation_target': np.ones(4, np.float32),
                'validation_prediction': np.ones(4, np.float32),
                'diverged_epoch': np.int32(0),
                'best_constant': np.float64(2.5),
                'linear_moments': np.full((tests, count), 0.5 * run.repeat),
                'relevance_points': np.full(3, np.nan),
            }
            for run in study.runs
        ]
        return study, merged, assemble.results(study, merged)

    def _guesses(self, conditions):
        study, _, rows = self._results(conditions)
        return study, rows[rows.predictor == 'random_guess']

    def test_guess_once_where_conditions_share_their_targets(self):
        study, rows = self._guesses({'a': {}, 'b': {'train_distribution': 'u1_5'}})
        self.assertEqual(set(rows.condition), {''})
        compared = [name for name, metric in METRICS.items() if metric.compared]
        self.assertEqual(list(dict.fromkeys(rows.metric)), compared)
        self.assertLen(rows, len(study.repeats) * len(study.test_distributions) * len(compared))

    def test_guess_on_the_targets_of_each_condition_that_defines_its_own(self):
        study, rows = self._guesses(
            {'a': {}, 'b': {'train_distribution': 'u1_5'}, 'drawn': {'task.target': 'generating'}}
            | {'sample': {'task.ddof': 1}}
        )
        self.assertEqual(set(rows.condition), {'', 'drawn', 'sample'})
        self.assertEqual(set(rows.train_distribution), {''})
        for name, target in (('', 1.0), ('drawn', 3.0), ('sample', 4.0)):
            for repeat in study.repeats:
                guess = baseline.random_guess(study.seed, repeat, study.test_size, 1, 10)
                for law in study.test_distributions:
                    own = rows[(rows.condition == name) & (rows.repeat == repeat)]
                    own = own[own.test_distribution == law.name].set_index('metric').value
                    self.assertEqual(own['mse'], np.mean((guess - target) ** 2))

    def test_references_are_each_conditions_own_and_after_all_else(self):
        study, _, rows = self._results({'a': {}, 'b': {'train_distribution': 'u1_5'}})
        order = [
            'cnn',
            'cnn_calibrated',
            'cnn_scaled',
            'random_guess',
            'best_constant',
            'linear_moments',
            'floor',
        ]
        self.assertEqual(list(dict.fromkeys(rows.predictor)), order)
        self.assertEqual(list(dict.fromkeys(rows.metric)), list(METRICS))
        compared = [name for name, metric in METRICS.items() if metric.compared]
        for predictor, metrics in (
            ('cnn', list(METRICS)),
            ('cnn_calibrated', compared),
            ('cnn_scaled', [n for n in METRICS if n in compared or n in shots.NAMES]),
            ('linear_moments', compared),
        ):
            told = rows[rows.predictor == predictor].metric
            self.assertEqual(list(dict.fromkeys(told)), metrics)
        mse = rows[rows.metric == 'mse'].set_index(['predictor', 'condition', 'repeat']).value
        for i, name in enumerate('ab'):
            for repeat in study.repeats:
                constant = mse['best_constant', name, repeat]
                self.assertEqual(list(constant), [(1.5 - i) ** 2] * 2)
                linear = mse['linear_moments', name, repeat]
                self.assertEqual(list(linear), [(0.5 * repeat - 1 - i) ** 2] * 2)
                # A target that is measured on its own image can be told exactly.
                self.assertEqual(list(mse['floor', name, repeat]), [0, 0])
        self.assertEqual(set(rows[rows.predictor == 'floor'].metric), {'mse'})

    def test_errors_on_validation_images_stand_beside_where_they_are_asked_for(self):
        study, merged, before = self._results({'a': {}})
        for parts, run in zip(merged, study.runs, strict=True):
            tests = len(study.test_distributions)
            parts['selection_target'] = np.ones((tests, 4), np.float32)
            parts['selection_prediction'] = np.full((tests, 4), 3.0 + run.repeat, np.float32)
            parts['selection_prediction'][1] = 1.5
        found = assemble.results(study, merged)
        own = found.metric == assemble.CHOSEN_BY
        pd.testing.assert_frame_equal(found[~own].reset_index(drop=True), before)
        values = found[own].set_index(['predictor', 'repeat', 'test_distribution']).value
        first, second = (law.name for law in study.test_distributions)
        for repeat in study.repeats:
            self.assertEqual(values['cnn', repeat, ''], 0)
            self.assertEqual(values['cnn', repeat, first], (2 + repeat) ** 2)
            self.assertEqual(values['cnn', repeat, second], 0.25)
        self.assertLen(values, 3 * len(study.repeats))

    def test_a_unit_of_an_earlier_version_has_none(self):
        study, merged, rows = self._results({'a': {}})
        for parts in merged:
            for name in ('best_constant', 'linear_moments', 'relevance_points'):
                del parts[name]
        found = assemble.results(study, merged)
        kept = rows[~rows.predictor.isin(['best_constant', 'linear_moments'])]
        pd.testing.assert_frame_equal(found, kept.reset_index(drop=True))

    def test_a_network_that_diverged_leaves_its_references(self):
        study, merged, _ = self._results({'a': {}})
        for parts in merged:
            parts['diverged_epoch'] = np.int32(2)
        rows = assemble.results(study, merged)
        rows = rows[(rows.metric != 'diverged_epoch') & (rows.metric == 'mse')]
        lost = rows[rows.value.isna()]
        self.assertEqual(set(lost.predictor), {'cnn', 'cnn_calibrated', 'cnn_scaled'})
        self.assertTrue(rows[rows.predictor.isin(lost.predictor)].value.isna().all())


class MergeTest(absltest.TestCase):
    def test_moments_are_those_of_the_prediction_or_missing(self):
        """Whatever the units have of them, as those of earlier versions do."""
        kept = ('', 'evidential', 'balanced_mse', 'inverse + fds')
        lost = ('log_target', 'balanced_mse(space="log")', 'uvote', 'ensemble(size=2)')
        specs = dict(enumerate((*kept, *lost)))
        study = small_study.study({f'c{i}': {'remedy': spec} for i, spec in specs.items()})
        moments = np.arange(len(study.runs) * len(evaluator.MOMENTS), dtype=float)
        moments = moments.reshape(len(study.runs), -1)
        other = np.arange(float(len(study.runs)))
        arrays = {'moments': moments, 'validation_prediction': other, 'best_constant': other}
        found = assemble.merge(study, [assemble.Outcome(study.runs, arrays)])
        own = {run.result: row for run, row in zip(study.runs, moments, strict=True)}
        self.assertLen(found, len(study.results))
        for result, parts in zip(study.results, found, strict=True):
            wanted = own[result] if result[0] < len(kept) else np.full_like(moments[0], np.nan)
            np.testing.assert_array_equal(parts['moments'], wanted, specs[result[0]])
            self.assertTrue(np.isfinite(parts['best_constant']))


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
