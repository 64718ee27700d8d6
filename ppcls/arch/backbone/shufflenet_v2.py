"""ShuffleNet, version 2.

Ma, Zhang, Zheng, Sun 2018, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture
Design", arXiv:1807.11164.
"""

from __future__ import annotations

from typing import Annotated, List, Literal

import paddle
from paddle import Tensor, nn
from pydantic import Field

from ppcls.arch.layers import ConvBNAct, average_head, channel_shuffle, initialise
from ppcls.arch.network import Count, Network, Rate, finest_to_last
from ppcls.registry import register


class Branch(nn.Sequential):
    """1x1, BN, act, 3x3 depthwise, BN, 1x1, BN, act."""

    def __init__(self, in_channels: int, channels: int, stride: int, act: str) -> None:
        super().__init__(
            ("conv1", ConvBNAct(in_channels, channels, 1, act=act)),
            ("depthwise", ConvBNAct(channels, channels, 3, stride, groups=channels, act=None)),
            ("conv2", ConvBNAct(channels, channels, 1, act=act)),
        )


class BasicUnit(nn.Layer):
    """Split in half; one half as it is, the other through the branch; concatenate, shuffle.

    The paper's figure 3 (c).
    """

    def __init__(self, channels: int, act: str) -> None:
        super().__init__()
        self.branch = Branch(channels // 2, channels // 2, 1, act)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape [n, channels, h, w]."""
        kept, x = paddle.chunk(x, 2, axis=1)
        return channel_shuffle(paddle.concat([kept, self.branch(x)], axis=1), 2)


class DownUnit(nn.Layer):
    """3x3/2 depthwise, BN, 1x1, BN, act beside the branch with stride 2; concatenate, shuffle.

    The paper's figure 3 (d).
    """

    def __init__(self, in_channels: int, out_channels: int, act: str) -> None:
        super().__init__()
        half = out_channels // 2
        self.shortcut = nn.Sequential(
            ("depthwise", ConvBNAct(in_channels, in_channels, 3, 2, groups=in_channels, act=None)),
            ("conv", ConvBNAct(in_channels, half, 1, act=act)),
        )
        self.branch = Branch(in_channels, half, 2, act)

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, out_channels, h / 2, w / 2]."""
        return channel_shuffle(paddle.concat([self.shortcut(x), self.branch(x)], axis=1), 2)


Even = Annotated[int, Field(ge=2, multiple_of=2)]
Widths = Annotated[List[Even], Field(min_length=4, max_length=4)]
_DEPTHS = (4, 8, 4)


class ShuffleNetV2(Network):
    """3x3/2x24, BN, act, 3x3/2 max pool, three stages of units, 1x1, BN, act, average, classes.

    The paper says nothing of the first weights: they start from He's normal distribution
    (arXiv:1502.01852), the last layer's from N(0, 0.01).

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        widths: the channels of the stages 2, 3 and 4 and of the last convolution, even numbers;
            the paper's table 5 has no rule for them.
        act: "relu" (the paper) or "swish".
        dropout: the probability of dropping a feature before the last layer.
        stem: "imagenet" as above; "cifar" is 3x3 with stride 1 and no pooling, for 32 pixels.
    """

    stages = ("stem", "pool", "stage2", "stage3", "stage4")

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        widths: Widths = [116, 232, 464, 1024],  # noqa: B006, read only
        act: Literal["relu", "swish"] = "relu",
        dropout: Rate = 0.0,
        stem: Literal["imagenet", "cifar"] = "imagenet",
    ) -> None:
        super().__init__(class_num, in_channels)
        cifar = stem == "cifar"
        self.input_size = 32 if cifar else 224
        self.stem = ConvBNAct(in_channels, 24, 3, stride=1 if cifar else 2, act=act)
        self.pool = nn.Identity() if cifar else nn.MaxPool2D(3, 2, padding=1)
        self.stage2 = _stage(24, widths[0], _DEPTHS[0], act)
        self.stage3 = _stage(widths[0], widths[1], _DEPTHS[1], act)
        self.stage4 = _stage(widths[1], widths[2], _DEPTHS[2], act)
        last = ConvBNAct(widths[2], widths[3], 1, act=act)
        self.head = average_head(widths[3], class_num, dropout, conv=last)
        strides = (1, 1, 2, 2, 2) if cifar else (2, 2, 2, 2, 2)
        self.levels = finest_to_last(self.stages, (24, 24, *widths), strides)
        initialise(self)


def _stage(in_channels: int, channels: int, depth: int, act: str) -> nn.Sequential:
    units = (BasicUnit(channels, act) for _ in range(depth - 1))
    return nn.Sequential(DownUnit(in_channels, channels, act), *units)


for _name, _widths, _act in (
    # name                  stage 2, 3, 4, last
    ("ShuffleNetV2_x0_25", [24, 48, 96, 512], "relu"),
    ("ShuffleNetV2_x0_33", [32, 64, 128, 512], "relu"),
    ("ShuffleNetV2_x0_5", [48, 96, 192, 1024], "relu"),
    ("ShuffleNetV2_x1_0", [116, 232, 464, 1024], "relu"),
    ("ShuffleNetV2_x1_5", [176, 352, 704, 1024], "relu"),
    ("ShuffleNetV2_x2_0", [244, 488, 976, 2048], "relu"),
    ("ShuffleNetV2_swish", [116, 232, 464, 1024], "swish"),
):
    register("arch", _name, widths=_widths, act=_act)(ShuffleNetV2)
