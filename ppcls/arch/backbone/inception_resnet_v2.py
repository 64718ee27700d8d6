"""Inception-ResNet v2.

Szegedy, Ioffe, Vanhoucke, Alemi 2016, "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning", arXiv:1602.07261.
"""

from __future__ import annotations

from functools import partial

from paddle import Tensor, nn

from ppcls.arch.backbone.inception_v3 import InceptionA
from ppcls.arch.inception import Branches, Convolution, Epsilon, chain, stem
from ppcls.arch.layers import ConvBNAct, DropoutMode, average_head, conv2d, initialise
from ppcls.arch.network import Count, Level, Network, Rate, add_stages
from ppcls.registry import register


class Residual(nn.Layer):
    """Branches, 1x1 back to the input's channels with bias, times `scale`; + x, act."""

    def __init__(
        self, in_channels: int, width: int, scale: float, branches: Branches, last: bool = False
    ) -> None:
        super().__init__()
        self.branches = branches
        self.expand = conv2d(width, in_channels, 1, bias=True)
        self.scale = scale
        self.act = nn.Identity() if last else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape [n, in_channels, h, w]."""
        return self.act(x + self.scale * self.expand(self.branches(x)))


def block_a(conv: Convolution) -> Residual:
    """Return the module of figure 16: 1x1 | 1x1, 3x3 | 1x1, 3x3, 3x3; 1x1, * 0.17, + x, act."""
    branch = partial(chain, conv, 320)
    branches = Branches(
        ("one", branch((32, 1))),
        ("three", branch((32, 1), (32, 3))),
        ("long", branch((32, 1), (48, 3), (64, 3))),
    )
    return Residual(320, 128, 0.17, branches)


def block_b(conv: Convolution) -> Residual:
    """Return the module of figure 17: 1x1 | 1x1, 1x7, 7x1; 1x1, * 0.1, + x, act."""
    branch = partial(chain, conv, 1088)
    branches = Branches(
        ("one", branch((192, 1))),
        ("seven", branch((128, 1), (160, (1, 7)), (192, (7, 1)))),
    )
    return Residual(1088, 384, 0.1, branches)


def block_c(conv: Convolution, last: bool) -> Residual:
    """Return the module of figure 19: 1x1 | 1x1, 1x3, 3x1; 1x1, * 0.2, + x, act.

    The last one is neither scaled nor activated.
    """
    branch = partial(chain, conv, 2080)
    branches = Branches(
        ("one", branch((192, 1))),
        ("three", branch((192, 1), (224, (1, 3)), (256, (3, 1)))),
    )
    return Residual(2080, 448, 1.0 if last else 0.2, branches, last)


class ReductionA(Branches):
    """Figure 7: 3x3/2 | 1x1, 3x3, 3x3/2 | max pool/2."""

    def __init__(self, conv: Convolution) -> None:
        branch = partial(chain, conv, 320)
        super().__init__(
            ("short", branch((384, 3, 2, 0))),
            ("long", branch((256, 1), (256, 3), (384, 3, 2, 0))),
            ("pool", nn.MaxPool2D(3, 2)),
        )


class ReductionB(Branches):
    """Figure 18: 1x1, 3x3/2 | 1x1, 3x3/2 | 1x1, 3x3, 3x3/2 | max pool/2."""

    def __init__(self, conv: Convolution) -> None:
        branch = partial(chain, conv, 1088)
        super().__init__(
            ("first", branch((256, 1), (384, 3, 2, 0))),
            ("second", branch((256, 1), (288, 3, 2, 0))),
            ("long", branch((256, 1), (288, 3), (320, 3, 2, 0))),
            ("pool", nn.MaxPool2D(3, 2)),
        )


@register("arch")
class InceptionResNetV2(Network):
    """Stem, module, ten A, reduction, twenty B, reduction, ten C, 1x1x1536, average, drop, classes.

    Channels, scales and stem are those of the authors' published code and weights: stem and first
    module are Inception v3's, where the paper draws the stem of Inception v4. Every convolution
    but those in front of the additions is batch-normalised. Weights start from He's normal
    distribution (arXiv:1502.01852), since the paper is silent about it, the last layer's from
    N(0, 0.01).

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        eps: what is added to the variances in batch normalisation.
        dropout: the probability of dropping a feature before the last layer.
        dropout_mode: when dropout rescales, see `AlexNet`.
    """

    input_size = 299
    min_input_size = 75
    levels = (
        Level("conv_2b", 64, 2),
        Level("conv_4a", 192, 4),
        Level("blocks_a", 320, 8),
        Level("blocks_b", 1088, 16),
        Level("conv_7b", 1536, 32),
    )

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        eps: Epsilon = 1e-3,
        dropout: Rate = 0.2,
        dropout_mode: DropoutMode = "upscale_in_train",
    ) -> None:
        super().__init__(class_num, in_channels)
        conv = partial(ConvBNAct, eps=eps)
        stages = {
            **stem(conv, in_channels),
            "mixed_5b": InceptionA(conv, 192, 64, one=96, padded=False),
            "blocks_a": nn.Sequential(*(block_a(conv) for _ in range(10))),
            "mixed_6a": ReductionA(conv),
            "blocks_b": nn.Sequential(*(block_b(conv) for _ in range(20))),
            "mixed_7a": ReductionB(conv),
            "blocks_c": nn.Sequential(*(block_c(conv, number == 9) for number in range(10))),
            "conv_7b": conv(2080, 1536, 1),
        }
        add_stages(self, stages)
        self.head = average_head(1536, class_num, dropout, dropout_mode)
        initialise(self)
