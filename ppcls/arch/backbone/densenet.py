"""DenseNet.

Huang, Liu, van der Maaten, Weinberger 2016, "Densely Connected Convolutional Networks",
arXiv:1608.06993. The variants are those of its table 1, with bottlenecks and compression (BC).
"""

from __future__ import annotations

from typing import Annotated, Dict, List, Literal

import paddle
from paddle import Tensor, nn
from paddle.nn.initializer import KaimingNormal
from pydantic import Field

from ppcls.arch.layers import ConvBNAct, average_head, conv2d, initialise
from ppcls.arch.network import Count, Level, Network, Rate, add_stages
from ppcls.registry import register


class BNActConv(nn.Layer):
    """BN, ReLU, convolution that keeps the size."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2D(in_channels)
        self.act = nn.ReLU()
        self.conv = conv2d(in_channels, out_channels, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, out_channels, h, w]."""
        return self.conv(self.act(self.bn(x)))


class DenseLayer(nn.Layer):
    """BN, act, 1x1 to four times the growth, BN, act, 3x3 to the growth, drop; behind the input."""

    def __init__(self, in_channels: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.bottleneck = BNActConv(in_channels, 4 * growth, 1)
        self.grow = BNActConv(4 * growth, growth, 3)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, in_channels + growth, h, w]."""
        return paddle.concat([x, self.drop(self.grow(self.bottleneck(x)))], axis=1)


class DenseStage(nn.Sequential):
    """Dense layers, each of which reads the outputs of all before it."""

    def __init__(self, in_channels: int, growth: int, depth: int, dropout: float) -> None:
        super().__init__()
        for index in range(1, depth + 1):
            self.add_sublayer(f"layer{index}", DenseLayer(in_channels, growth, dropout))
            in_channels += growth


class Transition(nn.Sequential):
    """BN, act, 1x1 to half the channels, 2x2 average pool."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.add_sublayer("squeeze", BNActConv(in_channels, in_channels // 2, 1))
        self.add_sublayer("pool", nn.AvgPool2D(2))


class DenseNet(Network):
    """7x7/2, BN, act, 3x3/2 max pool, four dense stages with transitions between, BN, act, classes.

    Weights start from He's normal distribution (arXiv:1502.01852), as in the paper.

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        growth: the channels that each dense layer adds, the paper's k.
        depths: the number of dense layers of each of the four stages.
        dense_dropout: the probability of dropping what a dense layer adds; the paper has 0.2 where
            it trains without data augmentation.
        dropout: the probability of dropping a feature before the last layer.
        stem: "imagenet" as above, with twice the growth; "cifar" is 3x3 with stride 1 and no
            pooling, for 32 pixels.
    """

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        growth: Count = 32,
        depths: Annotated[List[Count], Field(min_length=4, max_length=4)] = [6, 12, 24, 16],  # noqa: B006
        dense_dropout: Rate = 0.0,
        dropout: Rate = 0.0,
        stem: Literal["imagenet", "cifar"] = "imagenet",
    ) -> None:
        super().__init__(class_num, in_channels)
        small = stem == "cifar"
        self.input_size = 32 if small else 224
        # Three transitions halve 8 pixels to one; the stem makes 8 of 29.
        self.min_input_size = 8 if small else 29
        first, width = 1 if small else 4, 2 * growth
        stages: Dict[str, nn.Layer] = {
            "stem": ConvBNAct(in_channels, width, 3 if small else 7, stride=1 if small else 2),
            "pool": nn.Identity() if small else nn.MaxPool2D(3, 2, padding=1),
        }
        levels = [Level("stem", width, first if small else 2)]
        for index, depth in enumerate(depths, 1):
            if index > 1:
                stages[f"transition{index - 1}"] = Transition(width)
                width //= 2
            stages[f"stage{index}"] = DenseStage(width, growth, depth, dense_dropout)
            width += depth * growth
            levels.append(Level(f"stage{index}", width, first * 2 ** (index - 1)))
        stages["norm"] = nn.Sequential(("bn", nn.BatchNorm2D(width)), ("act", nn.ReLU()))
        add_stages(self, stages)
        self.head = average_head(width, class_num, dropout)
        self.levels = (*levels[:-1], levels[-1]._replace(stage="norm"))
        initialise(self, conv=KaimingNormal(), linear=KaimingNormal())


for _name, _growth, _depths in (
    # name        growth   dense layers per stage
    ("DenseNet121", 32, [6, 12, 24, 16]),
    ("DenseNet161", 48, [6, 12, 36, 24]),
    ("DenseNet169", 32, [6, 12, 32, 32]),
    ("DenseNet201", 32, [6, 12, 48, 32]),
    ("DenseNet264", 32, [6, 12, 64, 48]),
):
    register("arch", _name, growth=_growth, depths=_depths)(DenseNet)
