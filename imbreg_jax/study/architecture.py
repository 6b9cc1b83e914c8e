"""The network's shapes and what they cost: the only place that knows how the layers follow.

Plain arithmetic, no JAX: the network is built by it, configs are checked by it, and plans, figures
and the benchmark count by it.
"""

import dataclasses
import functools
from typing import NamedTuple

# Pixels along a side of what a pool makes one of.
POOL = 2


def folds(pool: str, order: str, normalization: str, masks: str) -> bool:
    """Whether a convolution and the pool after it are one convolution with a wider kernel.

    They are where all between them is linear and the same for every pixel of a map. This is the
    only place that says so.

    Args:
      pool: the model's.
      order: the model's.
      normalization: the model's.
      masks: of the dropout between them, 'none', 'channel' or 'element'.
    """
    linear = order == 'pool_relu' and normalization in ('none', 'input')
    return pool == 'average' and linear and masks != 'element'


class Layer(NamedTuple):
    """A layer with parameters.

    A convolution's maps travel in blocks; see `model.layers`.

    Attributes:
      name: as in the network's parameters.
      inputs: channels or features that it takes.
      outputs: channels or features that it gives.
      kernel: pixels along a side of its kernel; 1 for a dense layer.
      side: pixels along a side after the convolution; 1 for a dense layer.
      pool: pixels along a side that a pool after it makes one of; 1 where none follows.
      folded: whether the pool is folded into the convolution; see `folds`.
      vectors: how many vectors of a number for each output it has beside its kernel.
      block: pooled pixels along a side of a block.
    """

    name: str
    inputs: int
    outputs: int
    kernel: int = 1
    side: int = 1
    pool: int = 1
    folded: bool = False
    vectors: int = 1
    block: int = 1

    @property
    def pooled(self) -> int:
        """Pixels along a side after the pool, if there is one."""
        return self.side // self.pool

    @property
    def computed(self) -> int:
        """Pixels along a side of the maps that are computed."""
        return self.pooled if self.folded else self.side

    @property
    def parameters(self) -> int:
        """Kernel, and scale and bias where there are such."""
        return self.outputs * (self.inputs * self.kernel**2 + self.vectors)

    @property
    def multiplications(self) -> int:
        """Multiply-adds of one image's way forward."""
        kernel = self.kernel + self.pool - 1 if self.folded else self.kernel
        return self.computed**2 * self.outputs * self.inputs * kernel**2

    @property
    def edge(self) -> int:
        """Pixels along a side of a block before the pool, as of a block that it takes."""
        return self.pool * self.block

    @property
    def taps(self) -> int:
        """Blocks along a side that a block depends on."""
        return -(-(self.edge - 1 + self.kernel) // self.edge)


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Valid convolutions, each with a pool or none, and two dense layers.

    Where an image leaves no pixel, sides are 0 or less, and counts mean nothing.

    Attributes:
      image_size: pixels along a side of the images.
      kernel_size: pixels along a side of the convolutions' kernels.
      conv_features: channels of each convolution.
      dense_features: width of the hidden dense layer.
      channels: of the images.
      outputs: numbers that the last layer gives.
      pool, order, conv_dropout, normalization, bias: the model's; see `settings.ModelSettings`.
    """

    image_size: int
    kernel_size: int = 5
    conv_features: tuple[int, ...] = (10, 20)
    dense_features: int = 50
    channels: int = 1
    outputs: int = 1
    pool: str = 'average'
    order: str = 'pool_relu'
    conv_dropout: str = 'channel'
    normalization: str = 'none'
    bias: bool = True

    @property
    def pool_size(self) -> int:
        """Pixels along a side that a pool makes one of; 1 without pools."""
        return 1 if self.pool == 'none' else POOL

    @functools.cached_property
    def sides(self) -> tuple[int, ...]:
        """Pixels along a side: the image's, then after each convolution and each pool."""
        sides = [self.image_size]
        for _ in self.conv_features:
            convolved = sides[-1] - self.kernel_size + 1
            sides += [convolved, convolved // self.pool_size]
        return tuple(sides)

    @property
    def least_image_size(self) -> int:
        """The smallest images of which the last pool leaves one pixel."""
        side = 1
        for _ in self.conv_features:
            side = self.pool_size * side + self.kernel_size - 1
        return side

    @property
    def flattened(self) -> int:
        """Features that the first dense layer takes."""
        return self.conv_features[-1] * self.sides[-1] ** 2

    @functools.cached_property
    def convolutions(self) -> tuple[Layer, ...]:
        """The convolutions, from the input on."""
        inputs = (self.channels, *self.conv_features)
        last = len(self.conv_features) - 1
        scaled = self.normalization not in ('none', 'input')
        return tuple(
            Layer(
                f'conv{i + 1}', inputs[i], outputs, self.kernel_size, self.sides[2 * i + 1],
                self.pool_size,
                folded=folds(
                    self.pool, self.order, self.normalization,
                    self.conv_dropout if i == last else 'none',
                ),
                vectors=scaled + self.bias,
                # The blocks of the first layer are those that the second one takes: its matrix
                # product, of few channels, is then the larger.
                block=self.pool_size if i == 0 and last else 1,
            )
            for i, outputs in enumerate(self.conv_features)
        )  # fmt: skip

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers with parameters, from the input on."""
        return (
            *self.convolutions,
            Layer('dense1', self.flattened, self.dense_features, vectors=int(self.bias)),
            Layer('dense2', self.dense_features, self.outputs, vectors=int(self.bias)),
        )

    @functools.cached_property
    def blocks(self) -> tuple[int, ...]:
        """Blocks along a side that each convolution takes.

        They are as many as what the next one takes, or its own pixels, depend on; and where
        statistics are taken of its maps, as whole maps do.
        """
        whole = self.normalization not in ('none', 'input')
        taken: list[int] = []
        after: Layer | None = None
        for layer in reversed(self.convolutions):
            given = layer.pooled
            if after is not None and layer.block == after.edge:
                given = taken[0]
            if whole:
                given = max(given, -(-layer.side // layer.edge))
            taken.insert(0, given + layer.taps - 1)
            after = layer
        return tuple(taken)

    @property
    def parameters(self) -> int:
        """Trainable numbers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def widest(self) -> int:
        """Values of one image in the layer that has most of them."""
        maps = (layer.outputs * layer.side**2 for layer in self.layers)
        return max(self.channels * self.image_size**2, *maps)

    @property
    def training_multiplications(self) -> int:
        """Multiply-adds that training on one image takes, forward and backward.

        A layer's backward pass takes its forward's count once for the kernel's gradient and once
        for the input's, which the first layer does not need.
        """
        first, *rest = (layer.multiplications for layer in self.layers)
        return 2 * first + 3 * sum(rest)
