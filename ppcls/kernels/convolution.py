"""Convolutions, with a bias and an activation inside if wanted, and their gradients."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import paddle
from paddle import Tensor

from ppcls.kernels.activation import Activation, as_last_step
from ppcls.kernels.geometry import Geometry
from ppcls.kernels.layout import TAGS, Reorder, cached, empty, layout_of
from ppcls.kernels.onednn import (
    ANY,
    BIAS,
    DIFF_BIAS,
    DIFF_DST,
    DIFF_SRC,
    DIFF_WEIGHTS,
    DST,
    FORWARD_TRAINING,
    SRC,
    WEIGHTS,
    Descriptor,
    Primitive,
    PrimitiveDescriptor,
    int64s,
    library,
)
from ppcls.kernels.pieces import Piece, cut, is_large, pieces

_DIRECT = 1
"""oneDNN's number of the algorithm."""


class _Operator:
    """What the operators of a geometry share: descriptions of their arguments."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.weight = Descriptor.dense(geometry.grouped_weight)
        self.bias = Descriptor.dense(geometry.weight[:1]) if geometry.bias else None
        tag, dtype = TAGS[geometry.order] if geometry.order else ANY, geometry.dtype
        self.any_weight = Descriptor.of(geometry.grouped_weight, ANY, dtype)
        self.wanted_source = Descriptor.of(geometry.source, tag, dtype)
        self.wanted_result = Descriptor.of(geometry.result, tag, dtype)

    def numbers(self) -> List[Any]:
        """Strides, dilations and padding in the form that oneDNN takes."""
        found = self.geometry
        top, bottom, left, right = found.padding
        gaps = [step - 1 for step in found.dilation]
        return [int64s(found.stride), int64s(gaps), int64s((top, left)), int64s((bottom, right))]

    def primitive(self, made: PrimitiveDescriptor, *arguments: int, bias: int = 0) -> Primitive:
        """Return what runs, in the layouts that `made` prefers."""
        layouts = {argument: made.layout(argument) for argument in arguments}
        if bias and self.bias is not None:
            layouts[bias] = self.bias
        return Primitive(made, layouts)


class Convolution(_Operator):
    """The forward operator of a geometry, in the layouts that it prefers.

    Attributes:
        source: the layout of the map that comes in.
        result: the layout of the map that comes out.

    Raises:
        Unavailable: oneDNN cannot do it.
    """

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.made = PrimitiveDescriptor(
            "convolution_forward",
            *(library().engine, FORWARD_TRAINING, _DIRECT, self.wanted_source, self.any_weight),
            *(self.bias, self.wanted_result, *self.numbers(), as_last_step(geometry.act)),
        )
        self.source = layout_of(geometry.source, geometry.dtype, self.made.layout(SRC))
        self.result = layout_of(geometry.result, geometry.dtype, self.made.layout(DST))
        self._run = self.primitive(self.made, SRC, WEIGHTS, DST, bias=BIAS)
        self._weight_in = Reorder(self.weight, self.made.layout(WEIGHTS), "weight")

    def __call__(self, x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        """Return the result; weight and bias lie as Paddle has them."""
        y = self.result.empty()
        self._run({SRC: x, WEIGHTS: self._weight_in(weight), DST: y, BIAS: bias})
        return y


class _SourceGradient(_Operator):
    """From the gradient of a convolution's result to that of its source."""

    def __init__(self, forward: Convolution) -> None:
        super().__init__(forward.geometry)
        self._source = forward.source
        made = PrimitiveDescriptor(
            "convolution_backward_data",
            *(library().engine, _DIRECT, self.wanted_source, self.any_weight, self.wanted_result),
            *(*self.numbers(), forward.made, None),
        )
        self._run = self.primitive(made, DIFF_DST, WEIGHTS, DIFF_SRC)
        self._weight_in = Reorder(self.weight, made.layout(WEIGHTS), "weight")
        self._result_in = Reorder(forward.result.descriptor(), made.layout(DIFF_DST), "result")
        self._source_out = Reorder(made.layout(DIFF_SRC), forward.source.descriptor())

    def __call__(self, gradient: Tensor, weight: Tensor) -> Tensor:
        found = self._source.empty()
        own = self._source_out.buffer(found)
        weight, gradient = self._weight_in(weight), self._result_in(gradient)
        self._run({DIFF_DST: gradient, WEIGHTS: weight, DIFF_SRC: own})
        return self._source_out(own, found)


