"""LeNet-5.

LeCun, Bottou, Bengio, Haffner 1998, "Gradient-Based Learning Applied to Document Recognition".
"""

from __future__ import annotations

from typing import Literal

from paddle import nn
from paddle.nn.initializer import KaimingNormal, XavierUniform

from ppcls.arch.layers import ConvAct, activation, initialise
from ppcls.arch.network import Count, Level, Network
from ppcls.registry import register

_POOLS = {"max": nn.MaxPool2D, "avg": nn.AvgPool2D}


@register("arch")
class LeNet(Network):
    """C1 5x5x6, S2, C3 5x5x16, S4, C5 5x5x120, F6 84, classes; 61,706 parameters.

    Differences from 1998, each because it is simpler and learns as well or better: C3 sees all six
    maps of S2, S2 and S4 have no trainable coefficients, and a linear layer replaces the radial
    basis functions at the end. By default ReLU and maximum pooling replace the scaled tanh and
    averaging, because they reach the same accuracy in fewer epochs at ordinary learning rates;
    ``act="tanh", pool="avg"`` gives the paper's. Weights start from He's normal distribution, for
    tanh from Glorot's uniform one (the paper's +-2.4 / fan-in is made for its scaled tanh). Maps
    of images larger than 32 are averaged after C5.
    """

    input_size = 32
    min_input_size = 32
    stages = ("c1", "s2", "c3", "s4", "c5")
    levels = (Level("c1", 6, 1), Level("c3", 16, 2), Level("c5", 120, 4))

    def __init__(
        self,
        class_num: Count = 10,
        in_channels: Count = 1,
        act: Literal["relu", "tanh"] = "relu",
        pool: Literal["max", "avg"] = "max",
    ) -> None:
        super().__init__(class_num, in_channels)
        self.c1 = ConvAct(in_channels, 6, 5, padding=0, act=act)
        self.s2 = _POOLS[pool](2)
        self.c3 = ConvAct(6, 16, 5, padding=0, act=act)
        self.s4 = _POOLS[pool](2)
        self.c5 = ConvAct(16, 120, 5, padding=0, act=act)
        self.head = nn.Sequential(
            ("pool", nn.AdaptiveAvgPool2D(1)),
            ("flatten", nn.Flatten()),
            ("f6", nn.Linear(120, 84)),
            ("act", activation(act)),
            ("fc", nn.Linear(84, class_num)),
        )
        fill = KaimingNormal() if act == "relu" else XavierUniform()
        initialise(self, conv=fill, linear=fill)
