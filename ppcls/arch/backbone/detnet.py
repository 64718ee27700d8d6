"""DetNet.

Li, Peng, Yu, Zhang, Deng, Sun 2018, "DetNet: A Backbone network for Object Detection",
arXiv:1804.06215.
"""

from __future__ import annotations

from typing import Annotated, List

from paddle import nn
from pydantic import Field

from ppcls.arch.backbone.resnet import Bottleneck, Style, stage
from ppcls.arch.layers import ConvBNAct, average_head, initialise, split_rates
from ppcls.arch.network import Count, Level, Network, Rate
from ppcls.registry import register


class DetNet(Network):
    """A ResNet up to stride 16, then two stages of dilated bottlenecks that stay there.

    Our stages 1 to 5 are the paper's 2 to 6. Both dilated stages start with a bottleneck whose
    shortcut is a 1x1 convolution (B in the paper's figure), and go on with plain ones (A); their
    3x3 convolutions have 256 channels and dilation 2. The paper does not say how many channels come
    out: with four times 256, as in every bottleneck, and strides in the first convolution of a
    bottleneck, as in ResNet's paper, the network costs the 4.85 billion multiply-accumulates that
    the paper gives. Weights start as in `ResNet`.

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        depths: the number of blocks of each of the five stages.
        dropout: the probability of dropping a feature before the last layer.
        drop_path: what the probability of dropping a block's branch grows towards, see `ResNet`.
    """

    stages = ("stem", "pool", "stage1", "stage2", "stage3", "stage4", "stage5")
    levels = (
        Level("stem", 64, 2),
        Level("stage1", 256, 4),
        Level("stage2", 512, 8),
        Level("stage3", 1024, 16),
        Level("stage4", 1024, 16),
        Level("stage5", 1024, 16),
    )

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        depths: Annotated[List[Count], Field(min_length=5, max_length=5)] = [3, 4, 6, 3, 3],  # noqa: B006, read only
        dropout: Rate = 0.0,
        drop_path: Rate = 0.0,
    ) -> None:
        super().__init__(class_num, in_channels)
        plain, dilated = Style(early_stride=True), Style(dilation=2)
        rates = split_rates(drop_path, depths)
        self.stem = ConvBNAct(in_channels, 64, 7, 2)
        self.pool = nn.MaxPool2D(3, 2, padding=1)
        self.stage1 = stage(Bottleneck, 64, 64, 1, True, plain, rates[0])
        self.stage2 = stage(Bottleneck, 256, 128, 2, True, plain, rates[1])
        self.stage3 = stage(Bottleneck, 512, 256, 2, True, plain, rates[2])
        self.stage4 = stage(Bottleneck, 1024, 256, 1, True, dilated, rates[3])
        self.stage5 = stage(Bottleneck, 1024, 256, 1, True, dilated, rates[4])
        self.head = average_head(1024, class_num, dropout)
        initialise(self)


register("arch", "DetNet59")(DetNet)
