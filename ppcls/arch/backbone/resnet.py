"""ResNet.

He, Zhang, Ren, Sun 2015, "Deep Residual Learning for Image Recognition", arXiv:1512.03385.
"""

from __future__ import annotations

from typing import Annotated, Dict, List, Literal, Type, Union

from paddle import Tensor, nn
from paddle.nn.initializer import KaimingNormal, Normal
from pydantic import Field

from ppcls.arch.layers import ConvBNAct, average_head, initialise
from ppcls.arch.network import Count, Level, Network, Rate
from ppcls.registry import register


class BasicBlock(nn.Layer):
    """3x3, BN, act, 3x3, BN + shortcut, act."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int, projection: bool) -> None:
        super().__init__()
        self.conv1 = ConvBNAct(in_channels, width, 3, stride)
        self.conv2 = ConvBNAct(width, width, 3, act=None)
        self.shortcut = _shortcut(in_channels, width, stride, projection)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, width, h / stride, w / stride]."""
        return self.act(self.shortcut(x) + self.conv2(self.conv1(x)))


class Bottleneck(nn.Layer):
    """1x1, BN, act, 3x3 (stride here), BN, act, 1x1 to four times the width, BN + shortcut, act."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int, projection: bool) -> None:
        super().__init__()
        self.conv1 = ConvBNAct(in_channels, width, 1)
        self.conv2 = ConvBNAct(width, width, 3, stride)
        self.conv3 = ConvBNAct(width, 4 * width, 1, act=None)
        self.shortcut = _shortcut(in_channels, 4 * width, stride, projection)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Turn [n, in_channels, h, w] into [n, 4 * width, h / stride, w / stride]."""
        return self.act(self.shortcut(x) + self.conv3(self.conv2(self.conv1(x))))


Depths = Annotated[List[Count], Field(min_length=4, max_length=4)]
_BLOCKS: Dict[str, Type[Union[BasicBlock, Bottleneck]]] = {
    "basic": BasicBlock,
    "bottleneck": Bottleneck,
}


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
        stem: "imagenet" as above; "cifar" is 3x3 with stride 1 and no pooling, for 32 pixels.
        first_projection: whether the first shortcut is a 1x1 convolution even where the channels
            agree already (PaddleClas' ResNet18/34) or the identity (the paper's, torchvision's).
        dropout: the probability of dropping a feature before the last layer.
    """

    stages = ("stem", "pool", "stage1", "stage2", "stage3", "stage4")

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        block: Literal["basic", "bottleneck"] = "bottleneck",
        depths: Depths = [3, 4, 6, 3],  # noqa: B006, read only
        stem: Literal["imagenet", "cifar"] = "imagenet",
        first_projection: bool = True,
        dropout: Rate = 0.0,
    ) -> None:
        super().__init__(class_num, in_channels)
        small = stem == "cifar"
        self.input_size = 32 if small else 224
        self.stem = ConvBNAct(in_channels, 64, 3 if small else 7, stride=1 if small else 2)
        self.pool = nn.Identity() if small else nn.MaxPool2D(3, 2, padding=1)
        self.stage1 = _stage(block, 64, 64, 1, depths[0], first_projection)
        self.stage2 = _stage(block, _out(block, 64), 128, 2, depths[1])
        self.stage3 = _stage(block, _out(block, 128), 256, 2, depths[2])
        self.stage4 = _stage(block, _out(block, 256), 512, 2, depths[3])
        self.head = average_head(_out(block, 512), class_num, dropout)
        first = 1 if small else 4
        self.levels = (
            Level("stem", 64, first if small else 2),
            *(Level(f"stage{i + 1}", _out(block, 64 * 2**i), first * 2**i) for i in range(4)),
        )
        initialise(self, conv=KaimingNormal(), linear=Normal(0.0, 0.01))


def _out(block: str, width: int) -> int:
    return width * _BLOCKS[block].expansion


def _shortcut(in_channels: int, out_channels: int, stride: int, projection: bool) -> nn.Layer:
    if projection or stride > 1 or in_channels != out_channels:
        return ConvBNAct(in_channels, out_channels, 1, stride, act=None)
    return nn.Identity()


def _stage(
    block: str, in_channels: int, width: int, stride: int, depth: int, projection: bool = True
) -> nn.Sequential:
    make, out = _BLOCKS[block], _out(block, width)
    first = make(in_channels, width, stride, projection)
    return nn.Sequential(first, *(make(out, width, 1, False) for _ in range(depth - 1)))


for _name, _block, _depths in (
    # name        block         blocks per stage
    ("ResNet18", "basic", [2, 2, 2, 2]),
    ("ResNet34", "basic", [3, 4, 6, 3]),
    ("ResNet50", "bottleneck", [3, 4, 6, 3]),
    ("ResNet101", "bottleneck", [3, 4, 23, 3]),
    ("ResNet152", "bottleneck", [3, 8, 36, 3]),
):
    register("arch", _name, block=_block, depths=_depths)(ResNet)
for _name, _depths in (("ResNet18_tv", [2, 2, 2, 2]), ("ResNet34_tv", [3, 4, 6, 3])):
    register("arch", _name, block="basic", depths=_depths, first_projection=False)(ResNet)
