"""ShuffleNet, version 1.

Zhang, Zhou, Lin, Sun 2017, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for
Mobile Devices", arXiv:1707.01083.
"""

from __future__ import annotations

from typing import Annotated, Literal, Sequence

import paddle
from paddle import Tensor, nn
from pydantic import Field

from ppcls.arch.layers import (
    ConvBNAct,
    DropPath,
    average_head,
    channel_shuffle,
    initialise,
    make_divisible,
    split_rates,
)
from ppcls.arch.network import Count, Network, Rate, finest_to_last
from ppcls.registry import register


class ShuffleUnit(nn.Layer):
    """1x1 in groups, BN, act, shuffle, 3x3 depthwise, BN, 1x1 in groups, BN + x, act.

    The paper's figure 2 (b). The inner channels are a quarter of those that come out. With
    `stride` 2, figure 2 (c), the shortcut is 3x3/2 average pooling, and the branch's output is
    concatenated to it instead of added.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        groups: int,
        first_groups: int,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        width = out_channels // 4
        out = out_channels - in_channels if stride > 1 else out_channels
        self.groups = groups
        self.conv1 = ConvBNAct(in_channels, width, 1, groups=first_groups)
        self.conv2 = ConvBNAct(width, width, 3, stride, groups=width, act=None)
        self.conv3 = ConvBNAct(width, out, 1, groups=groups, act=None)
        self.drop = DropPath(drop_path)
        self.pool = nn.AvgPool2D(3, 2, padding=1, exclusive=False) if stride > 1 else None
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, out_channels, h / stride, w / stride]."""
        y = self.conv3(self.conv2(channel_shuffle(self.conv1(x), self.groups)))
        joined = x + self.drop(y) if self.pool is None else paddle.concat([self.pool(x), y], axis=1)
        return self.act(joined)


# Table 1 of the paper: the channels of stage 2 by the number of groups; they double twice.
_WIDTHS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
_DEPTHS = (4, 8, 4)


class ShuffleNetV1(Network):
    """3x3/2x24, BN, act, 3x3/2 max pool, three stages of shuffle units, global average, classes.

    The very first 1x1 convolution is not in groups. The paper says nothing of the first weights:
    they start from He's normal distribution (arXiv:1502.01852), the last layer's from N(0, 0.01).

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        groups: the groups of 1x1 convolutions: 1, 2, 3, 4 or 8. More groups have more channels.
        scale: the paper's s: the factor of all channels. They are rounded so that groups divide
            them.
        dropout: the probability of dropping a feature before the last layer.
        drop_path: what the probability of dropping the branch of a unit with an addition grows
            towards, see `MobileNetV2`.
        stem: "imagenet" as above; "cifar" is 3x3 with stride 1 and no pooling, for 32 pixels.
    """

    stages = ("stem", "pool", "stage2", "stage3", "stage4")

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        groups: Literal[1, 2, 3, 4, 8] = 3,
        scale: Annotated[float, Field(gt=0.0)] = 1.0,
        dropout: Rate = 0.0,
        drop_path: Rate = 0.0,
        stem: Literal["imagenet", "cifar"] = "imagenet",
    ) -> None:
        super().__init__(class_num, in_channels)
        cifar = stem == "cifar"
        self.input_size = 32 if cifar else 224
        width = make_divisible(24 * scale, groups)
        widths = [make_divisible(_WIDTHS[groups] * scale, 4 * groups) * 2**i for i in range(3)]
        self.stem = ConvBNAct(in_channels, width, 3, stride=1 if cifar else 2)
        self.pool = nn.Identity() if cifar else nn.MaxPool2D(3, 2, padding=1)
        rates = split_rates(drop_path, _DEPTHS)
        self.stage2 = _stage(width, widths[0], rates[0], groups, first_groups=1)
        self.stage3 = _stage(widths[0], widths[1], rates[1], groups, groups)
        self.stage4 = _stage(widths[1], widths[2], rates[2], groups, groups)
        self.head = average_head(widths[2], class_num, dropout)
        strides = (1, 1, 2, 2, 2) if cifar else (2, 2, 2, 2, 2)
        self.levels = finest_to_last(self.stages, (width, width, *widths), strides)
        initialise(self)


def _stage(
    in_channels: int, channels: int, drop_paths: Sequence[float], groups: int, first_groups: int
) -> nn.Sequential:
    first = ShuffleUnit(in_channels, channels, 2, groups, first_groups)
    rest = (ShuffleUnit(channels, channels, 1, groups, groups, rate) for rate in drop_paths[1:])
    return nn.Sequential(first, *rest)


for _name, _groups, _scale in (
    ("ShuffleNetV1_g1", 1, 1.0),
    ("ShuffleNetV1_g2", 2, 1.0),
    ("ShuffleNetV1_g3", 3, 1.0),
    ("ShuffleNetV1_g4", 4, 1.0),
    ("ShuffleNetV1_g8", 8, 1.0),
    ("ShuffleNetV1_x0_5_g3", 3, 0.5),
):
    register("arch", _name, groups=_groups, scale=_scale)(ShuffleNetV1)
