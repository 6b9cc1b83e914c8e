"""The network's shapes and what they cost: the only place that knows how the layers follow.

Plain arithmetic, no JAX: the network is built by it, configs are checked by it, and plans, figures
and the benchmark count by it.
"""

import dataclasses
import functools
from typing import NamedTuple

POOL = 2


class Layer(NamedTuple):
    """A layer with parameters.

    Attributes:
      name: as in the network's parameters.
      inputs: channels or features that it takes.
      outputs: channels or features that it gives.
      kernel: pixels along a side of its kernel; 1 for a dense layer.
      side: pixels along a side after the convolution; 1 for a dense layer.
      pool: pixels along a side that a pool after it averages; 1 where none follows.
    """

    name: str
    inputs: int
    outputs: int
    kernel: int = 1
    side: int = 1
    pool: int = 1

    @property
    def pooled(self) -> int:
        """Pixels along a side after the pool, if there is one."""
        return self.side // self.pool

    @property
    def parameters(self) -> int:
        """Kernel and bias."""
        return self.outputs * (self.inputs * self.kernel**2 + 1)

    @property
    def multiplications(self) -> int:
        """Multiply-adds of one image's way forward, the pool folded into the convolution.

        A convolution and the average pool after it are one convolution with a wider kernel.
        """
        kernel = self.kernel + self.pool - 1
        return self.pooled**2 * self.outputs * self.inputs * kernel**2


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Two valid convolutions, each with a 2x2 average pool, and two dense layers.

    Where an image leaves no pixel, sides are 0 or less, and counts mean nothing.

    Attributes:
      image_size: pixels along a side of the images.
      kernel_size: pixels along a side of both convolutions' kernels.
      conv_features: channels of the two convolutions.
      dense_features: width of the hidden dense layer.
      channels: of the images.
      outputs: numbers that the last layer gives.
    """

    image_size: int
    kernel_size: int = 5
    conv_features: tuple[int, int] = (10, 20)
    dense_features: int = 50
    channels: int = 1
    outputs: int = 1

    @functools.cached_property
    def sides(self) -> tuple[int, ...]:
        """Pixels along a side: the image's, then after each convolution and each pool."""
        sides = [self.image_size]
        for _ in self.conv_features:
            convolved = sides[-1] - self.kernel_size + 1
            sides += [convolved, convolved // POOL]
        return tuple(sides)

    @property
    def pooled(self) -> tuple[int, int]:
        """Pixels along a side after each pool."""
        return self.sides[2], self.sides[4]

    @property
    def least_image_size(self) -> int:
        """The smallest images of which the last pool leaves one pixel."""
        side = 1
        for _ in self.conv_features:
            side = POOL * side + self.kernel_size - 1
        return side

    @property
    def flattened(self) -> int:
        """Features that the first dense layer takes."""
        return self.conv_features[-1] * self.pooled[-1] ** 2

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers with parameters, from the input on."""
        (first, second), kernel = self.conv_features, self.kernel_size
        return (
            Layer('conv1', self.channels, first, kernel, self.sides[1], POOL),
            Layer('conv2', first, second, kernel, self.sides[3], POOL),
            Layer('dense1', self.flattened, self.dense_features),
            Layer('dense2', self.dense_features, self.outputs),
        )

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