class _WeightGradient(_Operator):
    """From the gradient of a convolution's result to those of its weight and bias."""

    def __init__(self, forward: Convolution) -> None:
        super().__init__(forward.geometry)
        any_weight = Descriptor.of(self.geometry.grouped_weight, ANY)
        made = PrimitiveDescriptor(
            "convolution_backward_weights",
            *(library().engine, _DIRECT, self.wanted_source, any_weight, self.bias),
            *(self.wanted_result, *self.numbers(), forward.made, None),
        )
        self._run = self.primitive(made, SRC, DIFF_DST, DIFF_WEIGHTS, bias=DIFF_BIAS)
        self._source_in = Reorder(forward.source.descriptor(), made.layout(SRC), "source")
        self._result_in = Reorder(forward.result.descriptor(), made.layout(DIFF_DST), "result")
        self._weight_out = Reorder(made.layout(DIFF_WEIGHTS), self.weight)

    def __call__(self, x: Tensor, gradient: Tensor) -> Tuple[Tensor, Optional[Tensor]]:
        weight = empty(self.geometry.weight, "float32")
        bias = empty(self.geometry.weight[:1], "float32") if self.bias else None
        own = self._weight_out.buffer(weight)
        x, gradient = self._source_in(x), self._result_in(gradient)
        self._run({SRC: x, DIFF_DST: gradient, DIFF_WEIGHTS: own, DIFF_BIAS: bias})
        return self._weight_out(own, weight), bias


class _PiecewiseWeightGradient:
    """The same for a large depthwise kernel, piece by piece."""

    def __init__(self, forward: Convolution) -> None:
        self._source, self._pieces = forward.source, pieces(forward.geometry)

    def __call__(self, x: Tensor, gradient: Tensor) -> Tuple[Tensor, Optional[Tensor]]:
        found = [[self._of(piece, x, gradient) for piece in row] for row in self._pieces]
        rows = [paddle.concat([weight for weight, _ in row], axis=3) for row in found]
        return paddle.concat(rows, axis=2), found[0][0][1]

    def _of(self, piece: Piece, x: Tensor, gradient: Tensor) -> Any:
        run = _gradient(_WeightGradient, piece.geometry)
        return run(cut(x, self._source, piece), gradient)


def _weight_gradient(geometry: Geometry) -> Any:
    """Return what computes the gradients of weight and bias, made once."""
    kind: type = _WeightGradient
    if is_large(geometry):
        parts = [piece.geometry for row in pieces(geometry) for piece in row]
        whole, *others = map(convolution, (geometry, *parts))
        # The pieces read parts of the same maps, so they have to lie alike.
        if {(one.source.order, one.result.order) for one in others} == {
            (whole.source.order, whole.result.order)
        }:
            kind = _PiecewiseWeightGradient
    return _gradient(kind, geometry)


def convolution(geometry: Geometry) -> Convolution:
    """Return the operator of a geometry, made once.

    Raises:
        Unavailable: oneDNN cannot do it.
    """
    made: Convolution = cached(geometry, lambda: Convolution(geometry))
    return made


def _gradient(kind: type, geometry: Geometry) -> Any:
    return cached((kind, geometry), lambda: kind(convolution(geometry)))


class _Convolve(paddle.autograd.PyLayer):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: Any, geometry: Geometry, x: Tensor, weight: Tensor, bias: Optional[Tensor]
    ) -> Tensor:
        y = convolution(geometry)(x, weight, bias)
        inputs = (x, weight) if bias is None else (x, weight, bias)
        ctx.geometry, ctx.wanted = geometry, [not one.stop_gradient for one in inputs]
        # The result itself would hold the context that holds it.
        ctx.save_for_backward(x, weight, y.detach() if geometry.act else None)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tuple[Optional[Tensor], ...]:
        (x, weight, y), geometry, wanted = ctx.saved_tensor(), ctx.geometry, ctx.wanted
        gradient = gradient.contiguous()
        if geometry.act:
            result = convolution(geometry).result
            gradient = Activation.of(result, geometry.act).gradient(gradient, y)
        found: List[Optional[Tensor]] = [None]
        if wanted[0]:
            found = [_gradient(_SourceGradient, geometry)(gradient, weight)]
        if any(wanted[1:]):
            found += _weight_gradient(geometry)(x, gradient)
        found += [None, None]
        return tuple(one if want else None for one, want in zip(found, wanted))


def convolve(geometry: Geometry, x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
    """Return a convolution's result, with a gradient where one is wanted.

    Args:
        geometry: what is computed.
        x: the map, in the layout `convolution(geometry).source`.
        weight: [out, in / groups, height, width], contiguous.
        bias: [out], contiguous, if there is one.

    Returns:
        The map in the layout `convolution(geometry).result`.

    Raises:
        Unavailable: oneDNN cannot do it.
    """
    if not paddle.is_grad_enabled():
        return convolution(geometry)(x, weight, bias)
    return _Convolve.apply(geometry, x, weight, bias)
