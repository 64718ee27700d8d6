"""MobileNet, version 1.

Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications", arXiv:1704.04861.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Callable, Literal, Optional

from paddle import Tensor, nn
from pydantic import Field

from ppcls.arch.layers import ConvBNAct, average_head, initialise, make_divisible
from ppcls.arch.network import Count, Network, Rate, finest_to_last
from ppcls.registry import register


class DepthwiseSeparable(nn.Layer):
    """3x3 depthwise, BN, act, 1x1, BN, act."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, conv: Callable[..., nn.Layer]
    ) -> None:
        super().__init__()
        self.depthwise = conv(in_channels, in_channels, 3, stride, groups=in_channels)
        self.pointwise = conv(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, out_channels, h / stride, w / stride]."""
        return self.pointwise(self.depthwise(x))


# Table 1 of the paper: one stage for each resolution.
_STAGES = (
    # channels, blocks, stride of the first
    (64, 1, 1),
    (128, 2, 2),
    (256, 2, 2),
    (512, 6, 2),
    (1024, 2, 2),
)


class MobileNetV1(Network):
    """3x3/2x32, BN, act, thirteen depthwise separable blocks, global average, classes.

    The paper says nothing of the first weights: they start from He's normal distribution
    (arXiv:1502.01852), the last layer's from N(0, 0.01).

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        scale: the paper's width multiplier: the factor of all channels.
        divisor: what channels are rounded to multiples of.
        act: "relu" (the paper, PaddleClas) or "relu6" (the authors' published code, timm).
        head_width: the channels of one more 1x1, BN, act before the average; None leaves it out.
        dropout: the probability of dropping a feature before the last layer.
        stem: "imagenet" as above; "cifar" keeps the resolution in the first convolution and in the
            second stage, for 32 pixels.
    """

    stages = ("stem", "stage1", "stage2", "stage3", "stage4", "stage5")

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        scale: Annotated[float, Field(gt=0.0)] = 1.0,
        divisor: Count = 8,
        act: Literal["relu", "relu6"] = "relu",
        head_width: Optional[Count] = None,
        dropout: Rate = 0.0,
        stem: Literal["imagenet", "cifar"] = "imagenet",
    ) -> None:
        super().__init__(class_num, in_channels)
        cifar = stem == "cifar"
        self.input_size = 32 if cifar else 224
        conv = partial(ConvBNAct, act=act)
        bases, depths, halvings = zip(*_STAGES)
        widths = [make_divisible(base * scale, divisor) for base in (32, *bases)]
        strides = [2, *halvings]
        if cifar:
            strides[0] = strides[2] = 1
        self.stem = conv(in_channels, widths[0], 3, strides[0])
        for i, name in enumerate(self.stages[1:]):
            stage = _stage(widths[i], widths[i + 1], depths[i], strides[i + 1], conv)
            self.add_sublayer(name, stage)
        self.levels = finest_to_last(self.stages, widths, strides)
        extra = None if head_width is None else conv(widths[-1], head_width, 1)
        self.head = average_head(head_width or widths[-1], class_num, dropout, conv=extra)
        initialise(self)


def _stage(
    in_channels: int, channels: int, depth: int, stride: int, conv: Callable[..., nn.Layer]
) -> nn.Sequential:
    first = DepthwiseSeparable(in_channels, channels, stride, conv)
    rest = (DepthwiseSeparable(channels, channels, 1, conv) for _ in range(depth - 1))
    return nn.Sequential(first, *rest)


for _name, _scale in (
    ("MobileNetV1_x0_25", 0.25),
    ("MobileNetV1_x0_5", 0.5),
    ("MobileNetV1_x0_75", 0.75),
    ("MobileNetV1", 1.0),
):
    register("arch", _name, scale=_scale)(MobileNetV1)
for _name, _scale, _head_width in (
    ("MobileNetV1_timm", 1.0, None),
    ("MobileNetV1_x1_25_timm", 1.25, None),
    ("MobileNetV1_h_timm", 1.0, 1024),
):
    register("arch", _name, scale=_scale, head_width=_head_width, act="relu6")(MobileNetV1)
