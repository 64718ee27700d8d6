"""AlexNet with a single column, as PaddleClas and torchvision publish weights for it.

Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997.
"""

from __future__ import annotations

from typing import Literal

from paddle import nn
from paddle.nn.initializer import Constant, Normal

from ppcls.arch.layers import ConvAct, initialise
from ppcls.arch.network import Count, Level, Network, Rate
from ppcls.registry import register


@register("arch")
class AlexNet(Network):
    """11x11/4x64, pool, 5x5x192, pool, 3x3x384, 3x3x256 twice, pool, two of drop, 4096, classes.

    `dropout_mode` says when dropout rescales: PaddleClas trained its weights with
    "downscale_in_infer" (activations times 1 - p in evaluation), everybody else uses
    "upscale_in_train". Input sizes other than 224 work too: the last maps are averaged to 6x6.
    """

    min_input_size = 63
    stages = ("stage1", "stage2", "stage3")
    levels = (Level("stage1", 64, 8), Level("stage2", 192, 16), Level("stage3", 256, 32))

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        dropout: Rate = 0.5,
        dropout_mode: Literal["downscale_in_infer", "upscale_in_train"] = "downscale_in_infer",
    ) -> None:
        super().__init__(class_num, in_channels)
        self.stage1 = nn.Sequential(
            ("conv1", ConvAct(in_channels, 64, 11, stride=4, padding=2)),
            ("pool", nn.MaxPool2D(3, 2)),
        )
        self.stage2 = nn.Sequential(
            ("conv2", ConvAct(64, 192, 5)),
            ("pool", nn.MaxPool2D(3, 2)),
        )
        self.stage3 = nn.Sequential(
            ("conv3", ConvAct(192, 384, 3)),
            ("conv4", ConvAct(384, 256, 3)),
            ("conv5", ConvAct(256, 256, 3)),
            ("pool", nn.MaxPool2D(3, 2)),
        )
        self.head = nn.Sequential(
            ("pool", nn.AdaptiveAvgPool2D(6)),
            ("flatten", nn.Flatten()),
            ("drop6", nn.Dropout(dropout, mode=dropout_mode)),
            ("fc6", nn.Linear(256 * 6 * 6, 4096)),
            ("act6", nn.ReLU()),
            ("drop7", nn.Dropout(dropout, mode=dropout_mode)),
            ("fc7", nn.Linear(4096, 4096)),
            ("act7", nn.ReLU()),
            ("fc8", nn.Linear(4096, class_num)),
        )
        self._initialise()

    def _initialise(self) -> None:
        """Section 5 of the 2012 paper: N(0, 0.01); biases 1 where that wakes up ReLUs, else 0."""
        initialise(self, conv=Normal(0.0, 0.01), linear=Normal(0.0, 0.01))
        convolutions = (self.stage2.conv2.conv, self.stage3.conv4.conv, self.stage3.conv5.conv)
        for layer in (*convolutions, self.head.fc6, self.head.fc7):
            Constant(1.0)(layer.bias)


register("arch", "AlexNet_tv", dropout_mode="upscale_in_train")(AlexNet)
