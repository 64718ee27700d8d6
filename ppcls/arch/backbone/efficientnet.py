"""EfficientNet and EfficientNet-Lite.

Tan, Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
arXiv:1905.11946; Lite from the authors' repository (2020), for devices without fast swish.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, Any, Callable, Dict, Literal, Sequence, Tuple

from paddle import nn
from paddle.nn.initializer import Normal
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
    split_rates,
)
from ppcls.arch.network import Count, Level, Network, Rate
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


def mb_stage(
    block: Callable[..., nn.Layer],
    in_channels: int,
    out_channels: int,
    stride: int,
    rates: Sequence[float],
) -> nn.Sequential:
    """Return one block for each drop-path rate; the first has the stride and changes the width."""
    first = block(in_channels, out_channels, stride=stride, drop_path=rates[0])
    rest = (block(out_channels, out_channels, stride=1, drop_path=rate) for rate in rates[1:])
    return nn.Sequential(first, *rest)


def mb_levels(stem_stride: int, strides: Sequence[int], widths: Sequence[int]) -> Tuple[Level, ...]:
    """Return the last stage of each resolution, for stages called stage1, stage2, ..."""
    total, found = stem_stride, []
    for index, (stride, width) in enumerate(zip(strides, widths)):
        total *= stride
        if index + 1 == len(strides) or strides[index + 1] > 1:
            found.append(Level(f"stage{index + 1}", width, total))
    return tuple(found)


def mb_head(
    conv: Conv, in_channels: int, width: int, dropout: float, class_num: int
) -> nn.Sequential:
    """Return the paper's last stage: 1x1, BN, act, global average, drop, fully connected layer."""
    rest = average_head(width, class_num, dropout).named_children()
    return nn.Sequential(("conv", conv(in_channels, width, 1)), *rest)


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
        channels = make_divisible(32 * ends)
        expands, kernels, strides, bases, blocks = zip(*_STAGES)
        widths = [make_divisible(base * width) for base in bases]
        depths = [math.ceil(count * depth) for count in blocks]
        if fixed_ends:
            depths[0], depths[-1] = blocks[0], blocks[-1]
        side, first = self.input_size, 1 if small else 2
        self.stem = conv_for(side, padding, **options)(in_channels, channels, 3, first)
        side = math.ceil(side / first)
        for index, rates in enumerate(split_rates(drop_path, depths)):
            conv = conv_for(side, padding, **options)
            block = partial(MBConv, conv, kernel=kernels[index], expand=expands[index], se=se)
            stage = mb_stage(block, channels, widths[index], strides[index], rates)
            self.add_sublayer(f"stage{index + 1}", stage)
            channels, side = widths[index], math.ceil(side / strides[index])
        self.head = mb_head(conv, channels, make_divisible(1280 * ends), dropout, class_num)
        self.levels = mb_levels(first, strides, widths)
        initialise(self, conv=he_fan_out, linear=Normal(0.0, 0.01))


for _name, _width, _depth, _resolution, _dropout, _eps, _momentum in (
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
    _scales = {
        "width": _width,
        "depth": _depth,
        "resolution": _resolution,
        "dropout": _dropout,
    }
    register("arch", _name, **_scales)(EfficientNet)
    register("arch", f"{_name}_tv", **_scales, padding="symmetric", eps=_eps, momentum=_momentum)(
        EfficientNet
    )
register("arch", "EfficientNetB0_small", se=False, padding="symmetric")(EfficientNet)

for _name, _width, _depth, _resolution, _dropout in (
    # name             width depth side dropout
    ("EfficientNetLite0", 1.0, 1.0, 224, 0.2),
    ("EfficientNetLite1", 1.0, 1.1, 240, 0.2),
    ("EfficientNetLite2", 1.1, 1.2, 260, 0.3),
    ("EfficientNetLite3", 1.2, 1.4, 280, 0.3),
    ("EfficientNetLite4", 1.4, 1.8, 300, 0.3),
):
    register(
        "arch",
        _name,
        width=_width,
        depth=_depth,
        resolution=_resolution,
        dropout=_dropout,
        se=False,
        act="relu6",
        fixed_ends=True,
        padding="same",
    )(EfficientNet)
