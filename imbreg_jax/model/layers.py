"""Layers written for many small networks at once.

Two facts shape this module.  A convolution followed by average pooling is one
strided convolution whose kernel is the average of the original over the
pool's shifts.  And a convolution whose kernels differ from run to run becomes,
under `vmap`, a grouped convolution, which is slow everywhere, while a matrix
product becomes a batched matrix product, which is fast everywhere.

So images travel in *blocks*: [B, H, W, C] is kept as [B, H/b, W/b, b*b*C], the
b*b pixels of a block being channels (row in block, column in block, channel).
Every convolution, of whatever stride, is then a stride-1 valid convolution
from blocks of s*b pixels to blocks of b pixels, computed as matrix products.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from imbreg_jax.model.activations import ACTIVATIONS
from imbreg_jax.study import architecture
from imbreg_jax.study.architecture import POOL

Initializer = nn.initializers.Initializer

# What normalisation adds to a variance, and the share of a batch in running statistics: PyTorch's.
EPSILON = 1e-5
MOMENTUM = 0.1
# The collection that a layer leaves a batch's statistics in, where it may be changed.
STATISTICS = 'statistics'
# What statistics of maps [B, N, N, pixels, features] are taken over.
_AXES = {'layer': (1, 2, 3, 4), 'instance': (1, 2, 3), 'batch': (0, 1, 2, 3)}


def to_blocks(images: jax.Array, block: int, count: int) -> jax.Array:
    """Cuts images [B, H, W, C] into blocks [B, count, count, block*block*C].

    What lies beyond the last block is cut off; missing pixels are zeros.
    """
    need, channels = block * count, images.shape[3]
    images = images[:, :need, :need]
    missing = [(0, need - n) for n in images.shape[1:3]]
    images = jnp.pad(images, [(0, 0), *missing, (0, 0)])
    return (
        images.reshape(-1, count, block, count, block, channels)
        .transpose(0, 1, 3, 2, 4, 5)
        .reshape(-1, count, count, block * block * channels)
    )


def fold_average_pool(kernel: jax.Array) -> jax.Array:
    """The kernel of the stride-2 convolution that equals convolution, then 2x2 average pooling.

    Args:
      kernel: [K, K, C, O].

    Returns:
      [K+1, K+1, C, O]: the mean of the kernel over its four one-pixel shifts.
    """
    shifts = [(a, b) for a in (0, 1) for b in (0, 1)]
    none = (0, 0)
    padded = [jnp.pad(kernel, ((a, 1 - a), (b, 1 - b), none, none)) for a, b in shifts]
    return 0.25 * (padded[0] + padded[1] + padded[2] + padded[3])


def block_kernel(kernel: jax.Array, stride: int, block: int) -> jax.Array:
    """The kernel of the stride-1 convolution between blocks that equals a strided one of pixels.

    Args:
      kernel: [K, K, C, O].
      stride: stride of the convolution of pixels.
      block: output pixels in a block, each way; an input block has stride*block.

    Returns:
      [T, T, (stride*block)**2 * C, block**2 * O].
    """
    size, _, inputs, outputs = kernel.shape
    block_in = stride * block
    taps = -(-(stride * (block - 1) + size) // block_in)
    extent = taps * block_in

    def shifted(row: int, column: int) -> jax.Array:
        before = [stride * row, stride * column]
        pads = [(n, extent - size - n) for n in before]
        return jnp.pad(kernel, [*pads, (0, 0), (0, 0)])

    shape = (taps, block_in, taps, block_in, inputs, block, block, outputs)
    kernels = [shifted(p, q) for p in range(block) for q in range(block)]
    return (
        jnp.stack(kernels, axis=3)
        .reshape(shape)
        .transpose(0, 2, 1, 3, 4, 5, 6, 7)
        .reshape(taps, taps, block_in**2 * inputs, block**2 * outputs)
    )


def _shifts(taps: int, width: int) -> list[int]:
    """Offsets, in rows of the flattened [B*H*W, C] array, of a T x T kernel's taps."""
    return [width * i + j for i in range(taps) for j in range(taps)]


def _patches(x: jax.Array, taps: int) -> jax.Array:
    """[B, H, W, C] -> [B*(H-T+1)*(W-T+1), T*T*C]."""
    _, height, width, _ = x.shape
    rows, columns = height - taps + 1, width - taps + 1
    cuts = [x[:, i : i + rows, j : j + columns] for i in range(taps) for j in range(taps)]
    return jnp.concatenate(cuts, axis=-1).reshape(-1, taps * taps * x.shape[3])


