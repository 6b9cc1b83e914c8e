"""Tests of imbreg_jax.evaluation.baseline against integrals, draws and the paper."""

import numpy as np
from absl.testing import absltest, parameterized
from scipy import integrate

from imbreg_jax.data import randomness
from imbreg_jax.data.randomness import Purpose
from imbreg_jax.evaluation import baseline
from imbreg_jax.evaluation.metrics import metrics
from imbreg_jax.study import laws


class ExpectedErrorsTest(parameterized.TestCase):
    def test_of_the_paper(self):
        expected = baseline.expected_errors(1, 10)
        self.assertEqual(expected['mse'], 13.5)
        self.assertEqual(round(expected['mape'], 3), 82.445)
        self.assertEqual(round(expected['mpe'], 1), 40.7)

    @parameterized.parameters((1, 10), (1, 5), (0.25, 20), (3, 3.5))
    def test_are_the_integrals(self, low, high):
        density = (high - low) ** -2.0

        def integral(of):
            # Two halves, each smooth: |p - a| has its corner on the diagonal.
            below, _ = integrate.dblquad(of, low, high, low, lambda a: a)
            above, _ = integrate.dblquad(of, low, high, lambda a: a, high)
            return density * (below + above)

        expected = baseline.expected_errors(low, high)
        # dblquad's own bound on its error is 1.5e-8.
        self.assertAlmostEqual(expected['mse'], integral(lambda p, a: (p - a) ** 2), delta=1e-6)
        self.assertAlmostEqual(
            expected['mape'], 100 * integral(lambda p, a: abs(p - a) / a), delta=1e-6
        )
        self.assertAlmostEqual(
            expected['mpe'], 100 * integral(lambda p, a: (p - a) / a), delta=1e-6
        )

    def test_are_what_many_guesses_make(self):
        count = 1_000_000
        law = laws.parse('u1_10')
        targets = law.ppf(randomness.uniforms(0, 0, Purpose.TEST_TARGETS, count))
        guesses = baseline.random_guess(0, 0, count, 1.0, 10.0)
        found = metrics(guesses, targets)
        expected = baseline.expected_errors(1.0, 10.0)
        error = guesses - targets
        for name, values in (
            ('mse', error**2),
            ('mape', 100 * np.abs(error) / targets),
            ('mpe', 100 * error / targets),
        ):
            # 5 standard errors, p < 1e-6.
            delta = 5 * values.std() / np.sqrt(count)
            self.assertAlmostEqual(found[name], expected[name], delta=delta, msg=name)


class RandomGuessTest(absltest.TestCase):
    def test_stays_in_its_range(self):
        guesses = baseline.random_guess(0, 3, 5000, 1.0, 10.0)
        self.assertGreater(guesses.min(), 1.0)
        self.assertLess(guesses.max(), 10.0)
        # Uniform of width 9: standard error 9/sqrt(12 n); 5 of them.
        self.assertAlmostEqual(guesses.mean(), 5.5, delta=5 * 9 / np.sqrt(12 * 5000))

    def test_is_its_own_for_each_repeat_and_not_the_targets(self):
        first = baseline.random_guess(0, 0, 50, 0.0, 1.0)
        np.testing.assert_array_equal(first, baseline.random_guess(0, 0, 50, 0.0, 1.0))
        self.assertEmpty(np.intersect1d(first, baseline.random_guess(0, 1, 50, 0.0, 1.0)))
        targets = randomness.uniforms(0, 0, Purpose.TEST_TARGETS, 50)
        self.assertEmpty(np.intersect1d(first, targets))


if __name__ == '__main__':
    absltest.main()
