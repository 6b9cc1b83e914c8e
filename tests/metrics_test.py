"""Tests of imbreg_jax.evaluation.metrics, against formulas written out and scipy."""

import warnings

import numpy as np
from absl.testing import absltest
from scipy import stats

from imbreg_jax import study
from imbreg_jax.evaluation.metrics import METRICS, metrics, register
from imbreg_jax.evaluation.strata import strata

_TESTS = [study.parse('u1_10'), study.parse('n5_5_1')]


def _drawn(law='mixture(uniform(2, 4), 0.5, uniform(6, 9), 0.5)', count=200):
    """Predictions, targets and what is known of them, of two test laws."""
    generator = np.random.default_rng(0)
    generating = np.stack([test.ppf(generator.uniform(size=count)) for test in _TESTS])
    targets = generating + generator.normal(0, 0.01, generating.shape)
    predictions = 1 + 0.7 * targets + generator.normal(0, 0.5, targets.shape)
    known = strata(study.parse(law), _TESTS, generating, generator.uniform(size=targets.shape))
    return predictions, targets, generating, known


def _bin_errors(errors, generating, low, high):
    """Means of errors in the tenths of a range that have any; beyond it is in the outer ones."""
    tenth = np.clip(np.floor((generating - low) / (high - low) * 10), 0, 9)
    return [errors[tenth == i].mean() for i in range(10) if (tenth == i).any()]


class MetricsTest(absltest.TestCase):
    def test_by_hand(self):
        # Errors 1, -2, 0, 3; relative 1/2, -1/2, 0, 3/8. All exact in binary.
        found = metrics(np.array([3.0, 2.0, 5.0, 11.0]), np.array([2.0, 4.0, 5.0, 8.0]))
        self.assertEqual(
            found,
            {'mse': 14 / 4, 'mape': 100 * 1.375 / 4, 'mpe': 100 * 0.375 / 4, 'mae': 6 / 4},
        )
        self.assertEqual(list(found), list(METRICS)[:4])

    def test_are_the_formulas(self):
        predictions, targets, generating, known = _drawn()
        found = metrics(predictions, targets, known)
        self.assertEqual(list(found), list(METRICS))
        ranges = [(1, 10), tuple(_TESTS[1].ppf([0.001, 0.999]))]
        for i, (p, a, g) in enumerate(zip(predictions, targets, generating, strict=True)):
            error = p - a
            squares = _bin_errors(error**2, g, *ranges[i])
            line = stats.linregress(p, a)
            # A thousandth of the law's range is about a value: its quantiles are 2.004 and 8.994.
            gap = (g > 4 + 0.00699) & (g < 6 - 0.00699)
            outside = (g < 2 - 0.00699) | (g > 9 + 0.00699)
            expected = {
                'rmse': np.linalg.norm(error) / np.sqrt(len(p)),
                'geometric_mean_error': stats.gmean(np.abs(error)),
                'r2': 1 - np.sum(error**2) / (len(a) * np.var(a)),
                'spearman': stats.spearmanr(p, a).statistic,
                'calibration_slope': line.slope,
                'calibration_intercept': line.intercept,
                'bin_balanced_mse': np.mean(squares),
                'bin_balanced_mae': np.mean(_bin_errors(np.abs(error), g, *ranges[i])),
                'worst_bin_mse': np.max(squares),
                'sera': np.trapezoid(
                    # At a threshold each image counts that is relevant enough.
                    [error[known['relevance'][i] >= t] @ error[known['relevance'][i] >= t]
                     for t in np.linspace(0, 1, 20_001)],
                    dx=1 / 20_000,
                ),
                'mae_interpolation': np.abs(error[gap]).mean(),
                # Of the normal law no image is.
                'mae_extrapolation': np.abs(error[outside]).mean() if outside.any() else np.nan,
                'mae_zero': np.abs(error[gap | outside]).mean(),
                # Half of the targets in 2 or 3 units: about each target there is a twelfth or more.
                'mae_many': np.abs(error[~gap & ~outside]).mean(),
                'mae_medium': np.nan,
                'mae_few': np.nan,
            }  # fmt: skip
            self.assertEqual({'mse', 'mape', 'mpe', 'mae', *expected}, set(METRICS))
            for name, value in expected.items():
                # The area is a sum of steps of 1/20,000; the rest is rounding.
                close = 1e-4 if name == 'sera' else 1e-10
                np.testing.assert_allclose(found[name][i], value, rtol=close, err_msg=name)

    def test_over_the_last_axis_and_broadcast(self):
        predictions, targets, _, known = _drawn(count=5)
        several = np.stack([predictions, predictions[::-1], targets + 1])
        found = metrics(several, targets, known)
        for name, values in found.items():
            self.assertEqual(values.shape, (3, 2))
            for i, j in np.ndindex(3, 2):
                own = {key: value[j] for key, value in known.items()}
                # The order of a sum of five may differ between shapes: a few last digits.
                wanted = metrics(several[i, j], targets[j], own)[name]
                np.testing.assert_allclose(values[i, j], wanted, rtol=1e-11, atol=1e-13)

    def test_float32_is_summed_in_float64(self):
        # Squared errors 2**24 and 1, whose sum is no float32.
        found = metrics(np.array([4097, 2], np.float32), np.ones(2, np.float32))
        self.assertEqual(found['mse'].dtype, np.float64)
        self.assertEqual(found['mse'], (2**24 + 1) / 2)

    def test_no_warning_and_no_number_where_there_is_none(self):
        predictions, targets, _, known = _drawn(count=4)
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            zero = metrics(np.array([1.0, 2.0]), np.array([0.0, 1.0]))
            broken = metrics(np.where(np.arange(4) == 1, np.nan, predictions), targets, known)
            constant = metrics(np.full(targets.shape, 0.1), targets, known)
            right = metrics(targets, targets, known)
        self.assertEqual(zero['mse'], 1.0)
        self.assertFalse(np.isfinite(zero['mape']) or np.isfinite(zero['mpe']))
        for name, value in broken.items():
            # One of a stratum's images may not be the broken one.
            if not name.startswith('mae_'):
                self.assertTrue(np.isnan(value).all(), name)
        for name in ('spearman', 'calibration_slope', 'calibration_intercept'):
            self.assertTrue(np.isnan(constant[name]).all(), name)
        self.assertEqual(list(right['geometric_mean_error']), [0, 0])
        np.testing.assert_allclose(right['calibration_slope'], 1)

    def test_ties_share_their_rank(self):
        predictions, targets, _, known = _drawn(count=50)
        rough = np.round(predictions)
        found = metrics(rough, targets, known)['spearman']
        expected = [stats.spearmanr(*pair).statistic for pair in zip(rough, targets, strict=True)]
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_of_no_training_has_no_strata(self):
        predictions, targets, generating, _ = _drawn()
        found = metrics(predictions, targets, strata(None, _TESTS, generating))
        of_law = [name for name in METRICS if name == 'sera' or name.startswith('mae_')]
        for name, values in found.items():
            self.assertEqual(np.isnan(values).all(), name in of_law, name)

    def test_a_way_that_is_none_is_refused(self):
        with self.assertRaisesRegex(ValueError, "better = 'more or less': it must be"):
            register(label='', unit='', better='more or less')


if __name__ == '__main__':
    absltest.main()
