"""Tests of imbreg_jax.model.layers: fast forms against the plain ones, in float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from jax import lax

import float64
from imbreg_jax.model import layers
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


def _pool(x):
    """2x2 average pooling; a last odd row or column is dropped, as PyTorch does."""
    return lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), 'VALID') / 4


def _from_blocks(x, block, channels):
    """[n, n, B, block*block*channels] -> [B, n*block, n*block, channels]."""
    count, _, batch, _ = x.shape
    x = x.reshape(count, count, batch, block, block, channels).transpose(2, 0, 3, 1, 4, 5)
    return x.reshape(batch, count * block, count * block, channels)


def _to_blocks(x, block, count):
    """Channels each cut on their own and put last: [B, H, W, C] -> [n, n, B, block*block*C]."""
    cut = [layers.to_blocks(x[..., c : c + 1], block, count) for c in range(x.shape[-1])]
    return jnp.stack(cut, -1).reshape(count, count, x.shape[0], -1)


class FoldTest(float64.Double):
    @parameterized.parameters((11, 3), (12, 3), (11, 4), (12, 4), (14, 5), (15, 5))
    def test_is_convolution_then_pooling(self, size, kernel):
        def fast(x, weights):
            count = (size - kernel + 1) // 2
            return float64.convolution(x, layers.fold_average_pool(weights), 2)[:, :count, :count]

        self.assert_same(
            fast,
            lambda x, weights: _pool(float64.convolution(x, weights)),
            float64.normal(2, size, size, 3),
            float64.normal(kernel, kernel, 3, 4, seed=1),
        )

    def test_keeps_the_sum_of_the_kernel(self):
        kernel = float64.normal(5, 5, 2, 3)
        folded = layers.fold_average_pool(kernel)
        self.assertEqual(folded.shape, (6, 6, 2, 3))
        np.testing.assert_allclose(folded.sum((0, 1)), kernel.sum((0, 1)), **float64.CLOSE)


class BlocksTest(float64.Double):
    def test_are_pixels_row_by_row(self):
        image = jnp.arange(36.0).reshape(1, 6, 6, 1)
        blocks = layers.to_blocks(image, 2, 3)
        self.assertEqual(blocks.shape, (3, 3, 1, 4))
        np.testing.assert_array_equal(blocks[1, 2, 0], [16, 17, 22, 23])

    def test_cut_off_and_fill_up(self):
        image = jnp.ones((1, 5, 5, 1))
        np.testing.assert_array_equal(layers.to_blocks(image, 2, 2), np.ones((2, 2, 1, 4)))
        filled = _from_blocks(layers.to_blocks(image, 4, 2), 4, 1)[0, :, :, 0]
        np.testing.assert_array_equal(filled, np.pad(np.ones((5, 5)), (0, 3)))

    @parameterized.parameters((1, 2, 5), (2, 1, 6), (2, 2, 3), (2, 2, 6), (1, 4, 4))
    def test_kernel_does_between_blocks_what_it_does_between_pixels(self, stride, block, kernel):
        block_in, inputs, outputs = stride * block, 2, 3
        count = 7
        x = float64.normal(2, count * block_in, count * block_in, inputs)

        def fast(x, weights):
            between = layers.block_kernel(weights, stride, block)
            y = float64.batch_last(float64.convolution)(_to_blocks(x, block_in, count), between)
            return _from_blocks(y, block, outputs)

        def plain(x, weights):
            y = float64.convolution(x, weights, stride)
            rows = jax.eval_shape(fast, x, weights).shape[1]
            return y[:, :rows, :rows]

        self.assert_same(fast, plain, x, float64.normal(kernel, kernel, inputs, outputs, seed=1))


class PoolTest(float64.Double):
    """Pools of pixels that stand behind one another."""

    @parameterized.named_parameters(
        ('average', layers.average_pool, jnp.mean), ('max', layers.max_pool, jnp.max)
    )
    def test_is_that_of_four(self, pool, of_axis):
        maps = float64.normal(2, 2, 3, 4 * 5)
        self.assert_same(pool, lambda x: of_axis(x.reshape(2, 2, 3, 4, 5), 3), maps)

    def test_of_equal_pixels_the_first_has_the_gradient(self):
        for pixels in ([1, 1, 1, 1], [0, 1, 1, 0], [0, 0, 1, 1]):
            gradient = jax.grad(lambda x: layers.max_pool(x)[0])(jnp.array(pixels, float))
            self.assertEqual(gradient.tolist(), list(np.eye(4)[np.argmax(pixels)]))


class EveryPlaceTest(float64.Double):
    @parameterized.parameters(((3, 5),), ((1, 5),), ((3, 1),))
    def test_is_a_broadcast(self, shape):
        self.assert_same(
            lambda x: layers.at_every_place(x, (2, 4, 3, 5)),
            lambda x: jnp.broadcast_to(x, (2, 4, 3, 5)),
            float64.normal(*shape),
        )


class ConvolutionAndPoolTest(float64.Double):
    """The Flax layer, on blocks, against convolution, pooling and ReLU on pixels."""

    @parameterized.parameters(
        ('pool_relu', 1, True, 5),
        ('pool_relu', 2, True, 5),
        ('pool_relu', 2, True, 4),
        ('pool_relu', 2, False, 5),
        ('relu_pool', 1, True, 5),
        ('relu_pool', 2, True, 3),
    )
    def test_is_the_plain_layer(self, order, block, fold, kernel):
        inputs, features, count = 2, 3, 4
        layer = layers.ConvolutionAndPool(
            features, kernel, inputs, block, order=order, fold=fold, dropout='channel'
        )
        size = 2 * block * count
        x = float64.normal(2, size, size, inputs)
        params = {'kernel': float64.normal(kernel, kernel, inputs, features, seed=1),
                  'bias': float64.normal(features, seed=2)}  # fmt: skip

        def fast(x, weights, bias):
            blocks = _to_blocks(x, 2 * block, count)
            y = layer.apply({'params': {'kernel': weights, 'bias': bias}}, blocks)
            return _from_blocks(y, block, features)

        def plain(x, weights, bias):
            y = float64.convolution(x, weights) + bias
            y = _pool(jax.nn.relu(y)) if order == 'relu_pool' else jax.nn.relu(_pool(y))
            rows = jax.eval_shape(fast, x, weights, bias).shape[1]
            return y[:, :rows, :rows]

        self.assert_same(fast, plain, x, params['kernel'], params['bias'])

    def test_has_parameters_in_the_usual_shape(self):
        layer = layers.ConvolutionAndPool(7, 5, 3, 2)
        shapes = jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((1, 4, 4, 48)))
        shapes = {name: leaf.shape for name, leaf in shapes['params'].items()}
        self.assertEqual(shapes, {'kernel': (5, 5, 3, 7), 'bias': (7,)})


class SinglePrecisionTest(parameterized.TestCase):
    """The fold in float32 is as exact as convolution then pooling is."""

    @parameterized.parameters(((2, 6),), ((6, 2),))
    def test_rounding(self, channels):
        inputs, outputs = channels
        layer = layers.ConvolutionAndPool(outputs, 5, inputs, 1)
        with jax.enable_x64(True):
            x, kernel = (
                float64.normal(2, 16, 16, inputs),
                float64.normal(5, 5, inputs, outputs, seed=1),
            )
            exact = jax.nn.relu(_pool(float64.convolution(x, kernel)))
            # Every product's size, summed: what rounding is relative to.
            size = _pool(float64.convolution(jnp.abs(x), jnp.abs(kernel)))
            exact, size, x, kernel = (np.asarray(a) for a in (exact, size, x, kernel))
        params = {'kernel': jnp.float32(kernel), 'bias': jnp.zeros(outputs)}
        with jax.default_matmul_precision('highest'):
            blocks = _to_blocks(jnp.float32(x), 2, 8)
            y = np.asarray(layer.apply({'params': params}, blocks))
        y = y.transpose(2, 0, 1, 3)[:, : exact.shape[1], : exact.shape[2]]
        # Rounding x, the kernel, its sum of four, and a sum of n = 36 C products in any order:
        # no more than n + 6 roundings of 2^-24 each, of every product.
        bound = (36 * inputs + 6) * 2.0**-24 * size
        self.assertTrue((np.abs(y - exact) <= bound).all())


class InitializerTest(parameterized.TestCase):
    def test_pytorchs_is_uniform_within_one_over_root_fan_in(self):
        count = 100_000
        values = np.asarray(layers.torch_uniform(16)(jax.random.key(0), (count,)), np.float64)
        self.assertLessEqual(np.abs(values).max(), 0.25)
        # Kolmogorov's bound, p = 1e-6.
        expected = (np.arange(count) + 0.5) / count * 0.5 - 0.25
        bound = 0.5 * math.sqrt(math.log(2e6) / (2 * count)) + 0.5 / count
        self.assertLess(np.abs(np.sort(values) - expected).max(), bound)

    def test_flaxs_has_no_bias(self):
        _, bias = layers.initializers('flax', 25)
        np.testing.assert_array_equal(bias(jax.random.key(0), (5,)), np.zeros(5))


class DropoutTest(parameterized.TestCase):
    @parameterized.parameters(0.1, 0.5, 0.9)
    def test_zeroes_at_its_rate_and_keeps_the_mean(self, rate):
        count = 100_000
        mask = np.asarray(layers.dropout_mask(jax.random.key(0), jnp.float32(rate), (count,)))
        # Standard error of a binomial fraction; 5 of them, p < 1e-6.
        error = 5 * math.sqrt(rate * (1 - rate) / count)
        self.assertAlmostEqual((mask == 0).mean(), rate, delta=error)
        self.assertAlmostEqual(mask.astype(np.float64).mean(), 1, delta=error / (1 - rate))
        kept = mask[mask != 0]
        np.testing.assert_allclose(kept, 1 / (1 - rate), rtol=2.0**-22)

    def test_rate_zero_keeps_everything(self):
        mask = layers.dropout_mask(jax.random.key(0), jnp.float32(0), (10_000,))
        np.testing.assert_array_equal(mask, np.ones(10_000))

    def test_rate_may_be_traced_and_differ_under_vmap(self):
        rates = jnp.array([0.0, 0.25, 0.5], jnp.float32)
        draw = lambda rate: layers.dropout_mask(jax.random.key(1), rate, (500,))  # noqa: E731
        together = jax.jit(jax.vmap(draw))(rates)
        alone = jnp.stack([draw(rate) for rate in rates])
        np.testing.assert_allclose(together, alone, rtol=2.0**-22)
        # Paired: what the lower rate drops, the higher drops too.
        dropped = np.asarray(together) == 0
        self.assertTrue((dropped[1] <= dropped[2]).all())

    def test_neighbours_are_independent(self):
        mask = np.asarray(layers.dropout_mask(jax.random.key(2), jnp.float32(0.5), (300, 300)))
        for a, b in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1])):
            # The product of two centred masks of rate 1/2 is +-1.
            self.assertAlmostEqual(((a - 1) * (b - 1)).mean(), 0, delta=5 / math.sqrt(a.size))


if __name__ == '__main__':
    absltest.main()
