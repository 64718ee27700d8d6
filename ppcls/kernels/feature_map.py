"""A feature map on its way through a network, in whichever layout it is."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import paddle
from paddle import Tensor

from ppcls.kernels.addition import add, added
from ppcls.kernels.layout import BLOCKS, PLAIN, Layout, reordered
from ppcls.kernels.onednn import Unavailable
from ppcls.kernels.scaling import scale


class _Lay(paddle.autograd.PyLayer):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, source: Layout, target: Layout) -> Tensor:
        ctx.ways = target, source
        return reordered(tensor, source, target)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return reordered(gradient.contiguous(), *ctx.ways)


class _Fork(paddle.autograd.PyLayer):  # type: ignore[misc]
    """The same values twice; Paddle cannot add gradients in bfloat16 on a CPU."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, layout: Layout) -> Tuple[Tensor, Tensor]:
        ctx.layout = layout
        ctx.set_materialize_grads(False)
        return tensor.view(tensor.shape), tensor.view(tensor.shape)

    @staticmethod
    def backward(ctx: Any, one: Optional[Tensor], other: Optional[Tensor]) -> Optional[Tensor]:
        if one is None or other is None:
            return other if one is None else one
        return added(ctx.layout, one.contiguous(), other.contiguous())


class _Join(paddle.autograd.PyLayer):  # type: ignore[misc]
    """Concatenation, whose gradient Paddle lacks in bfloat16 on a CPU."""

    @staticmethod
    def forward(ctx: Any, axis: int, *parts: Tensor) -> Tensor:
        ctx.axis, ctx.sizes = axis, [part.shape[axis] for part in parts]
        ctx.wanted = [not part.stop_gradient for part in parts]
        return paddle.concat(parts, axis)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tuple[Optional[Tensor], ...]:
        found = paddle.split(gradient, ctx.sizes, ctx.axis)
        return tuple(part if wanted else None for part, wanted in zip(found, ctx.wanted))


class FeatureMap:
    """Images x channels x height x width, as one tensor in some layout.

    Layers that know it take it for a tensor and return one. What else reads it asks for `plain`.

    Attributes:
        layout: where the values lie.
    """

    def __init__(self, data: Tensor, layout: Layout) -> None:
        self._data, self.layout = data, layout
        self._others: Dict[Layout, FeatureMap] = {}

    @classmethod
    def of(cls, tensor: Tensor) -> FeatureMap:
        """Return that of Paddle's own layout."""
        return cls(tensor, Layout(tuple(tensor.shape)))

    @property
    def shape(self) -> List[int]:
        """Images, channels, height, width."""
        return list(self.layout.shape)

    def read(self) -> Tensor:
        """Return the tensor, contiguous, in the shape of its layout."""
        data = self._data.contiguous()
        is_followed = paddle.is_grad_enabled() and not data.stop_gradient
        if self.layout.dtype == "float32" or not is_followed:
            return data
        found, self._data = _Fork.apply(data, self.layout)
        return found

    def laid(self, order: str, dtype: Optional[str] = None) -> Tensor:
        """Return the values in another layout, and type if given; they are brought there once."""
        target = Layout(self.layout.shape, order, dtype or self.layout.dtype)
        if target == self.layout:
            return self.read()
        if target not in self._others:
            data = _Lay.apply(self.read(), self.layout, target)
            self._others[target] = FeatureMap(data, target)
        return self._others[target].read()

    def plain(self) -> Tensor:
        """Return the values as Paddle's own operators take them."""
        return self.laid(PLAIN, "float32")

    def in_float32(self) -> FeatureMap:
        """Return the map in float32, where it lies."""
        layout = self.layout._replace(dtype="float32")
        return self if layout == self.layout else FeatureMap(self.laid(*layout[1:]), layout)

    def __add__(self, other: Union[FeatureMap, Tensor, float]) -> Union[FeatureMap, Tensor]:
        """Add a map of the same shape in its layout; other things as Paddle adds them."""
        if not isinstance(other, FeatureMap) or other.shape != self.shape:
            return self.plain() + plain(other)
        layout = other.layout if self.layout.order == PLAIN else self.layout
        return FeatureMap(add(layout, self.laid(*layout[1:]), other.laid(*layout[1:])), layout)

    def __mul__(self, factor: float) -> FeatureMap:
        """Multiply each value by a number."""
        return FeatureMap(self.read() * factor, self.layout)

    __rmul__ = __mul__

    def scaled(self, gate: FeatureMap) -> FeatureMap:
        """Multiply each channel of each image by the one value that `gate` has for it."""
        order, width = self.layout.order, self.layout.shape[3]
        factors = gate.laid(order, "float32")
        if order in (PLAIN, "NHWC"):
            mine = self.in_float32()
            return FeatureMap(mine.read() * factors, mine.layout)
        try:
            return FeatureMap(scale(self.layout, self.read(), factors), self.layout)
        except Unavailable:
            mine = self.in_float32()
            each = paddle.tile(factors, [1, 1, 1, width])  # of a block, once for each column
            return FeatureMap(mine.read() * each, mine.layout)


def side_by_side(maps: Sequence[FeatureMap]) -> FeatureMap:
    """Return the channels of some maps one after the other."""
    layout = maps[0].layout
    if any(one.layout.shape[1] % BLOCKS[layout.order] for one in maps):
        layout = layout._replace(order=PLAIN)
    n, _, height, width = layout.shape
    channels = sum(one.layout.shape[1] for one in maps)
    axis = 3 if layout.order == "NHWC" else 1
    parts = [one.laid(*layout[1:]) for one in maps]
    data = _Join.apply(axis, *parts) if layout.dtype != "float32" else paddle.concat(parts, axis)
    return FeatureMap(data, layout._replace(shape=(n, channels, height, width)))


def interleaved(one: FeatureMap, other: FeatureMap) -> FeatureMap:
    """Return the channels of two maps of the same shape in turns: the first of one, the first of
    the other, and so on.
    """
    n, channels, height, width = one.shape
    pairs = [part.plain().reshape([n, channels, 1, height, width]) for part in (one, other)]
    return FeatureMap.of(paddle.concat(pairs, axis=2).reshape([n, 2 * channels, height, width]))


def plain(value: Any) -> Any:
    """Return the tensor of a feature map, and everything else as it is."""
    return value.plain() if isinstance(value, FeatureMap) else value
