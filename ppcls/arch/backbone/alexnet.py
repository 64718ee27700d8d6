"""AlexNet, with the single column of 2014 and with the two of 2012.

Krizhevsky, Sutskever, Hinton 2012, "ImageNet Classification with Deep Convolutional Neural
Networks"; Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks",
arXiv:1404.5997, whose network is the one that PaddleClas and torchvision publish weights for.
"""

from __future__ import annotations

from typing import Annotated, List

from paddle import nn
from paddle.nn.initializer import Constant, Normal
from pydantic import Field

from ppcls.arch.layers import ConvAct, DropoutMode, LocalResponseNorm, initialise
from ppcls.arch.network import Count, Level, Network, Rate
from ppcls.errors import ConfigError
from ppcls.registry import register

Widths = Annotated[List[Count], Field(min_length=5, max_length=5)]


class AlexNet(Network):
    """11x11/4, pool, 5x5, pool, three of 3x3, pool, two of drop, 4096, and classes.

    Weights start as section 5 of the 2012 paper says. Input sizes other than the network's own work
    too: the last maps are averaged to 6x6.

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        widths: the channels of the five convolutions.
        columns: into how many groups of channels, one for each of the authors' GPUs, the second,
            fourth and fifth convolution are divided.
        lrn: whether the first two activations are normalised over neighbouring channels.
        padding: around the image: 2 for a side of 224, 0 for 227.
        head_width: the units of the two hidden layers. Few classes need fewer, which most of the
            weights belong to.
        dropout: the probability of dropping a unit before a hidden layer.
        dropout_mode: when dropout rescales: PaddleClas trained its weights with
            "downscale_in_infer" (activations times 1 - p in evaluation), everybody else uses
            "upscale_in_train".

    Raises:
        ConfigError: the channels of a convolution in columns cannot be divided among them.
    """

    stages = ("stage1", "stage2", "stage3")

    def __init__(  # noqa: PLR0913, what the published variants differ in
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        widths: Widths = [64, 192, 384, 256, 256],  # noqa: B006, read only
        columns: Count = 1,
        lrn: bool = False,
        padding: Annotated[int, Field(ge=0, le=5)] = 2,
        head_width: Count = 4096,
        dropout: Rate = 0.5,
        dropout_mode: DropoutMode = "downscale_in_infer",
    ) -> None:
        super().__init__(class_num, in_channels)
        c1, c2, c3, c4, c5 = widths
        if any(width % columns for width in widths):
            raise ConfigError(
                f"AlexNet.widths must be multiples of columns ({columns}), got {widths}"
            )
        # The three poolings need 15 pixels of the first convolution to leave one.
        self.min_input_size = 4 * 14 + 11 - 2 * padding
        self.input_size = 224 if padding else 227
        self.stage1 = nn.Sequential(
            ("conv1", ConvAct(in_channels, c1, 11, stride=4, padding=padding)),
            ("norm", LocalResponseNorm() if lrn else nn.Identity()),
            ("pool", nn.MaxPool2D(3, 2)),
        )
        self.stage2 = nn.Sequential(
            ("conv2", ConvAct(c1, c2, 5, groups=columns)),
            ("norm", LocalResponseNorm() if lrn else nn.Identity()),
            ("pool", nn.MaxPool2D(3, 2)),
        )
        self.stage3 = nn.Sequential(
            ("conv3", ConvAct(c2, c3, 3)),
            ("conv4", ConvAct(c3, c4, 3, groups=columns)),
            ("conv5", ConvAct(c4, c5, 3, groups=columns)),
            ("pool", nn.MaxPool2D(3, 2)),
        )
        self.head = nn.Sequential(
            ("pool", nn.AdaptiveAvgPool2D(6)),
            ("flatten", nn.Flatten()),
            ("drop6", nn.Dropout(dropout, mode=dropout_mode)),
            ("fc6", nn.Linear(c5 * 6 * 6, head_width)),
            ("act6", nn.ReLU()),
            ("drop7", nn.Dropout(dropout, mode=dropout_mode)),
            ("fc7", nn.Linear(head_width, head_width)),
            ("act7", nn.ReLU()),
            ("fc8", nn.Linear(head_width, class_num)),
        )
        self.levels = (Level("stage1", c1, 8), Level("stage2", c2, 16), Level("stage3", c5, 32))
        self._initialise()

    def _initialise(self) -> None:
        """Section 5 of the 2012 paper: N(0, 0.01); biases 1 where that wakes up ReLUs, else 0."""
        initialise(self, conv=Normal(0.0, 0.01), linear=Normal(0.0, 0.01))
        convolutions = (self.stage2.conv2.conv, self.stage3.conv4.conv, self.stage3.conv5.conv)
        for layer in (*convolutions, self.head.fc6, self.head.fc7):
            Constant(1.0)(layer.bias)


_KEYS = ("widths", "columns", "lrn", "padding", "dropout_mode")

for _name, *_row in (
    # name          channels of the convolutions  columns  LRN  padding  dropout rescales
    ("AlexNet", [64, 192, 384, 256, 256], 1, False, 2, "downscale_in_infer"),
    ("AlexNet_tv", [64, 192, 384, 256, 256], 1, False, 2, "upscale_in_train"),
    ("AlexNet_2012", [96, 256, 384, 384, 256], 2, True, 0, "upscale_in_train"),
):
    register("arch", _name, **dict(zip(_KEYS, _row)))(AlexNet)
