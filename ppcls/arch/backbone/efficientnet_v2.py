"""EfficientNetV2.

Tan, Le 2021, "EfficientNetV2: Smaller Models and Faster Training", arXiv:2104.00298.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Callable, Dict, Literal, Set, Tuple

from paddle import Tensor, nn

from ppcls.arch.backbone.efficientnet import SCALE_KEYS, Conv, MBConv, PaddingMode, Scale, conv_for
from ppcls.arch.layers import (
    ConvAct,
    ConvBNAct,
    DropPath,
    average_head,
    he_fan_out,
    initialise,
    residual_stage,
    split_rates,
)
from ppcls.arch.network import Count, Network, Rate, finest_to_last
from ppcls.registry import register


class CroppedConvBNAct(ConvBNAct):
    """3x3/2 padded by 2 on all sides, whose first row and column are cut off; BN, act.

    The same as padding at the right and the bottom only. PaddleClas computes it in this way, and so
    with these last digits, which forty blocks of random weights make a hundredth of the logits.
    Folding removes the detour.
    """

    def __init__(
        self, in_channels: int, out_channels: int, groups: int = 1, **options: Any
    ) -> None:
        super().__init__(in_channels, out_channels, 3, 2, 2, groups, **options)

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, out_channels, h / 2, w / 2]."""
        return self.act(self.bn(self.conv(x)[:, :, 1:, 1:]))

    def folded(self) -> ConvAct:
        """Return the convolution that pads where it has to, with the normalisation inside."""
        conv = self.conv
        direct = ConvBNAct(conv._in_channels, conv._out_channels, 3, 2, (0, 2, 0, 2), conv._groups)
        direct.conv.weight, direct.bn, direct.act = conv.weight, self.bn, self.act
        return direct.folded()


def _conv_for(side: int, padding: PaddingMode, **options: Any) -> Conv:
    """Return what makes the convolutions of a stage, see `conv_for`."""
    usual = conv_for(side, padding, **options)

    def make(
        in_channels: int, out_channels: int, kernel: int, stride: int = 1, **more: Any
    ) -> ConvBNAct:
        if padding == "fixed" and (kernel, stride, side % 2) == (3, 2, 0):
            return CroppedConvBNAct(in_channels, out_channels, **{**options, **more})
        return usual(in_channels, out_channels, kernel, stride, **more)

    return make


