"""Layers written for many small networks at once.

Two facts shape this module.  A convolution followed by average pooling is one
strided convolution whose kernel is the average of the original over the
pool's shifts.  And a convolution whose kernels differ from run to run becomes,
under `vmap`, a grouped convolution, which is slow everywhere, while a matrix
product becomes a batched matrix product, which is fast everywhere.

So images travel in *blocks*: [B, H, W, C] is kept as [H/b, W/b, B, b*b*C], the
b*b pixels of a block being channels (row in block, column in block, channel).
Every convolution, of whatever stride, is then a stride-1 valid convolution
from blocks of s*b pixels to blocks of b pixels, computed as matrix products.
The batch stands behind the places, since a cut of rows or columns then leaves
long runs of numbers as they are.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
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
# What statistics of maps [N, N, B, pixels, features] are taken over.
_AXES = {'layer': (0, 1, 3, 4), 'instance': (0, 1, 3), 'batch': (0, 1, 2, 3)}
# From so many channels on, of a block and on both sides, minimal filtering is the faster.
MINIMAL_CHANNELS = 16


def to_blocks(images: jax.Array, block: int, count: int) -> jax.Array:
    """Cuts images [B, H, W, C] into blocks [count, count, B, block*block*C].

    What lies beyond the last block is cut off; missing pixels are zeros.
    """
    need, channels = block * count, images.shape[3]
    images = images[:, :need, :need]
    missing = [(0, need - n) for n in images.shape[1:3]]
    images = jnp.pad(images, [(0, 0), *missing, (0, 0)])
    return (
        images.reshape(-1, count, block, count, block * channels)
        .transpose(1, 3, 0, 2, 4)
        .reshape(count, count, -1, block * block * channels)
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


def _cuts(x: jax.Array, taps: int) -> list[jax.Array]:
    """What each of a T x T kernel's taps meets: [H, W, ...] -> T*T of [H-T+1, W-T+1, ...]."""
    rows, columns = x.shape[0] - taps + 1, x.shape[1] - taps + 1
    return [x[i : i + rows, j : j + columns] for i in range(taps) for j in range(taps)]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def block_convolution(x: jax.Array, kernel: jax.Array, minimal: bool | None = None) -> jax.Array:
    """Stride-1 valid convolution as matrix products, forward and backward.

    The backward that XLA derives for a convolution is slow inside a loop on CPU
    and grouped under `vmap`; this one is matrix products.

    Of kernels of three taps a side those of many channels are computed by Winograd's minimal
    filtering (Lavin and Gray 2016, F(2x2, 3x3)): 16 products for each two by two places instead
    of 36. Its sums and differences add a few roundings to those of a sum of products.

    Args:
      x: [H, W, B, C].
      kernel: [T, T, C, O].
      minimal: whether to filter so; None where it is faster.

    Returns:
      [H-T+1, W-T+1, B, O].
    """
    return _forward(x, kernel, minimal)[0]


def _is_minimal(x, kernel, minimal):
    taps, _, inputs, outputs = kernel.shape
    if minimal is None:
        minimal = min(inputs, outputs) >= MINIMAL_CHANNELS
    return minimal and taps == 3


def _forward(x, kernel, minimal):
    if _is_minimal(x, kernel, minimal):
        return _minimal_forward(x, kernel)
    height, width, batch, inputs = x.shape
    taps, _, _, outputs = kernel.shape
    rows, columns = height - taps + 1, width - taps + 1
    # The T*T neighbours are gathered on the side with fewer channels.
    if inputs <= outputs:
        patches = jnp.concatenate(_cuts(x, taps), axis=-1).reshape(-1, taps * taps * inputs)
        y = patches @ kernel.reshape(-1, outputs)
        return y.reshape(rows, columns, batch, outputs), (patches, kernel, x.shape)
    flat = x.reshape(-1, inputs)
    y = flat @ kernel.transpose(2, 0, 1, 3).reshape(inputs, -1)
    y = y.reshape(height, width, batch, taps * taps, outputs)
    shifts = [(i, j) for i in range(taps) for j in range(taps)]
    cuts = [y[i : i + rows, j : j + columns, :, k] for k, (i, j) in enumerate(shifts)]
    return sum(cuts[1:], cuts[0]), (flat, kernel, x.shape)


