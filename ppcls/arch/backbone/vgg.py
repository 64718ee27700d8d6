"""VGG.

Simonyan, Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
arXiv:1409.1556.
"""

from __future__ import annotations

from typing import Annotated, List, Literal

from paddle import nn
from paddle.nn.initializer import XavierUniform
from pydantic import Field

from ppcls.arch.layers import ConvAct, initialise
from ppcls.arch.network import Count, Level, Network, Rate
from ppcls.registry import register


class VGGStage(nn.Sequential):
    """3x3, act, as often as `depth` says, 2x2 max pool."""

    def __init__(self, in_channels: int, width: int, depth: int, bias: bool) -> None:
        super().__init__()
        for index in range(1, depth + 1):
            self.add_sublayer(f"conv{index}", ConvAct(in_channels, width, 3, bias=bias))
            in_channels = width
        self.add_sublayer("pool", nn.MaxPool2D(2))


class VGG(Network):
    """Five stages of 3x3 convolutions and pooling, 4096, drop, 4096, drop, classes.

    Weights start from Glorot's uniform distribution, which the paper found to make its pre-training
    of shallower networks unnecessary. Input sizes other than 224 work too: the last maps are
    averaged to 7x7.

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        depths: the number of convolutions of each of the five stages.
        conv_bias: whether convolutions have a bias, as torchvision's and the paper's do.
        dropout: the probability of dropping a hidden unit.
        dropout_mode: when dropout rescales, see `AlexNet`.
    """

    min_input_size = 32
    stages = ("stage1", "stage2", "stage3", "stage4", "stage5")
    levels = tuple(
        Level(f"stage{i + 1}", width, 2 ** (i + 1))
        for i, width in enumerate((64, 128, 256, 512, 512))
    )

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        depths: Annotated[List[Count], Field(min_length=5, max_length=5)] = [2, 2, 3, 3, 3],  # noqa: B006
        conv_bias: bool = False,
        dropout: Rate = 0.5,
        dropout_mode: Literal["downscale_in_infer", "upscale_in_train"] = "downscale_in_infer",
    ) -> None:
        super().__init__(class_num, in_channels)
        self.stage1 = VGGStage(in_channels, 64, depths[0], conv_bias)
        self.stage2 = VGGStage(64, 128, depths[1], conv_bias)
        self.stage3 = VGGStage(128, 256, depths[2], conv_bias)
        self.stage4 = VGGStage(256, 512, depths[3], conv_bias)
        self.stage5 = VGGStage(512, 512, depths[4], conv_bias)
        self.head = nn.Sequential(
            ("pool", nn.AdaptiveAvgPool2D(7)),
            ("flatten", nn.Flatten()),
            ("fc1", nn.Linear(512 * 7 * 7, 4096)),
            ("act1", nn.ReLU()),
            ("drop1", nn.Dropout(dropout, mode=dropout_mode)),
            ("fc2", nn.Linear(4096, 4096)),
            ("act2", nn.ReLU()),
            ("drop2", nn.Dropout(dropout, mode=dropout_mode)),
            ("fc3", nn.Linear(4096, class_num)),
        )
        initialise(self, conv=XavierUniform(), linear=XavierUniform())


for _name, _depths in (
    # name    convolutions per stage
    ("VGG11", [1, 1, 2, 2, 2]),
    ("VGG13", [2, 2, 2, 2, 2]),
    ("VGG16", [2, 2, 3, 3, 3]),
    ("VGG19", [2, 2, 4, 4, 4]),
):
    register("arch", _name, depths=_depths)(VGG)
