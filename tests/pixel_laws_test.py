"""Tests of imbreg_jax.data.pixel_laws: each law is the one it is called after."""

import jax
import numpy as np
from absl.testing import absltest
from scipy import stats

from imbreg_jax.data import pixel_laws
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


class PixelLawsTest(absltest.TestCase):
    def test_are_scipys_of_unit_variance(self):
        degrees = pixel_laws.STUDENT_DEGREES
        scale = ((degrees - 2) / degrees) ** 0.5
        wanted = {
            'normal': stats.norm(),
            'student_t': stats.t(degrees, scale=scale),
            'laplace': stats.laplace(scale=0.5**0.5),
            'uniform': stats.uniform(-(3**0.5), 2 * 3**0.5),
        }
        self.assertEqual(wanted.keys(), pixel_laws.PIXEL_LAWS.keys())
        for name, law in wanted.items():
            with self.subTest(name):
                self.assertAlmostEqual(law.std(), 1, places=12)
                quantiles = pixel_laws.PIXEL_LAWS[name].distribution.ppf([0.01, 0.5, 0.8])
                np.testing.assert_allclose(quantiles, law.ppf([0.01, 0.5, 0.8]), atol=1e-12)
                drawn = pixel_laws.PIXEL_LAWS[name].draw(jax.random.key(3), (100, 500))
                self.assertEqual(drawn.dtype, np.float32)
                self.assertTrue(np.isfinite(drawn).all())
                # Under the law itself a p value below 1e-6 is one start in a million.
                self.assertGreater(stats.kstest(np.ravel(drawn), law.cdf).pvalue, 1e-6)

    def test_draws_are_independent(self):
        for name, law in pixel_laws.PIXEL_LAWS.items():
            drawn = np.asarray(law.draw(jax.random.key(4), (1000, 100)), np.float64)
            for other in (drawn[:, 1:] * drawn[:, :-1], drawn[1:] * drawn[:-1]):
                self.assertAlmostEqual(other.mean(), 0, delta=5 / np.sqrt(other.size), msg=name)


if __name__ == '__main__':
    absltest.main()
