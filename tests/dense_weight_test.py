"""Tests of imbreg_jax.remedies.dense_weight."""

import json
import pathlib

import numpy as np
from absl.testing import absltest, parameterized
from scipy import stats

from imbreg_jax.remedies import dense_weight

# make_weight_fixtures.py says where they are from.
_CASES = json.loads(
    pathlib.Path(__file__).with_name('testdata').joinpath('weights.json').read_text()
)['dense_weight']

_VARIANTS = ('paper', 'published')


def _exact(targets, bandwidth, alpha=1.0, epsilon=1e-6):
    """The paper's weights, by the sum over all targets."""
    density = stats.norm.pdf((targets[:, None] - targets) / bandwidth).mean(1)
    scaled = (density - density.min()) / (density.max() - density.min())
    found = np.maximum(1 - alpha * scaled, epsilon)
    return found / found.mean()


class DenseWeightTest(parameterized.TestCase):
    def test_published_is_the_packages(self):
        for case in _CASES:
            with self.subTest(case['name'], **case['options']):
                options = dict(case['options'])
                if 'eps' in options:
                    options['epsilon'] = options.pop('eps')
                targets = np.array(case['targets'])
                found = dense_weight.weights(targets, variant='published', **options)
                # Transforms of 4,096 numbers, whose rounding is of the greatest density and weight.
                np.testing.assert_allclose(found, case['weights'], rtol=0, atol=1e-12)

    def test_is_the_papers_by_sums_over_all_targets(self):
        for case in _CASES:
            targets = np.array(case['targets'])
            for bandwidth in (dense_weight.silverman(targets), 0.3):
                for alpha in (0.5, 0.9):
                    with self.subTest(case['name'], bandwidth=bandwidth, alpha=alpha):
                        found = dense_weight.weights(targets, alpha, 1e-6, bandwidth)
                        wanted = _exact(targets, bandwidth, alpha)
                        # Density errs by 1e-6 of the greatest one, and is scaled by what it varies.
                        kernels = stats.norm.pdf((targets[:, None] - targets) / bandwidth).mean(1)
                        error = 1e-6 * kernels.max() / np.ptp(kernels) / (1 - alpha)
                        np.testing.assert_allclose(found, wanted, rtol=2 * error)

    def test_silverman_by_hand(self):
        # Of standard deviation 2, and 32 ** -0.2 is a half.
        targets = np.tile([3.0, 7.0], 16)
        self.assertAlmostEqual(dense_weight.silverman(targets), 1.06)
        np.testing.assert_array_equal(
            dense_weight.weights(targets), dense_weight.weights(targets, bandwidth=1.06)
        )

    def test_paper_and_package_agree_where_density_falls_to_nothing(self):
        """They scale by the least density of a target, and of a point beyond all targets."""
        targets = np.random.default_rng(0).normal(5.5, 1.0, 20_000)
        ours, published = (dense_weight.weights(targets, 0.9, variant=v) for v in _VARIANTS)
        np.testing.assert_allclose(ours, published, rtol=0.01)
        targets = np.random.default_rng(0).uniform(1, 10, 20_000)
        ours, published = (dense_weight.weights(targets, 0.9, variant=v) for v in _VARIANTS)
        end = np.argmin(targets)
        # Before the mean is 1, the end weighs 1 in the paper and 1 - 0.9 / 2 in the package, and
        # the mean target about 0.1 more than nothing in either.
        self.assertGreater(ours[end], 1.05 * published[end])

    def test_alpha_and_epsilon(self):
        targets = np.random.default_rng(0).normal(5.5, 1.0, 500)
        np.testing.assert_array_equal(dense_weight.weights(targets, alpha=0.0), 1)
        found = dense_weight.weights(targets, alpha=3.0, epsilon=0.25)
        self.assertAlmostEqual(found.mean(), 1, places=12)
        # The rarest weighs 1 and the commonest epsilon, both times the same.
        self.assertAlmostEqual(found.max() / found.min(), 4, places=12)
        self.assertGreater((found == found.min()).mean(), 0.5)

    def test_the_scale_of_targets_changes_nothing(self):
        targets = np.random.default_rng(0).exponential(2.0, 500)
        one, other = (dense_weight.weights(scale * targets, 0.9) for scale in (1.0, 1e4))
        np.testing.assert_allclose(one, other, rtol=1e-9)

    def test_a_bandwidth_that_the_package_cannot_do(self):
        targets = np.random.default_rng(0).exponential(1e5, 500)
        self.assertEqual(dense_weight.weights(targets).shape, (500,))
        with self.assertRaisesRegex(ValueError, "bandwidth of .*take variant='paper'"):
            dense_weight.weights(targets, variant='published')

    @parameterized.parameters('paper', 'published')
    def test_targets_that_are_all_alike_weigh_alike(self, variant):
        targets = np.full(9, 3.0)
        for bandwidth in (0.0, 0.5):
            found = dense_weight.weights(targets, 1.0, 1e-6, bandwidth, variant)
            np.testing.assert_allclose(found, 1, rtol=1e-12)

    def test_a_small_bandwidth_keeps_to_its_room(self):
        """Of a grid that would have 10**9 points, a million are taken."""
        targets = np.r_[np.full(90, 1.0), 1000.0]
        found = dense_weight.weights(targets, 0.9, bandwidth=1e-4)
        # Density at the one is a 90th of that at the others.
        self.assertAlmostEqual(found[-1] / found[0], 10, delta=0.2)

    def test_the_remedy_has_every_parameter_of_the_function(self):
        targets = np.random.default_rng(0).exponential(2.0, 500)
        given = {'alpha': 0.7, 'epsilon': 0.1, 'bandwidth': 0.4, 'variant': 'published'}
        found = dense_weight.DenseWeight(**given).tables(targets, None, None)['weights']
        np.testing.assert_array_equal(found, dense_weight.weights(targets, **given))


if __name__ == '__main__':
    absltest.main()
