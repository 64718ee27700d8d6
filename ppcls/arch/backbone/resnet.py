"""ResNet, and the networks that change one thing about it.

He, Zhang, Ren, Sun 2015, "Deep Residual Learning for Image Recognition", arXiv:1512.03385;
ResNet_vd: He et al. 2018, "Bag of Tricks for Image Classification with Convolutional Neural
Networks", arXiv:1812.01187, model D, with the stem of model C;
ResNeXt: Xie et al. 2016, "Aggregated Residual Transformations for Deep Neural Networks",
arXiv:1611.05431;
Wide ResNet: Zagoruyko, Komodakis 2016, "Wide Residual Networks", arXiv:1605.07146, as torchvision
widens bottlenecks;
ACNet: Ding et al. 2019, see `AsymmetricConvBNAct`;
diverse branches: Ding et al. 2021, see `DiverseBranchConvBNAct`.

Other than in the first paper, a bottleneck halves the map in its 3x3 convolution, not in the 1x1
before it.
"""

from __future__ import annotations

from typing import Annotated, Any, Callable, Dict, List, Literal, NamedTuple, Sequence, Type, Union

from paddle import Tensor, nn
from paddle.nn.initializer import Constant
from pydantic import Field

from ppcls.arch.backbone.acnet import AsymmetricConvBNAct
from ppcls.arch.backbone.dbb import DiverseBranchConvBNAct
from ppcls.arch.layers import (
    ConvAct,
    ConvBNAct,
    DropPath,
    average_head,
    initialise,
    split_rates,
)
from ppcls.arch.network import Count, Level, Network, Rate
from ppcls.errors import ConfigError
from ppcls.registry import register

Conv = Literal["plain", "acb", "dbb", "fused"]
_CONVOLUTIONS: Dict[str, Callable[..., nn.Layer]] = {
    "plain": ConvBNAct,
    "acb": AsymmetricConvBNAct,
    "dbb": DiverseBranchConvBNAct,
    "fused": ConvAct,
}


_LARGE = 7
"""Kernels of this side on stay plain in a network of diverse branch blocks, as its paper says."""


class Style(NamedTuple):
    """What all blocks of a network have in common.

    Attributes:
        conv: what a convolution larger than 1x1 is: with batch normalisation ("plain"), an
            asymmetric convolution block ("acb"), a diverse branch block ("dbb") where it is smaller
            than 7x7, or what these fold into ("fused").
        groups: the groups of a bottleneck's 3x3 convolution.
        bottleneck_width: the channels of that convolution in the first stage, 64 in ResNet.
        dilation: the dilation of that convolution.
        pooled_shortcut: whether a shortcut halves the map by average pooling before its 1x1
            convolution, instead of by that convolution's stride.
        early_stride: whether a bottleneck halves the map in its first 1x1 convolution already.
    """

    conv: Conv = "plain"
    groups: int = 1
    bottleneck_width: int = 64
    dilation: int = 1
    pooled_shortcut: bool = False
    early_stride: bool = False

    @property
    def grouping(self) -> Dict[str, int]:
        """The arguments of a bottleneck's 3x3 convolution that are not as usual."""
        given = {"groups": self.groups, "dilation": self.dilation}
        return {name: value for name, value in given.items() if value != 1}

    def convolution(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, **options: Any
    ) -> nn.Layer:
        """Return a convolution larger than 1x1; the arguments are those of `ConvBNAct`."""
        is_plain = self.conv == "dbb" and kernel >= _LARGE
        make = ConvBNAct if is_plain else _CONVOLUTIONS[self.conv]
        return make(in_channels, out_channels, kernel, stride, **options)

    def shortcut(
        self, in_channels: int, out_channels: int, stride: int, projection: bool
    ) -> nn.Layer:
        """Return the identity, or 1x1, BN where the shape changes or `projection` asks for it."""
        if not projection and stride == 1 and in_channels == out_channels:
            return nn.Identity()
        if not self.pooled_shortcut:
            return ConvBNAct(in_channels, out_channels, 1, stride, act=None)
        pool = nn.AvgPool2D(2, stride, ceil_mode=True) if stride > 1 else nn.Identity()
        return nn.Sequential(
            ("pool", pool), ("conv", ConvBNAct(in_channels, out_channels, 1, act=None))
        )


