"""Convolution as matrix products, for kernels that differ from run to run."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# From so many channels on, of a block and on both sides, minimal filtering is the faster.
MINIMAL_CHANNELS = 4
# Winograd's F(2, 3), Lavin and Gray 2016, equation 6: of a tile of four inputs d and a kernel g of
# three, the two outputs are A'[(G g) * (B'd)]. B' and A' are sums of few terms, written out below.
_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


def computed_once(x: jax.Array) -> jax.Array:
    """x, which what uses it does not compute anew.

    XLA:CPU drops barriers before it fuses, and fuses nothing into or out of a branch; so it is one
    of two, between which the numbers decide. Both give x, the other one in words that no compiler
    sees through.
    """
    return lax.cond(
        jnp.isnan(x.ravel()[0]), lambda a: jnp.where(jnp.isnan(a), jnp.nan, a), lambda a: a, x
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
        patches = jnp.concatenate(_cuts(computed_once(x), taps), axis=-1)
        patches = patches.reshape(-1, taps * taps * inputs)
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
    return _interleaved([even, odd], axis)


def _interleaved(even_and_odd: list[jax.Array], axis: int) -> jax.Array:
    shape = list(even_and_odd[0].shape)
    shape[axis] *= 2
    return jnp.stack(even_and_odd, axis + 1).reshape(shape)


def _outputs(products: list[jax.Array]) -> list[jax.Array]:
    """A'm: the outputs at even and at odd places."""
    first, second, third, fourth = products
    return [first + second + third, second - third - fourth]


def _products(even: jax.Array, odd: jax.Array) -> list[jax.Array]:
    """The transpose of `_outputs`."""
    return [even, even + odd, even - odd, -odd]


def _evened(x: jax.Array) -> jax.Array:
    """[H, W, B, C] with a row and a column of zeros more where their number is odd."""
    return jnp.pad(x, [(0, x.shape[0] % 2), (0, x.shape[1] % 2), (0, 0), (0, 0)])


def _minimal_forward(x, kernel):
    height, width, batch, inputs = x.shape
    outputs = kernel.shape[3]
    rows, columns = height - 2, width - 2
    even = computed_once(_evened(x))
    tiles = jnp.stack([tile for row in _tiles(even, 0) for tile in _tiles(row, 1)])
    down, across = tiles.shape[1:3]
    tiles = tiles.reshape(16, -1, inputs)
    transformed = _transformed(kernel)
    products = (tiles @ transformed).reshape(4, 4, down, across, batch, outputs)
    lines = [_interleaved(_outputs(list(line)), 1) for line in _outputs(list(products))]
    return _interleaved(lines, 0)[:rows, :columns], (tiles, kernel, x.shape)


def _transformed(kernel: jax.Array) -> jax.Array:
    """G g G' of a kernel [3, 3, C, O]: [16, C, O]."""
    g = jnp.asarray(_G, kernel.dtype)
    return jnp.einsum('ai,bj,ijco->abco', g, g, kernel).reshape(16, *kernel.shape[2:])


def _minimal_backward(tiles, kernel, shape, gradient):
    height, width, batch, inputs = shape
    g = jnp.asarray(_G, kernel.dtype)
    even = computed_once(_evened(gradient))
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
    return computed_once(x), kernel_gradient