def _backward(minimal, residuals, gradient):
    saved, kernel, shape = residuals
    if _is_minimal(saved, kernel, minimal):
        return _minimal_backward(saved, kernel, shape, gradient)
    inputs = shape[3]
    taps, _, _, outputs = kernel.shape
    # The gradient's neighbours serve the kernel's gradient and the input's alike.
    edge = (taps - 1, taps - 1)
    around = jnp.pad(gradient, (edge, edge, (0, 0), (0, 0)))
    shifted = jnp.concatenate(_cuts(around, taps)[::-1], axis=-1).reshape(-1, taps**2 * outputs)
    input_gradient = shifted @ kernel.transpose(0, 1, 3, 2).reshape(-1, inputs)
    input_gradient = input_gradient.reshape(shape)
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


# Winograd's F(2, 3), Lavin and Gray 2016, equation 6: of a tile of four inputs d and a kernel g of
# three, the two outputs are A'[(G g) * (B'd)]. B' and A' are sums of few terms, written out below.
_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


def _tiles(x: jax.Array, axis: int) -> list[jax.Array]:
    """B'd along an axis of even length 2n + 2: four arrays of length n, of a place each."""
    n = x.shape[axis] // 2 - 1
    of = functools.partial(lax.slice_in_dim, x, stride=2, axis=axis)
    first, second, third, fourth = (of(i, i + 2 * n - 1) for i in range(4))
    return [first - third, second + third, third - second, second - fourth]


def _untiled(tiles: list[jax.Array], axis: int) -> jax.Array:
    """The transpose of `_tiles`: n places to 2n + 2."""
    first, second, third, fourth = tiles

    def padded(values, before, after):
        pads = [(0, 0)] * values.ndim
        pads[axis] = (before, after)
        return jnp.pad(values, pads)

    even = padded(first, 0, 1) + padded(second + third - first, 1, 0)
    odd = padded(second - third + fourth, 0, 1) - padded(fourth, 1, 0)
    return _interleaved(even, odd, axis)


def _interleaved(even: jax.Array, odd: jax.Array, axis: int) -> jax.Array:
    shape = list(even.shape)
    shape[axis] *= 2
    return jnp.stack([even, odd], axis + 1).reshape(shape)


def _outputs(products: Sequence[jax.Array]) -> list[jax.Array]:
    """A'm: the outputs at even and at odd places."""
    first, second, third, fourth = products
    return [first + second + third, second - third - fourth]


def _products(even: jax.Array, odd: jax.Array) -> list[jax.Array]:
    """The transpose of `_outputs`."""
    return [even, even + odd, even - odd, -odd]


def _minimal_forward(x, kernel):
    height, width, batch, inputs = x.shape
    outputs = kernel.shape[3]
    rows, columns = height - 2, width - 2
    even = jnp.pad(x, ((0, height % 2), (0, width % 2), (0, 0), (0, 0)))
    tiles = jnp.stack([tile for row in _tiles(even, 0) for tile in _tiles(row, 1)])
    down, across = tiles.shape[1:3]
    tiles = tiles.reshape(16, -1, inputs)
    transformed = _transformed(kernel)
    products = (tiles @ transformed).reshape(4, 4, down, across, batch, outputs)
    lines = [_interleaved(*_outputs(line), 1) for line in _outputs(list(products))]
    return _interleaved(*lines, 0)[:rows, :columns], (tiles, kernel, x.shape)


def _transformed(kernel: jax.Array) -> jax.Array:
    """G g G' of a kernel [3, 3, C, O]: [16, C, O]."""
    g = jnp.asarray(_G, kernel.dtype)
    return jnp.einsum('ai,bj,ijco->abco', g, g, kernel).reshape(16, *kernel.shape[2:])


