"""Tests of imbreg_jax.remedies.balanced_mse."""

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from scipy import integrate, special, stats

import published
import small_study
from imbreg_jax import remedies, study
from imbreg_jax.remedies import balanced_mse
from imbreg_jax.training.remedy import Batch
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


class PublishedTest(parameterized.TestCase):
    """All forms against the repository's, with gradients in predictions and noise."""

    def _mean(self, case, predictions, targets, noise):
        held = published.losses()
        mixture, bins = held['mixture'], held['bins']
        parts = {
            'bmc': (balanced_mse.batch_losses, ()),
            'gai': (
                balanced_mse.mixture_losses,
                (mixture['means'], mixture['variances'], np.log(mixture['weights'])),
            ),
            'bni': (balanced_mse.bin_losses, (bins['centres'], np.log(bins['shares']))),
        }
        losses, law = parts[case['variant']]
        return jnp.mean(losses(predictions, targets, noise, *law))

    def test_losses_and_gradients(self):
        held = published.losses()
        self.assertLen(held['balanced_mse'], 9)
        for case in held['balanced_mse']:
            with self.subTest(case['variant'], noise=case['noise']):
                published.assert_agrees(
                    lambda x, noise, case=case: self._mean(case, x, held['targets'], noise),
                    case, case['noise'],
                )  # fmt: skip

    def test_noise_is_learnt_as_it_is_there(self):
        held = published.losses()
        for case in held['balanced_mse'][::2]:  # Each form, and each noise to begin with.
            method = remedies.parse(
                f'balanced_mse(variant={case["variant"]!r}, noise={case["noise"]}, learnable=True)'
            )
            self.assertEqual(method.noise_rate, 0.01)
            with self.subTest(case['variant'], noise=case['noise']), jax.enable_x64(True):
                dials = {name: jnp.float64(value) for name, value in method.dials().items()}

                def slope(more, case=case, dials=dials):
                    noise = dials['noise'] + more
                    return self._mean(case, held['predictions'], held['targets'], noise)

                @jax.jit
                def step(state, _, method=method, slope=slope, dials=dials):
                    gradient = jax.grad(slope)(method.learned(state))
                    state = method.learn(state, gradient, dials)
                    return state, dials['noise'] + state.more

                state = jax.tree.map(jnp.asarray, method.start(1, {}))
                _, found = jax.lax.scan(step, state, length=len(case['path']))
                np.testing.assert_allclose(found, case['path'], rtol=1e-9)

    def test_mixture_is_scikit_learns_where_there_is_but_one(self):
        held = published.losses()
        found = balanced_mse.mixture(held['labels'], 3)
        order = np.argsort(held['mixture']['means'])
        # Both stop where another pass changes a log likelihood by 1e-3 at most.
        np.testing.assert_allclose(found['means'], held['mixture']['means'][order], rtol=1e-4)
        np.testing.assert_allclose(
            found['variances'], held['mixture']['variances'][order], rtol=1e-2
        )
        shares = held['mixture']['weights'][order]
        np.testing.assert_allclose(np.exp(found['log_shares']), shares, rtol=1e-3)


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


class LawTest(parameterized.TestCase):
    """The training law, as a mixture of normal laws or as bins of targets."""

    def test_mixture_losses_are_the_integral_of_the_paper(self):
        means, variances = np.array([2.0, 5.0]), np.array([0.3, 1.0])
        shares, noise = np.array([0.8, 0.2]), 0.7
        predictions, targets = np.array([1.5, 3.0, 6.0]), np.array([2.0, 2.5, 4.0])

        def density(y):
            return shares @ stats.norm.pdf(y, means, np.sqrt(variances))

        def found_at(y, prediction):
            return density(y) * stats.norm.pdf(y, prediction, noise)

        wanted = [
            np.log(integrate.quad(found_at, -9, 19, (p,))[0]) - stats.norm.logpdf(t, p, noise)
            for p, t in zip(predictions, targets, strict=True)
        ]
        with jax.enable_x64(True):
            found = balanced_mse.mixture_losses(
                jnp.asarray(predictions), jnp.asarray(targets), noise, means, variances,
                np.log(shares),
            )  # fmt: skip
        np.testing.assert_allclose(found, 2 * noise**2 * np.array(wanted), rtol=1e-7)

    def test_forms_agree_where_bins_and_batches_are_fine(self):
        """All of them estimate the same integral over a training law, N(5, 1) here."""
        targets = stats.norm.ppf((np.arange(2000) + 0.5) / 2000, 5.0, 1.0)
        predictions, noise = np.array([3.0, 5.0, 7.0]), 0.8
        with jax.enable_x64(True):
            arrays = {
                'gai': balanced_mse.mixture(targets, 1),
                'bni': balanced_mse.histogram(targets, 200),
            }
            at = jnp.asarray(predictions)
            # Of an error-free prediction, so that only the law is left.
            mixture = balanced_mse.mixture_losses(at, at, noise, **arrays['gai'])
            bins = balanced_mse.bin_losses(at, at, noise, **arrays['bni'])
            spread = np.sqrt(1 + noise**2)
            wanted = stats.norm.logpdf(predictions, 5.0, spread) + 0.5 * np.log(2 * np.pi)
            np.testing.assert_allclose(mixture, 2 * noise**2 * (wanted + np.log(noise)), atol=0.005)
            # A density of bins of no width lacks its normal laws' constant.
            np.testing.assert_allclose(bins, mixture, atol=0.005)
            # An image's own target is one of the batch.
            found = [
                balanced_mse.batch_losses(
                    jnp.full(len(targets) + 1, p), jnp.append(targets, p), noise
                )[-1]
                for p in predictions
            ]
            found = np.asarray(found) - 2 * noise**2 * np.log(len(targets) + 1)
            np.testing.assert_allclose(found, mixture, atol=0.005)

    @parameterized.parameters(1, 3, 8)
    def test_mixture_is_likelier_than_one_law(self, components):
        targets = 1 + np.random.default_rng(0).exponential(2.0, 3000)
        found = balanced_mse.mixture(targets, components)
        for part in found.values():
            self.assertEqual(part.shape, (components,))
        self.assertAlmostEqual(np.exp(found['log_shares']).sum(), 1)
        mean = (np.exp(found['log_shares']) * found['means']).sum()
        self.assertAlmostEqual(mean, targets.mean(), places=6)

        def likelihood(part):
            parts = stats.norm.logpdf(targets[:, None], part['means'], part['variances'] ** 0.5)
            return special.logsumexp(parts + part['log_shares'], axis=1).mean()

        alone = balanced_mse.mixture(targets, 1)
        self.assertGreaterEqual(likelihood(found), likelihood(alone) + 0.1 * (components > 1))

    def test_mixture_of_few_values_has_empty_laws(self):
        found = balanced_mse.mixture(np.repeat([2.0, 7.0], [30, 10]), 5)
        order = np.argsort(found['log_shares'])
        np.testing.assert_array_equal(found['log_shares'][order[:3]], -np.inf)
        np.testing.assert_allclose(np.exp(found['log_shares'][order[3:]]), [0.25, 0.75])
        np.testing.assert_allclose(found['means'][order[3:]], [7, 2])
        slope = jax.grad(
            lambda x: balanced_mse.mixture_losses(x, jnp.array([6.0]), 0.5, **found).sum()
        )(jnp.array([5.0]))
        self.assertTrue(np.isfinite(slope).all())

    def test_histogram_counts(self):
        found = balanced_mse.histogram(np.array([1.0, 1.2, 2.9, 5.0]), 4)
        np.testing.assert_allclose(found['centres'], [1.5, 2.5, 3.5, 4.5])
        np.testing.assert_allclose(np.exp(found['log_shares']), [0.5, 0.25, 0, 0.25])
        slope = jax.grad(
            lambda x: balanced_mse.bin_losses(x, jnp.array([2.0]), 0.5, **found).sum()
        )(jnp.array([3.0]))
        self.assertTrue(np.isfinite(slope).all())


