"""The paper's network and its eager training loop in PyTorch."""

from __future__ import annotations

import collections
from collections.abc import Callable
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


def compiled_step(
    images_NxHxW: Any, targets_N: Any, channels_last: bool = False
) -> Callable[[Any], Any]:
    """A step of the eager loop with its network and loss compiled, and Adam fused.

    That is what somebody who wants `train_plain` faster reaches for first.

    Args:
      images_NxHxW: training images, all in memory, on the device to train on.
      targets_N: their targets.
      channels_last: whether images and kernels lie so.

    Returns:
      indices of a batch [batch] -> its loss, after which the network has learnt from it.
    """
    torch = import_torch()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = plain_network().to(device=images_NxHxW.device, memory_format=layout).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, fused=True)

    @torch.compile
    def loss_of(images_Bx1xHxW: Any, targets_B: Any) -> Any:
        return torch.nn.functional.mse_loss(network(images_Bx1xHxW), targets_B)

    def step(index_B: Any) -> Any:
        optimizer.zero_grad()
        pictures = images_NxHxW[index_B][:, None].contiguous(memory_format=layout)
        loss = loss_of(pictures, targets_N[index_B])
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def stacked_step(
    images_NxHxW: Any, targets_N: Any, networks: int, compiled: bool = False
) -> Callable[[Any], Any]:
    """A step of so many networks at once: PyTorch's own recipe, `torch.func` over a stack of them.

    Args:
      images_NxHxW: training images, all in memory, on the device to train on.
      targets_N: their targets.
      networks: how many.
      compiled: whether the gradients are compiled.

    Returns:
      indices of a batch for each network [networks, batch] -> their mean loss.
    """
    torch = import_torch()
    members = [plain_network().to(images_NxHxW.device).train() for _ in range(networks)]
    parameters, buffers = torch.func.stack_module_state(members)
    template = plain_network().to('meta').train()
    optimizer = torch.optim.Adam(parameters.values(), lr=LEARNING_RATE, fused=True)

    def loss_of(own: Any, held: Any, images_Bx1xHxW: Any, targets_B: Any) -> Any:
        predictions_B = torch.func.functional_call(template, (own, held), (images_Bx1xHxW,))
        return torch.nn.functional.mse_loss(predictions_B, targets_B)

    gradients_of = torch.vmap(torch.func.grad_and_value(loss_of), randomness='different')
    if compiled:
        gradients_of = torch.compile(gradients_of)

    def step(index_MxB: Any) -> Any:
        pictures = images_NxHxW[index_MxB][:, :, None]
        gradients, losses_M = gradients_of(parameters, buffers, pictures, targets_N[index_MxB])
        for name, parameter in parameters.items():
            parameter.grad = gradients[name]
        optimizer.step()
        return losses_M.mean().detach()

    return step


def shuffled_batches(images: int, device: Any) -> Any:
    """Indices of the images in a new order, [steps, batch]; what fills no batch is left out."""
    steps = images // BATCH_SIZE
    order = import_torch().randperm(images, device=device)
    return order[: steps * BATCH_SIZE].view(steps, BATCH_SIZE)
