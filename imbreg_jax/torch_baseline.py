"""The same training in PyTorch, to hold the package's speed and its numbers against.

    python -m imbreg_jax.torch_baseline --which=plain --images=50000 --epochs=1 --networks=1
    python -m imbreg_jax.torch_baseline --which=best --images=50000 --epochs=1 --networks=2

Each prints one line of JSON. `plain` is the eager loop that the paper used. `best` is the fastest
PyTorch that we found to train the same function with the same updates:

- On CPU one process a core, pinned to it, trains a network of its own on one thread. Images are
  kept as 4x4 tiles, so that convolution and average pooling together are a 2x2 and then a 3x3
  convolution of stride 1 over channels-last tensors (`folded_loss_and_gradients`), the backward
  pass is written by hand, works in place and fills one flat gradient, and fused Adam updates one
  flat vector.
- On CUDA the same function, vmapped over all networks and compiled, in one CUDA graph a step.

What was tried on CPU, in time an image on one pinned core of a 2-core x86 machine with AVX-512
(torch 2.13), where this `best` is 1:

    plain network, eager                                             4.6
    plain network, torch.compile                                     3.0
    5x5 stride-2 of the 2x2 box-filtered input, contiguous           2.3
    the same, channels-last                                          1.9
    box filter for the first layer, 6x6 stride-2 for the second      1.9
    6x6 stride-2 convolutions, channels-last (compiled: the same)    1.6
    6x6 stride-2 convolutions, contiguous (compiled: the same)       1.5
    tiles, both layers as patches and matrix products                1.9
    the same, torch.compile                                          2.7
    tiles, second layer as one matrix product and nine shifted adds  4.1
    tiles, convolutions, contiguous                                  1.3
    tiles, convolutions, channels-last, autograd                     1.16
    the same, first layer as patches and a matrix product            1.18
    the same, torch.compile                                          1.4
    hand-written backward, nothing in place                          1.35
    hand-written backward, torch.compile                             1.0
    hand-written backward, in place                                  1

With both cores, one process on two threads took 1.3 times as long as two processes of one thread.
Fused Adam alone changes the plain loop by less than 2 %. Three quarters of the remaining time is
inside oneDNN's convolutions. No compiler is needed on CPU.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import multiprocessing
import os
import time
from multiprocessing import connection
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
WARM_UP_STEPS = 20

# The network's sizes after each folded layer: 13x13 tiles of 4x4 pixels, 12x12 positions that
# hold 2x2 outputs of 10 channels each, 10x10 outputs of 20 channels.
_TILES, _POSITIONS, _SIDE = 13, 12, 10
_TILE_PIXELS, _FEATURES_1, _FEATURES_2, _DENSE = 16, 10, 20, 50

# Parameters of the folded network, in the order in which they lie in one flat vector. The kernels
# keep their own 25 values: conv1 [out, 5*5], conv2 [out, 5*5, in]; the columns of dense1 run over
# height, width, channel.
FOLDED_SHAPES = {
    'conv1.weight': (_FEATURES_1, 25),
    'conv1.bias': (_FEATURES_1,),
    'conv2.weight': (_FEATURES_2, 25, _FEATURES_1),
    'conv2.bias': (_FEATURES_2,),
    'dense1.weight': (_DENSE, _SIDE * _SIDE * _FEATURES_2),
    'dense1.bias': (_DENSE,),
    'dense2.weight': (_DENSE,),
    'dense2.bias': (1,),
}


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


def to_tiles(images_NxHxW: Any) -> Any:
    """Cuts images into tiles of 4x4 pixels: [images, 13 * 13 * 16], row-major both ways."""
    tiles = images_NxHxW.view(-1, _TILES, 4, _TILES, 4).transpose(2, 3)
    return tiles.reshape(-1, _TILES * _TILES * _TILE_PIXELS)


def to_folded(parameters: dict[str, Any]) -> Any:
    """Turns the plain network's parameters (or gradients) into the folded network's flat vector.

    Args:
      parameters: name -> tensor, as `plain_network().state_dict()`.

    Returns:
      [sum of the sizes in FOLDED_SHAPES].
    """
    torch = import_torch()
    dense1 = parameters['dense1.weight'].view(_DENSE, _FEATURES_2, _SIDE, _SIDE)
    moved = parameters | {
        'conv2.weight': parameters['conv2.weight'].permute(0, 2, 3, 1),
        'dense1.weight': dense1.permute(0, 2, 3, 1),
    }
    return torch.cat([moved[name].reshape(-1) for name in FOLDED_SHAPES])


def folded_views(flat: Any) -> tuple[Any, ...]:
    """Views of a flat vector [..., size] as the parameters of FOLDED_SHAPES, in their order."""
    sizes = [math.prod(shape) for shape in FOLDED_SHAPES.values()]
    parts = flat.split(sizes, -1)
    return tuple(
        part.unflatten(-1, shape) for part, shape in zip(parts, FOLDED_SHAPES.values(), strict=True)
    )


def fold_matrices(device: str = 'cpu') -> tuple[Any, Any]:
    """The linear maps from a 5x5 kernel to the kernels of the folded convolutions.

    A 5x5 convolution and a 2x2 average pool are one 6x6 convolution of stride 2, its kernel the
    average of the four shifts of the 5x5 one. Over tiles its stride is 1.

    Args:
      device: where the tensors live.

    Returns:
      first [4, 25, 64]: for each of the 2x2 outputs at a position, from the 5x5 kernel to 2x2
      tiles of 16 pixels; second [36, 25]: from the 5x5 kernel to 3x3 positions of 2x2 outputs.
    """
    torch = import_torch()
    six = torch.zeros(25, 6, 6)
    for row in range(5):
        for column in range(5):
            six[5 * row + column, row : row + 2, column : column + 2] = 0.25
    first = torch.zeros(2, 2, 25, 8, 8)
    for row in range(2):
        for column in range(2):
            first[row, column, :, 2 * row : 2 * row + 6, 2 * column : 2 * column + 6] = six
    first = first.view(4, 25, 2, 4, 2, 4).transpose(3, 4).reshape(4, 25, 64)
    second = six.view(25, 3, 2, 3, 2).permute(1, 3, 2, 4, 0).reshape(36, 25)
    return first.to(device), second.to(device)


def folded_loss_and_gradients(
    parameters: tuple[Any, ...],
    tiles: Any,
    targets_B: Any,
    conv_mask_BxC: Any,
    dense_mask_BxD: Any,
    matrices: tuple[Any, Any],
    in_place: bool,
) -> tuple[Any, tuple[Any, ...]]:
    """One training step's loss and gradients, both passes written out.

    Args:
      parameters: of the folded network, in the order of FOLDED_SHAPES.
      tiles: [batch, 13 * 13 * 16].
      targets_B: [batch].
      conv_mask_BxC: channel dropout after the second convolution, 0 or 1 / (1 - rate).
      dense_mask_BxD: dropout after the hidden dense layer, 0 or 1 / (1 - rate).
      matrices: of `fold_matrices`.
      in_place: overwrite the large gradients where ReLU gates them, 3 % faster on CPU; must be
        False under vmap, which has no rule for it.

    Returns:
      the mean squared error, and its gradients in the order of FOLDED_SHAPES.
    """
    aten = import_torch().ops.aten
    first, second = matrices
    kernel1, bias1, kernel2, bias2, dense1, dense1_bias, dense2, dense2_bias = parameters
    batch = tiles.shape[0]
    one, none = [1, 1], [0, 0]

    def gate(gradient: Any, output: Any) -> Any:
        if in_place:
            return aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)
        return aten.threshold_backward(gradient, output, 0)

    def convolution_gradients(
        gradient: Any, inputs: Any, kernel: Any, wanted: list[bool]
    ) -> tuple[Any, Any, Any]:
        return aten.convolution_backward(
            gradient, inputs, kernel, [kernel.shape[0]], one, none, one, False, none, 1, wanted
        )

    # Every permute below only renames axes: memory stays channels-last throughout.
    x = tiles.view(batch, _TILES, _TILES, _TILE_PIXELS).permute(0, 3, 1, 2)
    w1 = (kernel1 @ first).view(4 * _FEATURES_1, 2, 2, _TILE_PIXELS).permute(0, 3, 1, 2)
    w2 = (second @ kernel2).view(_FEATURES_2, 3, 3, 4 * _FEATURES_1).permute(0, 3, 1, 2)
    hidden1 = aten.convolution(x, w1, bias1.repeat(4), one, none, one, False, none, 1).relu_()
    hidden2 = aten.convolution(hidden1, w2, bias2, one, none, one, False, none, 1)
    # A mask is not negative, so that it may be applied before ReLU; both are then open exactly
    # where the result is positive, and one gate serves the backward pass.
    hidden2 = hidden2.mul_(conv_mask_BxC[:, :, None, None]).relu_()
    flat = hidden2.permute(0, 2, 3, 1).reshape(batch, -1)
    hidden3 = aten.addmm(dense1_bias, flat, dense1.t()).relu_().mul_(dense_mask_BxD)
    residual_B = aten.mv(hidden3, dense2) + dense2_bias - targets_B
    loss = residual_B.square().mean()

    d_output_B = residual_B * (2 / batch)
    d_hidden3 = gate(aten.outer(d_output_B, dense2).mul_(dense_mask_BxD), hidden3)
    d_flat = aten.mm(d_hidden3, dense1).view(batch, _SIDE, _SIDE, _FEATURES_2)
    d_hidden2 = d_flat.permute(0, 3, 1, 2).mul_(conv_mask_BxC[:, :, None, None])
    d_hidden2 = gate(d_hidden2, hidden2)
    d_hidden1, d_w2, d_bias2 = convolution_gradients(d_hidden2, hidden1, w2, [True, True, True])
    _, d_w1, d_bias1 = convolution_gradients(gate(d_hidden1, hidden1), x, w1, [False, True, True])
    d_w1 = d_w1.permute(0, 2, 3, 1).reshape(4, _FEATURES_1, -1)
    d_w2 = d_w2.permute(0, 2, 3, 1).reshape(_FEATURES_2, 36, _FEATURES_1)
    return loss, (
        (d_w1 @ first.transpose(1, 2)).sum(0),
        d_bias1.view(4, _FEATURES_1).sum(0),
        second.t() @ d_w2,
        d_bias2,
        aten.mm(d_hidden3.t(), flat),
        d_hidden3.sum(0),
        aten.mv(hidden3.t(), d_output_B),
        d_output_B.sum(0, keepdim=True),
    )


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
            batches = _shuffled_batches(len(targets_N), device)[:most_steps]
            for index_B in batches:
                optimizer.zero_grad()
                predictions_B = network(images_NxHxW[index_B][:, None])
                loss = torch.nn.functional.mse_loss(predictions_B, targets_N[index_B])
                loss.backward()
                optimizer.step()
        losses.append(loss.item())
    return sum(losses) / networks


def _shuffled_batches(images: int, device: Any) -> Any:
    steps = images // BATCH_SIZE
    order = import_torch().randperm(images, device=device)
    return order[: steps * BATCH_SIZE].view(steps, BATCH_SIZE)


def train_folded(
    tiles: Any, targets_N: Any, epochs: int, networks: int, most_steps: int | None = None
) -> float:
    """Trains networks one after the other on the CPU, in the fastest way found.

    Arguments and result are those of `train_plain`, but for `tiles`, the images of `to_tiles`.
    """
    torch = import_torch()
    matrices = fold_matrices()
    batch_tiles = torch.empty(BATCH_SIZE, tiles.shape[1])
    batch_targets_B = torch.empty(BATCH_SIZE)
    conv_mask_BxC = torch.empty(BATCH_SIZE, _FEATURES_2)
    dense_mask_BxD = torch.empty(BATCH_SIZE, _DENSE)
    losses = []
    with torch.no_grad():
        for _ in range(networks):
            flat = torch.nn.Parameter(to_folded(plain_network().state_dict()))
            flat.grad = torch.zeros_like(flat)
            parameters, gradients = folded_views(flat), folded_views(flat.grad)
            optimizer = torch.optim.Adam([flat], lr=LEARNING_RATE, fused=True)
            for _ in range(epochs):
                for index_B in _shuffled_batches(len(targets_N), 'cpu')[:most_steps]:
                    torch.index_select(tiles, 0, index_B, out=batch_tiles)
                    torch.index_select(targets_N, 0, index_B, out=batch_targets_B)
                    for mask in (conv_mask_BxC, dense_mask_BxD):
                        mask.bernoulli_(1 - DROPOUT_RATE).div_(1 - DROPOUT_RATE)
                    loss, step_gradients = folded_loss_and_gradients(
                        parameters,
                        batch_tiles,
                        batch_targets_B,
                        conv_mask_BxC,
                        dense_mask_BxD,
                        matrices,
                        in_place=True,
                    )
                    for gradient, value in zip(gradients, step_gradients, strict=True):
                        gradient.copy_(value)
                    optimizer.step()
            losses.append(loss.item())
    return sum(losses) / networks


class StackedTraining:
    """All networks at once on one device, each with its own shuffle and dropout masks.

    Construction warms up: on CUDA it compiles the step and captures it in one graph; elsewhere
    it runs eagerly, which serves to test it. The networks share one data set.
    """

    def __init__(self, tiles: Any, targets_N: Any, networks: int) -> None:
        """Prepares the training.

        Args:
          tiles: the images of `to_tiles`, on the device to train on.
          targets_N: their targets.
          networks: how many.
        """
        torch = import_torch()
        self._torch, self._tiles, self._targets_N = torch, tiles, targets_N
        self._networks, device = networks, tiles.device
        on_cuda = device.type == 'cuda'
        starts = [to_folded(plain_network().state_dict()) for _ in range(networks)]
        self.flat = torch.nn.Parameter(torch.stack(starts).to(device))
        self.flat.grad = torch.zeros_like(self.flat)
        # Adam acts on each value alone, so one of it serves all networks.
        self._optimizer = torch.optim.Adam(
            [self.flat], lr=LEARNING_RATE, fused=True, capturable=on_cuda
        )
        matrices = fold_matrices(device)

        def one_network(
            parameters: tuple[Any, ...], tiles: Any, targets_B: Any, conv_mask: Any, dense_mask: Any
        ) -> tuple[Any, tuple[Any, ...]]:
            return folded_loss_and_gradients(
                parameters, tiles, targets_B, conv_mask, dense_mask, matrices, in_place=False
            )

        self._all_networks = torch.func.vmap(one_network)
        if on_cuda:
            self._all_networks = torch.compile(self._all_networks)
        steps = len(targets_N) // BATCH_SIZE
        self._order_SxKxB = torch.zeros(
            steps, networks, BATCH_SIZE, dtype=torch.int64, device=device
        )
        self._next_step = torch.zeros(1, dtype=torch.int64, device=device)
        self.losses_K = torch.zeros(networks, device=device)
        self._run_step = self._step
        if on_cuda:
            start = self.flat.detach().clone()
            self._shuffle()
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):  # capture wants its warm-up on another stream
                for _ in range(3):
                    self._step()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._step()
            self._run_step = graph.replay
            with torch.no_grad():  # the captured tensors begin again from the start
                self.flat.copy_(start)
                for value in self._optimizer.state[self.flat].values():
                    value.zero_()

    def _shuffle(self) -> None:
        device = self._tiles.device
        for network in range(self._networks):
            batches = _shuffled_batches(len(self._targets_N), device)
            self._order_SxKxB[:, network].copy_(batches)
        self._next_step.zero_()

    def _step(self) -> None:
        torch, device = self._torch, self._tiles.device
        with torch.no_grad():
            index_KxB = self._order_SxKxB.index_select(0, self._next_step)[0]
            keep = 1 - DROPOUT_RATE
            shape = (self._networks, BATCH_SIZE)
            masks = [
                torch.empty(*shape, width, device=device).bernoulli_(keep).div_(keep)
                for width in (_FEATURES_2, _DENSE)
            ]
            losses_K, gradients = self._all_networks(
                folded_views(self.flat), self._tiles[index_KxB], self._targets_N[index_KxB], *masks
            )
            for gradient, value in zip(folded_views(self.flat.grad), gradients, strict=True):
                gradient.copy_(value)
            self._optimizer.step()
            self.losses_K.copy_(losses_K)
            self._next_step += 1

    def train(self, epochs: int) -> float:
        """Trains for so many epochs and returns the last batch's loss, averaged over networks."""
        for _ in range(epochs):
            self._shuffle()
            for _ in range(len(self._targets_N) // BATCH_SIZE):
                self._run_step()
        return self.losses_K.mean().item()


def _measure_plain(images: int, epochs: int, networks: int, device: str) -> dict[str, Any]:
    torch = import_torch()
    data = draw_data(images, device)
    start = time.perf_counter()
    train_plain(*data, epochs=1, networks=1, most_steps=WARM_UP_STEPS)
    warm = time.perf_counter()
    final_loss = train_plain(*data, epochs=epochs, networks=networks)
    return {
        'seconds': time.perf_counter() - warm,
        'compile_seconds': warm - start,
        'final_loss': final_loss,
        'threads': torch.get_num_threads(),
    }


def _measure_stacked(images: int, epochs: int, networks: int, device: str) -> dict[str, Any]:
    torch = import_torch()
    images_NxHxW, targets_N = draw_data(images, device)
    start = time.perf_counter()
    training = StackedTraining(to_tiles(images_NxHxW), targets_N, networks)
    torch.cuda.synchronize()
    warm = time.perf_counter()
    final_loss = training.train(epochs)
    return {
        'seconds': time.perf_counter() - warm,
        'compile_seconds': warm - start,
        'final_loss': final_loss,
        'threads': torch.get_num_threads(),
    }


def _work(link: connection.Connection, core: int, images: int, epochs: int, networks: int) -> None:
    """A process of `best` on CPU: says how long warm-up took, waits, trains, says its loss."""
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, {core})
    torch = import_torch()
    torch.set_num_threads(1)
    torch.manual_seed(core)
    images_NxHxW, targets_N = draw_data(images)
    tiles = to_tiles(images_NxHxW)
    del images_NxHxW
    start = time.perf_counter()
    train_folded(tiles, targets_N, epochs=1, networks=1, most_steps=WARM_UP_STEPS)
    link.send(time.perf_counter() - start)
    link.recv()
    link.send(train_folded(tiles, targets_N, epochs, networks))


