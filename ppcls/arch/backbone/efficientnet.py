"""EfficientNet and EfficientNet-Lite.

Tan, Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
arXiv:1905.11946; Lite from the authors' repository (2020), for devices without fast swish.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, Any, Callable, Dict, Literal, Tuple

from paddle import nn
from pydantic import Field

from ppcls.arch.layers import (
    ConvBNAct,
    InvertedResidual,
    Padding,
    SqueezeExcitation,
    average_head,
    he_fan_out,
    initialise,
    make_divisible,
    residual_stage,
    split_rates,
)
from ppcls.arch.network import Count, Network, Rate, finest_to_last
from ppcls.registry import register

Scale = Annotated[float, Field(gt=0.0)]
"""A factor of channels or layers."""

Conv = Callable[..., ConvBNAct]
"""Makes a `ConvBNAct` with a network's padding, activation and normalisation."""

PaddingMode = Literal["fixed", "same", "symmetric"]
"""How layers that halve the maps pad.

"same" is TensorFlow's, the authors': an odd sum gives one more on the right and at the bottom, so
that it depends on the side of the image. "fixed" is PaddleClas': whatever the image, what "same"
does at the resolution that the network was designed for. "symmetric" is PyTorch's: half the kernel
on all sides.
"""


def conv_for(side: int, padding: PaddingMode, **options: Any) -> Conv:
    """Return what makes a `ConvBNAct` that reads maps of `side` pixels, where it is "fixed"."""

    def make(
        in_channels: int, out_channels: int, kernel: int, stride: int = 1, **more: Any
    ) -> ConvBNAct:
        pad: Padding = None
        if stride > 1 and padding != "symmetric":
            pad = "same" if padding == "same" else _fixed(kernel, side)
        return ConvBNAct(in_channels, out_channels, kernel, stride, pad, **{**options, **more})

    return make


def _fixed(kernel: int, side: int) -> Tuple[int, int, int, int]:
    """Begin where "same" does at stride 2; the end is wide enough for images of any side."""
    before = (kernel - 2 + side % 2) // 2
    return (before, kernel - 1 - before, before, kernel - 1 - before)


