"""The fastest PyTorch that we found to train the same function with the same updates.

- On CPU a network trains on one thread. Images are kept as 4x4 tiles, so that convolution and
  average pooling together are a 2x2 and then a 3x3 convolution of stride 1 over channels-last
  tensors (`folded_loss_and_gradients`), the backward pass is written by hand, works in place and
  fills one flat gradient, and fused Adam updates one flat vector.
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

import math
from typing import Any

from imbreg_jax.benchmark import torch_plain

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
    torch = torch_plain.import_torch()
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
    torch = torch_plain.import_torch()
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
    aten = torch_plain.import_torch().ops.aten
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


def train_folded(
    tiles: Any, targets_N: Any, epochs: int, networks: int, most_steps: int | None = None
) -> float:
    """Trains networks one after the other on the CPU, in the fastest way found.

    Arguments and result are those of `torch_plain.train_plain`, but for `tiles`, the images of
    `to_tiles`.
    """
    torch = torch_plain.import_torch()
    matrices = fold_matrices()
    batch_tiles = torch.empty(torch_plain.BATCH_SIZE, tiles.shape[1])
    batch_targets_B = torch.empty(torch_plain.BATCH_SIZE)
    conv_mask_BxC = torch.empty(torch_plain.BATCH_SIZE, _FEATURES_2)
    dense_mask_BxD = torch.empty(torch_plain.BATCH_SIZE, _DENSE)
    losses = []
    keep = 1 - torch_plain.DROPOUT_RATE
    with torch.no_grad():
        for _ in range(networks):
            flat = torch.nn.Parameter(to_folded(torch_plain.plain_network().state_dict()))
            flat.grad = torch.zeros_like(flat)
            parameters, gradients = folded_views(flat), folded_views(flat.grad)
            optimizer = torch.optim.Adam([flat], lr=torch_plain.LEARNING_RATE, fused=True)
            for _ in range(epochs):
                for index_B in torch_plain.shuffled_batches(len(targets_N), 'cpu')[:most_steps]:
                    torch.index_select(tiles, 0, index_B, out=batch_tiles)
                    torch.index_select(targets_N, 0, index_B, out=batch_targets_B)
                    for mask in (conv_mask_BxC, dense_mask_BxD):
                        mask.bernoulli_(keep).div_(keep)
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
        torch = torch_plain.import_torch()
        self._torch, self._tiles, self._targets_N = torch, tiles, targets_N
        self._networks, device = networks, tiles.device
        on_cuda = device.type == 'cuda'
        starts = [to_folded(torch_plain.plain_network().state_dict()) for _ in range(networks)]
        self.flat = torch.nn.Parameter(torch.stack(starts).to(device))
        self.flat.grad = torch.zeros_like(self.flat)
        # Adam acts on each value alone, so one of it serves all networks.
        self._optimizer = torch.optim.Adam(
            [self.flat], lr=torch_plain.LEARNING_RATE, fused=True, capturable=on_cuda
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
        steps = len(targets_N) // torch_plain.BATCH_SIZE
        self._order_SxKxB = torch.zeros(
            steps, networks, torch_plain.BATCH_SIZE, dtype=torch.int64, device=device
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
            batches = torch_plain.shuffled_batches(len(self._targets_N), device)
            self._order_SxKxB[:, network].copy_(batches)
        self._next_step.zero_()

    def _step(self) -> None:
        torch, device = self._torch, self._tiles.device
        with torch.no_grad():
            index_KxB = self._order_SxKxB.index_select(0, self._next_step)[0]
            keep = 1 - torch_plain.DROPOUT_RATE
            shape = (self._networks, torch_plain.BATCH_SIZE)
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
            for _ in range(len(self._targets_N) // torch_plain.BATCH_SIZE):
                self._run_step()
        return self.losses_K.mean().item()
