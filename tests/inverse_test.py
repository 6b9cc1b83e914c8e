"""Tests of imbreg_jax.remedies.inverse."""

import json
import pathlib

import numpy as np
from absl.testing import absltest

from imbreg_jax.remedies import inverse

# make_weight_fixtures.py says where they are from.
_AGES = json.loads(
    pathlib.Path(__file__).with_name('testdata').joinpath('weights.json').read_text()
)['ages']


class InverseTest(absltest.TestCase):
    def test_by_hand(self):
        # Bins [0, 1), [1, 2), [2, 3]: 4, 1 and 2 images of 7.
        targets = np.array([0.0, 0.1, 0.2, 0.9, 1.5, 2.5, 3.0])
        found = inverse.weights(targets, bins=3, low=1e-9, high=1.0)
        raw = np.array([1 / 4] * 4 + [1.0] + [1 / 2] * 2)
        np.testing.assert_allclose(found, raw / raw.mean(), rtol=1e-12)
        root = inverse.weights(targets, bins=3, power=0.5)
        np.testing.assert_allclose(root, np.sqrt(raw) / np.sqrt(raw).mean(), rtol=1e-12)

    def test_counts_are_clipped(self):
        counts = np.array([9000, 2, 998])
        of_images = [0, 9000, -1]
        # Of 20 bins each may hold five times as many as of 100, here of as many images.
        for bins, limits in {100: (4, 800), 20: (20, 4000), 50: (8, 1600)}.items():
            targets = np.repeat([0, bins / 2, bins], counts)
            found = inverse.weights(targets, bins)[of_images]
            wanted = limits[1] / np.clip(counts, *limits)
            np.testing.assert_allclose(found / found[0], wanted, rtol=1e-12)
        published = inverse.weights(targets, bins=3, variant='published')
        np.testing.assert_allclose(
            published[of_images] / published[0], 1000 / np.array([1000, 5, 998]), rtol=1e-12
        )

    def test_limits_leave_weights_of_few_bins_as_they_are(self):
        normal = np.random.default_rng(0).normal(5.5, 1, 10_000)
        for bins in (10, 20, 50, 100, 200):
            free = inverse.weights(normal, bins, low=1e-9, high=1.0)
            found = inverse.weights(normal, bins)
            dense = abs(normal - 5.5) < 2
            np.testing.assert_allclose((found / found.min())[dense], (free / free.min())[dense])

    def test_published_are_the_repositorys(self):
        counts = np.array(_AGES['counts'])
        places = np.repeat(np.arange(len(counts)), counts)
        powers = {'sqrt_inv': 0.5, 'inverse': 1.0}
        for case in _AGES['cases']:
            if case['smoothing'] is None:
                power = powers.pop(case['reweight'])
                tempered = inverse.tempered(counts, power, 0.0, 1.0, 'published')
                wanted = [case['weights'][str(age)] for age in places]
                # Theirs are of float32, of which each weight and their mean have a rounding.
                np.testing.assert_allclose(
                    inverse.inverted(tempered, places), wanted, rtol=2 * np.finfo(np.float32).eps
                )
        self.assertEmpty(powers)

    def test_are_of_mean_one_and_even_where_targets_are(self):
        even = inverse.weights(np.linspace(1, 10, 2000), bins=20)
        np.testing.assert_allclose(even, 1, rtol=0.02)
        skewed = inverse.weights(1 + np.random.default_rng(0).exponential(2.0, 5000))
        self.assertAlmostEqual(skewed.mean(), 1, places=12)
        self.assertGreater(skewed.max(), 10 * skewed.min())

    def test_a_single_value_has_a_weight(self):
        np.testing.assert_array_equal(inverse.weights(np.full(5, 3.0)), 1)


if __name__ == '__main__':
    absltest.main()
