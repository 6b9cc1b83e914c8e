"""Layers written for many small networks at once.

Two facts shape this module.  A convolution followed by average pooling is one
strided convolution whose kernel is the average of the original over the
pool's shifts.  And a convolution whose kernels differ from run to run becomes,
under `vmap`, a grouped convolution, which is slow everywhere, while a matrix
product becomes a batched matrix product, which is fast everywhere.

So images travel in *blocks*: [B, H, W, C] is kept as [H/b, W/b, B, b*b*C], the
b*b pixels of a block being channels (row in block, column in block, channel).
Every convolution, of whatever stride, is then a stride-1 valid convolution
from blocks of s*b pixels to blocks of b pixels, computed as matrix products
(see `convolution`).
The batch stands behind the places, since a cut of rows or columns then leaves
long runs of numbers as they are.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from imbreg_jax.model.activations import ACTIVATIONS
from imbreg_jax.model.convolution import block_convolution
from imbreg_jax.study import architecture
from imbreg_jax.study.architecture import POOL

Initializer = nn.initializers.Initializer

# What normalisation adds to a variance, and the share of a batch in running statistics: PyTorch's.
EPSILON = 1e-5
MOMENTUM = 0.1
# The collection that a layer leaves a batch's statistics in, where it may be changed.
STATISTICS = 'statistics'
# What statistics of maps are taken over, beside pixels.
_OVER = {'layer': ('features',), 'instance': (), 'batch': ('images',)}


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


def block_kernel(kernel: jax.Array, stride: int, block: int, pool: int = 1) -> jax.Array:
    """The kernel of the stride-1 convolution between blocks that equals a strided one of pixels.

    Args:
      kernel: [K, K, C, O].
      stride: stride of the convolution of pixels.
      block: output pixels in a block, each way; an input block has stride*block.
      pool: pixels, each way, that a pool will make one of. Those that stand at the same place of
        what is pooled stand together: channels are (row in pool, column in pool, row of pooled
        pixels, column of pooled pixels, O).

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
    kernels = [shifted(*place) for place in _places(block, pool)]
    return (
        jnp.stack(kernels, axis=3)
        .reshape(shape)
        .transpose(0, 2, 1, 3, 4, 5, 6, 7)
        .reshape(taps, taps, block_in**2 * inputs, block**2 * outputs)
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def at_every_place(values: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Values [B or 1, C or 1] at every place of maps of a shape [N, N, B, C]."""
    return jnp.broadcast_to(values, shape)


def _at_every_place_backward(_, values, gradient):
    axes = [axis for axis, length in enumerate(values.shape) if length == 1]
    return (sum_of_places(gradient).sum(axes, keepdims=True),)


at_every_place.defvjp(
    lambda values, shape: (at_every_place(values, shape), values), _at_every_place_backward
)


def sum_of_places(maps: jax.Array) -> jax.Array:
    """[N, N, B, C] -> [B, C].

    XLA:CPU takes ten times as long to sum over places and images in one, which the barrier forbids.
    """
    return lax.optimization_barrier(maps.reshape(-1, *maps.shape[2:]).sum(0))


def _places(block: int, pool: int) -> list[tuple[int, int]]:
    """(row, column) in a block of its output pixels, in the order of its channels."""
    pooled = range(block // pool)
    shifts = [(a, b) for a in range(pool) for b in range(pool)]
    return [(pool * p + a, pool * q + b) for a, b in shifts for p in pooled for q in pooled]


@jax.custom_vjp
def average_pool(maps: jax.Array) -> jax.Array:
    """[..., 4 * n], of four pixels each that stand behind one another, to their means [..., n]."""
    first, second, third, fourth = jnp.split(maps, 4, axis=-1)
    return 0.25 * (first + second + third + fourth)


def _average_pool_backward(_, gradient):
    return (jnp.concatenate([0.25 * gradient] * 4, axis=-1),)


average_pool.defvjp(lambda maps: (average_pool(maps), None), _average_pool_backward)


@jax.custom_vjp
def max_pool(maps: jax.Array) -> jax.Array:
    """[..., 4 * n], of four pixels each that stand behind one another, to their maxima [..., n].

    The gradient is the first maximum's, row by row, as PyTorch's is.
    """
    return functools.reduce(jnp.maximum, jnp.split(maps, 4, axis=-1))


def _max_pool_backward(maps, gradient):
    # By comparisons, one of which holds always: no pixel need equal a maximum that the compiler has
    # perhaps made twice, and rounded otherwise.
    first, second, third, fourth = jnp.split(maps, 4, axis=-1)
    left, right = first >= second, third >= fourth
    upper = jnp.where(left, first, second) >= jnp.where(right, third, fourth)
    chosen = [upper & left, upper & ~left, ~upper & right, ~upper & ~right]
    return (jnp.concatenate([jnp.where(one, gradient, 0.0) for one in chosen], axis=-1),)


max_pool.defvjp(lambda maps: (max_pool(maps), maps), _max_pool_backward)


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
        return self.normalization in _OVER

    @property
    def _edge(self) -> int:
        """Pixels along a side of a block before the pool."""
        return self.block * (1 if self.pool == 'none' else POOL)

    def _folds(self, masked: bool) -> bool:
        return self._is_exact(self.normalization, masked)

    def _pools_first(self, masked: bool) -> bool:
        """Whether maps may be pooled once their statistics are taken, as what follows is linear."""
        return self._normalizes and self._is_exact('none', masked)

    def _is_exact(self, normalization: str, masked: bool) -> bool:
        """Whether folding is wanted, and exact under this normalisation."""
        masks = self.dropout if masked else 'none'
        return self.fold and architecture.folds(self.pool, self.order, normalization, masks)

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
          [N', N', B, block**2 * features], or edge**2 * features of maps that are not pooled yet.
        """
        if self._folds(masked):
            pixels = self.block**2
            weights = block_kernel(fold_average_pool(self.kernel), POOL, self.block)
        else:
            pixels = self._edge**2
            weights = block_kernel(self.kernel, 1, self._edge, self._edge // self.block)
        y = block_convolution(x, weights)
        if self._normalizes:
            pools = self._pools_first(masked)
            y = self._normalized(y, side, pools)
            pixels = self.block**2 if pools else pixels
        if not self.use_bias:
            return y
        return y + at_every_place(_repeated(self.bias[None], pixels), y.shape)

    def activate(
        self, y: jax.Array, rate: jax.Array | float = 0.0, key: jax.Array | None = None
    ) -> jax.Array:
        """Dropout, pooling and activation of what `convolve` gave."""
        folded = self._folds(key is not None) or self._pools_first(key is not None)
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
        return average_pool(y) if self.pool == 'average' else max_pool(y)

    def _inside(self, count, side):
        """[count, count, 1, edge**2 * features]: whether a block's values belong to a map."""
        edge = self._edge
        rows, columns = np.array(_places(edge, edge // self.block)).T.repeat(self.features, 1)
        first = edge * np.arange(count)[:, None]
        down, across = first + rows < side, first + columns < side
        return jnp.asarray((down[:, None] & across[None])[:, :, None])

    def _normalized(self, y, side, pools):
        """Maps less their mean, over their standard deviation, times the scale; pooled or not."""
        count, _, batch, _ = y.shape
        pixels, over = self._edge**2, _OVER[self.normalization]
        number = side**2 * (batch if 'images' in over else 1)
        number *= self.features if 'features' in over else 1

        def average(values):
            """[B or 1, features or 1]."""
            # What blocks hold beyond a map's pixels is no part of it.
            held = values if side == count * self._edge else values * self._inside(count, side)
            if 'features' in over:
                return held.sum((0, 1, 3))[:, None] / number
            totals = sum_of_places(held).reshape(batch, pixels, self.features).sum(1)
            return totals.sum([0] if 'images' in over else [], keepdims=True) / number

        def spread(values, shape):
            if values.shape[1] == 1:
                return values
            return at_every_place(_repeated(values, shape[3] // self.features), shape)

        if self.normalization == 'batch' and not self.is_mutable_collection(STATISTICS):
            mean, variance = self.mean[None], self.variance[None]
        else:
            mean = average(y)
            variance = average((y - spread(mean, y.shape)) ** 2)
        if self.normalization == 'batch' and self.is_mutable_collection(STATISTICS):
            self.put_variable(STATISTICS, 'mean', mean.reshape(-1))
            unbiased = variance * (number / max(1, number - 1))
            self.put_variable(STATISTICS, 'variance', unbiased.reshape(-1))
        if pools:
            y = self._pool(y)
        y = (y - spread(mean, y.shape)) * spread(lax.rsqrt(variance + EPSILON), y.shape)
        return y * spread(self.scale[None], y.shape)


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
