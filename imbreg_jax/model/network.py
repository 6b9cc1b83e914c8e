"""The paper's network: two convolutions with average pooling, two dense layers.

Koehler's MNIST network with average for max pooling and 52x52 inputs (paper,
section 3.1): conv 5x5 1->10, pool, ReLU, conv 5x5 10->20, channel dropout,
pool, ReLU, dense 50, ReLU, dropout, dense 1; linear output.

It is cut where methods against imbalance take hold of it: `encode` makes features of images, and
`head` outputs of features.
"""

from typing import Any, NamedTuple

import jax
from flax import linen as nn

from imbreg_jax.model import layers
from imbreg_jax.study import ModelSettings
from imbreg_jax.study.architecture import Architecture


class DropoutRates(NamedTuple):
    """Dropout rates, scalars that may be traced and may differ between runs."""

    conv: jax.Array | float
    dense: jax.Array | float


NO_DROPOUT = DropoutRates(0.0, 0.0)


class RegressionCNN(nn.Module):
    """The regression CNN.

    Attributes:
      conv_features: channels of the two convolutions.
      kernel_size: K of both.
      dense_features: width of the hidden dense layer.
      order: 'pool_relu' (Koehler's) or 'relu_pool'.
      conv_dropout: 'channel' or 'element'.
      initialization: 'pytorch' or 'flax'.
      channels: of the images.
      outputs: numbers for each image.
      fold: see `layers.ConvolutionAndPool`; False is the plain path, for tests.
    """

    conv_features: tuple[int, int] = (10, 20)
    kernel_size: int = 5
    dense_features: int = 50
    order: str = 'pool_relu'
    conv_dropout: str = 'channel'
    initialization: str = 'pytorch'
    channels: int = 1
    outputs: int = 1
    fold: bool = True

    def setup(self) -> None:
        """Declares the layers."""
        first, second = self.conv_features
        common: dict[str, Any] = {
            'kernel_size': self.kernel_size,
            'order': self.order,
            'initialization': self.initialization,
            'fold': self.fold,
        }
        self.conv1 = layers.ConvolutionAndPool(first, inputs=self.channels, block=2, **common)
        self.conv2 = layers.ConvolutionAndPool(
            second, inputs=first, block=1, dropout=self.conv_dropout, **common
        )
        self.dense1 = layers.Dense(self.dense_features, self.initialization)
        self.dense2 = layers.Dense(self.outputs, self.initialization)

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
          rate: of the dropout after the second convolution.
          key: of its mask, or keys [B], or None for no dropout.

        Returns:
          [B, dense_features], after ReLU, before the last dropout.
        """
        return self.features(self.convolve(images, key is not None), rate, key)

    def convolve(self, images: jax.Array, masked: bool) -> jax.Array:
        """Maps [B, ...] of images: all that comes before the first dropout.

        Args:
          images: [B, H, W, channels] float32.
          masked: whether `features` will be given keys.
        """
        # The second layer wants blocks of 2 pixels, so the first gives them, from blocks of 4.
        _, final = Architecture(images.shape[1], self.kernel_size).pooled
        reach = -(-(self.kernel_size + 1) // 2)
        blocks_between = final + reach - 1
        reach = -(-(self.kernel_size + 3) // 4)
        x = layers.to_blocks(images, 4, blocks_between + reach - 1)
        x = self.conv1(x)[:, :blocks_between, :blocks_between]
        return self.conv2.convolve(x, masked)[:, :final, :final]

    def features(
        self, maps: jax.Array, rate: jax.Array | float = 0.0, key: jax.Array | None = None
    ) -> jax.Array:
        """The features [B, dense_features] of maps; arguments as in `encode`."""
        x = self.conv2.activate(maps, rate, key)
        return nn.relu(self.dense1(x.reshape(x.shape[0], -1)))

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


def of(settings: ModelSettings, channels: int = 1, outputs: int = 1) -> RegressionCNN:
    """The network of a condition's settings."""
    return RegressionCNN(
        conv_features=settings.conv_features,
        kernel_size=settings.kernel_size,
        dense_features=settings.dense_features,
        order=settings.order,
        conv_dropout=settings.conv_dropout,
        initialization=settings.initialization,
        channels=channels,
        outputs=outputs,
    )
