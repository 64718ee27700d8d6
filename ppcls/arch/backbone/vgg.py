"""VGG.

Simonyan, Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
arXiv:1409.1556.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Callable, Dict, List, Literal, Sequence

from paddle import nn
from paddle.nn.initializer import XavierUniform
from pydantic import Field

from ppcls.arch.layers import ConvAct, ConvBNAct, DropoutMode, LocalResponseNorm, initialise
from ppcls.arch.network import Count, Level, Network, Rate
from ppcls.registry import register

_WIDTHS = (64, 128, 256, 512, 512)


class VGGStage(nn.Sequential):
    """Convolutions with these kernels, each with its activation, 2x2 max pool."""

    def __init__(
        self, in_channels: int, width: int, kernels: Sequence[int], conv: Callable[..., nn.Layer]
    ) -> None:
        super().__init__()
        for number, kernel in enumerate(kernels, start=1):
            self.add_sublayer(f"conv{number}", conv(in_channels, width, kernel))
            in_channels = width
        self.add_sublayer("pool", nn.MaxPool2D(2))


class VGG(Network):
    """Five stages of 3x3 convolutions and 2x2 pooling, 4096, drop, 4096, drop, classes.

    Weights start from Glorot's uniform distribution, which the paper found to make its pre-training
    of shallower networks unnecessary. Input sizes other than 224 work too: the last maps are
    averaged to 7x7.

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        depths: the number of convolutions of each of the five stages.
        conv_bias: whether convolutions have a bias, as torchvision's and the paper's do.
        batch_norm: whether each convolution is batch-normalised, as the paper's are not.
        lrn: whether the first stage's maps are normalised over neighbouring channels before they
            are pooled, with the constants of AlexNet, which the paper refers to.
        third_kernel: the side of the third convolution of the last three stages; 1 in the paper's
            network C, 3 in all others.
        head_width: the units of the two hidden layers. Few classes need fewer, which most of the
            weights belong to.
        dropout: the probability of dropping a hidden unit.
        dropout_mode: when dropout rescales, see `AlexNet`.
    """

    min_input_size = 32
    stages = ("stage1", "stage2", "stage3", "stage4", "stage5")
    levels = tuple(Level(f"stage{i + 1}", width, 2 ** (i + 1)) for i, width in enumerate(_WIDTHS))

    def __init__(  # noqa: PLR0913, what the published variants differ in
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        depths: Annotated[List[Count], Field(min_length=5, max_length=5)] = [2, 2, 3, 3, 3],  # noqa: B006
        conv_bias: bool = False,
        batch_norm: bool = False,
        lrn: bool = False,
        third_kernel: Literal[1, 3] = 3,
        head_width: Count = 4096,
        dropout: Rate = 0.5,
        dropout_mode: DropoutMode = "downscale_in_infer",
    ) -> None:
        super().__init__(class_num, in_channels)
        conv = partial(ConvBNAct if batch_norm else ConvAct, bias=conv_bias)
        for stage, width, depth in zip(self.stages, _WIDTHS, depths):
            kernels = [3, 3, third_kernel if width > 128 else 3, *[3] * depth][:depth]
            self.add_sublayer(stage, VGGStage(in_channels, width, kernels, conv))
            in_channels = width
        if lrn:
            self.stage1.pool = nn.Sequential(LocalResponseNorm(), self.stage1.pool)
        self.head = nn.Sequential(
            ("pool", nn.AdaptiveAvgPool2D(7)),
            ("flatten", nn.Flatten()),
            ("fc1", nn.Linear(512 * 7 * 7, head_width)),
            ("act1", nn.ReLU()),
            ("drop1", nn.Dropout(dropout, mode=dropout_mode)),
            ("fc2", nn.Linear(head_width, head_width)),
            ("act2", nn.ReLU()),
            ("drop2", nn.Dropout(dropout, mode=dropout_mode)),
            ("fc3", nn.Linear(head_width, class_num)),
        )
        initialise(self, conv=XavierUniform(), linear=XavierUniform())


_DEPTHS = {
    # convolutions per stage
    "VGG11": [1, 1, 2, 2, 2],
    "VGG13": [2, 2, 2, 2, 2],
    "VGG16": [2, 2, 3, 3, 3],
    "VGG19": [2, 2, 4, 4, 4],
}
_TV: Dict[str, Any] = {"conv_bias": True, "dropout_mode": "upscale_in_train"}

for _name, _depths in _DEPTHS.items():
    register("arch", _name, depths=_depths)(VGG)
    register("arch", f"{_name}_tv", depths=_depths, **_TV)(VGG)
    register("arch", f"{_name}_bn", depths=_depths, batch_norm=True, **_TV)(VGG)
register("arch", "VGG11_LRN", depths=_DEPTHS["VGG11"], lrn=True)(VGG)
register("arch", "VGG16_C", depths=_DEPTHS["VGG16"], third_kernel=1, **_TV)(VGG)
