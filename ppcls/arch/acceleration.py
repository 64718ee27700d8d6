"""Faster layers for CPUs, in the place of those that a network is made of.

Only the classes of layers change: names, parameters and what they compute stay. Layers whose code
does nothing but call others and add maps pass on feature maps in oneDNN's layout; all others are
given tensors as ever. In static graphs, in other number formats and on other devices every layer
computes as Paddle's.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Callable, Dict, Optional, Tuple, Type

import paddle
from paddle import Tensor, nn
from paddle.jit import not_to_static

from ppcls.arch.backbone.acnet import AsymmetricConvBNAct
from ppcls.arch.backbone.darknet import DarkBlock
from ppcls.arch.backbone.densenet import BNActConv, DenseLayer
from ppcls.arch.backbone.efficientnet_v2 import FusedMBConv
from ppcls.arch.backbone.inception_resnet_v2 import Residual
from ppcls.arch.backbone.mobilenet_v1 import DepthwiseSeparable
from ppcls.arch.backbone.resnet import BasicBlock, Bottleneck
from ppcls.arch.backbone.shufflenet_v2 import BasicUnit, DownUnit
from ppcls.arch.backbone.squeezenet import Fire
from ppcls.arch.inception import Branches
from ppcls.arch.layers import (
    ConvAct,
    ConvBNAct,
    DropPath,
    InvertedResidual,
    LeakyReLU,
    SqueezeExcitation,
)
from ppcls.arch.network import Network
from ppcls.kernels.activation import follows_from_result
from ppcls.kernels.choice import Choices, give_choices
from ppcls.kernels.feature_map import FeatureMap, interleaved, plain, side_by_side
from ppcls.kernels.layers import (
    act_of,
    activated,
    as_map,
    can_convolve,
    can_normalise,
    compute_in,
    convolved,
    folded,
    has_fixed_statistics,
    is_left_to_paddle,
    normalised,
    pooled,
)
from ppcls.kernels.onednn import Unavailable, library

COMPOSITES: Tuple[Type[nn.Layer], ...] = (
    *(nn.Sequential, Network, InvertedResidual, FusedMBConv, DepthwiseSeparable),
    *(BasicBlock, Bottleneck, DarkBlock, Residual, AsymmetricConvBNAct),
)
"""Layers whose code calls others and adds maps, and does nothing else with them."""

ELEMENTWISE: Tuple[Type[nn.Layer], ...] = (
    *(nn.ReLU, nn.ReLU6, nn.Tanh, nn.Swish, nn.Silu, nn.Hardswish, LeakyReLU),
)
"""Layers that compute each value from itself (and its image), and zero from zero."""


def accelerate(network: nn.Layer, dtype: str = "float32") -> str:
    """Let a network compute by oneDNN where it can, and return the name and version of that.

    Args:
        network: changed in place.
        dtype: "float32", or "bfloat16" for convolutions while they are trained.

    Raises:
        Unavailable: the installed Paddle has no such library.
    """
    version = library().version
    for layer in network.sublayers(include_self=True):
        if type(layer) is not nn.Identity:
            object.__setattr__(layer, "__class__", _faster(type(layer)))  # type: ignore[arg-type]
        if isinstance(layer, nn.Conv2D):
            compute_in(layer, dtype)
    return f"oneDNN {version}"


def accelerate_on(
    device: str, network: nn.Layer, dtype: str = "float32", choices: Optional[Choices] = None
) -> str:
    """Let a network compute by oneDNN if that is possible on a device, and return what it computes
    by, for the log.

    Args:
        device: "cpu" or "gpu:N".
        network: changed in place.
        dtype: see `accelerate`.
        choices: let Paddle compute convolutions in which it is the faster one by these.
    """
    if device != "cpu":
        return "Paddle"
    try:
        version = accelerate(network, dtype)
        if choices is not None:
            give_choices(network, choices)
            return f"{version} where it can and is faster, else Paddle"
        return f"{version} where it can, else Paddle"
    except Unavailable as error:
        return f"Paddle, as its oneDNN is of no use: {error}"


@cache
def _faster(kind: Type[nn.Layer]) -> Type[nn.Layer]:
    """Return a class like this one that takes feature maps as well."""
    if issubclass(kind, _Accelerated):
        return kind
    rule = next((rule for known, rule in _RULES.items() if _runs_as(kind, known)), _Plain)
    made: Type[nn.Layer] = type(kind.__name__, (rule, kind), {"__module__": kind.__module__})
    return made


def _runs_as(kind: Type[nn.Layer], known: Type[nn.Layer]) -> bool:
    """Whether a class has the code of another one."""
    names = [name for name in ("forward", "features", "_with_auxiliary") if hasattr(known, name)]
    return issubclass(kind, known) and all(
        getattr(kind, name) is getattr(known, name) for name in names
    )


class _Accelerated:
    """What all classes made here have in common."""

    @not_to_static
    def as_it_was(self, *inputs: Any, **options: Any) -> Any:
        """Run the code of the class that the layer had."""
        return super().forward(*inputs, **options)  # type: ignore[misc]


class _Plain(_Accelerated):
    """A layer that knows nothing of feature maps."""

    @not_to_static
    def forward(self, *inputs: Any, **options: Any) -> Any:
        y = self.as_it_was(*map(plain, inputs), **options)
        given = any(isinstance(value, FeatureMap) for value in inputs)
        return (as_map(y) or y) if given else y


class _Passing(_Accelerated):
    """A layer that gives a feature map for a feature map, and a tensor for a tensor."""

    @not_to_static
    def forward(self, x: Any) -> Any:
        taken = as_map(x)
        y = None if taken is None else self.faster(taken)
        if y is None:
            y = self.as_it_was(plain(x))
        if isinstance(x, FeatureMap):
            return as_map(y) or y
        return list(map(plain, y)) if isinstance(y, list) else plain(y)

    def faster(self, x: FeatureMap) -> Any:
        """Return the result, or None where only Paddle can compute it."""
        raise NotImplementedError


class _Composite(_Passing):
    def faster(self, x: FeatureMap) -> Any:
        return self.as_it_was(x)


class _Elementwise(_Passing):
    def faster(self, x: FeatureMap) -> FeatureMap:
        act = _act(self)  # type: ignore[arg-type]
        if act is not None:
            return activated(act, x)
        x = x.in_float32()
        return FeatureMap(self.as_it_was(x.read()), x.layout)


class _Dropout(_Passing, nn.Dropout):
    def faster(self, x: FeatureMap) -> Optional[FeatureMap]:
        # What is dropped at random depends on where values lie.
        drops = self.p != 0 and self.training
        if drops:
            return None
        if self.p == 0 or self.training or self.mode == "upscale_in_train":
            return x
        x = x.in_float32()
        return FeatureMap(self.as_it_was(x.read()), x.layout)


class _DropPath(_Elementwise, DropPath):
    def faster(self, x: FeatureMap) -> FeatureMap:
        return super().faster(x) if self.training and self.rate else x


class _Branches(_Passing, Branches):
    def faster(self, x: FeatureMap) -> FeatureMap:
        return side_by_side([branch(x) for branch in self._sub_layers.values()])


class _Fire(_Passing, Fire):
    def faster(self, x: FeatureMap) -> FeatureMap:
        x = self.squeeze(x)
        return side_by_side([self.expand1x1(x), self.expand3x3(x)])


class _BasicUnit(_Passing, BasicUnit):
    def faster(self, x: FeatureMap) -> FeatureMap:
        kept, changed = map(FeatureMap.of, paddle.chunk(x.plain(), 2, axis=1))
        # What channel_shuffle makes of both, without transposing, which takes tens of times longer.
        return interleaved(kept, self.branch(changed))


class _DownUnit(_Passing, DownUnit):
    def faster(self, x: FeatureMap) -> FeatureMap:
        return interleaved(self.shortcut(x), self.branch(x))


class _DenseLayer(_Passing, DenseLayer):
    def faster(self, x: FeatureMap) -> FeatureMap:
        return side_by_side([x, self.drop(self.grow(self.bottleneck(x)))])


class _SqueezeExcitation(_Passing, SqueezeExcitation):
    def faster(self, x: FeatureMap) -> FeatureMap:
        return x.scaled(self.expand(self.reduce(self.pool(x))))


class _Convolution(_Passing, nn.Conv2D):
    @not_to_static
    def forward(self, x: Any) -> Any:
        # For a tensor that is to be a tensor again, Paddle's matrix product needs no other layout.
        dense = self._groups == 1 and self._kernel_size == [1, 1]
        return self.as_it_was(x) if dense and not isinstance(x, FeatureMap) else super().forward(x)

    def faster(self, x: FeatureMap) -> Optional[FeatureMap]:
        return _convolved(self, x, self.weight, self.bias, None)


class _ConvAct(_Passing, ConvAct):
    def faster(self, x: FeatureMap) -> Any:
        act = _last_step(self.act)
        if act is None or _is_special(self.conv) or _is_watched(self.conv, self.act):
            return self.as_it_was(x)
        return _convolved(self.conv, x, self.conv.weight, self.conv.bias, act)


class _ConvBNAct(_Passing, ConvBNAct):
    def faster(self, x: FeatureMap) -> Any:
        conv, bn, act = self.conv, self.bn, _last_step(self.act)
        if _is_special(conv) or _is_watched(conv, bn, self.act) or not can_normalise(bn):
            return self.as_it_was(x)
        if has_fixed_statistics(bn):
            y = _convolved(conv, x, *folded(conv, bn), act)
        else:
            y = _tried(lambda: normalised(bn, conv(x), act))
        return y if y is None or act is not None else self.act(y)


class _BNActConv(_Passing, BNActConv):
    def faster(self, x: FeatureMap) -> Any:
        bn, act = self.bn, _last_step(self.act)
        if _is_watched(bn, self.act) or not can_normalise(bn) or act is None:
            return self.as_it_was(x)
        y = _tried(lambda: normalised(bn, x, act))
        return y if y is None else self.conv(y)


class _BatchNorm(_Passing, nn.BatchNorm2D):
    def faster(self, x: FeatureMap) -> Optional[FeatureMap]:
        return _tried(lambda: normalised(self, x, None)) if can_normalise(self) else None


class _Pool(_Passing):
    def faster(self, x: FeatureMap) -> Optional[FeatureMap]:
        return _tried(lambda: pooled(self, x))


def _convolved(
    layer: nn.Conv2D, x: FeatureMap, weight: Tensor, bias: Optional[Tensor], act: Optional[str]
) -> Optional[FeatureMap]:
    if not can_convolve(layer) or is_left_to_paddle(layer, x, bias is not None):
        return None
    return _tried(lambda: convolved(layer, x, weight, bias, act))


def _tried(compute: Callable[[], Optional[FeatureMap]]) -> Optional[FeatureMap]:
    """Return a result, or None where oneDNN has no operator for it."""
    try:
        return compute()
    except Unavailable:
        return None


_SLOPES = {0.1: "leaky_relu", 0.01: "leaky_relu_0.01"}


def _act(layer: nn.Layer) -> Optional[str]:
    """Return the activation of oneDNN that a layer is, if any."""
    return _SLOPES.get(layer.slope) if isinstance(layer, LeakyReLU) else act_of(layer)


def _last_step(layer: nn.Layer) -> Optional[str]:
    """Return the activation that the layers before this one can do on the way, if any."""
    act = _act(layer)
    return act if act is not None and follows_from_result(act) else None


def _is_watched(*layers: nn.Layer) -> bool:
    """Whether somebody wants to see what goes into or comes out of one of these layers."""
    return any(one._forward_pre_hooks or one._forward_post_hooks for one in layers)


def _is_special(conv: nn.Conv2D) -> bool:
    """Whether a convolution computes something else than its kernel says."""
    return not isinstance(conv, _Convolution)


_RULES: Dict[Type[nn.Layer], Type[_Accelerated]] = {
    nn.Conv2D: _Convolution,
    nn.BatchNorm2D: _BatchNorm,
    **dict.fromkeys((nn.MaxPool2D, nn.AvgPool2D, nn.AdaptiveAvgPool2D), _Pool),
    ConvAct: _ConvAct,
    ConvBNAct: _ConvBNAct,
    BNActConv: _BNActConv,
    Branches: _Branches,
    Fire: _Fire,
    BasicUnit: _BasicUnit,
    DownUnit: _DownUnit,
    DenseLayer: _DenseLayer,
    SqueezeExcitation: _SqueezeExcitation,
    nn.Dropout: _Dropout,
    DropPath: _DropPath,
    **dict.fromkeys(ELEMENTWISE, _Elementwise),
    **dict.fromkeys(COMPOSITES, _Composite),
}
