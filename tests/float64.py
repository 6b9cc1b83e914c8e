"""For tests in float64: where arithmetic is so exact, a difference is a mistake.

In float64 (2e-16) sums of at most a few thousand products of numbers of order one leave 1e-11
plenty of room.
"""

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from jax import lax

CLOSE = {'rtol': 1e-11, 'atol': 1e-11}


def normal(*shape, seed=0):
    """Standard normal numbers of a shape."""
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def convolution(x, kernel, stride=1):
    """XLA's own, valid: [B, H, W, C] and [K, K, C, O] to [B, H', W', O]."""
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )


def batch_last(function):
    """What maps [B, H, W, C] and something else, as what maps [H, W, B, C] and that."""

    def of(x, other):
        return function(x.transpose(2, 0, 1, 3), other).transpose(1, 2, 0, 3)

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
        cotangent = normal(*shape, seed=9)

        def both(function):
            def result_and_gradients(*arguments):
                result, pull = jax.vjp(function, *arguments)
                return result, *pull(cotangent)

            return result_and_gradients

        found, wanted = jax.jit(lambda *a: (both(fast)(*a), both(plain)(*a)))(*arguments)
        self.assertEqual(found[0].dtype, jnp.float64)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, **CLOSE)
