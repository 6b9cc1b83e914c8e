"""The paper's network and its eager training loop in PyTorch."""

from __future__ import annotations

import collections
from typing import Any

# A checkout's name is known to no index, so the extra is named by where the checkout lies.
MISSING = (
    'torch is not installed; install it in the checkout with '
    ".venv/bin/pip install -e '.[torch]', or anywhere with pip install torch"
)
IMAGE_SIZE = 52
BATCH_SIZE = 50
LEARNING_RATE = 5e-7
DROPOUT_RATE = 0.5


def import_torch() -> Any:
    """Returns the torch module.

    Raises:
      RuntimeError: torch is not installed; the message says how to install it.
    """
    try:
        import torch
    except ImportError as error:
        raise RuntimeError(f'The PyTorch baseline needs it: {MISSING}') from error
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


def draw_data(images: int, device: str = 'cpu') -> tuple[Any, Any]:
    """Draws a training set as the paper does: pixel = target x N(0, 1), targets U(1, 10).

    Args:
      images: how many.
      device: where the tensors live.

    Returns:
      images [images, height, width] and their measured targets, the population standard
      deviation [images], float32.
    """
    torch = import_torch()
    generating_N = torch.rand(images, device=device) * 9 + 1
    images_NxHxW = torch.randn(images, IMAGE_SIZE, IMAGE_SIZE, device=device)
    images_NxHxW *= generating_N[:, None, None]
    return images_NxHxW, images_NxHxW.std((1, 2), correction=0)


def train_plain(
    images_NxHxW: Any, targets_N: Any, epochs: int, networks: int, most_steps: int | None = None
) -> float:
    """Trains networks one after the other in the eager loop that the paper used.

    Args:
      images_NxHxW: training images, all in memory, on the device to train on.
      targets_N: their targets.
      epochs: passes over the images, reshuffled for each, in batches of BATCH_SIZE.
      networks: how many.
      most_steps: stop each epoch after so many steps.

    Returns:
      the loss of the last batch, averaged over the networks.
    """
    torch = import_torch()
    device = images_NxHxW.device
    losses = []
    for _ in range(networks):
        network = plain_network().to(device).train()
        optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
        for _ in range(epochs):
            batches = shuffled_batches(len(targets_N), device)[:most_steps]
            for index_B in batches:
                optimizer.zero_grad()
                predictions_B = network(images_NxHxW[index_B][:, None])
                loss = torch.nn.functional.mse_loss(predictions_B, targets_N[index_B])
                loss.backward()
                optimizer.step()
        losses.append(loss.item())
    return sum(losses) / networks


def shuffled_batches(images: int, device: Any) -> Any:
    """Indices of the images in a new order, [steps, batch]; what fills no batch is left out."""
    steps = images // BATCH_SIZE
    order = import_torch().randperm(images, device=device)
    return order[: steps * BATCH_SIZE].view(steps, BATCH_SIZE)