class BasicBlock(nn.Layer):
    """3x3, BN, act, 3x3, BN + shortcut, act."""

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        projection: bool,
        style: Style,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.conv1 = style.convolution(in_channels, width, 3, stride)
        self.conv2 = style.convolution(width, width, 3, act=None)
        self.drop_path = DropPath(drop_path)
        self.shortcut = style.shortcut(in_channels, width, stride, projection)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, width, h / stride, w / stride]."""
        return self.act(self.shortcut(x) + self.drop_path(self.conv2(self.conv1(x))))


class Bottleneck(nn.Layer):
    """1x1, BN, act, 3x3 (stride), BN, act, 1x1 to four times the width, BN + shortcut, act."""

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        projection: bool,
        style: Style,
        drop_path: float,
    ) -> None:
        super().__init__()
        inner = width * style.bottleneck_width // 64
        first, second = (stride, 1) if style.early_stride else (1, stride)
        self.conv1 = ConvBNAct(in_channels, inner, 1, first)
        self.conv2 = style.convolution(inner, inner, 3, second, **style.grouping)
        self.conv3 = ConvBNAct(inner, 4 * width, 1, act=None)
        self.drop_path = DropPath(drop_path)
        self.shortcut = style.shortcut(in_channels, 4 * width, stride, projection)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, 4 * width, h / stride, w / stride]."""
        branch = self.conv3(self.conv2(self.conv1(x)))
        return self.act(self.shortcut(x) + self.drop_path(branch))


Block = Type[Union[BasicBlock, Bottleneck]]
Depths = Annotated[List[Count], Field(min_length=4, max_length=4)]
_BLOCKS: Dict[str, Block] = {"basic": BasicBlock, "bottleneck": Bottleneck}


class ResNet(Network):
    """7x7/2x64, BN, act, 3x3/2 max pool, four stages of blocks, global average, classes.

    The stages' widths are 64, 128, 256 and 512; all but the first halve the maps. Weights start
    from He's normal distribution (arXiv:1502.01852), the last layer's from N(0, 0.01)
    (arXiv:1706.02677).

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        block: "basic" (two 3x3) or "bottleneck" (1x1, 3x3, 1x1).
        depths: the number of blocks of each of the four stages.
        stem: "imagenet" as above; "deep" has three 3x3 convolutions of 32, 32 and 64 channels for
            the 7x7; "cifar" is 3x3 with stride 1 and no pooling, for 32 pixels.
        pooled_shortcut: whether shortcuts halve the map by 2x2 average pooling before their 1x1
            convolution, so that it sees every pixel (ResNet_vd).
        first_projection: whether the first shortcut is a 1x1 convolution even where the channels
            agree already (PaddleClas' ResNet18/34) or the identity (the paper's, torchvision's).
        groups: the groups of a bottleneck's 3x3 convolution (ResNeXt's cardinality).
        bottleneck_width: the channels of that convolution in the first stage; each further stage
            doubles them.
        conv: what convolutions larger than 1x1 are: "plain", with batch normalisation; "acb",
            asymmetric convolution blocks; "dbb", diverse branch blocks; "fused", what those two
            fold into when deployed.
        dropout: the probability of dropping a feature before the last layer.
        drop_path: what the probability of dropping a block's branch for an image grows towards
            (stochastic depth): block i of n drops it with drop_path * i / n, the first one never.
        zero_init: whether branches start as zero, by the weight of their last normalisation
            (arXiv:1706.02677).

    Raises:
        ConfigError: `groups` do not divide `bottleneck_width`, or either is given to basic blocks,
            or `groups` to diverse branch blocks.
    """

    stages = ("stem", "pool", "stage1", "stage2", "stage3", "stage4")

    def __init__(  # noqa: PLR0913, one argument for each way in which the variants differ
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        block: Literal["basic", "bottleneck"] = "bottleneck",
        depths: Depths = [3, 4, 6, 3],  # noqa: B006, read only
        stem: Literal["imagenet", "deep", "cifar"] = "imagenet",
        pooled_shortcut: bool = False,
        first_projection: bool = True,
        groups: Count = 1,
        bottleneck_width: Count = 64,
        conv: Conv = "plain",
        dropout: Rate = 0.0,
        drop_path: Rate = 0.0,
        zero_init: bool = False,
    ) -> None:
        super().__init__(class_num, in_channels)
        _refuse_groups_that_do_not_fit(block, groups, bottleneck_width)
        if conv == "dbb" and groups != 1:
            raise ConfigError(f"groups: {groups}: diverse branch blocks (conv: dbb) have no groups")
        style = Style(conv, groups, bottleneck_width, pooled_shortcut=pooled_shortcut)
        make, small = _BLOCKS[block], stem == "cifar"
        rates = split_rates(drop_path, depths)
        wide = make.expansion
        self.input_size = 32 if small else 224
        self.stem = _stem(stem, in_channels, style)
        self.pool = nn.Identity() if small else nn.MaxPool2D(3, 2, padding=1)
        self.stage1 = stage(make, 64, 64, 1, first_projection, style, rates[0])
        self.stage2 = stage(make, 64 * wide, 128, 2, True, style, rates[1])
        self.stage3 = stage(make, 128 * wide, 256, 2, True, style, rates[2])
        self.stage4 = stage(make, 256 * wide, 512, 2, True, style, rates[3])
        self.head = average_head(512 * wide, class_num, dropout)
        first = 1 if small else 4
        self.levels = (
            Level("stem", 64, first if small else 2),
            *(Level(f"stage{i + 1}", 64 * wide * 2**i, first * 2**i) for i in range(4)),
        )
        initialise(self)
        if zero_init:
            _silence_branches(self)


