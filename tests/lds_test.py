"""Tests of imbreg_jax.remedies.lds."""

import json
import pathlib

import numpy as np
from absl.testing import absltest, parameterized

from imbreg_jax import remedies
from imbreg_jax.remedies import bins as bins_lib
from imbreg_jax.remedies import inverse, kernels, lds

# make_weight_fixtures.py says where they are from.
_AGES = json.loads(
    pathlib.Path(__file__).with_name('testdata').joinpath('weights.json').read_text()
)['ages']
_POWERS = {'sqrt_inv': 0.5, 'inverse': 1.0}
_NAMES = {'triang': 'triangular'}


def _published(case):
    """A case of the repository's as ours: kernel, size, sigma and power."""
    kernel, size, sigma = case['smoothing']
    return _NAMES.get(kernel, kernel), size, sigma, _POWERS[case['reweight']]


class PublishedTest(absltest.TestCase):
    def test_weights_and_kernels_are_the_repositorys(self):
        counts = np.array(_AGES['counts'])
        # The clip holds at both of its ends, and some ages have no image.
        self.assertTrue((counts == 0).any())
        self.assertTrue(((counts > 0) & (counts < inverse.PUBLISHED_LOW)).any())
        self.assertTrue((counts > inverse.PUBLISHED_HIGH).any())
        places = np.repeat(np.arange(len(counts)), counts)
        for case in filter(lambda case: case['smoothing'], _AGES['cases']):
            with self.subTest(**{k: case[k] for k in ('reweight', 'smoothing')}):
                kernel, size, sigma, power = _published(case)
                taps = kernels.taps(kernel, size, sigma, 'published')
                np.testing.assert_allclose(taps, case['window'], rtol=1e-14)
                found = lds.weights_of_bins(
                    counts, places, kernel, size, sigma, power, 0.0, 1.0, 'published'
                )
                wanted = [case['weights'][str(age)] for age in places]
                # Theirs are of float32, of which each weight and their mean have a rounding.
                np.testing.assert_allclose(found, wanted, rtol=2 * np.finfo(np.float32).eps)


class WeightsTest(parameterized.TestCase):
    def test_by_hand(self):
        # Bins [0, 1), [1, 2), [2, 3), [3, 4]: 4, 1, 0 and 2 images of 7.
        targets = np.array([0.0, 0.1, 0.2, 0.9, 1.5, 3.5, 4.0])
        # Of size 3 and triangular: ½, 1, ½, over those neighbours that there are.
        first, second, last = (4 + 0.5) / 1.5, (2 + 1 + 0) / 2, (0 + 2) / 1.5
        smooth = np.array([first] * 4 + [second] + [last] * 2)
        found = lds.weights(targets, 4, 'triangular', 3)
        root = smooth**-0.5
        np.testing.assert_allclose(found, root / root.mean(), rtol=1e-12)
        # Limits of 4 bins are 25 times those of 100: 2.1 and 2.8 of the 7.
        found = lds.weights(targets, 4, 'triangular', 3, power=1.0, low=0.012, high=0.016)
        limited = 1 / np.array([2.8] * 4 + [2.1] * 3)
        np.testing.assert_allclose(found, limited / limited.mean(), rtol=1e-12)

    @parameterized.parameters(*kernels.KERNELS)
    def test_a_kernel_of_one_bin_is_no_smoothing(self, kernel):
        targets = 1 + np.random.default_rng(0).exponential(2.0, 3000)
        for power in (0.5, 1.0):
            found = lds.weights(targets, 30, kernel, size=1, power=power)
            wanted = inverse.weights(targets, 30, power)
            np.testing.assert_allclose(found, wanted, rtol=1e-14)

    def test_kernels_fall_with_distance_alike_on_both_sides(self):
        for kernel in kernels.KERNELS:
            for variant in ('paper', 'published'):
                taps = kernels.taps(kernel, 7, 1.5, variant)
                np.testing.assert_allclose(taps, taps[::-1], rtol=1e-14)
                self.assertEqual(taps[3], 1)
                self.assertGreater(np.diff(taps[:4]).min(), 0)
        np.testing.assert_allclose(kernels.taps('laplace', 3, 0.5), [np.exp(-2), 1, np.exp(-2)])

    def test_a_missing_bins_neighbours_weigh_more_than_without_smoothing(self):
        """What the method is for: about a gap there are few images like these."""
        generator = np.random.default_rng(0)
        targets = generator.uniform(0, 10, 20_000)
        targets = np.r_[targets[(targets < 4) | (targets > 5)], 0, 10]
        found = lds.weights(targets, bins=10, size=3)
        places = bins_lib.places(targets, 10)
        beside, far = found[places == 3].mean(), found[places == 1].mean()
        self.assertGreater(beside, 1.15 * far)
        plain = inverse.weights(targets, 10, power=0.5)
        self.assertAlmostEqual(plain[places == 3].mean() / plain[places == 1].mean(), 1, delta=0.05)

    @parameterized.parameters(
        ('lds(size=4)', 'it must be odd'),
        ('lds(low=0.5, high=0.01)', 'lds has low = 0.5; it must be below its high'),
        ("lds(kernel='gauss')", "must be one of 'gaussian', 'triangular', 'laplace'"),
    )
    def test_says_what_is_wrong(self, spec, message):
        with self.assertRaisesRegex(ValueError, message):
            remedies.parse(spec)

    def test_the_remedy_has_every_parameter_of_the_function(self):
        targets = 1 + np.random.default_rng(0).exponential(2.0, 500)
        given = {
            'bins': 12,
            'kernel': 'laplace',
            'size': 3,
            'sigma': 0.7,
            'power': 1.0,
            'low': 0.01,
            'high': 0.2,
            'variant': 'published',
        }
        found = lds.LDS(**given).tables(targets, None, None)['weights']
        np.testing.assert_array_equal(found, lds.weights(targets, **given))


if __name__ == '__main__':
    absltest.main()
