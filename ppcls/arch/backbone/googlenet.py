"""GoogLeNet.

Szegedy et al. 2014, "Going Deeper with Convolutions", arXiv:1409.4842.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, Literal, NamedTuple, Optional, Tuple

from paddle import nn

from ppcls.arch.inception import AuxiliaryPool, Branches, Convolution, chain
from ppcls.arch.layers import (
    ConvAct,
    ConvBNAct,
    DropoutMode,
    LocalResponseNorm,
    activation,
    average_head,
    initialise,
)
from ppcls.arch.network import Count, Level, Network, Rate, add_stages
from ppcls.registry import register


class Form(NamedTuple):
    """What the published networks of this name do differently.

    Attributes:
        conv: makes a convolution with what follows it.
        act: the activation after the concatenation, where `conv` has none.
        lrn: whether the stem normalises over neighbouring channels.
        five: the side of the kernels that are 5x5 in the paper.
        ceil_mode: whether the last, incomplete window of a pooling counts.
        last_pool: the side of the window of the last 2x downsampling.
        aux_side: the side of the maps in the auxiliary heads.
        aux_pool: makes their pooling from it.
        aux_acts: the activation of each one's hidden layer.
        min_input_size: see `Network`.
    """

    conv: Convolution
    act: Optional[str]
    lrn: bool
    five: int
    ceil_mode: bool
    last_pool: int
    aux_side: int
    aux_pool: Callable[[int], nn.Layer]
    aux_acts: Tuple[Optional[str], Optional[str]]
    min_input_size: int


_plain = partial(ConvAct, bias=False, act=None)
_norm = partial(ConvBNAct, eps=1e-3)
_both = ("relu", "relu")
_grid = nn.AdaptiveAvgPool2D
_FORMS = {
    #                   conv     act     LRN    5x5 ceil  pool  auxiliary heads            smallest
    "paper": Form(ConvAct, None, True, 5, True, 3, 4, AuxiliaryPool, _both, 31),
    "paddleclas": Form(_plain, "relu", False, 5, False, 3, 3, AuxiliaryPool, ("relu", None), 61),
    "torchvision": Form(_norm, None, False, 3, True, 2, 4, _grid, _both, 15),
}

_MODULES = {
    # table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}


class Inception(nn.Sequential):
    """Figure 2b: 1x1 | 1x1, 3x3 | 1x1, 5x5 | 3x3 max pool, 1x1; `module` is a key of table 1."""

    def __init__(self, in_channels: int, module: str, form: Form) -> None:
        one, reduce3, three, reduce5, five, projection = _MODULES[module]
        branch = partial(chain, form.conv, in_channels)
        pool = nn.MaxPool2D(3, 1, padding=1)
        super().__init__(
            (
                "branches",
                Branches(
                    ("one", branch((one, 1))),
                    ("three", branch((reduce3, 1), (three, 3))),
                    ("five", branch((reduce5, 1), (five, form.five))),
                    ("pool", branch((projection, 1), pool=pool)),
                ),
            ),
            ("act", activation(form.act)),
        )
        self.channels = one + three + five + projection


class AuxiliaryHead(nn.Sequential):
    """Section 5: 5x5/3 average pool, 1x1x128, 1024, act, drop, classes."""

    def __init__(
        self, in_channels: int, form: Form, act: Optional[str], drop: nn.Dropout, class_num: int
    ) -> None:
        super().__init__(
            ("pool", form.aux_pool(form.aux_side)),
            ("conv", form.conv(in_channels, 128, 1)),
            ("flatten", nn.Flatten()),
            ("fc1", nn.Linear(128 * form.aux_side**2, 1024)),
            ("act", activation(act)),
            ("drop", drop),
            ("fc2", nn.Linear(1024, class_num)),
        )


class GoogLeNet(Network):
    """7x7/2x64, pool, 1x1x64, 3x3x192, pool, two modules, pool, five, pool, two, average, classes.

    Poolings are 3x3/2. Weights start from He's normal distribution (arXiv:1502.01852), since the
    paper is silent about it, the last layers' from N(0, 0.01).

    Args:
        class_num: the number of classes.
        in_channels: the channels of an image.
        form: "paper"; "paddleclas" has no biases, no normalisation and no padding in its poolings,
            activates only what the branches of a module give together, and not the hidden layer of
            the second auxiliary head; "torchvision" has batch normalisation, 3x3 kernels in place
            of 5x5 and 2x2 windows in its last pooling.
        aux: whether there are auxiliary heads after the modules 4a and 4d in training.
        dropout: the probability of dropping a feature before the last layer.
        aux_dropout: the same in the auxiliary heads.
        dropout_mode: when dropout rescales, see `AlexNet`.
    """

    levels = (
        Level("conv1", 64, 2),
        Level("conv3", 192, 4),
        Level("inception3b", 480, 8),
        Level("inception4e", 832, 16),
        Level("inception5b", 1024, 32),
    )

    def __init__(
        self,
        class_num: Count = 1000,
        in_channels: Count = 3,
        form: Literal["paper", "paddleclas", "torchvision"] = "paddleclas",
        aux: bool = True,
        dropout: Rate = 0.4,
        aux_dropout: Rate = 0.7,
        dropout_mode: DropoutMode = "downscale_in_infer",
    ) -> None:
        super().__init__(class_num, in_channels)
        chosen = _FORMS[form]
        self.min_input_size = chosen.min_input_size
        add_stages(self, _stages(in_channels, chosen))
        self.head = average_head(1024, class_num, dropout, dropout_mode)
        if aux:
            self.aux_heads = {"inception4a": "aux1", "inception4d": "aux2"}
            drop = nn.Dropout(aux_dropout, mode=dropout_mode)
            self.aux1 = AuxiliaryHead(512, chosen, chosen.aux_acts[0], drop, class_num)
            self.aux2 = AuxiliaryHead(528, chosen, chosen.aux_acts[1], drop, class_num)
        initialise(self)


def _stages(in_channels: int, form: Form) -> Dict[str, nn.Layer]:
    """Table 1, row after row."""
    norm = LocalResponseNorm if form.lrn else nn.Identity
    pool = partial(nn.MaxPool2D, stride=2, ceil_mode=form.ceil_mode)
    stages = {
        "conv1": form.conv(in_channels, 64, 7, 2),
        "pool1": pool(3),
        "norm1": norm(),
        "conv2": form.conv(64, 64, 1),
        "conv3": form.conv(64, 192, 3),
        "norm2": norm(),
        "pool2": pool(3),
    }
    channels = 192
    for name in _MODULES:
        if name == "inception4a":
            stages["pool3"] = pool(3)
        if name == "inception5a":
            stages["pool4"] = pool(form.last_pool)
        module = stages[name] = Inception(channels, name, form)
        channels = module.channels
    return stages


_TV: Dict[str, Any] = {"form": "torchvision", "dropout": 0.2, "dropout_mode": "upscale_in_train"}

register("arch")(GoogLeNet)
register("arch", "GoogLeNet_tv", **_TV)(GoogLeNet)
