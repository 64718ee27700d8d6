"""SqueezeNet.

Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model
size", arXiv:1602.07360; version 1.1 from the authors' repository.
"""

from __future__ import annotations

from typing import Any, Dict, Literal

import paddle
from paddle import Tensor, nn
from paddle.nn.initializer import Normal, XavierUniform

from ppcls.arch.layers import ConvAct, DropoutMode, initialise
from ppcls.arch.network import Count, Level, Network, Rate
from ppcls.registry import register


class Fire(nn.Layer):
    """1x1 to `squeeze` channels, act; then 1x1, act and 3x3, act side by side, concatenated."""

    def __init__(self, in_channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = ConvAct(in_channels, squeeze, 1)
        self.expand1x1 = ConvAct(squeeze, expand, 1)
        self.expand3x3 = ConvAct(squeeze, expand, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, 2 * expand, h, w]."""
        x = self.squeeze(x)
        return paddle.concat([self.expand1x1(x), self.expand3x3(x)], axis=1)


# The eight fire modules of both versions, fire2 to fire9.
_SQUEEZE = (16, 16, 32, 32, 48, 48, 64, 64)
_EXPAND = (64, 64, 128, 128, 192, 192, 256, 256)

_VERSIONS = {
    # width and kernel of the first convolution, fires after each of the three poolings
    "1.0": (96, 7, (3, 4, 1)),
    "1.1": (64, 3, (2, 2, 4)),
}


class FireStage(nn.Sequential):
    """3x3/2 max pool, then the fire modules number `first` to, but without, `last`."""

    def __init__(self, in_channels: int, first: int, last: int, ceil_mode: bool) -> None:
        super().__init__()
        self.add_sublayer("pool", nn.MaxPool2D(3, 2, ceil_mode=ceil_mode))
        for number in range(first, last):
            squeeze, expand = _SQUEEZE[number - 2], _EXPAND[number - 2]
            self.add_sublayer(f"fire{number}", Fire(in_channels, squeeze, expand))
            in_channels = 2 * expand


class SqueezeNet(Network):
    """Convolution/2, act, three times 3x3/2 max pool and fires, drop, 1x1 to classes, act, average.

    Weights start from Glorot's uniform distribution, the last convolution's from N(0, 0.01), as in
    the configuration that the authors published.

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        version: "1.0" starts with 7x7x96 and pools late; "1.1" starts with 3x3x64 and pools early.
        ceil_mode: True keeps the last, incomplete window of a pooling (the authors, torchvision);
            False drops it, and pads the first convolution of version 1.1 instead (PaddleClas).
        dropout: the probability of dropping a feature before the last convolution.
        dropout_mode: when dropout rescales, see `AlexNet`.
    """

    stages = ("stem", "stage1", "stage2", "stage3")

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        version: Literal["1.0", "1.1"] = "1.1",
        ceil_mode: bool = False,
        dropout: Rate = 0.5,
        dropout_mode: DropoutMode = "downscale_in_infer",
    ) -> None:
        super().__init__(class_num, in_channels)
        width, kernel, fires = _VERSIONS[version]
        padding = 1 if version == "1.1" and not ceil_mode else 0
        second, third = 2 + fires[0], 2 + fires[0] + fires[1]
        # Three poolings need a side of 15 to leave one pixel, 8 where incomplete windows count.
        self.min_input_size = 2 * (7 if ceil_mode else 14) + kernel - 2 * padding
        self.stem = ConvAct(in_channels, width, kernel, stride=2, padding=padding)
        self.stage1 = FireStage(width, 2, second, ceil_mode)
        self.stage2 = FireStage(2 * _EXPAND[second - 3], second, third, ceil_mode)
        self.stage3 = FireStage(2 * _EXPAND[third - 3], third, 10, ceil_mode)
        self.head = nn.Sequential(
            ("drop", nn.Dropout(dropout, mode=dropout_mode)),
            ("conv10", ConvAct(2 * _EXPAND[-1], class_num, 1)),
            ("pool", nn.AdaptiveAvgPool2D(1)),
            ("flatten", nn.Flatten()),
        )
        self.levels = (
            Level("stem", width, 2),
            Level("stage1", 2 * _EXPAND[second - 3], 4),
            Level("stage2", 2 * _EXPAND[third - 3], 8),
            Level("stage3", 2 * _EXPAND[-1], 16),
        )
        initialise(self, conv=XavierUniform(), linear=XavierUniform())
        Normal(0.0, 0.01)(self.head.conv10.conv.weight)


_TV: Dict[str, Any] = {"ceil_mode": True, "dropout_mode": "upscale_in_train"}

for _name, _version in (("SqueezeNet1_0", "1.0"), ("SqueezeNet1_1", "1.1")):
    register("arch", _name, version=_version)(SqueezeNet)
    register("arch", f"{_name}_tv", version=_version, **_TV)(SqueezeNet)
