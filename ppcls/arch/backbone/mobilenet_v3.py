"""MobileNet, version 3.

Howard et al. 2019, "Searching for MobileNetV3", arXiv:1905.02244.
"""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import (
    Annotated,
    Callable,
    Dict,
    List,
    Literal,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from paddle import nn
from pydantic import Field

from ppcls.arch.layers import (
    ConvAct,
    ConvBNAct,
    DropoutMode,
    InvertedResidual,
    Padding,
    SqueezeExcitation,
    average_head,
    drop_path_rates,
    initialise,
    make_divisible,
)
from ppcls.arch.network import Count, Network, Rate, finest_to_last, normalisation_parameters
from ppcls.errors import ConfigError
from ppcls.registry import register


class Row(NamedTuple):
    """One line of the paper's tables 1 and 2, or several that agree.

    Attributes:
        stage: the number of the stage that the blocks belong to; its channels are all the same.
        kernel: the side of the depthwise kernels.
        expansion: the inner channels over those that come in; the paper prints the product.
        channels: those that come out.
        squeeze: whether the inner channels are squeezed and excited.
        act: the activation.
        stride: that of the first block.
        blocks: how many there are.
    """

    stage: int
    kernel: int
    expansion: float
    channels: int
    squeeze: bool
    act: str
    stride: int
    blocks: int

    def inner(self, in_channels: int) -> int:
        """Return the inner channels of a block that gets `in_channels`."""
        return round(self.expansion * in_channels)


_TABLES: Dict[str, Tuple[Row, ...]] = {
    # stage, kernel, expansion, channels, squeeze, act, stride, blocks
    "large": (
        Row(1, 3, 1, 16, False, "relu", 1, 1),
        Row(2, 3, 4, 24, False, "relu", 2, 1),
        Row(2, 3, 3, 24, False, "relu", 1, 1),
        Row(3, 5, 3, 40, True, "relu", 2, 3),
        Row(4, 3, 6, 80, False, "hardswish", 2, 1),
        Row(4, 3, 2.5, 80, False, "hardswish", 1, 1),
        Row(4, 3, 2.3, 80, False, "hardswish", 1, 2),
        Row(5, 3, 6, 112, True, "hardswish", 1, 2),
        Row(6, 5, 6, 160, True, "hardswish", 2, 3),
    ),
    "small": (
        Row(1, 3, 1, 16, True, "relu", 2, 1),
        Row(2, 3, 4.5, 24, False, "relu", 2, 1),
        Row(2, 3, 11 / 3, 24, False, "relu", 1, 1),
        Row(3, 5, 4, 40, True, "hardswish", 2, 1),
        Row(3, 5, 6, 40, True, "hardswish", 1, 2),
        Row(4, 5, 3, 48, True, "hardswish", 1, 2),
        Row(5, 5, 6, 96, True, "hardswish", 2, 3),
    ),
}

Depths = Annotated[List[Count], Field(min_length=7, max_length=9)]


class MobileNetV3(Network):
    """3x3/2x16, inverted residuals, 1x1, BN, h-swish, average, 1x1, h-swish, drop, classes.

    Blocks have ReLU in the first half and h-swish in the second; some of them squeeze to a quarter
    of their inner channels. The paper says nothing of the first weights: they start from He's
    normal distribution (arXiv:1502.01852), the last layer's from N(0, 0.01).

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        size: "large" (the paper's table 1) or "small" (table 2).
        scale: the factor of all channels but those after the average; they are rounded to multiples
            of 8.
        depths: the number of blocks of each row of the table; None is the table's.
        expand_rounded: whether the inner channels are a multiple of the rounded ones that come in
            (the authors' code, timm) or the table's, scaled and rounded (PaddleClas, torchvision).
        always_expand: whether the very first block, whose expansion is 1, has a 1x1 convolution for
            it all the same (PaddleClas).
        squeeze_divisor: what squeezed channels are rounded to multiples of: 1 in PaddleClas, 8
            elsewhere.
        gate: the last activation of squeeze-and-excitation. The paper's slope is 1/6, PaddleClas'
            0.2.
        squeeze_act: the first activation of squeeze-and-excitation: "relu", or "block" for the one
            that its block has.
        first_shortcut: whether the very first block may have a shortcut.
        minimal: no squeeze-and-excitation, no h-swish and no kernel of 5, for devices without them.
        stem_width: the channels of the first convolution; None is 16 scaled.
        head_convs: the number of convolutions between the last stage and the average.
        head_width: the channels after the average: 1280 in the paper's large network, 1024 in its
            small one, 1280 in both of PaddleClas'.
        head_bias: whether the convolution after the average has a bias.
        padding: "same" is TensorFlow's, the authors'; "symmetric" everybody else's.
        eps: what normalisation adds to the variance.
        momentum: what running statistics keep of themselves at each step.
        dropout: the probability of dropping a feature before the last layer.
        dropout_mode: when dropout rescales: in evaluation ("downscale_in_infer", PaddleClas) or in
            training ("upscale_in_train", the others).
        drop_path: what the probability of dropping a block's residual branch for an image grows
            towards: block i of n drops it with drop_path * i / n, the first one never.
        stem: "imagenet" as above; "cifar" keeps the resolution in the first convolution and in the
            first stage that halves it, for 32 pixels.

    Raises:
        ConfigError: `depths` does not have a number for each row.
    """

    def __init__(  # noqa: PLR0913, one argument for each thing that published variants differ in
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        size: Literal["large", "small"] = "large",
        scale: Annotated[float, Field(gt=0.0)] = 1.0,
        depths: Optional[Depths] = None,
        expand_rounded: bool = False,
        always_expand: bool = True,
        squeeze_divisor: Count = 1,
        gate: Literal["sigmoid", "hardsigmoid", "hardsigmoid_0.2"] = "hardsigmoid_0.2",
        squeeze_act: Literal["relu", "block"] = "relu",
        first_shortcut: bool = True,
        minimal: bool = False,
        stem_width: Optional[Count] = None,
        head_convs: Count = 1,
        head_width: Count = 1280,
        head_bias: bool = False,
        padding: Literal["same", "symmetric"] = "symmetric",
        eps: float = 1e-5,
        momentum: Rate = 0.9,
        dropout: Rate = 0.2,
        dropout_mode: DropoutMode = "downscale_in_infer",
        drop_path: Rate = 0.0,
        stem: Literal["imagenet", "cifar"] = "imagenet",
    ) -> None:
        super().__init__(class_num, in_channels)
        cifar = stem == "cifar"
        self.input_size = 32 if cifar else 224
        rows = _rows(size, depths, minimal, cifar)
        act = "relu" if minimal else "hardswish"
        pad: Padding = "same" if padding == "same" else None
        conv = partial(ConvBNAct, padding=pad, eps=eps, momentum=momentum)
        se = partial(_quarter, divisor=squeeze_divisor, act=squeeze_act, gate=gate)
        bneck = partial(_bneck, conv=conv, se=se, always_expand=always_expand)
        width = stem_width or make_divisible(16 * scale)
        self.stem = conv(in_channels, width, 3, stride=1 if cifar else 2, act=act)
        widths = _widths(rows, width, scale, expand_rounded)
        plan = zip(rows, widths, drop_path_rates(drop_path, len(rows)))
        for number, group in groupby(plan, lambda block: block[0].stage):
            self.add_sublayer(f"stage{number}", nn.Sequential(*(bneck(*block) for block in group)))
        self.stage1[0].residual = self.stage1[0].residual and first_shortcut
        names = ["stem", *(f"stage{row.stage}" for row in rows)]
        channels = [width, *(out for _, _, out in widths)]
        strides = [1 if cifar else 2, *(row.stride for row in rows)]
        self.stages = tuple(dict.fromkeys(names))
        self.levels = finest_to_last(names, channels, strides)
        last = make_divisible(6 * rows[-1].channels * scale)
        pool, *rest = average_head(head_width, class_num, dropout, dropout_mode).named_children()
        inputs = [channels[-1], *[last] * (head_convs - 1)]
        self.head = nn.Sequential(
            *((f"conv{i}", conv(width, last, 1, act=act)) for i, width in enumerate(inputs, 1)),
            pool,
            ("hidden", ConvAct(last, head_width, 1, bias=head_bias, act=act)),
            *rest,
        )
        initialise(self)

    @property
    def undecayed(self) -> Set[str]:
        """Batch normalisation does not decay, as in PaddleClas."""
        return normalisation_parameters(self)


def _rows(size: str, depths: Optional[List[int]], minimal: bool, cifar: bool) -> List[Row]:
    """Return a row for each block; `cifar` keeps the resolution in the first one with a stride."""
    table = _TABLES[size]
    counts = [row.blocks for row in table] if depths is None else depths
    if len(counts) != len(table):
        raise ConfigError(
            f"depths must have {len(table)} numbers, one for each row of MobileNetV3 {size}'s "
            f"table, got {len(counts)}"
        )
    first = next(index for index, row in enumerate(table) if row.stride == 2)
    rows = []
    for index, (row, count) in enumerate(zip(table, counts)):
        row = row._replace(stride=1) if cifar and index == first else row
        row = row._replace(kernel=3, squeeze=False, act="relu") if minimal else row
        rows += [row, *[row._replace(stride=1)] * (count - 1)]
    return rows


def _widths(
    rows: Sequence[Row], width: int, scale: float, expand_rounded: bool
) -> List[Tuple[int, int, int]]:
    """Return each block's channels: those that come in, the inner ones, those that come out."""
    found, base = [], 16
    for row in rows:
        inner = row.expansion * width if expand_rounded else row.inner(base) * scale
        channels = make_divisible(row.channels * scale)
        found.append((width, make_divisible(inner), channels))
        base, width = row.channels, channels
    return found


def _bneck(
    row: Row,
    widths: Tuple[int, int, int],
    drop_path: float,
    conv: Callable[..., nn.Layer],
    se: Callable[[int, str], nn.Layer],
    always_expand: bool,
) -> InvertedResidual:
    return InvertedResidual(
        *widths,
        row.kernel,
        row.stride,
        conv=partial(conv, act=row.act),
        se=se(widths[1], row.act) if row.squeeze else None,
        always_expand=always_expand,
        drop_path=drop_path,
    )


def _quarter(channels: int, block_act: str, divisor: int, act: str, gate: str) -> SqueezeExcitation:
    squeezed = make_divisible(channels / 4, divisor)
    return SqueezeExcitation(channels, squeezed, block_act if act == "block" else act, gate)


for _size in ("large", "small"):
    for _suffix, _scale in (
        ("x0_35", 0.35),
        ("x0_5", 0.5),
        ("x0_75", 0.75),
        ("x1_0", 1.0),
        ("x1_25", 1.25),
    ):
        register("arch", f"MobileNetV3_{_size}_{_suffix}", size=_size, scale=_scale)(MobileNetV3)

# What torchvision and timm do otherwise.
_FORM = {
    "always_expand": False,
    "squeeze_divisor": 8,
    "gate": "hardsigmoid",
    "head_bias": True,
    "dropout_mode": "upscale_in_train",
}
_TV = {**_FORM, "eps": 1e-3, "momentum": 0.99}
_TIMM = {**_FORM, "expand_rounded": True}
_TF = {**_TIMM, "padding": "same", "eps": 1e-3, "momentum": 0.99}
_DEEP = {"depths": [2, 1, 2, 4, 1, 2, 2, 3, 4], "head_convs": 2}
_RW = {
    "squeeze_divisor": 1,
    "squeeze_act": "block",
    "first_shortcut": False,
    "head_bias": False,
    "eps": 1e-3,
}
for _name, _size, _scale, _form in (
    ("MobileNetV3_large_x1_0_tv", "large", 1.0, _TV),
    ("MobileNetV3_small_x1_0_tv", "small", 1.0, _TV),
    ("MobileNetV3_large_x0_75_timm", "large", 0.75, _TIMM),
    ("MobileNetV3_large_x1_0_timm", "large", 1.0, _TIMM),
    ("MobileNetV3_large_x1_5_deep_timm", "large", 1.5, {**_TIMM, **_DEEP}),
    ("MobileNetV3_large_rw_timm", "large", 1.0, {**_TIMM, **_RW}),
    ("MobileNetV3_small_x0_5_timm", "small", 0.5, {**_TIMM, "stem_width": 16}),
    ("MobileNetV3_small_x0_75_timm", "small", 0.75, _TIMM),
    ("MobileNetV3_small_x1_0_timm", "small", 1.0, _TIMM),
    ("MobileNetV3_large_x0_75_tf", "large", 0.75, _TF),
    ("MobileNetV3_large_x1_0_tf", "large", 1.0, _TF),
    ("MobileNetV3_large_minimal_tf", "large", 1.0, {**_TF, "minimal": True}),
    ("MobileNetV3_small_x0_75_tf", "small", 0.75, _TF),
    ("MobileNetV3_small_x1_0_tf", "small", 1.0, _TF),
    ("MobileNetV3_small_minimal_tf", "small", 1.0, {**_TF, "minimal": True}),
):
    _head = 1280 if _size == "large" else 1024
    register("arch", _name, size=_size, scale=_scale, head_width=_head, **_form)(MobileNetV3)
