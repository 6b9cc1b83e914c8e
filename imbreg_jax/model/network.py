"""The paper's network: two convolutions with average pooling, two dense layers.

Koehler's MNIST network with average for max pooling and 52x52 inputs (paper,
section 3.1): conv 5x5 1->10, pool, ReLU, conv 5x5 10->20, channel dropout,
pool, ReLU, dense 50, ReLU, dropout, dense 1; linear output.
"""

from typing import Any, NamedTuple

import jax
from flax import linen as nn

from imbreg_jax.model import layers
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
      fold: see `layers.ConvolutionAndPool`; False is the plain path, for tests.
    """

    conv_features: tuple[int, int] = (10, 20)
    kernel_size: int = 5
    dense_features: int = 50
    order: str = 'pool_relu'
    conv_dropout: str = 'channel'
    initialization: str = 'pytorch'
    fold: bool = True

    @nn.compact
    def __call__(
        self,
        images: jax.Array,
        rates: DropoutRates = NO_DROPOUT,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        """Predicts the targets of images.

        Args:
          images: [B, H, W] float32.
          rates: dropout rates; of no effect without a key.
          key: key of the dropout masks, or None to switch dropout off.

        Returns:
          predictions [B] and the last hidden features [B, dense_features] (after ReLU, before
          dropout).
        """
        conv_key, dense_key = (None, None) if key is None else jax.random.split(key)
        return self.with_keys(images, rates, conv_key, dense_key)

    @nn.compact
    def with_keys(
        self,
        images: jax.Array,
        rates: DropoutRates,
        conv_key: jax.Array | None,
        dense_key: jax.Array | None,
    ) -> tuple[jax.Array, jax.Array]:
        """As `__call__`, with a key, or keys [B], or None, for each of the two dropouts."""
        first, second = self.conv_features
        common: dict[str, Any] = {
            'kernel_size': self.kernel_size,
            'order': self.order,
            'initialization': self.initialization,
            'fold': self.fold,
        }
        # The second layer wants blocks of 2 pixels, so the first gives them, from blocks of 4.
        _, final = Architecture(images.shape[1], self.kernel_size).pooled
        reach = -(-(self.kernel_size + 1) // 2)
        blocks_between = final + reach - 1
        reach = -(-(self.kernel_size + 3) // 4)
        x = layers.to_blocks(images, 4, blocks_between + reach - 1)
        x = layers.ConvolutionAndPool(first, inputs=1, block=2, name='conv1', **common)(x)
        x = x[:, :blocks_between, :blocks_between]
        x = layers.ConvolutionAndPool(
            second, inputs=first, block=1, dropout=self.conv_dropout, name='conv2', **common
        )(x, rates.conv, conv_key)
        x = x[:, :final, :final].reshape(x.shape[0], -1)
        features = nn.relu(layers.Dense(self.dense_features, self.initialization, name='dense1')(x))
        hidden = features
        if dense_key is not None:
            hidden = hidden * layers.dropout_mask(dense_key, rates.dense, hidden.shape)
        out = layers.Dense(1, self.initialization, name='dense2')(hidden)
        return out[:, 0], features
