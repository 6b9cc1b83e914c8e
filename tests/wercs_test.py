"""Tests of imbreg_jax.remedies.wercs, against the package of the method's authors."""

import numpy as np
from absl.testing import absltest

import ubl
from imbreg_jax.remedies import wercs

_REPEATS = 1000


class WercsTest(absltest.TestCase):
    def test_images_occur_as_often_as_in_the_package(self):
        generator = np.random.default_rng(0)
        for name in ('high', 'both'):
            relevance = np.array(ubl.CASES[name]['relevance'])
            theirs = ubl.CASES[name]['wercs']
            times = np.zeros((2, 80))
            for _ in range(_REPEATS):
                counts = np.bincount(wercs.resampled(relevance, generator), minlength=80)
                times += counts, counts**2
            mean, square = times / _REPEATS
            error = np.hypot(np.sqrt((square - mean**2) / _REPEATS), theirs['error'])
            # The greatest of 80 differences.
            self.assertLess(np.max(np.abs(mean - theirs['mean']) / error), 4.5)

    def test_images_occur_as_often_as_weights_say(self):
        relevance = np.array([0.0, 0.0, 0.25, 0.5, 1.0])
        generator = np.random.default_rng(0)
        found = [wercs.resampled(relevance, generator, 0.8, 0.4) for _ in range(_REPEATS)]
        counts = np.mean([np.bincount(made, minlength=5) for made in found], axis=0)
        # Four draws are added; two are taken out, of images that are not wholly relevant.
        normal = (1 - relevance) / (1 - relevance).sum()
        wanted = (1 - normal) ** 2 + 4 * relevance / relevance.sum()
        np.testing.assert_allclose(counts, wanted, atol=5 * 1.0 / np.sqrt(_REPEATS))
        self.assertTrue(all(4 in made for made in found))

    def test_has_the_sets_size(self):
        relevance = np.array(ubl.CASES['high']['relevance'])
        for over, under in ((0.5, 0.5), (0.1, 1.0), (2.0, 0.1)):
            found = wercs.indices(relevance, np.random.default_rng(0), over, under)
            self.assertLen(found, 80)
            self.assertEqual(found.dtype, np.int32)

    def test_says_what_is_wrong(self):
        for relevance, kind in (
            (np.full(5, np.nan), 'relevant'),
            (np.zeros(5), 'relevant'),
            (np.ones(5), 'normal'),
        ):
            with self.assertRaisesRegex(ValueError, f'no training target is {kind}.*by hand'):
                wercs.indices(relevance, np.random.default_rng(0))


if __name__ == '__main__':
    absltest.main()
