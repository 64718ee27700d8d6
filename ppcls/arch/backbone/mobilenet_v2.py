"""MobileNet, version 2.

Sandler, Howard, Zhu, Zhmoginov, Chen 2018, "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", arXiv:1801.04381.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, List, Literal, Optional

from pydantic import Field

from ppcls.arch.layers import (
    ConvBNAct,
    InvertedResidual,
    average_head,
    initialise,
    make_divisible,
    residual_stage,
    split_rates,
)
from ppcls.arch.network import Count, Network, Rate, finest_to_last
from ppcls.registry import register

# Table 2 of the paper.
_STAGES = (
    # expansion t, channels c, stride s of the first block
    (1, 16, 1),
    (6, 24, 2),
    (6, 32, 2),
    (6, 64, 2),
    (6, 96, 1),
    (6, 160, 2),
    (6, 320, 1),
)

Depths = Annotated[List[Count], Field(min_length=7, max_length=7)]


class MobileNetV2(Network):
    """3x3/2x32, BN, act, seven stages of inverted residuals, 1x1x1280, BN, act, average, classes.

    The activation is ReLU6. The paper says nothing of the first weights: they start from He's
    normal distribution (arXiv:1502.01852), the last layer's from N(0, 0.01).

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        scale: the paper's width multiplier: the factor of all channels. The last convolution's
            channels do not shrink with it, they only grow.
        depths: the number of blocks of each of the seven stages.
        divisor: what channels are rounded to multiples of: 1 in PaddleClas, 8 elsewhere.
        always_expand: whether the very first block, whose expansion is 1, has a 1x1 convolution for
            it all the same (PaddleClas), or none (the paper's table 2, torchvision).
        stem_width: the channels of the first convolution; None is 32 scaled.
        head_width: the channels of the last convolution; None is 1280 scaled.
        dropout: the probability of dropping a feature before the last layer.
        drop_path: what the probability of dropping a block's residual branch for an image grows
            towards: block i of n drops it with drop_path * i / n, the first one never.
        stem: "imagenet" as above; "cifar" keeps the resolution in the first convolution and in the
            second stage, for 32 pixels.
    """

    stages = ("stem", *(f"stage{number}" for number in range(1, 8)))

    def __init__(  # noqa: PLR0913, one argument for each thing that published variants differ in
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        scale: Annotated[float, Field(gt=0.0)] = 1.0,
        depths: Depths = [1, 2, 3, 4, 3, 3, 1],  # noqa: B006, read only
        divisor: Count = 1,
        always_expand: bool = True,
        stem_width: Optional[Count] = None,
        head_width: Optional[Count] = None,
        dropout: Rate = 0.0,
        drop_path: Rate = 0.0,
        stem: Literal["imagenet", "cifar"] = "imagenet",
    ) -> None:
        super().__init__(class_num, in_channels)
        cifar = stem == "cifar"
        self.input_size = 32 if cifar else 224
        last = head_width or make_divisible(1280 * max(1.0, scale), divisor)
        expansions, bases, halvings = zip(*_STAGES)
        widths = [make_divisible(base * scale, divisor) for base in (32, *bases)]
        widths[0] = stem_width or widths[0]
        strides = [2, *halvings]
        if cifar:
            strides[0] = strides[2] = 1
        conv = partial(ConvBNAct, act="relu6")
        self.stem = conv(in_channels, widths[0], 3, strides[0])
        for i, drops in enumerate(split_rates(drop_path, depths)):
            block = partial(_block, expansions[i], conv=conv, always_expand=always_expand)
            stage = residual_stage(block, widths[i], widths[i + 1], strides[i + 1], drops)
            self.add_sublayer(f"stage{i + 1}", stage)
        self.levels = finest_to_last(self.stages, widths, strides)
        self.head = average_head(last, class_num, dropout, conv=conv(widths[-1], last, 1))
        initialise(self)


def _block(expansion: int, in_channels: int, out_channels: int, **options: Any) -> InvertedResidual:
    return InvertedResidual(in_channels, expansion * in_channels, out_channels, **options)


for _name, _scale in (
    ("MobileNetV2_x0_25", 0.25),
    ("MobileNetV2_x0_5", 0.5),
    ("MobileNetV2_x0_75", 0.75),
    ("MobileNetV2", 1.0),
    ("MobileNetV2_x1_5", 1.5),
    ("MobileNetV2_x2_0", 2.0),
):
    register("arch", _name, scale=_scale)(MobileNetV2)

# torchvision's and timm's form
_FORM = {"divisor": 8, "always_expand": False, "dropout": 0.2}
for _name, _scale in (
    ("MobileNetV2_x0_35_tv", 0.35),
    ("MobileNetV2_x0_5_tv", 0.5),
    ("MobileNetV2_x0_75_tv", 0.75),
    ("MobileNetV2_tv", 1.0),
    ("MobileNetV2_x1_4_tv", 1.4),
):
    register("arch", _name, scale=_scale, **_FORM)(MobileNetV2)
for _name, _scale, _depths in (
    ("MobileNetV2_x1_1_deep_timm", 1.1, [1, 3, 4, 5, 4, 4, 1]),
    ("MobileNetV2_x1_2_deep_timm", 1.2, [1, 3, 5, 6, 5, 5, 1]),
):
    register("arch", _name, scale=_scale, depths=_depths, stem_width=32, head_width=1280, **_FORM)(
        MobileNetV2
    )