def _measure_processes(images: int, epochs: int, networks: int) -> dict[str, Any]:
    """One process a core; the clock runs from when all are warm to when the last has finished."""
    cores = _available_cores()[:networks]
    context = multiprocessing.get_context('spawn')
    links, processes = [], []
    for number, core in enumerate(cores):
        share = networks // len(cores) + (number < networks % len(cores))
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there, core, images, epochs, share))
        process.start()
        there.close()  # so that a process that dies ends our wait for it
        links.append((here, share))
        processes.append(process)
    warm_up = max(link.recv() for link, _ in links)
    start = time.perf_counter()
    for link, _ in links:
        link.send('go')
    losses = [share * link.recv() for link, share in links]
    seconds = time.perf_counter() - start
    for process in processes:
        process.join()
    return {
        'seconds': seconds,
        'compile_seconds': warm_up,
        'final_loss': sum(losses) / networks,
        'threads': len(cores),
    }


def _available_cores() -> list[int]:
    if hasattr(os, 'sched_getaffinity'):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def measure(
    which: str,
    images: int,
    epochs: int = 1,
    networks: int = 1,
    device: str = 'cpu',
    tf32: bool = False,
) -> dict[str, Any]:
    """Trains networks and measures how long that takes.

    With `best` on CPU the networks are dealt out to the cores; with a number of networks that
    is no multiple of the cores, some cores idle at the end and the time includes that.

    Args:
      which: 'plain' or 'best'.
      images: size of the training set; what does not fill a batch is left out.
      epochs: passes over it.
      networks: how many.
      device: 'cpu' or 'cuda'.
      tf32: on CUDA, allow TensorFloat-32 products instead of float32.

    Returns:
      which, device, images_trained (over all networks and epochs), seconds (training alone,
      after warm-up, data not counted), compile_seconds (the warm-up with compilation),
      final_loss, threads, torch (version).

    Raises:
      RuntimeError: torch is not installed.
      ValueError: fewer images than one batch, no network, or no epoch.
    """
    torch = import_torch()
    if images < BATCH_SIZE or epochs < 1 or networks < 1:
        raise ValueError(
            f'images must be at least {BATCH_SIZE}, epochs and networks at least 1; '
            f'got images={images}, epochs={epochs}, networks={networks}'
        )
    if device == 'cuda':
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
    if which == 'plain':
        measured = _measure_plain(images, epochs, networks, device)
    elif device == 'cpu':
        measured = _measure_processes(images, epochs, networks)
    else:
        measured = _measure_stacked(images, epochs, networks, device)
    return {
        'which': which,
        'device': device,
        'images_trained': images // BATCH_SIZE * BATCH_SIZE * epochs * networks,
        **measured,
        'torch': torch.__version__,
    }


def main(arguments: list[str] | None = None) -> None:
    """Measures what the command line asks for and prints it as one line of JSON."""
    parser = argparse.ArgumentParser(prog='python -m imbreg_jax.torch_baseline')
    parser.add_argument('--which', choices=('plain', 'best'), required=True)
    parser.add_argument('--images', type=int, default=50_000, help='size of the training set')
    parser.add_argument('--epochs', type=int, default=1)
    parser.add_argument('--networks', type=int, default=1)
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--tf32', action='store_true', help='on CUDA: allow TensorFloat-32')
    options = vars(parser.parse_args(arguments))
    try:
        measured = measure(**options)
    except (RuntimeError, ValueError) as error:
        parser.exit(2, f'{error}\n')
    print(json.dumps(measured))


if __name__ == '__main__':
    main()
