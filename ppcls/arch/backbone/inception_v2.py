"""Inception v2, which its paper calls BN-Inception.

Ioffe, Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
Covariate Shift", arXiv:1502.03167.
"""

from __future__ import annotations

from functools import partial
from typing import Dict

from paddle import nn

from ppcls.arch.inception import Branches, Convolution, Epsilon, average3x3, chain
from ppcls.arch.layers import ConvBNAct, average_head, initialise
from ppcls.arch.network import Count, Level, Network, Rate, add_stages
from ppcls.registry import register

_MODULES = {
    # figure 5: 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pooling, pool projection
    "inception3a": (64, 64, 64, 64, 96, "avg", 32),
    "inception3b": (64, 64, 96, 64, 96, "avg", 64),
    "inception3c": (0, 128, 160, 64, 96, "max", 0),
    "inception4a": (224, 64, 96, 96, 128, "avg", 128),
    "inception4b": (192, 96, 128, 96, 128, "avg", 128),
    "inception4c": (160, 128, 160, 128, 160, "avg", 128),
    "inception4d": (96, 128, 192, 160, 192, "avg", 128),
    "inception4e": (0, 128, 192, 192, 256, "max", 0),
    "inception5a": (352, 192, 320, 160, 224, "avg", 128),
    "inception5b": (352, 192, 320, 192, 224, "max", 128),
}


class Inception(Branches):
    """1x1 | 1x1, 3x3 | 1x1, 3x3, 3x3 | pool, 1x1; `module` is a row of figure 5."""

    def __init__(self, conv: Convolution, in_channels: int, module: str) -> None:
        one, reduce3, three, reduce_double, double, kind, projection = _MODULES[module]
        branch = partial(chain, conv, in_channels)
        pool = nn.MaxPool2D(3, 1, padding=1) if kind == "max" else average3x3(padded=True)
        super().__init__(
            ("one", branch((one, 1))),
            ("three", branch((reduce3, 1), (three, 3))),
            ("long", branch((reduce_double, 1), (double, 3), (double, 3))),
            ("pool", branch((projection, 1), pool=pool)),
        )
        self.channels = one + three + double + projection


class Reduction(Branches):
    """1x1, 3x3/2 | 1x1, 3x3, 3x3/2 | max pool/2; the rows of figure 5 that pass through."""

    def __init__(self, conv: Convolution, in_channels: int, module: str) -> None:
        _, reduce3, three, reduce_double, double, _, _ = _MODULES[module]
        branch = partial(chain, conv, in_channels)
        super().__init__(
            ("three", branch((reduce3, 1), (three, 3, 2))),
            ("long", branch((reduce_double, 1), (double, 3), (double, 3, 2))),
            ("pool", nn.MaxPool2D(3, 2, padding=1)),
        )
        self.channels = three + double + in_channels


@register("arch")
class InceptionV2(Network):
    """7x7/2x64, pool/2, 1x1x64, 3x3x192, pool/2, ten modules, two of them with stride 2, average.

    Widths are those of figure 5; the depth of 576 that it gives for 4c and 4d is not the sum of its
    own columns, which is 608. The first convolution is an ordinary one. Every convolution is
    batch-normalised and has no bias. Weights start from He's normal distribution
    (arXiv:1502.01852), since the paper is silent about it, the last layer's from N(0, 0.01).

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        eps: what is added to the variances in batch normalisation.
        dropout: the probability of dropping a feature before the last layer; the paper (section
            4.2.1) does without.
    """

    levels = (
        Level("conv1", 64, 2),
        Level("conv3", 192, 4),
        Level("inception3b", 320, 8),
        Level("inception4d", 608, 16),
        Level("inception5b", 1024, 32),
    )

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        eps: Epsilon = 1e-5,
        dropout: Rate = 0.0,
    ) -> None:
        super().__init__(class_num, in_channels)
        add_stages(self, _stages(partial(ConvBNAct, eps=eps), in_channels))
        self.head = average_head(1024, class_num, dropout)
        initialise(self)


def _stages(conv: Convolution, in_channels: int) -> Dict[str, nn.Layer]:
    """Figure 5, row after row."""
    stages = {
        "conv1": conv(in_channels, 64, 7, 2),
        "pool1": nn.MaxPool2D(3, 2, padding=1),
        "conv2": conv(64, 64, 1),
        "conv3": conv(64, 192, 3),
        "pool2": nn.MaxPool2D(3, 2, padding=1),
    }
    channels = 192
    for name in _MODULES:
        kind = Reduction if name in ("inception3c", "inception4e") else Inception
        module = stages[name] = kind(conv, channels, name)
        channels = module.channels
    return stages
