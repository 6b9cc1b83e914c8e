"""What weights on the loss do where targets are balanced, and where they are not.

On targets of U(1, 10), which are balanced, a remedy should change nothing; on N(5.5, 1) and on
1 + exponential targets of mean 2 their weights are those that the laws' densities give.
"""

import functools

import numpy as np
from absl.testing import absltest
from scipy import stats

from imbreg_jax import remedies
from imbreg_jax.remedies import dense_weight, kernels

_COUNT = 50_000
_LAWS = {
    'uniform': stats.uniform(1, 9),
    'normal': stats.norm(5.5, 1),
    'exponential': stats.expon(1, 2),
}


@functools.cache
def _targets(name):
    return np.sort(_LAWS[name].rvs(_COUNT, random_state=np.random.default_rng(0)))


def _weights(spec, name):
    return remedies.parse(spec).tables(_targets(name), None, None)['weights']


def _scatter(power, count, taps=(1.0,)):
    """Five standard errors of weights that are a power of a count, over bins with such taps."""
    taps = np.asarray(taps)
    return 5 * power * np.sqrt(np.sum(taps**2)) / taps.sum() / np.sqrt(count)


class UniformTest(absltest.TestCase):
    def test_inverse_counts_are_neutral_but_for_chance(self):
        for bins in (20, 100):
            for power in (0.5, 1.0):
                error = _scatter(power, _COUNT / bins)
                found = _weights(f'inverse(bins={bins}, power={power})', 'uniform')
                np.testing.assert_allclose(found, 1, atol=error)

    def test_smoothed_counts_are_neutral_but_for_chance_at_the_ends_too(self):
        for kernel in kernels.KERNELS:
            for power in (0.5, 1.0):
                found = _weights(f'lds(kernel={kernel!r}, power={power})', 'uniform')
                # An outer bin has neighbours on one side only.
                taps = kernels.taps(kernel)
                error = _scatter(power, _COUNT / 100, taps[2:])
                np.testing.assert_allclose(found, 1, atol=error)
                inner = np.abs(_targets('uniform') - 5.5) < 4.3
                error = _scatter(power, _COUNT / 100, taps)
                np.testing.assert_allclose(found[inner], 1, atol=error)

    def test_published_smoothed_counts_weigh_up_both_ends(self):
        """By the taps that lie where the repository counts no images."""
        taps = kernels.taps('gaussian', 5, 2.0, 'published')
        found = _weights("lds(variant='published')", 'uniform')
        middle = np.mean(found[_COUNT // 3 : -_COUNT // 3])
        error = _scatter(0.5, _COUNT / 100, taps[2:])
        for places in (found / middle, found[::-1] / middle):
            self.assertAlmostEqual(places[0], taps.sum() / taps[2:].sum(), delta=2 * error)
            self.assertAlmostEqual(places[0], 1.64, delta=2 * error)
            # The second bin: of 1 to 2 percent of the targets.
            second = places[int(0.015 * _COUNT)]
            self.assertAlmostEqual(second, taps.sum() / taps[1:].sum(), delta=2 * error)

    def test_dense_weight_puts_weight_on_the_ends(self):
        """Density is half there, and the middle weighs what chance leaves below the densest."""
        bandwidth = dense_weight.silverman(_targets('uniform'))
        outer = np.abs(_targets('uniform') - 5.5) > 4.5 - bandwidth
        self.assertLess(outer.mean(), 0.08)
        for variant in ('paper', 'published'):
            found = _weights(f'dense_weight(variant={variant!r})', 'uniform')
            # Some 40 percent of the weight on 7 percent of the targets.
            self.assertGreater(found[outer].sum() / found.sum(), 5 * outer.mean())
            for end in (found[0], found[-1]):
                self.assertGreater(end, 8)
            self.assertLess(1 / np.mean(found**2), 0.35)
        # With an alpha of a half, 1 - p' / 2 runs from 1 to a half.
        found = _weights('dense_weight(alpha=0.5)', 'uniform')
        self.assertAlmostEqual(found.max() / found.min(), 2, places=10)
        self.assertLess(np.abs(found[~outer] - 1).max(), 0.25)

    def test_relevance_is_a_preference_and_not_neutral(self):
        with self.assertRaisesRegex(ValueError, 'give control points by hand'):
            _weights('relevance', 'uniform')
        found = _weights('relevance(points=((1, 1), (5.5, 0), (10, 1)))', 'uniform')
        # Mean relevance is a half, so that 0.1 and 1 are brought to mean 1 by 0.55.
        np.testing.assert_allclose([found.min(), found.max()], [0.1 / 0.55, 1 / 0.55], rtol=0.02)


class ImbalancedTest(absltest.TestCase):
    def _assert_as(self, found, wanted, part, rtol):
        """Weights are those wanted, but for a factor, on some of the targets."""
        found, wanted = found[part], wanted[part]
        np.testing.assert_allclose(found / found.mean(), wanted / wanted.mean(), rtol=rtol)

    def test_counts_weigh_by_density(self):
        for name in ('normal', 'exponential'):
            law, targets = _LAWS[name], _targets(name)
            density = law.pdf(targets)
            width = (targets[-1] - targets[0]) / 100
            # Bins with many images, which the first three of an exponential law's have to smooth.
            dense = (density * width * _COUNT > 400) & (targets > targets[0] + 3 * width)
            for spec, power, taps in (
                ('inverse(low=1e-6, high=1)', 1.0, (1,)),
                ('inverse(power=0.5)', 0.5, (1,)),
                ('lds', 0.5, kernels.taps()),
                ('lds(power=1.0, low=1e-6, high=1)', 1.0, kernels.taps()),
            ):
                with self.subTest(f'{spec}, {name}'):
                    # How much density changes in a bin, and how much counts scatter.
                    change = np.abs(np.log(law.pdf(targets + width) / density)[dense]).max()
                    error = np.expm1(power * change + _scatter(power, 400, taps))
                    self._assert_as(_weights(spec, name), density**-power, dense, error)

    def test_counts_are_limited_where_targets_are_rarest(self):
        for name in ('normal', 'exponential'):
            found = _weights('inverse', name)
            counts = np.unique(found, return_counts=True)[1]
            # 20 of 50,000 images are the least that a bin counts.
            self.assertLessEqual(found.max() / found.min(), counts.max() / 20 * (1 + 1e-12))
            self.assertGreater((found == found.max()).sum(), 1)

    def test_density_weighs_by_what_the_densest_lacks(self):
        """By the law under a Gaussian kernel, half of which lies beyond exponential targets."""
        for name in ('normal', 'exponential'):
            targets = _targets(name)
            width = dense_weight.silverman(targets)
            if name == 'normal':
                density = stats.norm.pdf(targets, 5.5, np.hypot(1, width))
            else:
                away = targets - 1
                density = 0.5 * np.exp(width**2 / 8 - away / 2)
                density *= stats.norm.cdf(away / width - width / 2)
            # Five standard errors of the estimate at its top, relative to it.
            error = 5 / np.sqrt(2 * np.sqrt(np.pi) * width * density.max() * _COUNT)
            wanted = 1 - density / density.max()
            for variant in ('paper', 'published'):
                with self.subTest(name, variant=variant):
                    found = _weights(f'dense_weight(variant={variant!r})', name)
                    np.testing.assert_allclose(
                        found, wanted / wanted.mean(), rtol=0, atol=2 * error / wanted.mean()
                    )
        # So that the least exponential targets, though the commonest, weigh more than the mean.
        self.assertGreater(found[0], 1)

    def test_relevance_weighs_the_whiskers_and_beyond(self):
        for name, centre, whisker in (
            # From the median to the third quartile, and one and a half boxes on.
            ('normal', 5.5, stats.norm.ppf(0.75) * 4),
            ('exponential', 1 + 2 * np.log(2), 2 * (np.log(4) + 1.5 * np.log(3)) - 2 * np.log(2)),
        ):
            targets = _targets(name)
            away = targets - centre
            way = np.clip((np.abs(away) if name == 'normal' else away) / whisker, 0, 1)
            wanted = 0.1 + 0.9 * way**2 * (3 - 2 * way)
            found = _weights('relevance', name)
            # A whisker's standard error is 2.5 times that of the upper quartile: 0.7 and 0.8
            # percent of its distance. The cubic's slope is 1.5 at most, of a height of 0.9.
            error = 5 * 0.0085 * 1.5 * 0.9 / wanted.mean()
            np.testing.assert_allclose(found, wanted / wanted.mean(), rtol=0, atol=error)


if __name__ == '__main__':
    absltest.main()