class FusedMBConv(nn.Layer):
    """3x3 to `expand` times the width, BN, act, 1x1, BN + x where the shape stays.

    One dense convolution does the work of MBConv's first two (figure 2). Without expansion it gives
    the output's channels itself, and there is no second one.
    """

    def __init__(
        self,
        conv: Conv,
        in_channels: int,
        out_channels: int,
        stride: int,
        expand: int,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        width = expand * in_channels if expand > 1 else out_channels
        self.fused = conv(in_channels, width, 3, stride)
        self.project = conv(width, out_channels, 1, act=None) if expand > 1 else nn.Identity()
        self.drop = DropPath(drop_path)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, out_channels, h / stride, w / stride]."""
        y = self.project(self.fused(x))
        return x + self.drop(y) if self.residual else y


# The paper's table 4, for all sizes; S and the base have no seventh stage.
_STAGES: Tuple[Tuple[Callable[..., nn.Layer], int, int], ...] = (
    # block, expand, stride
    (FusedMBConv, 1, 1),
    (FusedMBConv, 4, 2),
    (FusedMBConv, 4, 2),
    (partial(MBConv, kernel=3, se_act="silu"), 4, 2),
    (partial(MBConv, kernel=3, se_act="silu"), 6, 1),
    (partial(MBConv, kernel=3, se_act="silu"), 6, 2),
    (partial(MBConv, kernel=3, se_act="silu"), 6, 1),
)

# B0, which B1 to B3 scale as EfficientNet does, and the sizes that were searched for or scaled by
# hand, from the authors' repository.
_SIZES: Dict[str, Tuple[Tuple[int, ...], Tuple[int, ...]]] = {
    # channels of the stem and the stages, blocks of the stages
    "B": ((32, 16, 32, 48, 96, 112, 192), (1, 2, 2, 3, 5, 8)),
    "S": ((24, 24, 48, 64, 128, 160, 256), (2, 4, 4, 6, 9, 15)),
    "M": ((24, 24, 48, 80, 160, 176, 304, 512), (3, 5, 5, 7, 14, 18, 5)),
    "L": ((32, 32, 64, 96, 192, 224, 384, 640), (4, 7, 7, 10, 19, 25, 7)),
    "XL": ((32, 32, 64, 96, 192, 256, 512, 640), (4, 8, 8, 16, 24, 32, 8)),
}


def _rounded(channels: float) -> int:
    """Round to the nearest multiple of 8, however far down: otherwise than in EfficientNet."""
    return int(channels + 4) // 8 * 8


_DROPOUTS = {
    "S": (0.1, 0.5 / 3, 0.7 / 3, 0.3),
    "M": (0.1, 0.2, 0.3, 0.4),
    "L": (0.1, 0.7 / 3, 1.1 / 3, 0.5),
}
"""Of the four stages of progressive training: evenly from the first to the last of table 6."""


class EfficientNetV2(Network):
    """3x3/2, BN, act, three stages of FusedMBConv, three or four of MBConv, then as EfficientNet.

    Weights start as EfficientNet's do.

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        size: the channels and blocks: "S", "M", "L", "XL", or "B" for B0.
        width: a factor of the channels.
        depth: a factor of the blocks, rounded up.
        resolution: the side in pixels of the images that it was evaluated on; it was trained on
            smaller ones that grew.
        dropout: the probability of dropping a feature before the last layer.
        drop_path: what the probability of dropping a residual branch grows towards, see
            `EfficientNet`.
        padding: how layers that halve the maps pad, see `PaddingMode`.
        eps: what normalisation adds to the variance.
        momentum: what running statistics keep of themselves at each step.
        stem: "imagenet" as above; "cifar" has stride 1 in the first convolution, for 32 pixels.
    """

    def __init__(  # noqa: PLR0913, one argument for each thing that published variants differ in
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        size: Literal["B", "S", "M", "L", "XL"] = "S",
        width: Scale = 1.0,
        depth: Scale = 1.0,
        resolution: Count = 384,
        dropout: Rate = 0.2,
        drop_path: Rate = 0.2,
        padding: PaddingMode = "fixed",
        eps: float = 1e-3,
        momentum: Rate = 0.9,
        stem: Literal["imagenet", "cifar"] = "imagenet",
    ) -> None:
        super().__init__(class_num, in_channels)
        small = stem == "cifar"
        self.input_size = 32 if small else resolution
        options: Dict[str, Any] = {"eps": eps, "momentum": momentum}
        bases, blocks = _SIZES[size]
        widths = [_rounded(base * width) for base in bases]
        depths = [math.ceil(count * depth) for count in blocks]
        strides = [1 if small else 2, *(stride for _, _, stride in _STAGES[: len(depths)])]
        side = self.input_size
        ends = _conv_for(side, padding, act="swish", **options)
        self.stem = ends(in_channels, widths[0], 3, strides[0])
        for i, rates in enumerate(split_rates(drop_path, depths)):
            kind, expand, stride = _STAGES[i]
            side = math.ceil(side / strides[i])
            conv = _conv_for(side, padding, act="silu", **options)
            block = partial(kind, conv, expand=expand)
            stage = residual_stage(block, widths[i], widths[i + 1], stride, rates)
            self.add_sublayer(f"stage{i + 1}", stage)
        self.stages = ("stem", *(f"stage{index + 1}" for index in range(len(depths))))
        self.levels = finest_to_last(self.stages, widths, strides)
        last = _rounded(1280 * width)
        # Made before the convolution, which decides the weights that a seed draws.
        rest = average_head(last, class_num, dropout).named_children()
        self.head = nn.Sequential(("conv", ends(widths[-1], last, 1)), *rest)
        initialise(self, conv=he_fan_out)
        self.progress_dropout = _DROPOUTS.get(size, ())

    @property
    def undecayed(self) -> Set[str]:
        """Neither biases nor batch normalisation decay, as in PaddleClas."""
        return {name for name, parameter in self.named_parameters() if len(parameter.shape) == 1}


for _name, _size, _padding, *_scales in (
    # name                 size padding   width depth side dropout
    # PaddleClas drops S's features less at first: it raises this to 0.3 while images grow.
    ("EfficientNetV2_S", "S", "fixed", 1.0, 1.0, 384, 0.1),
    ("EfficientNetV2_M", "M", "fixed", 1.0, 1.0, 480, 0.3),
    ("EfficientNetV2_L", "L", "fixed", 1.0, 1.0, 480, 0.4),
    ("EfficientNetV2_S_tv", "S", "symmetric", 1.0, 1.0, 384, 0.2),
    ("EfficientNetV2_M_tv", "M", "symmetric", 1.0, 1.0, 480, 0.3),
    ("EfficientNetV2_L_tv", "L", "symmetric", 1.0, 1.0, 480, 0.4),
    ("EfficientNetV2_B0", "B", "same", 1.0, 1.0, 224, 0.2),
    ("EfficientNetV2_B1", "B", "same", 1.0, 1.1, 240, 0.2),
    ("EfficientNetV2_B2", "B", "same", 1.1, 1.2, 260, 0.3),
    ("EfficientNetV2_B3", "B", "same", 1.2, 1.4, 300, 0.3),
):
    _arguments = {"size": _size, "padding": _padding, **dict(zip(SCALE_KEYS, _scales))}
    register("arch", _name, **_arguments)(EfficientNetV2)
