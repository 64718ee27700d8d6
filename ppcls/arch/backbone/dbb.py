"""The diverse branch block.

Ding, Zhang, Han, Ding 2021, "Diverse Branch Block: Building a Convolution as an Inception-like
Unit", arXiv:2103.13425.
"""

from __future__ import annotations

from typing import List, Optional, Tuple

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F
from paddle.nn.initializer import Constant

from ppcls.arch.layers import ConvAct, ConvBNAct, activation, conv_with


class DiverseBranchConvBNAct(nn.Layer):
    """k x k, BN + 1x1, BN + 1x1, BN, k x k average, BN + 1x1, BN, k x k, BN, act, for an odd k;
    folds into one k x k with bias, act.

    The 1x1 of the last branch starts as the identity, and only its difference from that decays.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel: k.
        stride: of the block.
        act: the activation after the sum; None for none.
    """

    merges_branches = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        act: Optional[str] = "relu",
    ) -> None:
        super().__init__()
        side = kernel // 2
        self.square = ConvBNAct(in_channels, out_channels, kernel, stride, act=None)
        self.point = ConvBNAct(in_channels, out_channels, 1, stride, act=None)
        self.pooled = nn.Sequential(
            ("first", ConvBNAct(in_channels, out_channels, 1, act=None)),
            ("pad", _PadWithZeroOf(side)),
            ("pool", nn.AvgPool2D(kernel, stride)),
            ("bn", nn.BatchNorm2D(out_channels)),
        )
        self.deep = nn.Sequential(
            # No ConvBNAct, whose convolution others take for a plain one.
            (
                "first",
                nn.Sequential(
                    ("conv", IdentityPlusConv(in_channels)), ("bn", nn.BatchNorm2D(in_channels))
                ),
            ),
            ("pad", _PadWithZeroOf(side)),
            ("second", ConvBNAct(in_channels, out_channels, kernel, stride, 0, act=None)),
        )
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, out_channels, h / stride, w / stride]."""
        return self.act(self.square(x) + self.point(x) + self._pooled(x) + self._deep(x))

    def _pooled(self, x: Tensor) -> Tensor:
        branch = self.pooled
        return branch.bn(branch.pool(branch.pad(branch.first(x), _shift(branch.first.bn))))

    def _deep(self, x: Tensor) -> Tensor:
        branch = self.deep
        return branch.second(branch.pad(branch.first(x), _shift(branch.first.bn)))

    def folded(self) -> ConvAct:
        """Return one convolution that computes what all branches add up to."""
        square, point = self.square.folded().conv, self.point.folded().conv
        side = square.weight.shape[-1] // 2
        parts = [
            (square.weight, square.bias),
            (F.pad(point.weight, [side] * 4), point.bias),
            self._pooled_as_convolution(square.weight.shape[-1]),
            _in_turn(*self._first_of_deep(), self.deep.second.folded().conv),
        ]
        weight, bias = (sum(of_branches) for of_branches in zip(*parts))
        return conv_with(square, weight, bias, self.act)

    def last_normalisations(self) -> List[nn.BatchNorm2D]:
        """Return that of each branch."""
        return [self.square.bn, self.point.bn, self.pooled.bn, self.deep.second.bn]

    def _first_of_deep(self) -> Tuple[Tensor, Tensor]:
        """Return the kernel and the bias of the last branch's 1x1, its normalisation included."""
        conv, bn = self.deep.first.conv, self.deep.first.bn
        return conv.kernel() * _scale(bn).reshape([-1, 1, 1, 1]), _shift(bn)

    def _pooled_as_convolution(self, kernel: int) -> Tuple[Tensor, Tensor]:
        """Return the kernel and the bias of the branch that averages."""
        first, scale = self.pooled.first.folded().conv, _scale(self.pooled.bn)
        spread = (first.weight * scale.reshape([-1, 1, 1, 1])).expand([-1, -1, kernel, kernel])
        last = self.pooled.bn
        return spread / kernel**2, first.bias * scale + last.bias - last._mean * scale


class IdentityPlusConv(nn.Conv2D):
    """x + 1x1 of x: starts as the identity, and only what differs from that decays."""

    starts_at_zero = True

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 1, weight_attr=Constant(0.0), bias_attr=False)

    def kernel(self) -> Tensor:
        """Return the kernel [channels, channels, 1, 1] of a convolution that computes the same."""
        weight = self.weight
        return weight + paddle.eye(weight.shape[0], dtype=weight.dtype).reshape(weight.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape [n, channels, h, w]."""
        return super().forward(x) + x


class _PadWithZeroOf(nn.Layer):
    """Pads maps by the value that a normalisation in evaluation makes of 0, so that the convolution
    before it might as well have been padded with zeros.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor, value: Tensor) -> Tensor:
        """Turn [n, c, h, w] into [n, c, h + 2 side, w + 2 side].

        Args:
            x: the maps.
            value: of the border, [c].
        """
        value = value.astype(x.dtype).reshape([1, -1, 1, 1])
        return F.pad(x - value, [self.side] * 4) + value


def _scale(bn: nn.BatchNorm2D) -> Tensor:
    return bn.weight * (bn._variance + bn._epsilon) ** -0.5


def _shift(bn: nn.BatchNorm2D) -> Tensor:
    """Return what a normalisation makes of 0 by its running statistics, [c]."""
    return bn.bias - bn._mean * _scale(bn)


def _in_turn(weight: Tensor, bias: Tensor, second: nn.Conv2D) -> Tuple[Tensor, Tensor]:
    """Return the kernel and the bias of two convolutions, one after the other.

    Args:
        weight: of the first, [m, i, 1, 1].
        bias: of the first, [m].
        second: with a kernel [o, m, h, w].
    """
    both = paddle.einsum("omhw,mi->oihw", second.weight, weight.squeeze([2, 3]))
    return both, (second.weight.sum([2, 3]) * bias).sum(1) + second.bias