def _minimal_backward(tiles, kernel, shape, gradient):
    height, width, batch, inputs = shape
    g = jnp.asarray(_G, kernel.dtype)
    even = jnp.pad(gradient, ((0, height % 2), (0, width % 2), (0, 0), (0, 0)))
    lines = _products(even[0::2], even[1::2])
    products = jnp.stack([p for line in lines for p in _products(line[:, 0::2], line[:, 1::2])])
    down, across = products.shape[1:3]
    products = products.reshape(16, -1, kernel.shape[3])
    # As in `_backward`.
    transposed = lax.optimization_barrier(jnp.einsum('pmo,pmc->poc', products, tiles))
    kernel_gradient = transposed.swapaxes(1, 2).reshape(4, 4, *kernel.shape[2:])
    kernel_gradient = jnp.einsum('ai,bj,abco->ijco', g, g, kernel_gradient)
    back = jnp.einsum('pmo,pco->pmc', products, _transformed(kernel))
    back = back.reshape(4, 4, down, across, batch, inputs)
    x = _untiled([_untiled(list(row), 1) for row in back], 0)[:height, :width]
    return x, kernel_gradient


@jax.custom_vjp
def add_bias(y: jax.Array, bias: jax.Array) -> jax.Array:
    """y [N, N, B, C] plus bias [C]."""
    return y + bias


def _add_bias(y, bias):
    return y + bias, None


def _add_bias_backward(_, gradient):
    # Places first, then images: XLA:CPU takes ten times as long to sum over all at once.
    of_images = gradient.reshape(-1, *gradient.shape[2:]).sum(0)
    return gradient, lax.optimization_barrier(of_images).sum(0)


add_bias.defvjp(_add_bias, _add_bias_backward)


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


def _repeated(values: jax.Array, times: int) -> jax.Array:
    """[..., n] -> [..., times * n], by a matrix product.

    XLA:CPU would fuse `jnp.tile` into what follows, where each number's remainder by n costs more
    than all else.
    """
    if times == 1:
        return values
    copies = jnp.tile(jnp.eye(values.shape[-1], dtype=values.dtype), (1, times))
    return jnp.matmul(values, copies, precision=lax.Precision.HIGHEST)


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
        """[N, N, B, edge**2 * inputs] -> [N', N', B, block**2 * features].

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
          [N', N', B, block**2 * features], or at full resolution edge**2 * features.
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
        return add_bias(y, _repeated(self.bias, pixels)) if self.use_bias else y

    def activate(
        self, y: jax.Array, rate: jax.Array | float = 0.0, key: jax.Array | None = None
    ) -> jax.Array:
        """Dropout, pooling and activation of what `convolve` gave."""
        folded = self._folds(key is not None)
        if key is not None and self.dropout == 'channel':
            y = y * self._channel_mask(key, rate, y, self.block if folded else self._edge)
        elif key is not None and self.dropout == 'element':
            rows, columns, batch, values = y.shape
            mask = dropout_mask(key, rate, (batch, rows, columns, values))
            y = y * mask.transpose(1, 2, 0, 3)
        act = ACTIVATIONS[self.activation]
        if folded:
            return act(y)
        if self.order == 'pool_relu':
            return act(self._pool(y))
        return self._pool(act(y))

    def _channel_mask(self, key, rate, y, block):
        mask = dropout_mask(key, rate, (y.shape[2], self.features))
        return _repeated(mask, block**2)

    def _pool(self, y):
        if self.pool == 'none':
            return y
        rows, columns, batch, _ = y.shape
        y = y.reshape(rows, columns, batch, self.block, POOL, self.block, POOL, self.features)
        y = y.mean((4, 6)) if self.pool == 'average' else _largest(y)
        return y.reshape(rows, columns, batch, -1)

    def _normalized(self, y, side):
        """Maps less their mean, over their standard deviation, times the scale."""
        count, _, batch, _ = y.shape
        edge, axes = self._edge, _AXES[self.normalization]
        # What blocks hold beyond a map's pixels is no part of it.
        inside = (jnp.arange(count * edge) < side).reshape(count, edge)
        inside = inside[:, None, :, None] & inside[None, :, None, :]
        inside = inside.reshape(count, count, 1, edge**2, 1)
        maps = y.reshape(count, count, batch, edge**2, self.features)
        number = side**2 * (batch if 2 in axes else 1) * (maps.shape[4] if 4 in axes else 1)

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
