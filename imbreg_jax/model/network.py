"""The network: convolutions with or without pools, two dense layers.

By default it is the paper's, Koehler's MNIST network with average for max
pooling and 52x52 inputs (section 3.1): conv 5x5 1->10, pool, ReLU, conv 5x5
10->20, channel dropout, pool, ReLU, dense 50, ReLU, dropout, dense 1; linear
output.

It is cut where methods against imbalance take hold of it: `encode` makes features of images, and
`head` outputs of features.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from flax import linen as nn

from imbreg_jax.model import layers
from imbreg_jax.model.activations import ACTIVATIONS
from imbreg_jax.study import ModelSettings
from imbreg_jax.study.architecture import Architecture, Layer, folds
from imbreg_jax.study.fields import CODE, declared


class DropoutRates(NamedTuple):
    """Dropout rates, scalars that may be traced and may differ between runs."""

    conv: jax.Array | float
    dense: jax.Array | float


NO_DROPOUT = DropoutRates(0.0, 0.0)


class RegressionCNN(nn.Module):
    """The regression CNN.

    Attributes:
      conv_features: channels of each convolution.
      kernel_size: K of all.
      dense_features: width of the hidden dense layer.
      pool, order, conv_dropout, activation, normalization, bias, initialization: see
        `layers.ConvolutionAndPool`; with normalization 'input' images are divided by the standard
        deviation of their own pixels.
      channels: of the images.
      outputs: numbers for each image.
      fold: see `layers.ConvolutionAndPool`; False is the plain path, for tests.
    """

    conv_features: tuple[int, ...] = (10, 20)
    kernel_size: int = 5
    dense_features: int = 50
    pool: str = 'average'
    order: str = 'pool_relu'
    conv_dropout: str = 'channel'
    activation: str = 'relu'
    normalization: str = 'none'
    bias: bool = True
    initialization: str = 'pytorch'
    channels: int = 1
    outputs: int = 1
    fold: bool = True

    def setup(self) -> None:
        """Declares the layers."""
        form = {
            name: getattr(self, name)
            for name in ('pool', 'order', 'activation', 'normalization', 'initialization', 'fold')
        } | {'use_bias': self.bias}
        # Of how many pixels images are, no parameter of a convolution depends on.
        *before, last = self._shapes(1).convolutions
        for layer in before:
            setattr(self, layer.name, _convolution(layer, 'none', form))
        setattr(self, last.name, _convolution(last, self.conv_dropout, form))
        self.dense1 = layers.Dense(self.dense_features, self.initialization, self.bias)
        self.dense2 = layers.Dense(self.outputs, self.initialization, self.bias)

    def _shapes(self, image_size: int) -> Architecture:
        return Architecture(
            image_size, self.kernel_size, self.conv_features, self.dense_features, self.channels,
            self.outputs, self.pool, self.order, self.conv_dropout, self.normalization, self.bias,
        )  # fmt: skip

    def __call__(
        self,
        images: jax.Array,
        rates: DropoutRates = NO_DROPOUT,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """The outputs of images.

        Args:
          images: [B, H, W, channels] float32.
          rates: dropout rates; of no effect without a key.
          key: key of the dropout masks, or None to switch dropout off.

        Returns:
          [B, outputs].
        """
        conv_key, dense_key = (None, None) if key is None else jax.random.split(key)
        return self.head(self.encode(images, rates.conv, conv_key), rates.dense, dense_key)

    def encode(
        self, images: jax.Array, rate: jax.Array | float = 0.0, key: jax.Array | None = None
    ) -> jax.Array:
        """The features of images.

        Args:
          images: [B, H, W, channels] float32.
          rate: of the dropout after the last convolution.
          key: of its mask, or keys [B], or None for no dropout.

        Returns:
          [B, dense_features], after the activation, before the last dropout.
        """
        return self.features(self.convolve(images, key is not None), rate, key)

    def convolve(self, images: jax.Array, masked: bool) -> jax.Array:
        """Maps [N, N, B, ...] of images: all that comes before the first dropout.

        Args:
          images: [B, H, W, channels] float32.
          masked: whether `features` will be given keys.
        """
        if self.normalization == 'input':
            images = layers.standardized(images)
        shapes = self._shapes(images.shape[1])
        last = shapes.convolutions[-1]
        x, block = images, 0
        for layer, taken in zip(shapes.convolutions, shapes.blocks, strict=True):
            if block == layer.edge:
                x = x[:taken, :taken]
            else:
                pixels = x.transpose(2, 0, 1, 3) if block else x
                x = layers.to_blocks(pixels, layer.edge, taken)
            if layer is not last:
                x, block = getattr(self, layer.name)(x, side=layer.side), layer.block
        maps = getattr(self, last.name).convolve(x, masked, last.side)
        return maps[: last.pooled, : last.pooled]

    @property
    def maps_serve_both(self) -> bool:
        """Whether `convolve` gives the same with masks to come as without."""
        return all(
            folds(self.pool, self.order, how, self.conv_dropout)
            == folds(self.pool, self.order, how, 'none')
            for how in (self.normalization, 'none')
        )

    def features(
        self, maps: jax.Array, rate: jax.Array | float = 0.0, key: jax.Array | None = None
    ) -> jax.Array:
        """The features [B, dense_features] of maps; arguments as in `encode`."""
        last = getattr(self, f'conv{len(self.conv_features)}')
        x = last.activate(maps, rate, key)
        x = x.transpose(2, 0, 1, 3)
        return ACTIVATIONS[self.activation](self.dense1(x.reshape(x.shape[0], -1)))

    def head(
        self, features: jax.Array, rate: jax.Array | float = 0.0, key: jax.Array | None = None
    ) -> jax.Array:
        """The outputs of features.

        Args:
          features: [B, dense_features].
          rate: of the last dropout.
          key: of its mask, or None for no dropout.

        Returns:
          [B, outputs].
        """
        if key is not None:
            features = features * layers.dropout_mask(key, rate, features.shape)
        return self.dense2(features)


def _convolution(layer: Layer, dropout: str, form: Mapping[str, Any]) -> layers.ConvolutionAndPool:
    return layers.ConvolutionAndPool(
        layer.outputs, layer.kernel, layer.inputs, layer.block, dropout=dropout, **form
    )


def of(settings: ModelSettings, channels: int = 1, outputs: int = 1) -> RegressionCNN:
    """The network of a condition's settings: all of them that are code are its attributes."""
    code = {
        name: getattr(settings, name)
        for name, field in declared(ModelSettings).items()
        if field.role is CODE
    }
    return RegressionCNN(**code, channels=channels, outputs=outputs)
