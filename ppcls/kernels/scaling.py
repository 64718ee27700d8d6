"""Feature maps times one number for each channel of each image, and the gradients."""

from __future__ import annotations

from paddle import Tensor

from ppcls.kernels.convolution import convolve
from ppcls.kernels.geometry import Geometry
from ppcls.kernels.layout import BLOCKS, Layout


def scale(layout: Layout, x: Tensor, factors: Tensor) -> Tensor:
    """Return a map in blocks of channels with each channel of each image multiplied by its number;
    with gradients where they are wanted.

    That is a depthwise convolution of one pixel, in which the channels of all images are those of
    one. Paddle multiplies such blocks tens of times slower, and sums up the gradient slower still.

    Args:
        layout: of the map; one of those in blocks.
        x: the map.
        factors: n x channels x 1 x 1 in float32 and the same blocks.

    Raises:
        Unavailable: oneDNN cannot do it.
    """
    n, _, height, width = layout.shape
    # Channels beyond the last one, which fill its block, are zeros in both.
    channels = n * x.shape[1] * BLOCKS[layout.order]
    geometry = Geometry(
        source=(1, channels, height, width),
        weight=(channels, 1, 1, 1),
        stride=(1, 1),
        padding=(0, 0, 0, 0),
        dilation=(1, 1),
        groups=channels,
        bias=False,
        act=None,
        dtype=layout.dtype,
        order=layout.order,
    )
    weight = factors.reshape([channels, 1, 1, 1])
    return convolve(geometry, x.reshape([1, -1, *x.shape[2:]]), weight, None).reshape(x.shape)
