"""Tests of imbreg_jax.evaluation.strata."""

import numpy as np
from absl.testing import absltest

from imbreg_jax import study
from imbreg_jax.evaluation import metrics
from imbreg_jax.evaluation.strata import strata


class StrataTest(absltest.TestCase):
    def test_are_what_training_had(self):
        values = np.array([[0.5, 1.0, 3.0], [5.0, 5.1, 9.0]])
        found = strata(study.parse('u1_5'), values)
        np.testing.assert_array_equal(found['seen'], [[0, 1, 1], [1, 0, 0]])
        np.testing.assert_array_equal(found['unseen'], ~found['seen'])

    def test_a_gap_is_unseen(self):
        law = study.parse('mixture(uniform(1, 4), 0.5, uniform(6, 10), 0.5)')
        found = strata(law, np.array([3.9, 4.5, 5.0, 5.9, 6.1]))
        np.testing.assert_array_equal(found['seen'], [1, 0, 0, 0, 1])

    def test_an_empty_one_has_no_mean(self):
        values = np.array([[1.0, 2.0, 6.0], [1.0, 2.0, 3.0]])
        mask = strata(study.parse('u1_5'), values)['unseen']
        np.testing.assert_array_equal(metrics.mean(values, mask), [6.0, np.nan])


if __name__ == '__main__':
    absltest.main()
