"""Layers of Paddle computed by oneDNN, from a feature map to a feature map."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import numpy as np
import paddle
from paddle import Tensor, nn

from ppcls.kernels.activation import activate
from ppcls.kernels.choice import Choices
from ppcls.kernels.convolution import convolution, convolve
from ppcls.kernels.feature_map import FeatureMap
from ppcls.kernels.geometry import Geometry
from ppcls.kernels.layout import PLAIN, Layout, empty, values_of
from ppcls.kernels.normalisation import Rule, normalise
from ppcls.kernels.pooling import Window, pool

_ACTS = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Tanh: "tanh",
    nn.Swish: "swish",
    nn.Silu: "swish",
    nn.Hardswish: "hardswish",
}


def as_map(value: Any) -> Optional[FeatureMap]:
    """Return the feature map that something is or can be taken for; None where it is none, as
    within a static graph, or is not float32 on the CPU.
    """
    if isinstance(value, FeatureMap):
        return value
    if not (isinstance(value, Tensor) and paddle.in_dynamic_mode()):
        return None
    if value.ndim != 4 or value.dtype != paddle.float32 or not value.place.is_cpu_place():
        return None
    return FeatureMap.of(value) if 0 not in value.shape else None


def act_of(layer: nn.Layer) -> Optional[str]:
    """Return the activation that a layer is, a key of `ppcls.kernels.activation.ACTIVATIONS`."""
    return next((name for kind, name in _ACTS.items() if isinstance(layer, kind)), None)


def convolved(
    layer: nn.Conv2D, x: FeatureMap, weight: Tensor, bias: Optional[Tensor], act: Optional[str]
) -> FeatureMap:
    """Return what a layer makes of a map, with this weight and bias, and an activation after it.

    Raises:
        Unavailable: oneDNN cannot do what the layer does.
    """
    geometry = _geometry(layer, x, bias is not None, act)
    made = convolution(geometry)
    y = convolve(geometry, x.laid(made.source.order, geometry.dtype), weight, bias)
    return FeatureMap(y, made.result)


def can_convolve(layer: nn.Conv2D) -> bool:
    """Whether the layer is one of those that `convolved` can compute."""
    return bool(
        layer._padding_mode == "zeros"
        and layer._data_format == "NCHW"
        and layer.weight.dtype == paddle.float32
        # With "same", Paddle leaves dilation out.
        and (layer._padding_algorithm != "SAME" or list(layer._dilation) == [1, 1])
    )


def is_left_to_paddle(layer: nn.Conv2D, x: FeatureMap, bias: bool) -> bool:
    """Whether Paddle's own operator was measured to be the faster one for a map.

    Args:
        layer: one that `convolved` can compute.
        x: the map.
        bias: whether one is added.
    """
    choices: Optional[Choices] = getattr(layer, "_choices", None)
    if choices is None:
        return False
    geometry = _geometry(layer, x, bias, None)
    return choices.paddle_computes(geometry, x.layout.order, paddle.is_grad_enabled())


def _geometry(layer: nn.Conv2D, x: FeatureMap, bias: bool, act: Optional[str]) -> Geometry:
    (vertical, horizontal), dilation = layer._stride, layer._dilation
    dtype, order = _form(layer, x.layout)
    return Geometry(
        source=x.layout.shape,
        weight=tuple(layer.weight.shape),
        stride=(vertical, horizontal),
        padding=_padding(layer, x.layout.shape[2:]),
        dilation=(dilation[0], dilation[1]),
        groups=layer._groups,
        bias=bias,
        act=act,
        dtype=dtype,
        order=order,
    )


def _form(layer: nn.Conv2D, source: Layout) -> Tuple[str, Optional[str]]:
    """Return in which type a layer computes a map, and in which order of values if it matters."""
    dtype = dtype_of(layer)
    is_depthwise = layer._groups == layer._in_channels > 1
    if dtype == "float32" or not is_depthwise:
        return dtype, None
    # In bfloat16, oneDNN computes the gradients of strided ones tens of times slower. The others
    # stand between two that like the order in which their maps come.
    strided = list(layer._stride) != [1, 1]
    return ("float32", None) if strided or source.order == PLAIN else (dtype, source.order)


def compute_in(layer: nn.Layer, dtype: str) -> None:
    """Let a layer compute in this type while it is trained."""
    object.__setattr__(layer, "_computes_in", dtype)


def dtype_of(layer: nn.Layer) -> str:
    """Return the type in which a layer computes: float32 unless it is trained in another one."""
    return getattr(layer, "_computes_in", "float32") if layer.training else "float32"


def _padding(layer: nn.Conv2D, size: Tuple[int, int]) -> Tuple[int, int, int, int]:
    """Return top, bottom, left and right for a map of this height and width."""
    algorithm, given = layer._padding_algorithm, layer._updated_padding
    if algorithm == "VALID":
        return (0, 0, 0, 0)
    if algorithm == "SAME":
        sides: List[int] = []
        for length, kernel, stride in zip(size, layer._kernel_size, layer._stride):
            total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
            sides += [total // 2, total - total // 2]
    elif isinstance(given, int):
        sides = [given] * 4
    else:
        sides = list(given) if len(given) == 4 else [given[0], given[0], given[1], given[1]]
    return (sides[0], sides[1], sides[2], sides[3])


def folded(conv: nn.Conv2D, bn: nn.BatchNorm2D) -> Tuple[Tensor, Tensor]:
    """Return the weight and bias of a convolution that a normalisation by fixed statistics is part
    of, with their gradients.
    """
    mean, factor = bn._mean, paddle.rsqrt(bn._variance + bn._epsilon)
    if conv.bias is not None:
        mean = mean - conv.bias
    weight, bias = _Fold.apply(conv.weight, bn.weight, bn.bias, mean, factor)
    return weight, bias


class _Fold(paddle.autograd.PyLayer):  # type: ignore[misc]
    """One operator of autograd instead of six, for each layer of a network."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, factor: Tensor
    ) -> Tuple[Tensor, Tensor]:
        both = scale * factor
        columns = both.reshape([-1, 1, 1, 1])
        ctx.wanted = [not one.stop_gradient for one in (weight, scale, shift, mean)]
        ctx.save_for_backward(weight, mean, factor, both)
        return weight * columns, shift - mean * both

    @staticmethod
    def backward(ctx: Any, of_weight: Tensor, of_bias: Tensor) -> Tuple[Optional[Tensor], ...]:
        weight, mean, factor, both = ctx.saved_tensor()
        wanted = ctx.wanted
        found: List[Optional[Tensor]] = [None, None, of_bias, None, None]
        if wanted[0]:
            found[0] = of_weight * both.reshape([-1, 1, 1, 1])
        if wanted[1]:
            found[1] = ((of_weight * weight).sum([1, 2, 3]) - mean * of_bias) * factor
        if wanted[3]:
            found[3] = -both * of_bias
        return tuple(one if want else None for one, want in zip(found, [*wanted, False]))


