"""Inception v3.

Szegedy et al. 2015, "Rethinking the Inception Architecture for Computer Vision", arXiv:1512.00567.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Dict

from paddle import nn

from ppcls.arch.inception import (
    AuxiliaryPool,
    Branches,
    Convolution,
    Epsilon,
    average3x3,
    chain,
    fork,
    stem,
)
from ppcls.arch.layers import ConvBNAct, DropoutMode, average_head, initialise
from ppcls.arch.network import Count, Level, Network, Rate, add_stages
from ppcls.registry import register


class InceptionA(Branches):
    """As figure 5, with a 5x5: 1x1 | 1x1, 5x5 | 1x1, 3x3, 3x3 | average pool, 1x1."""

    def __init__(
        self,
        conv: Convolution,
        in_channels: int,
        projection: int,
        one: int = 64,
        padded: bool = True,
    ) -> None:
        branch = partial(chain, conv, in_channels)
        super().__init__(
            ("one", branch((one, 1))),
            ("five", branch((48, 1), (64, 5))),
            ("long", branch((64, 1), (96, 3), (96, 3))),
            ("pool", branch((projection, 1), pool=average3x3(padded))),
        )


class ReductionA(Branches):
    """As figure 10, with one 1x1 less: 3x3/2 | 1x1, 3x3, 3x3/2 | max pool/2."""

    def __init__(self, conv: Convolution, in_channels: int) -> None:
        super().__init__(
            ("three", chain(conv, in_channels, (384, 3, 2, 0))),
            ("long", chain(conv, in_channels, (64, 1), (96, 3), (96, 3, 2, 0))),
            ("pool", nn.MaxPool2D(3, 2)),
        )


class InceptionB(Branches):
    """Figure 6 with n = 7: 1x1 | 1x1, 1xn, nx1 | 1x1, nx1, 1xn, nx1, 1xn | average pool, 1x1."""

    def __init__(self, conv: Convolution, width: int) -> None:
        branch, row, column = partial(chain, conv, 768), (1, 7), (7, 1)
        super().__init__(
            ("one", branch((192, 1))),
            ("seven", branch((width, 1), (width, row), (192, column))),
            (
                "long",
                branch((width, 1), (width, column), (width, row), (width, column), (192, row)),
            ),
            ("pool", branch((192, 1), pool=average3x3(padded=True))),
        )


class ReductionB(Branches):
    """As figure 10, from 768 channels: 1x1, 3x3/2 | 1x1, 1x7, 7x1, 3x3/2 | max pool/2."""

    def __init__(self, conv: Convolution) -> None:
        branch = partial(chain, conv, 768)
        super().__init__(
            ("three", branch((192, 1), (320, 3, 2, 0))),
            ("seven", branch((192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2, 0))),
            ("pool", nn.MaxPool2D(3, 2)),
        )


class InceptionC(Branches):
    """Figure 7: 1x1 | 1x1, (1x3 | 3x1) | 1x1, 3x3, (1x3 | 3x1) | average pool, 1x1."""

    def __init__(self, conv: Convolution, in_channels: int) -> None:
        branch = partial(chain, conv, in_channels)
        super().__init__(
            ("one", branch((320, 1))),
            ("three", nn.Sequential(branch((384, 1)), fork(conv, 384, 384))),
            ("long", nn.Sequential(branch((448, 1), (384, 3)), fork(conv, 384, 384))),
            ("pool", branch((192, 1), pool=average3x3(padded=True))),
        )


class AuxiliaryHead(nn.Sequential):
    """5x5/3 average pool, 1x1x128, 5x5x768, classes."""

    def __init__(self, conv: Convolution, class_num: int) -> None:
        super().__init__(
            ("pool", AuxiliaryPool(5)),
            ("conv0", conv(768, 128, 1)),
            ("conv1", conv(128, 768, 5, padding=0)),
            ("flatten", nn.Flatten()),
            ("fc", nn.Linear(768, class_num)),
        )


class InceptionV3(Network):
    """Stem, three A, reduction, four B, reduction, two C, average, drop, classes.

    Layers are called as in the authors' own code, which differs from the paper's figures in a few
    kernels, and which all published weights follow. Every convolution is batch-normalised, the
    auxiliary head's too. Weights start from He's normal distribution (arXiv:1502.01852), since the
    paper is silent about it, the last layers' from N(0, 0.01).

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        aux: whether there is an auxiliary head on the last 17x17 maps in training.
        eps: what is added to the variances in batch normalisation.
        dropout: the probability of dropping a feature before the last layer.
        dropout_mode: when dropout rescales, see `AlexNet`.
    """

    input_size = 299
    min_input_size = 75
    levels = (
        Level("conv_2b", 64, 2),
        Level("conv_4a", 192, 4),
        Level("mixed_5d", 288, 8),
        Level("mixed_6e", 768, 16),
        Level("mixed_7c", 2048, 32),
    )

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        aux: bool = False,
        eps: Epsilon = 1e-5,
        dropout: Rate = 0.2,
        dropout_mode: DropoutMode = "downscale_in_infer",
    ) -> None:
        super().__init__(class_num, in_channels)
        conv = partial(ConvBNAct, eps=eps)
        stages = {
            **stem(conv, in_channels),
            "mixed_5b": InceptionA(conv, 192, 32),
            "mixed_5c": InceptionA(conv, 256, 64),
            "mixed_5d": InceptionA(conv, 288, 64),
            "mixed_6a": ReductionA(conv, 288),
            "mixed_6b": InceptionB(conv, 128),
            "mixed_6c": InceptionB(conv, 160),
            "mixed_6d": InceptionB(conv, 160),
            "mixed_6e": InceptionB(conv, 192),
            "mixed_7a": ReductionB(conv),
            "mixed_7b": InceptionC(conv, 1280),
            "mixed_7c": InceptionC(conv, 2048),
        }
        add_stages(self, stages)
        self.head = average_head(2048, class_num, dropout, dropout_mode)
        if aux:
            self.aux_heads = {"mixed_6e": "aux"}
            self.aux = AuxiliaryHead(conv, class_num)
        initialise(self)


_TV: Dict[str, Any] = {"eps": 1e-3, "dropout": 0.5, "dropout_mode": "upscale_in_train"}

register("arch")(InceptionV3)
register("arch", "InceptionV3_tv", **_TV)(InceptionV3)
register("arch", "InceptionV3_aux", aux=True, **_TV)(InceptionV3)
