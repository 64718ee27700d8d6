"""How networks start that are named as PaddleClas' ones: as they start there.

Its published accuracy comes from such weights. A row says what differs from what the classes do,
whose docstrings name their sources; networks of other names (``_tv``, ``_timm``, ...) start as
their classes say.
"""

from __future__ import annotations

import math
import re
from typing import Callable, NamedTuple, Optional, Tuple

from paddle import nn
from paddle.nn.initializer import KaimingNormal, Normal, Uniform, XavierUniform

Rule = Callable[[nn.Layer], None]
"""Fills a layer's weight, and its bias where that does not start from 0."""


def _normal(layer: nn.Conv2D) -> None:
    """Fill a kernel as Paddle does by itself: N(0, 2 / (pixels * input channels)).

    All input channels count, also where a convolution in groups sees a few of them.
    """
    spread = 2 / (math.prod(layer._kernel_size) * layer._in_channels)
    Normal(0.0, math.sqrt(spread))(layer.weight)


def _normal_in_groups(layer: nn.Conv2D) -> None:
    """Do the same where the convolution is in groups; others start so anyway."""
    if layer._groups > 1:
        _normal(layer)


def _uniform(times: float = 1.0, bias: bool = False, inputs: Optional[int] = None) -> Rule:
    """Return a rule that fills from U(-a, a) with a = sqrt(times / inputs of an output)."""

    def fill(layer: nn.Layer) -> None:
        shape = layer.weight.shape
        own = math.prod(shape[1:]) if isinstance(layer, nn.Conv2D) else shape[0]
        bound = math.sqrt(times / (inputs or own))
        Uniform(-bound, bound)(layer.weight)
        if bias:
            Uniform(-bound, bound)(layer.bias)

    return fill


def _glorot(layer: nn.Layer) -> None:
    XavierUniform()(layer.weight)


def _he(layer: nn.Layer) -> None:
    KaimingNormal()(layer.weight)


def _of_googlenet(layer: nn.Linear) -> None:
    """Fill from U(-a, a) with a = sqrt(3 / inputs), in auxiliary heads as if these were 2048."""
    is_last = layer.weight.shape[0] == 1024
    _uniform(3.0, inputs=None if is_last else 2048)(layer)


def _by_classes(layer: nn.Linear) -> None:
    """Fill from U(-a, a) with a = sqrt(1 / outputs)."""
    _uniform(inputs=layer.weight.shape[1])(layer)


class Start(NamedTuple):
    """What fills convolutions and fully connected layers of networks with certain names."""

    names: str
    convolution: Optional[Rule] = None
    linear: Optional[Rule] = None


STARTS: Tuple[Start, ...] = (
    # All three layers have the bound of the first, whose inputs are 256 maps of 6 x 6 pixels.
    Start("AlexNet", _uniform(bias=True), _uniform(bias=True, inputs=256 * 6 * 6)),
    Start(r"VGG\d+", _normal),
    Start(r"SqueezeNet1_\d", _normal),
    Start(r"(ResNet\d+|ResNeXt\d+)(_vd)?(_\d+x4d)?", _normal_in_groups, _uniform()),
    Start(r"DarkNet53|DenseNet\d+|InceptionV[34]", None, _uniform()),
    Start("GoogLeNet", None, _of_googlenet),
    Start(r"MobileNetV1(_x\d_\d+)?", None, _he),
    Start(r"MobileNetV2(_x\d_\d+)?", _normal_in_groups, _glorot),
    Start(r"MobileNetV3_(large|small)_x\d_\d+", _normal_in_groups, _glorot),
    Start(r"ShuffleNetV2_(x\d_\d+|swish)", None, _glorot),
    Start(r"EfficientNetB\d(_small)?", _normal, _glorot),
    Start(r"EfficientNetV2_[SML]", None, _by_classes),
)


def start_as_published(network: nn.Layer, name: str) -> None:
    """Fill the weights of a network that was just built as those of its name start."""
    start = next((one for one in STARTS if re.fullmatch(one.names, name)), None)
    if start is None:
        return
    for layer in network.sublayers(include_self=True):
        if hasattr(layer, "starts_at_zero"):
            continue
        if isinstance(layer, nn.Conv2D) and start.convolution:
            start.convolution(layer)
        elif isinstance(layer, nn.Linear) and start.linear:
            start.linear(layer)
