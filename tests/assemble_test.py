"""What the runs leave becomes the study's files, each run's and each condition's own."""

import numpy as np
from absl.testing import absltest

import small_study
from imbreg_jax.evaluation import evaluator
from imbreg_jax.results import assemble


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
