"""Tests of imbreg_jax.evaluation.strata."""

import numpy as np
from absl.testing import absltest
from scipy import stats

from imbreg_jax import study
from imbreg_jax.evaluation import metrics
from imbreg_jax.evaluation.strata import strata

_TEST = study.parse('u1_10')


def _strata(law, values):
    return {k: v[0] for k, v in strata(study.parse(law), [_TEST], np.array([values])).items()}


class StrataTest(absltest.TestCase):
    def test_are_what_training_had(self):
        values = np.array([[0.5, 1.0, 3.0], [5.0, 5.1, 9.0]])
        found = strata(study.parse('u1_5'), [_TEST, _TEST], values)
        np.testing.assert_array_equal(found['seen'], [[0, 1, 1], [1, 0, 0]])
        np.testing.assert_array_equal(found['unseen'], ~found['seen'])

    def test_unseen_is_between_or_beyond(self):
        law = 'mixture(uniform(1, 4), 0.5, uniform(6, 10), 0.5)'
        found = _strata(law, [0.5, 3.9, 4.5, 5.0, 5.9, 6.1, 10.5])
        np.testing.assert_array_equal(found['seen'], [0, 1, 0, 0, 0, 1, 0])
        np.testing.assert_array_equal(found['interpolation'], [0, 0, 1, 1, 1, 0, 0])
        np.testing.assert_array_equal(found['extrapolation'], [1, 0, 0, 0, 0, 0, 1])

    def test_seen_is_many_medium_or_few_by_the_share_about_the_value(self):
        values = np.linspace(1, 10, 901)
        found = _strata('n5_5_1', values)
        share = stats.norm.cdf(values + 0.5, 5.5, 1) - stats.norm.cdf(values - 0.5, 5.5, 1)
        # Of 12,208 images, as many as Yang et al. have it.
        np.testing.assert_array_equal(found['many'], share * 12_208 > 100)
        np.testing.assert_array_equal(found['few'], share * 12_208 < 20)
        np.testing.assert_array_equal(found['medium'], (share > 20 / 12_208) & ~found['many'])
        for name in ('many', 'medium', 'few'):
            self.assertTrue(found[name].any(), name)

    def test_what_is_unseen_is_none_of_them(self):
        found = _strata('u1_5', [1.0, 4.9, 5.0, 5.003, 5.1])
        np.testing.assert_array_equal(found['many'], [1, 1, 1, 1, 0])
        self.assertFalse((found['medium'] | found['few']).any())

    def test_bins_are_tenths_of_the_test_laws_range(self):
        tests = [_TEST, study.parse('n5_5_1'), study.parse('u1_5')]
        values = np.array([[1.0, 1.89, 1.91, 10.0], [-3.0, 5.4, 5.6, 20.0], [1.0, 1.39, 1.41, 5.0]])
        found = strata(None, tests, values)['bin']
        np.testing.assert_array_equal(found, [[0, 0, 1, 9], [0, 4, 5, 9], [0, 0, 1, 9]])

    def test_an_empty_one_has_no_mean(self):
        values = np.array([[1.0, 2.0, 6.0], [1.0, 2.0, 3.0]])
        mask = strata(study.parse('u1_5'), [_TEST, _TEST], values)['unseen']
        np.testing.assert_array_equal(metrics.mean(values, mask), [6.0, np.nan])


if __name__ == '__main__':
    absltest.main()
