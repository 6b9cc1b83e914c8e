"""Tests of imbreg_jax.remedies.neighbours, against the package UBL."""

from unittest import mock

import numpy as np
from absl.testing import absltest

import ubl
from imbreg_jax.remedies import neighbours


class NearestTest(absltest.TestCase):
    def test_is_the_packages(self):
        for case in ubl.CASES.values():
            features, _ = ubl.data(case)
            for group in case['groups']:
                found = neighbours.nearest(features[group['members']], 5)
                wanted = ubl.nearest(group)
                np.testing.assert_array_equal(found.places, wanted.places)
                np.testing.assert_allclose(found.distances, wanted.distances, rtol=1e-12)
                # Differences of squares of the greatest distances lose digits.
                np.testing.assert_allclose(found.median, wanted.median, rtol=1e-9)

    def test_does_not_depend_on_how_many_rows_are_held(self):
        images = np.random.default_rng(0).normal(size=(50, 6, 6, 1)).astype(np.float32)
        whole = neighbours.nearest(images, 4)
        with mock.patch.object(neighbours, '_AT_ONCE', 50 * 7):
            parts = neighbours.nearest(images, 4)
        for found, wanted in zip(parts, whole, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5)

    def test_of_targets_and_of_images_that_are_alike(self):
        found = neighbours.nearest(np.array([3.0, 3.0, 1.0, 7.0]), 2)
        np.testing.assert_array_equal(found.places, [[1, 2], [0, 2], [0, 1], [0, 1]])
        np.testing.assert_array_equal(found.distances, [[0, 2], [0, 2], [2, 2], [4, 4]])
        np.testing.assert_array_equal(found.median, [1, 1, 2, 4])

    def test_too_few_images_are_refused(self):
        with self.assertRaisesRegex(ValueError, '5 alike training images have no 5 neigh'):
            neighbours.nearest(np.zeros((5, 3)), 5)


if __name__ == '__main__':
    absltest.main()
