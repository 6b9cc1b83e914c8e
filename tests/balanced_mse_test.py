"""Tests of imbreg_jax.remedies.balanced_mse."""

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from scipy import special, stats

from imbreg_jax.remedies import balanced_mse


class BatchLossTest(parameterized.TestCase):
    @parameterized.parameters(0.5, 1.0, 3.0)
    def test_is_the_cross_entropy_of_the_paper(self, noise):
        generator = np.random.default_rng(0)
        targets = generator.uniform(1, 10, 9)
        predictions = targets + generator.normal(0, 1, 9)
        # -log of N(target; prediction) over its mean over the batch's targets, but for log B.
        density = stats.norm.logpdf(targets[None, :], predictions[:, None], noise)
        wanted = 2 * noise**2 * (special.logsumexp(density, axis=1) - np.diag(density))
        found = balanced_mse.batch_losses(jnp.float32(predictions), jnp.float32(targets), noise)
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=1e-4)
        mean = balanced_mse.batch_loss(jnp.float32(predictions), jnp.float32(targets), noise)
        np.testing.assert_allclose(mean, wanted.mean(), rtol=2e-4)

    def test_its_gradient_is_that_of_numbers(self):
        targets = jnp.array([1.0, 2.0, 4.0, 8.0])
        start = np.array([1.5, 1.0, 5.0, 7.0])
        with jax.enable_x64(True):
            found = jax.grad(balanced_mse.batch_loss)(jnp.asarray(start), targets, 1.3)
            for place in range(4):
                step = 1e-6 * np.eye(4)[place]
                ends = [
                    float(balanced_mse.batch_loss(jnp.asarray(start + s), targets, 1.3))
                    for s in (step, -step)
                ]
                self.assertAlmostEqual(float(found[place]), (ends[0] - ends[1]) / 2e-6, places=5)

    def test_far_targets_leave_squared_error(self):
        """Where other targets are far off, in noise, only an image's own would count: loss 0."""
        targets = jnp.array([1.0, 50.0, 100.0])
        self.assertAlmostEqual(float(balanced_mse.batch_loss(targets, targets, 1.0)), 0, places=6)

    def test_wide_noise_is_squared_error_less_the_mean_of_others(self):
        """As noise grows, 2 s**2 (CE - log B) tends to e_ii**2 - mean over j of e_ij**2."""
        generator = np.random.default_rng(1)
        targets, predictions = generator.uniform(1, 10, (2, 6))
        with jax.enable_x64(True):
            noise = 1e3
            found = balanced_mse.batch_losses(jnp.asarray(predictions), jnp.asarray(targets), noise)
            errors = (predictions[:, None] - targets[None, :]) ** 2
            wanted = np.diag(errors) - errors.mean(1)
            np.testing.assert_allclose(found - 2 * noise**2 * np.log(6), wanted, rtol=1e-3)


if __name__ == '__main__':
    absltest.main()