class BalancedMSETest(parameterized.TestCase):
    def _batch(self, method, outputs, targets, training):
        tables = method.tables(training, None, None)
        return Batch(
            None, None, jnp.float32(targets), jnp.ones(len(targets)), None, outputs, None,
            None, {name: jnp.float32(part) for name, part in tables.items()},
            {name: jnp.float32(part) for name, part in method.dials().items()}, None,
            learned=method.learned(method.start(1, {})),
        )  # fmt: skip

    @parameterized.product(variant=('bmc', 'gai', 'bni'), space=('target', 'log'))
    def test_is_its_form_in_its_space(self, variant, space):
        learnable = variant == 'gai' or space == 'log'
        method = remedies.parse(
            f'balanced_mse(variant={variant!r}, space={space!r}, learnable={learnable}, bins=30, '
            'components=2)'
        )
        self.assertEqual(method.noise, {'target': 0.2, 'log': 0.05}[space])
        training = 1 + np.random.default_rng(0).exponential(2.0, 500)
        targets, outputs = np.array([1.5, 2.0, 6.0]), np.array([1.2, 0.7, 1.9])
        batch = self._batch(method, jnp.float32(outputs[None, :, None]), targets, training)
        into = np.log if space == 'log' else np.asarray
        law = {
            'bmc': lambda y: {},
            'gai': lambda y: balanced_mse.mixture(y, 2),
            'bni': lambda y: balanced_mse.histogram(y, 30),
        }[variant](into(training))
        form = {
            'bmc': balanced_mse.batch_losses,
            'gai': balanced_mse.mixture_losses,
            'bni': balanced_mse.bin_losses,
        }[variant]
        with jax.enable_x64(True):
            wanted = np.asarray(form(outputs, into(targets), method.noise, **law))
        np.testing.assert_allclose(method.loss(batch), wanted.mean(), rtol=1e-4)
        wanted = np.exp(outputs) if space == 'log' else outputs
        np.testing.assert_allclose(method.predict(batch.outputs[0]), wanted, rtol=1e-6)

    def test_noise_as_given_is_kept(self):
        found = remedies.parse('balanced_mse(noise=0.7, space="log")')
        self.assertEqual(found.dials()['noise'], 0.7)

    def test_little_noise_leaves_balanced_targets_alone_and_much_does_not(self):
        """Where the loss of an error-free image is least, with targets U(1, 10): the module's."""
        centres = 1 + (np.arange(900) + 0.5) / 100
        law = {'centres': centres, 'log_shares': np.full(900, -np.log(900))}
        predictions = np.linspace(4, 12, 1601)
        for noise, at, off in ((1.0, 9.0, 0.52), (0.2, 9.0, 0.0), (0.2, 9.9, 0.325)):
            with jax.enable_x64(True):
                losses = balanced_mse.bin_losses(
                    jnp.asarray(predictions), np.full(1601, at), noise, **law
                )
            found = predictions[np.argmin(losses)]
            # To the predictions' spacing.
            self.assertAlmostEqual(found - at, off, delta=0.005)

    def test_refuses_batches_of_one(self):
        with self.assertRaisesRegex(study.ConfigError, 'bmc compares the images of a batch'):
            small_study.study(remedy='balanced_mse', training__batch_size=1)
        small_study.study(remedy='balanced_mse(variant="bni")', training__batch_size=1)


if __name__ == '__main__':
    absltest.main()
