"""Activations of hidden layers; each is one entry."""

import functools
from collections.abc import Callable

import jax
from flax import linen as nn

# `relu` and `leaky_relu` are positively homogeneous, f(c x) = c f(x) for c > 0, and a network of
# them without biases and normalisation is too. Slopes and forms are PyTorch's defaults.
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    'relu': nn.relu,
    'leaky_relu': nn.leaky_relu,
    'elu': nn.elu,
    'gelu': functools.partial(nn.gelu, approximate=False),
    'silu': nn.silu,
    'softplus': nn.softplus,
    'tanh': nn.tanh,
}