def has_fixed_statistics(bn: nn.BatchNorm2D) -> bool:
    """Whether the layer normalises by its running statistics."""
    if bn._use_global_stats is None:
        return not bn.training
    return bool(bn._use_global_stats)


def normalised(bn: nn.BatchNorm2D, x: FeatureMap, act: Optional[str]) -> FeatureMap:
    """Return what a batch normalisation and an activation make of a map; where it takes the
    statistics of the batch, its running ones follow.

    Raises:
        Unavailable: oneDNN cannot do it.
    """
    fixed = has_fixed_statistics(bn)
    # Blocks of four have no fast operator.
    order = PLAIN if x.layout.order == "NCHW4c" else x.layout.order
    layout = x.layout._replace(order=order)
    rule = Rule(layout, bn._epsilon, fixed, act)
    mean, variance = bn._mean, bn._variance
    if not fixed:
        mean, variance = (empty(layout.shape[1:2], "float32") for _ in range(2))
    y = normalise(rule, x.laid(order), bn.weight, bn.bias, mean, variance)
    if not fixed:
        _follow(bn._mean, mean, bn._momentum)
        _follow(bn._variance, variance, bn._momentum)
    return FeatureMap(y, layout)


def _follow(running: Tensor, found: Tensor, keep: float) -> None:
    values = values_of(running)
    values *= np.float32(keep)
    values += np.float32(1 - keep) * values_of(found)


def activated(act: str, x: FeatureMap) -> FeatureMap:
    """Return the activation of each value: a key of `ppcls.kernels.activation.ACTIVATIONS`."""
    return FeatureMap(activate(x.layout, act, x.read()), x.layout)


def can_normalise(bn: nn.BatchNorm2D) -> bool:
    """Whether the layer is one of those that `normalised` computes."""
    return (
        bn.weight is not None
        and bn.bias is not None
        and bn._data_format == "NCHW"
        and bn.weight.dtype == paddle.float32
    )


def pooled(layer: nn.Layer, x: FeatureMap) -> Optional[FeatureMap]:
    """Return what a pooling layer makes of a map, or None where only Paddle can tell.

    Raises:
        Unavailable: oneDNN cannot do it.
    """
    window = _window(layer, x.layout)
    return None if window is None else FeatureMap(pool(window, x.read()), window.result)


def _window(layer: nn.Layer, source: Layout) -> Optional[Window]:
    height, width = source.shape[2:]
    if isinstance(layer, nn.AdaptiveAvgPool2D):
        whole = layer._output_size in (1, [1, 1], (1, 1)) and layer._data_format == "NCHW"
        return Window(source, "average", (height, width), (1, 1), (0,) * 4) if whole else None
    kernel, stride, padding = map(_pair, (layer.ksize, layer.stride or layer.ksize, layer.padding))
    if kernel is None or stride is None or padding is None or layer.data_format != "NCHW":
        return None
    algorithm = "max"
    if isinstance(layer, nn.AvgPool2D):
        if layer.divisor is not None:
            return None
        algorithm = "average" if layer.exclusive else "average with padding"
    elif layer.return_mask:
        return None
    ends = [
        end + (-(length + 2 * end - side) % step if layer.ceil_mode else 0)
        for length, end, side, step in zip((height, width), padding, kernel, stride)
    ]
    if ends != list(padding) and algorithm == "average with padding":
        return None
    return Window(source, algorithm, kernel, stride, (padding[0], ends[0], padding[1], ends[1]))


def _pair(value: Any) -> Optional[Tuple[int, int]]:
    """Return (vertical, horizontal) of what layers take for one or both; None for other things."""
    if isinstance(value, int):
        return (value, value)
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_int, value)):
        return (value[0], value[1])
    return None


def _is_int(value: Any) -> bool:
    return isinstance(value, int)