class MBConv(InvertedResidual):
    """The inverted residual with squeeze-and-excitation after the depthwise convolution.

    It squeezes to a quarter of the channels that come in, not of those that it weighs.
    """

    def __init__(  # noqa: PLR0913, one argument for each thing that published variants differ in
        self,
        conv: Conv,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int,
        expand: int,
        se: bool = True,
        drop_path: float = 0.0,
        se_act: str = "swish",
    ) -> None:
        width = expand * in_channels
        super().__init__(
            in_channels,
            width,
            out_channels,
            kernel,
            stride,
            conv,
            SqueezeExcitation(width, in_channels // 4, se_act) if se else None,
            drop_path=drop_path,
        )


# The paper's table 1, which is B0; the scaled networks multiply its channels and blocks.
_STAGES = (
    # expand, kernel, stride, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class EfficientNet(Network):
    """3x3/2, BN, act, seven stages of MBConv, 1x1, BN, act, global average, drop, classes.

    Convolutions start as in the authors' code, from N(0, 2 / fan out); the last layer from
    N(0, 0.01), since the authors' uniform distribution within 1 / sqrt(classes) is made for a
    thousand classes, and far too wide for a few.

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        width: the factor of B0's channels, rounded to multiples of 8.
        depth: the factor of B0's blocks, rounded up.
        resolution: the side in pixels of the images it was designed for.
        dropout: the probability of dropping a feature before the last layer.
        drop_path: what the probability of dropping a block's residual branch for an image grows
            towards: block i of n drops it with drop_path * i / n, the first one never. The paper's
            survival probability of 0.8 is a drop_path of 0.2, computed so in the authors' code.
        se: whether blocks have squeeze-and-excitation.
        act: the activation; Lite has "relu6".
        fixed_ends: keep B0's channels of the first and last convolution, and B0's blocks of the
            first and last stage, whatever the factors (Lite).
        padding: how layers that halve the maps pad, see `PaddingMode`.
        eps: what normalisation adds to the variance.
        momentum: what running statistics keep of themselves at each step.
        stem: "imagenet" as above; "cifar" has stride 1 in the first convolution, for 32 pixels.
    """

    stages = ("stem", *(f"stage{index + 1}" for index in range(len(_STAGES))))

    def __init__(  # noqa: PLR0913, one argument for each thing that published variants differ in
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        width: Scale = 1.0,
        depth: Scale = 1.0,
        resolution: Count = 224,
        dropout: Rate = 0.2,
        drop_path: Rate = 0.2,
        se: bool = True,
        act: Literal["swish", "relu6"] = "swish",
        fixed_ends: bool = False,
        padding: PaddingMode = "fixed",
        eps: float = 1e-3,
        momentum: Rate = 0.99,
        stem: Literal["imagenet", "cifar"] = "imagenet",
    ) -> None:
        super().__init__(class_num, in_channels)
        small = stem == "cifar"
        self.input_size = 32 if small else resolution
        options: Dict[str, Any] = {"act": act, "eps": eps, "momentum": momentum}
        ends = 1.0 if fixed_ends else width
        expands, kernels, halvings, bases, blocks = zip(*_STAGES)
        widths = [make_divisible(32 * ends), *(make_divisible(base * width) for base in bases)]
        depths = [math.ceil(count * depth) for count in blocks]
        if fixed_ends:
            depths[0], depths[-1] = blocks[0], blocks[-1]
        strides = (1 if small else 2, *halvings)
        side = self.input_size
        self.stem = conv_for(side, padding, **options)(in_channels, widths[0], 3, strides[0])
        for i, rates in enumerate(split_rates(drop_path, depths)):
            side = math.ceil(side / strides[i])
            conv = conv_for(side, padding, **options)
            block = partial(MBConv, conv, kernel=kernels[i], expand=expands[i], se=se)
            stage = residual_stage(block, widths[i], widths[i + 1], strides[i + 1], rates)
            self.add_sublayer(f"stage{i + 1}", stage)
        last = make_divisible(1280 * ends)
        # Made before the convolution, which decides the weights that a seed draws.
        rest = average_head(last, class_num, dropout).named_children()
        self.head = nn.Sequential(("conv", conv(widths[-1], last, 1)), *rest)
        self.levels = finest_to_last(self.stages, widths, strides)
        initialise(self, conv=he_fan_out)


SCALE_KEYS = ("width", "depth", "resolution", "dropout")
"""What the columns of the tables of variants are called."""

for _name, *_scales, _eps, _momentum in (
    # name            width depth side dropout; torchvision's eps and momentum
    ("EfficientNetB0", 1.0, 1.0, 224, 0.2, 1e-5, 0.9),
    ("EfficientNetB1", 1.0, 1.1, 240, 0.2, 1e-5, 0.9),
    ("EfficientNetB2", 1.1, 1.2, 260, 0.3, 1e-5, 0.9),
    ("EfficientNetB3", 1.2, 1.4, 300, 0.3, 1e-5, 0.9),
    ("EfficientNetB4", 1.4, 1.8, 380, 0.4, 1e-5, 0.9),
    ("EfficientNetB5", 1.6, 2.2, 456, 0.4, 1e-3, 0.99),
    ("EfficientNetB6", 1.8, 2.6, 528, 0.5, 1e-3, 0.99),
    ("EfficientNetB7", 2.0, 3.1, 600, 0.5, 1e-3, 0.99),
):
    _arguments: Dict[str, Any] = dict(zip(SCALE_KEYS, _scales))
    register("arch", _name, **_arguments)(EfficientNet)
    _arguments = {**_arguments, "padding": "symmetric", "eps": _eps, "momentum": _momentum}
    register("arch", f"{_name}_tv", **_arguments)(EfficientNet)
register("arch", "EfficientNetB0_small", se=False, padding="symmetric")(EfficientNet)

_LITE = {"se": False, "act": "relu6", "fixed_ends": True, "padding": "same"}
for _name, *_scales in (
    # name             width depth side dropout
    ("EfficientNetLite0", 1.0, 1.0, 224, 0.2),
    ("EfficientNetLite1", 1.0, 1.1, 240, 0.2),
    ("EfficientNetLite2", 1.1, 1.2, 260, 0.3),
    ("EfficientNetLite3", 1.2, 1.4, 280, 0.3),
    ("EfficientNetLite4", 1.4, 1.8, 300, 0.3),
):
    register("arch", _name, **dict(zip(SCALE_KEYS, _scales)), **_LITE)(EfficientNet)
