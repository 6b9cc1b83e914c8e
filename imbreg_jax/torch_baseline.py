"""The same training in PyTorch, to hold the package's speed and its numbers against."""

from __future__ import annotations

import collections
from typing import Any


def import_torch() -> Any:
    """Returns the torch module.

    Raises:
      RuntimeError: torch is not installed; the message says how to install it.
    """
    try:
        import torch
    except ImportError as error:
        raise RuntimeError(
            'The PyTorch baseline needs torch, which is not installed: '
            "pip install 'imbreg_jax[torch]'"
        ) from error
    return torch


def plain_network(
    image_size: int = 52,
    conv_features: tuple[int, int] = (10, 20),
    dense_features: int = 50,
    order: str = 'pool_relu',
    dropout_rate: float = 0.5,
) -> Any:
    """The paper's network as its author would have written it, PyTorch's initialisation.

    It is the convolutional network of Koehler's PyTorch MNIST article with average pooling for
    max pooling and one linear output (paper, section 3).

    Args:
      image_size: height and width of the images, in pixels.
      conv_features: output channels of the two convolutions.
      dense_features: width of the hidden dense layer.
      order: 'pool_relu' or 'relu_pool', what follows each convolution.
      dropout_rate: of both dropout layers.

    Returns:
      torch.nn.Sequential: float32 images [batch, 1, height, width] -> predictions [batch].
    """
    nn = import_torch().nn
    side = ((image_size - 4) // 2 - 4) // 2

    def pool_and_relu(layer: int) -> list[tuple[str, Any]]:
        steps = [(f'pool{layer}', nn.AvgPool2d(2)), (f'relu{layer}', nn.ReLU())]
        return steps if order == 'pool_relu' else steps[::-1]

    return nn.Sequential(
        collections.OrderedDict(
            [
                ('conv1', nn.Conv2d(1, conv_features[0], 5)),
                *pool_and_relu(1),
                ('conv2', nn.Conv2d(conv_features[0], conv_features[1], 5)),
                ('conv_dropout', nn.Dropout2d(dropout_rate)),
                *pool_and_relu(2),
                ('flatten', nn.Flatten()),
                ('dense1', nn.Linear(conv_features[1] * side * side, dense_features)),
                ('relu3', nn.ReLU()),
                ('dense_dropout', nn.Dropout(dropout_rate)),
                ('dense2', nn.Linear(dense_features, 1)),
                ('squeeze', nn.Flatten(0)),
            ]
        )
    )
