"""What GoogLeNet and its successors share: branches side by side, and auxiliary heads' pooling."""

from __future__ import annotations

from typing import Annotated, Any, Callable, Dict, Optional, Tuple

import paddle
from paddle import Tensor, nn
from pydantic import Field

Convolution = Callable[..., nn.Layer]
"""Makes a convolution of (in_channels, out_channels, kernel, stride, padding)."""

Epsilon = Annotated[float, Field(gt=0.0, lt=1.0)]
"""What is added to the variances in batch normalisation."""


class Branches(nn.Sequential):
    """Layers side by side, each on the same input; their channels are concatenated in order."""

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, channels of all branches, h', w']."""
        return paddle.concat([branch(x) for branch in self._sub_layers.values()], axis=1)


def chain(
    conv: Convolution, in_channels: int, *rows: Tuple[Any, ...], pool: Optional[nn.Layer] = None
) -> nn.Sequential:
    """Return a branch: perhaps pooling, then convolutions `conv1`, `conv2`, ... one after another.

    A row is (channels, kernel), or with stride and padding (channels, kernel, stride, padding);
    the padding is half the kernel where it is not given.
    """
    layers = nn.Sequential()
    if pool is not None:
        layers.add_sublayer("pool", pool)
    for number, (width, *how) in enumerate(rows, start=1):
        layers.add_sublayer(f"conv{number}", conv(in_channels, width, *how))
        in_channels = width
    return layers


def average3x3(padded: bool) -> nn.AvgPool2D:
    """Return 3x3 average pooling that keeps the size; `padded` counts the zeros around the maps."""
    return nn.AvgPool2D(3, 1, padding=1, exclusive=not padded)


def fork(conv: Convolution, in_channels: int, width: int) -> Branches:
    """Return 1x3 and 3x1 side by side, each with `width` channels."""
    return Branches(
        ("row", conv(in_channels, width, (1, 3))),
        ("column", conv(in_channels, width, (3, 1))),
    )


def stem(conv: Convolution, in_channels: int) -> Dict[str, nn.Layer]:
    """Return what stands in front of the modules of Inception v3 and Inception-ResNet v2."""
    return {
        "conv_1a": conv(in_channels, 32, 3, 2, 0),
        "conv_2a": conv(32, 32, 3, 1, 0),
        "conv_2b": conv(32, 64, 3),
        "pool_3a": nn.MaxPool2D(3, 2),
        "conv_3b": conv(64, 80, 1),
        "conv_4a": conv(80, 192, 3, 1, 0),
        "pool_5a": nn.MaxPool2D(3, 2),
    }


class AuxiliaryPool(nn.Layer):
    """5x5/3 average pool, as far as the maps are large enough; then averaged to `side` pixels.

    At the size that a network was designed for, the second step changes nothing.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.window = nn.AvgPool2D(5, 3)
        self.grid = nn.AdaptiveAvgPool2D(side)

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, c, h, w] into [n, c, side, side]."""
        return self.grid(self.window(x) if min(x.shape[2:]) >= 5 else x)