class ResNeXt(ResNet):
    """A ResNet whose bottlenecks have grouped 3x3 convolutions; its arguments are ResNet's."""


def _refuse_groups_that_do_not_fit(block: str, groups: int, bottleneck_width: int) -> None:
    if block == "basic" and (groups, bottleneck_width) != (1, 64):
        raise ConfigError(
            f"groups: {groups} and bottleneck_width: {bottleneck_width} are of bottlenecks; basic "
            "blocks have neither: use block: bottleneck, or leave both at 1 and 64"
        )
    if bottleneck_width % groups:
        raise ConfigError(
            f"bottleneck_width: {bottleneck_width} channels cannot be divided into groups: {groups}"
        )


def _stem(kind: str, in_channels: int, style: Style) -> nn.Layer:
    if kind == "imagenet":
        return style.convolution(in_channels, 64, 7, 2)
    if kind == "cifar":
        return style.convolution(in_channels, 64, 3)
    return nn.Sequential(
        style.convolution(in_channels, 32, 3, 2),
        style.convolution(32, 32, 3),
        style.convolution(32, 64, 3),
    )


def stage(
    block: Block,
    in_channels: int,
    width: int,
    stride: int,
    projection: bool,
    style: Style,
    drop_paths: Sequence[float],
) -> nn.Sequential:
    """Return one block for each rate of `drop_paths`; the first has the stride and projection."""
    out = width * block.expansion
    first = block(in_channels, width, stride, projection, style, drop_paths[0])
    return nn.Sequential(
        first, *(block(out, width, 1, False, style, rate) for rate in drop_paths[1:])
    )


def _silence_branches(network: nn.Layer) -> None:
    """Let every block start as its shortcut: the weights of its last normalisation are zero."""
    for layer in network.sublayers():
        if isinstance(layer, (BasicBlock, Bottleneck)):
            last = layer.conv3 if isinstance(layer, Bottleneck) else layer.conv2
            if isinstance(last, DiverseBranchConvBNAct):
                norms = last.last_normalisations()
            else:
                norms = [one for one in last.sublayers() if isinstance(one, nn.BatchNorm2D)]
            for norm in norms:
                Constant(0.0)(norm.weight)


_DEPTHS = {
    # layers: block       blocks per stage
    18: ("basic", [2, 2, 2, 2]),
    34: ("basic", [3, 4, 6, 3]),
    50: ("bottleneck", [3, 4, 6, 3]),
    101: ("bottleneck", [3, 4, 23, 3]),
    152: ("bottleneck", [3, 8, 36, 3]),
    200: ("bottleneck", [3, 12, 48, 3]),
}
_VD = {"stem": "deep", "pooled_shortcut": True}

for _name, _layers, _arguments in (
    # name              layers  what is not as in ResNet
    ("ResNet18", 18, {}),
    ("ResNet34", 34, {}),
    ("ResNet50", 50, {}),
    ("ResNet101", 101, {}),
    ("ResNet152", 152, {}),
    ("ResNet18_tv", 18, {"first_projection": False}),
    ("ResNet34_tv", 34, {"first_projection": False}),
    ("ResNet18_vd", 18, _VD),
    ("ResNet34_vd", 34, _VD),
    ("ResNet50_vd", 50, _VD),
    ("ResNet101_vd", 101, _VD),
    ("ResNet152_vd", 152, _VD),
    ("ResNet200_vd", 200, _VD),
    ("WideResNet50_2", 50, {"bottleneck_width": 128}),
    ("WideResNet101_2", 101, {"bottleneck_width": 128}),
    ("ResNet50_ACNet", 50, {"conv": "acb"}),
    ("ResNet50_ACNet_deploy", 50, {"conv": "fused"}),
):
    _block, _depths = _DEPTHS[_layers]
    register("arch", _name, block=_block, depths=_depths, **_arguments)(ResNet)  # type: ignore[arg-type]

for _layers, _groups, _width in (
    # layers, groups, channels of each
    (50, 32, 4),
    (50, 64, 4),
    (101, 32, 4),
    (101, 64, 4),
    (101, 32, 8),
    (152, 32, 4),
    (152, 64, 4),
):
    _form = f"{_groups}x{_width}d"
    _arguments = {
        "depths": _DEPTHS[_layers][1],
        "groups": _groups,
        "bottleneck_width": _groups * _width,
    }
    register("arch", f"ResNeXt{_layers}_{_form}", **_arguments)(ResNeXt)
    if _width == 4:
        register("arch", f"ResNeXt{_layers}_vd_{_form}", **_arguments, **_VD)(ResNeXt)
