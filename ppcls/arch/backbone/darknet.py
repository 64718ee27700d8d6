"""DarkNet.

Redmon, Farhadi 2018, "YOLOv3: An Incremental Improvement", arXiv:1804.02767.
"""

from __future__ import annotations

from typing import Annotated, List, Literal, Sequence

from paddle import Tensor, nn
from pydantic import Field

from ppcls.arch.layers import ConvBNAct, DropPath, average_head, initialise, split_rates
from ppcls.arch.network import Count, Network, Rate, finest_to_last
from ppcls.registry import register


class DarkBlock(nn.Layer):
    """1x1 to half the channels, BN, act, 3x3 back, BN, act + x."""

    def __init__(self, channels: int, act: str, drop_path: float) -> None:
        super().__init__()
        self.conv1 = ConvBNAct(channels, channels // 2, 1, act=act)
        self.conv2 = ConvBNAct(channels // 2, channels, 3, act=act)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape [n, channels, h, w]."""
        return x + self.drop_path(self.conv2(self.conv1(x)))


class DarkStage(nn.Sequential):
    """3x3/2 to twice the channels, BN, act, then one block for each rate of `drop_paths`."""

    def __init__(
        self, in_channels: int, stride: int, act: str, drop_paths: Sequence[float]
    ) -> None:
        super().__init__()
        self.add_sublayer("down", ConvBNAct(in_channels, 2 * in_channels, 3, stride, act=act))
        for index, rate in enumerate(drop_paths):
            self.add_sublayer(f"block{index + 1}", DarkBlock(2 * in_channels, act, rate))


class DarkNet(Network):
    """3x3x32, BN, act, five stages of residual blocks, global average, classes.

    Each stage halves the map and doubles the channels by a convolution of its own. Weights start
    from He's normal distribution (arXiv:1502.01852), the last layer's from N(0, 0.01); the paper
    does not say.

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        depths: the number of blocks of each of the five stages.
        stem: "imagenet" as above; with "cifar" the first two stages keep the map, for 32 pixels.
        act: "leaky_relu" with slope 0.1 is the authors' own, "leaky_relu_0.01" timm's, "relu"
            PaddleClas'.
        dropout: the probability of dropping a feature before the last layer.
        drop_path: what the probability of dropping a block's branch for an image grows towards
            (stochastic depth): block i of n drops it with drop_path * i / n, the first one never.
    """

    stages = ("stem", "stage1", "stage2", "stage3", "stage4", "stage5")

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        depths: Annotated[List[Count], Field(min_length=5, max_length=5)] = [1, 2, 8, 8, 4],  # noqa: B006, read only
        stem: Literal["imagenet", "cifar"] = "imagenet",
        act: Literal["relu", "leaky_relu", "leaky_relu_0.01"] = "relu",
        dropout: Rate = 0.0,
        drop_path: Rate = 0.0,
    ) -> None:
        super().__init__(class_num, in_channels)
        small = stem == "cifar"
        self.input_size = 32 if small else 256
        strides = (1, 1, 1, 2, 2, 2) if small else (1, 2, 2, 2, 2, 2)
        widths = (32, 64, 128, 256, 512, 1024)
        self.stem = ConvBNAct(in_channels, 32, 3, act=act)
        for i, rates in enumerate(split_rates(drop_path, depths)):
            self.add_sublayer(f"stage{i + 1}", DarkStage(widths[i], strides[i + 1], act, rates))
        self.head = average_head(1024, class_num, dropout)
        self.levels = finest_to_last(self.stages, widths, strides)
        initialise(self)


register("arch", "DarkNet53")(DarkNet)
register("arch", "DarkNet53_timm", act="leaky_relu_0.01")(DarkNet)
