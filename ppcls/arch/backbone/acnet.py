"""The asymmetric convolution block.

Ding, Guo, Ding, Han 2019, "ACNet: Strengthening the Kernel Skeletons for Powerful CNN via
Asymmetric Convolution Blocks", arXiv:1908.03930.
"""

from __future__ import annotations

from typing import Optional

from paddle import Tensor, nn
from paddle.nn import functional as F

from ppcls.arch.layers import ConvAct, ConvBNAct, activation, conv_with


class AsymmetricConvBNAct(nn.Layer):
    """k x k, BN + k x 1, BN + 1 x k, BN, act, for an odd k; folds into one k x k with bias, act."""

    merges_branches = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        act: Optional[str] = "relu",
    ) -> None:
        super().__init__()

        def branch(height: int, width: int) -> ConvBNAct:
            return ConvBNAct(
                in_channels,
                out_channels,
                (height, width),
                stride,
                groups=groups,
                dilation=dilation,
                act=None,
            )

        self.square = branch(kernel, kernel)
        self.vertical = branch(kernel, 1)
        self.horizontal = branch(1, kernel)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, out_channels, h / stride, w / stride]."""
        return self.act(self.square(x) + self.vertical(x) + self.horizontal(x))

    def folded(self) -> ConvAct:
        """Return one convolution whose kernel has the asymmetric ones added along its middle."""
        square, vertical, horizontal = (
            branch.folded().conv for branch in (self.square, self.vertical, self.horizontal)
        )
        side = square.weight.shape[-1] // 2
        weight = (
            square.weight
            + F.pad(vertical.weight, [side, side, 0, 0])
            + F.pad(horizontal.weight, [0, 0, side, side])
        )
        bias = square.bias + vertical.bias + horizontal.bias
        return conv_with(square, weight, bias, self.act)
