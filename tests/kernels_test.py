"""Tests of imbreg_jax.remedies.kernels; lds_test.py holds all of them against the repository's."""

import json
import pathlib

import numpy as np
from absl.testing import absltest

from imbreg_jax.remedies import kernels

_DATA = pathlib.Path(__file__).with_name('testdata') / 'features.json'


class KernelTest(absltest.TestCase):
    def test_gaussian_kernels_are_those_of_a_filter_and_of_a_gaussian(self):
        published = kernels.taps('gaussian', 5, 2.0, 'published')
        np.testing.assert_allclose(published, [0.858, 0.946, 1, 0.946, 0.858], atol=5e-4)
        ours = kernels.taps('gaussian', 5, 2.0)
        np.testing.assert_allclose(ours, np.exp([-0.5, -0.125, 0, -0.125, -0.5]), rtol=1e-15)

    def test_shares_are_the_repositorys(self):
        found = kernels.shares(5, 2.0, 'published')
        np.testing.assert_allclose(found, json.loads(_DATA.read_text())['fds']['kernel'], rtol=1e-6)
        np.testing.assert_allclose(found / found[2], [0.858, 0.946, 1, 0.946, 0.858], atol=5e-4)

    def test_every_kernel_is_symmetric_and_falls(self):
        for kernel in kernels.KERNELS:
            for variant in ('paper', 'published'):
                found = kernels.taps(kernel, 7, 1.5, variant)
                np.testing.assert_allclose(found, found[::-1])
                self.assertEqual(found[3], 1)
                self.assertTrue((np.diff(found[3:]) < 0).all())
        self.assertAlmostEqual(kernels.shares(7, 1.5).sum(), 1)

    def test_ends_are_reflected(self):
        values = np.array([[1.0], [10.0], [100.0], [1000.0]], np.float32)
        found = kernels.reflected(values, np.array([1.0, 0.0, 2.0]))
        np.testing.assert_allclose(found[:, 0], [10 + 20, 1 + 200, 10 + 2000, 100 + 200])

    def test_a_kernel_without_a_middle_or_wider_than_its_bins_is_refused(self):
        kernels.refuse_size('lds', 9)
        kernels.refuse_size('fds', 9, 5)
        with self.assertRaisesRegex(ValueError, 'lds has size = 4; it must be odd'):
            kernels.refuse_size('lds', 4)
        for size in (4, 9):
            with self.assertRaisesRegex(ValueError, f'fds has size = {size}; .*twice its bins, 4'):
                kernels.refuse_size('fds', size, 4)


if __name__ == '__main__':
    absltest.main()
