"""Tests of imbreg_jax.model.convolution: against XLA's own convolution, in float64."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

import float64
from imbreg_jax.model.convolution import block_convolution, computed_once
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


class ConvolutionTest(float64.Double):
    @parameterized.product(
        (
            {'channels': (3, 3), 'taps': 3, 'size': (6, 6)},
            {'channels': (2, 5), 'taps': 2, 'size': (7, 5)},
            {'channels': (5, 2), 'taps': 2, 'size': (7, 5)},
            {'channels': (2, 5), 'taps': 3, 'size': (3, 8)},
            {'channels': (5, 2), 'taps': 3, 'size': (5, 4)},
            {'channels': (5, 2), 'taps': 1, 'size': (4, 4)},
            {'channels': (1, 1), 'taps': 1, 'size': (4, 4)},
        ),
        minimal=(False, True),
    )
    def test_of_blocks_is_xlas(self, channels, taps, size, minimal):
        # More channels out than in, and the other way round, take different ways.
        if minimal and taps != 3:
            self.skipTest('there is one way of other kernels')
        self.assert_same(
            functools.partial(block_convolution, minimal=minimal),
            float64.batch_last(float64.convolution),
            float64.normal(*size, 3, channels[0]),
            float64.normal(taps, taps, *channels, seed=1),
        )

    @parameterized.product(channels=((2, 5), (5, 2)), minimal=(False, True))
    def test_of_blocks_under_vmap(self, channels, minimal):
        x, kernels = (
            float64.normal(4, 6, 6, 3, channels[0]),
            float64.normal(4, 3, 3, *channels, seed=1),
        )
        self.assert_same(
            jax.vmap(functools.partial(block_convolution, minimal=minimal)),
            lambda x, k: jnp.stack(
                [float64.batch_last(float64.convolution)(x[i], k[i]) for i in range(4)]
            ),
            x,
            kernels,
        )


class ComputedOnceTest(float64.Double):
    def test_changes_nothing(self):
        self.assert_same(computed_once, lambda x: x, float64.normal(3, 4))
        self.assert_same(jax.vmap(computed_once), lambda x: x, float64.normal(3, 4))
        for first in (math.nan, math.inf, -0.0):
            given = np.array([first, 1.0, math.nan])
            np.testing.assert_array_equal(computed_once(jnp.asarray(given)), given)


class SinglePrecisionTest(absltest.TestCase):
    def test_rounding_of_minimal_filtering(self):
        channels, outputs = 40, 20
        x = np.asarray(float64.normal(12, 12, 2, channels), np.float32)
        kernel = np.asarray(float64.normal(3, 3, channels, outputs, seed=1), np.float32)
        with jax.enable_x64(True):
            exact = float64.batch_last(float64.convolution)(jnp.float64(x), jnp.float64(kernel))
            size = float64.batch_last(float64.convolution)(
                *(jnp.abs(jnp.float64(a)) for a in (x, kernel))
            )
            exact, size = np.asarray(exact), np.asarray(size)
        error = {}
        with jax.default_matmul_precision('highest'):
            for minimal in (False, True):
                y = block_convolution(jnp.asarray(x), jnp.asarray(kernel), minimal)
                error[minimal] = np.sqrt(np.mean((np.asarray(y) - exact) ** 2))
        # A sum of n products is out by about sqrt(n) roundings of a term. Those of tiles and of
        # products double it: 4 inputs of a tile, 9 products of an output.
        self.assertLess(error[True], 4 * error[False])
        self.assertLess(error[True], 2.0**-24 * size.mean())


if __name__ == '__main__':
    absltest.main()
