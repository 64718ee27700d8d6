"""Inception v4.

Szegedy, Ioffe, Vanhoucke, Alemi 2016, "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning", arXiv:1602.07261.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Dict, Literal, NamedTuple, Tuple

from paddle import nn

from ppcls.arch.inception import Branches, Convolution, Epsilon, average3x3, chain, fork
from ppcls.arch.layers import ConvBNAct, DropoutMode, average_head, initialise
from ppcls.arch.network import Count, Level, Network, Rate, add_stages
from ppcls.registry import register


class Form(NamedTuple):
    """What the paper's figures and its authors' code do differently.

    Attributes:
        conv: makes a convolution with what follows it.
        as_drawn: whether the order is that of the figures.
    """

    conv: Convolution
    as_drawn: bool

    def order(self, pool: Any, *others: Any) -> Tuple[Any, ...]:
        """Return the branches as they are concatenated: the pooling first, or last."""
        return (pool, *others) if self.as_drawn else (*others, pool)

    def kernel(self, height: int, width: int) -> Tuple[int, int]:
        """Return a kernel of the figures, or lay it on its side."""
        return (height, width) if self.as_drawn else (width, height)


class Stem(Branches):
    """Figure 3, in the middle: 1x1, 3x3 | 1x1, 7x1, 1x7, 3x3; without padding around the 3x3."""

    def __init__(self, form: Form) -> None:
        branch = partial(chain, form.conv, 160)
        tall, wide = form.kernel(7, 1), form.kernel(1, 7)
        super().__init__(
            ("short", branch((64, 1), (96, 3, 1, 0))),
            ("long", branch((64, 1), (64, tall), (64, wide), (96, 3, 1, 0))),
        )


class InceptionA(Branches):
    """Figure 4: average pool, 1x1 | 1x1 | 1x1, 3x3 | 1x1, 3x3, 3x3."""

    def __init__(self, form: Form) -> None:
        branch = partial(chain, form.conv, 384)
        branches = form.order(
            ("pool", branch((96, 1), pool=average3x3(padded=False))),
            ("one", branch((96, 1))),
            ("short", branch((64, 1), (96, 3))),
            ("long", branch((64, 1), (96, 3), (96, 3))),
        )
        super().__init__(*branches)


class ReductionA(Branches):
    """Figure 7: max pool/2 | 3x3/2 | 1x1, 3x3, 3x3/2."""

    def __init__(self, form: Form) -> None:
        branch = partial(chain, form.conv, 384)
        branches = form.order(
            ("pool", nn.MaxPool2D(3, 2)),
            ("short", branch((384, 3, 2, 0))),
            ("long", branch((192, 1), (224, 3), (256, 3, 2, 0))),
        )
        super().__init__(*branches)


class InceptionB(Branches):
    """Figure 5: average pool, 1x1 | 1x1 | 1x1, 1x7, 7x1 | 1x1, 1x7, 7x1, 1x7, 7x1."""

    def __init__(self, form: Form) -> None:
        branch = partial(chain, form.conv, 1024)
        wide, tall = form.kernel(1, 7), form.kernel(7, 1)
        branches = form.order(
            ("pool", branch((128, 1), pool=average3x3(padded=False))),
            ("one", branch((384, 1))),
            ("short", branch((192, 1), (224, (1, 7)), (256, (7, 1)))),
            ("long", branch((192, 1), (192, wide), (224, tall), (224, wide), (256, tall))),
        )
        super().__init__(*branches)


class ReductionB(Branches):
    """Figure 8: max pool/2 | 1x1, 3x3/2 | 1x1, 1x7, 7x1, 3x3/2."""

    def __init__(self, form: Form) -> None:
        branch = partial(chain, form.conv, 1024)
        branches = form.order(
            ("pool", nn.MaxPool2D(3, 2)),
            ("short", branch((192, 1), (192, 3, 2, 0))),
            ("long", branch((256, 1), (256, (1, 7)), (320, (7, 1)), (320, 3, 2, 0))),
        )
        super().__init__(*branches)


class InceptionC(Branches):
    """Figure 6: average pool, 1x1 | 1x1 | 1x1, (1x3 | 3x1) | 1x1, 1x3, 3x1, (1x3 | 3x1)."""

    def __init__(self, form: Form) -> None:
        conv, branch = form.conv, partial(chain, form.conv, 1536)
        long = branch((384, 1), (448, form.kernel(1, 3)), (512, form.kernel(3, 1)))
        branches = form.order(
            ("pool", branch((256, 1), pool=average3x3(padded=False))),
            ("one", branch((256, 1))),
            ("short", nn.Sequential(branch((384, 1)), fork(conv, 384, 256))),
            ("long", nn.Sequential(long, fork(conv, 512, 256))),
        )
        super().__init__(*branches)


class InceptionV4(Network):
    """Stem, four A, reduction, seven B, reduction, three C, average, drop, classes.

    Every convolution is batch-normalised. Weights start from He's normal distribution
    (arXiv:1502.01852), since the paper is silent about it, the last layer's from N(0, 0.01).

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        source: which of the authors' descriptions decides in which order branches are concatenated
            and 1xn and nx1 follow each other: the "paper" with its figures (PaddleClas), or their
            "code" (timm). The parameters are equally many.
        eps: what is added to the variances in batch normalisation.
        dropout: the probability of dropping a feature before the last layer.
        dropout_mode: when dropout rescales, see `AlexNet`.
    """

    input_size = 299
    min_input_size = 75
    levels = (
        Level("conv3", 64, 2),
        Level("stem2", 192, 4),
        Level("a4", 384, 8),
        Level("b7", 1024, 16),
        Level("c3", 1536, 32),
    )

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        source: Literal["paper", "code"] = "paper",
        eps: Epsilon = 1e-5,
        dropout: Rate = 0.2,
        dropout_mode: DropoutMode = "downscale_in_infer",
    ) -> None:
        super().__init__(class_num, in_channels)
        conv = partial(ConvBNAct, eps=eps)
        form = Form(conv, source == "paper")
        stages: Dict[str, nn.Layer] = {
            "conv1": conv(in_channels, 32, 3, 2, 0),
            "conv2": conv(32, 32, 3, 1, 0),
            "conv3": conv(32, 64, 3),
            "stem1": Branches(("pool", nn.MaxPool2D(3, 2)), ("conv", conv(64, 96, 3, 2, 0))),
            "stem2": Stem(form),
            "stem3": Branches(("conv", conv(192, 192, 3, 2, 0)), ("pool", nn.MaxPool2D(3, 2))),
            **{f"a{number}": InceptionA(form) for number in range(1, 5)},
            "reduction_a": ReductionA(form),
            **{f"b{number}": InceptionB(form) for number in range(1, 8)},
            "reduction_b": ReductionB(form),
            **{f"c{number}": InceptionC(form) for number in range(1, 4)},
        }
        add_stages(self, stages)
        self.head = average_head(1536, class_num, dropout, dropout_mode)
        initialise(self)


_TIMM = {"source": "code", "eps": 1e-3, "dropout": 0.0, "dropout_mode": "upscale_in_train"}

register("arch")(InceptionV4)
register("arch", "InceptionV4_timm", **_TIMM)(InceptionV4)
