"""Tests of imbreg_jax.model.convolution: against XLA's own convolution, in float64.

In float64 (2e-16) a difference is a mistake: sums of at most a few thousand products of numbers
of order one leave 1e-11 plenty of room.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from jax import lax

from imbreg_jax.model.convolution import block_convolution, computed_once
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_CLOSE = {'rtol': 1e-11, 'atol': 1e-11}


def _normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def _convolution(x, kernel, stride=1):
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )


def _batch_last(convolution):
    """A convolution of [B, H, W, C] as one of [H, W, B, C]."""

    def of(x, kernel):
        return convolution(x.transpose(2, 0, 1, 3), kernel).transpose(1, 2, 0, 3)

    return of


class Double(parameterized.TestCase):
    """Tests in float64."""

    def setUp(self):
        super().setUp()
        self.enter_context(jax.enable_x64(True))
        self.enter_context(jax.default_matmul_precision('highest'))

    def assert_same(self, fast, plain, *arguments):
        """Two functions of the same arguments agree, and so do their gradients."""
        shape = jax.eval_shape(plain, *arguments).shape
        cotangent = _normal(*shape, seed=9)

        def both(function):
            def result_and_gradients(*arguments):
                result, pull = jax.vjp(function, *arguments)
                return result, *pull(cotangent)

            return result_and_gradients

        found, wanted = jax.jit(lambda *a: (both(fast)(*a), both(plain)(*a)))(*arguments)
        self.assertEqual(found[0].dtype, jnp.float64)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, **_CLOSE)


class ConvolutionTest(Double):
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
            _batch_last(_convolution),
            _normal(*size, 3, channels[0]),
            _normal(taps, taps, *channels, seed=1),
        )

    @parameterized.product(channels=((2, 5), (5, 2)), minimal=(False, True))
    def test_of_blocks_under_vmap(self, channels, minimal):
        x, kernels = _normal(4, 6, 6, 3, channels[0]), _normal(4, 3, 3, *channels, seed=1)
        self.assert_same(
            jax.vmap(functools.partial(block_convolution, minimal=minimal)),
            lambda x, k: jnp.stack([_batch_last(_convolution)(x[i], k[i]) for i in range(4)]),
            x,
            kernels,
        )


class ComputedOnceTest(Double):
    def test_changes_nothing(self):
        self.assert_same(computed_once, lambda x: x, _normal(3, 4))
        self.assert_same(jax.vmap(computed_once), lambda x: x, _normal(3, 4))


class SinglePrecisionTest(absltest.TestCase):
    def test_rounding_of_minimal_filtering(self):
        channels, outputs = 40, 20
        x = np.asarray(_normal(12, 12, 2, channels), np.float32)
        kernel = np.asarray(_normal(3, 3, channels, outputs, seed=1), np.float32)
        with jax.enable_x64(True):
            exact = _batch_last(_convolution)(jnp.float64(x), jnp.float64(kernel))
            size = _batch_last(_convolution)(*(jnp.abs(jnp.float64(a)) for a in (x, kernel)))
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