@jax.custom_vjp
def block_convolution(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Stride-1 valid convolution as matrix products, forward and backward.

    The backward that XLA derives for a convolution is slow inside a loop on CPU
    and grouped under `vmap`; this one is three matrix products.

    Args:
      x: [B, H, W, C].
      kernel: [T, T, C, O].

    Returns:
      [B, H-T+1, W-T+1, O].
    """
    return _forward(x, kernel)[0]


def _forward(x, kernel):
    batch, height, width, inputs = x.shape
    taps, _, _, outputs = kernel.shape
    rows, columns = height - taps + 1, width - taps + 1
    # The T*T neighbours are gathered on the side with fewer channels.
    if inputs <= outputs:
        patches = _patches(x, taps)
        y = patches @ kernel.reshape(-1, outputs)
        return y.reshape(batch, rows, columns, outputs), (patches, kernel, x.shape)
    flat = x.reshape(-1, inputs)
    y = flat @ kernel.transpose(2, 0, 1, 3).reshape(inputs, -1)
    shifts = _shifts(taps, width)
    valid = flat.shape[0] - shifts[-1]
    y = sum(
        y[shift : shift + valid, k * outputs : (k + 1) * outputs] for k, shift in enumerate(shifts)
    )
    # Rows that a shift carried over an image's edge hold sums across images: cropped here.
    y = jnp.pad(y, ((0, shifts[-1]), (0, 0))).reshape(batch, height, width, outputs)
    return y[:, :rows, :columns], (flat, kernel, x.shape)


def _backward(residuals, gradient):
    saved, kernel, (batch, height, width, inputs) = residuals
    taps, _, _, outputs = kernel.shape
    # The gradient's neighbours serve the kernel's gradient and the input's alike. On the input's
    # grid the last rows and columns are zeros, so they are cuts of the flat array, and what a cut
    # takes over from an image's other edge is zeros.
    edge = taps - 1
    flat = jnp.pad(gradient, ((0, 0), (0, edge), (0, edge), (0, 0))).reshape(-1, outputs)
    shifts = _shifts(taps, width)
    around = jnp.concatenate([flat[len(flat) - shifts[-1] :], flat])
    cuts = [around[shifts[-1] - shift :][: len(flat)] for shift in shifts]
    shifted = jnp.concatenate(cuts, axis=1)
    input_gradient = shifted @ kernel.transpose(0, 1, 3, 2).reshape(-1, inputs)
    input_gradient = input_gradient.reshape(batch, height, width, inputs)
    if inputs <= outputs:
        # With the fewer outputs as rows this product is more than twice as fast on CPU; without
        # the barrier XLA exchanges its operands, to save the transposition of the small result.
        transposed = lax.optimization_barrier(gradient.reshape(-1, outputs).T @ saved)
        kernel_gradient = transposed.T.reshape(kernel.shape)
    else:
        kernel_gradient = (saved.T @ shifted).reshape(inputs, taps, taps, outputs)
        kernel_gradient = kernel_gradient.transpose(1, 2, 0, 3)
    return input_gradient, kernel_gradient


block_convolution.defvjp(_forward, _backward)


def torch_uniform(fan_in: int) -> Initializer:
    """PyTorch's default for kernels and biases: uniform in +-1/sqrt(fan_in)."""
    bound = fan_in**-0.5

    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def initializers(scheme: str, fan_in: int) -> tuple[Initializer, Initializer]:
    """(kernel, bias) initialisers of a layer: `pytorch`'s or `flax`'s defaults."""
    if scheme == 'pytorch':
        return torch_uniform(fan_in), torch_uniform(fan_in)
    return nn.initializers.lecun_normal(), nn.initializers.zeros_init()


def dropout_mask(key: jax.Array, rate: jax.Array | float, shape: tuple[int, ...]) -> jax.Array:
    """Inverted-dropout factors: 0 with probability `rate`, else 1/(1 - rate).

    The rate may be traced (`nn.Dropout` branches on it in Python), so that runs with
    different rates share one program.

    Args:
      key: of the whole mask, or keys [B], of each image's own.
      rate: the dropout rate.
      shape: [B, ...].
    """
    if key.ndim:
        uniforms = jax.vmap(lambda own: jax.random.uniform(own, shape[1:]))(key)
    else:
        uniforms = jax.random.uniform(key, shape)
    keep = uniforms >= rate
    return jnp.where(keep, 1.0 / (1.0 - rate), 0.0)


def standardized(images: jax.Array) -> jax.Array:
    """Images [B, H, W, C], each divided by the standard deviation of its own pixels.

    An image that does not vary stays as it is.
    """
    deviation = images.std((1, 2, 3), keepdims=True)
    return images / jnp.where(deviation > 0, deviation, 1.0)


def _largest(pixels: jax.Array) -> jax.Array:
    """The maximum over axes 4 and 6, each of two; the gradient is the first one's, as PyTorch's.

    That of `jnp.max` asks which pixels equal the maximum, and is nan where the compiler makes them
    twice and rounds them otherwise.
    """
    rows = jnp.where(pixels[..., 0, :] >= pixels[..., 1, :], pixels[..., 0, :], pixels[..., 1, :])
    first, second = rows[:, :, :, :, 0], rows[:, :, :, :, 1]
    return jnp.where(first >= second, first, second)


class ConvolutionAndPool(nn.Module):
    """Convolution (valid), normalisation, dropout, 2x2 pooling and activation, on blocks.

    Where all between them is linear, the convolution and the pool are one stride-2 convolution (see
    `study.architecture.folds`); otherwise the convolution is computed at full resolution and pooled
    inside the blocks.

    With batch normalisation the running statistics are arrays beside the layer's parameters, of
    which no loss depends. Where the collection `STATISTICS` may be changed, a batch is normalised
    by its own statistics, which are left there.

    Attributes:
      features: output channels.
      kernel_size: K.
      inputs: input channels.
      block: pooled output pixels in a block, each way.
      pool: 'average', 'max' or 'none'.
      order: 'pool_relu' (activation after the pool) or 'relu_pool'.
      dropout: 'none', 'channel' or 'element'.
      activation: a name in `ACTIVATIONS`.
      normalization: of the maps: 'none', 'layer', 'instance' or 'batch'; 'input' is none here.
      use_bias: whether there is one.
      initialization: 'pytorch' or 'flax'.
      fold: whether to fold pool into convolution where that is exact.
    """

    features: int
    kernel_size: int
    inputs: int
    block: int
    pool: str = 'average'
    order: str = 'pool_relu'
    dropout: str = 'none'
    activation: str = 'relu'
    normalization: str = 'none'
    use_bias: bool = True
    initialization: str = 'pytorch'
    fold: bool = True

    def setup(self) -> None:
        """Declares the kernel [K, K, inputs, features] and what there is for each feature."""
        fan_in = self.kernel_size**2 * self.inputs
        kernel_init, bias_init = initializers(self.initialization, fan_in)
        shape = (self.kernel_size, self.kernel_size, self.inputs, self.features)
        self.kernel = self.param('kernel', kernel_init, shape)
        zeros, ones = nn.initializers.zeros_init(), nn.initializers.ones_init()
        if self.use_bias:
            # After normalisation it starts at 0, as PyTorch's and Flax's do.
            init = zeros if self._normalizes else bias_init
            self.bias = self.param('bias', init, (self.features,))
        if self._normalizes:
            self.scale = self.param('scale', ones, (self.features,))
        if self.normalization == 'batch':
            self.mean = self.param('mean', zeros, (self.features,))
            self.variance = self.param('variance', ones, (self.features,))

    @property
    def _normalizes(self) -> bool:
        return self.normalization in _AXES

    @property
    def _edge(self) -> int:
        """Pixels along a side of a block before the pool."""
        return self.block * (1 if self.pool == 'none' else POOL)

    def _folds(self, masked: bool) -> bool:
        masks = self.dropout if masked else 'none'
        exact = architecture.folds(self.pool, self.order, self.normalization, masks)
        return self.fold and exact

    def __call__(
        self,
        x: jax.Array,
        rate: jax.Array | float = 0.0,
        key: jax.Array | None = None,
        side: int = 0,
    ) -> jax.Array:
        """[B, N, N, edge**2 * inputs] -> [B, N', N', block**2 * features].

        Args:
          x: image blocks of 2*block pixels each way, or of block without a pool.
          rate: dropout rate, scalar.
          key: key of the dropout mask, or keys [B], or None for no dropout.
          side: pixels along a side of the maps before the pool, of which statistics are taken.
        """
        return self.activate(self.convolve(x, key is not None, side), rate, key)

    def convolve(self, x: jax.Array, masked: bool, side: int = 0) -> jax.Array:
        """What comes before the dropout, which many masks may share.

        Args:
          x: as in `__call__`.
          masked: whether a mask follows; it decides what can be folded.
          side: as in `__call__`.

        Returns:
          [B, N', N', block**2 * features], or at full resolution edge**2 * features.
        """
        if self._folds(masked):
            pixels = self.block**2
            weights = block_kernel(fold_average_pool(self.kernel), POOL, self.block)
        else:
            pixels = self._edge**2
            weights = block_kernel(self.kernel, 1, self._edge)
        y = block_convolution(x, weights)
        if self._normalizes:
            y = self._normalized(y, side)
        return y + jnp.tile(self.bias, pixels) if self.use_bias else y

    def activate(
        self, y: jax.Array, rate: jax.Array | float = 0.0, key: jax.Array | None = None
    ) -> jax.Array:
        """Dropout, pooling and activation of what `convolve` gave."""
        folded = self._folds(key is not None)
        if key is not None and self.dropout == 'channel':
            y = y * self._channel_mask(key, rate, y, self.block if folded else self._edge)
        elif key is not None and self.dropout == 'element':
            y = y * dropout_mask(key, rate, y.shape)
        act = ACTIVATIONS[self.activation]
        if folded:
            return act(y)
        if self.order == 'pool_relu':
            return act(self._pool(y))
        return self._pool(act(y))

    def _channel_mask(self, key, rate, y, block):
        mask = dropout_mask(key, rate, (y.shape[0], self.features))
        return jnp.tile(mask, (1, block**2))[:, None, None, :]

    def _pool(self, y):
        if self.pool == 'none':
            return y
        batch, rows, columns, _ = y.shape
        y = y.reshape(batch, rows, columns, self.block, POOL, self.block, POOL, self.features)
        y = y.mean((4, 6)) if self.pool == 'average' else _largest(y)
        return y.reshape(batch, rows, columns, -1)

    def _normalized(self, y, side):
        """Maps less their mean, over their standard deviation, times the scale."""
        batch, count = y.shape[:2]
        edge, axes = self._edge, _AXES[self.normalization]
        # What blocks hold beyond a map's pixels is no part of it.
        inside = (jnp.arange(count * edge) < side).reshape(count, edge)
        inside = inside[:, None, :, None] & inside[None, :, None, :]
        inside = inside.reshape(count, count, edge**2, 1)
        maps = y.reshape(batch, count, count, edge**2, self.features)
        number = side**2 * (maps.shape[0] if 0 in axes else 1) * (maps.shape[4] if 4 in axes else 1)

        def average(values):
            return (values * inside).sum(axes, keepdims=True) / number

        if self.normalization == 'batch' and not self.is_mutable_collection(STATISTICS):
            mean, variance = self.mean, self.variance
        else:
            mean = average(maps)
            variance = average((maps - mean) ** 2)
        if self.normalization == 'batch' and self.is_mutable_collection(STATISTICS):
            self.put_variable(STATISTICS, 'mean', mean.reshape(-1))
            unbiased = variance * (number / max(1, number - 1))
            self.put_variable(STATISTICS, 'variance', unbiased.reshape(-1))
        maps = (maps - mean) * lax.rsqrt(variance + EPSILON) * self.scale
        return maps.reshape(y.shape)


def running(
    updates: dict[str, Any], params: dict[str, Any], statistics: Mapping[str, Any]
) -> dict[str, Any]:
    """Updates {layer: {kind: ...}} in which running statistics move towards a batch's."""
    return {
        layer: parts
        | {
            kind: MOMENTUM * (found - params[layer][kind])
            for kind, found in statistics.get(layer, {}).items()
        }
        for layer, parts in updates.items()
    }


class Dense(nn.Module):
    """A dense layer with PyTorch's or Flax's initialisation: [B, n] -> [B, features]."""

    features: int
    initialization: str = 'pytorch'
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns x @ kernel + bias, if there is one."""
        kernel_init, bias_init = initializers(self.initialization, x.shape[-1])
        kernel = self.param('kernel', kernel_init, (x.shape[-1], self.features))
        if not self.use_bias:
            return x @ kernel
        return x @ kernel + self.param('bias', bias_init, (self.features,))
