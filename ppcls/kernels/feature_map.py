"""A feature map on its way through a network, in whichever layout it is."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Union

import paddle
from paddle import Tensor

from ppcls.kernels.layout import BLOCKS, PLAIN, Layout, reordered


class _Lay(paddle.autograd.PyLayer):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, source: Layout, target: Layout) -> Tensor:
        ctx.ways = target, source
        return reordered(tensor, source, target)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return reordered(gradient.contiguous(), *ctx.ways)


class FeatureMap:
    """Images x channels x height x width of float32, as one tensor in some layout.

    Layers that know it take it for a tensor and return one. What else reads it asks for `plain`.

    Attributes:
        data: the tensor, in the shape of its layout.
        layout: where the values lie.
    """

    def __init__(self, data: Tensor, layout: Layout) -> None:
        self.data, self.layout = data, layout
        self._others: Dict[Layout, Tensor] = {}

    @classmethod
    def of(cls, tensor: Tensor) -> FeatureMap:
        """Return that of Paddle's own layout."""
        return cls(tensor, Layout(tuple(tensor.shape)))

    @property
    def shape(self) -> List[int]:
        """Images, channels, height, width."""
        return list(self.layout.shape)

    def laid(self, order: str) -> Tensor:
        """Return the values in another layout; they are brought there once."""
        target = Layout(self.layout.shape, order)
        if target == self.layout:
            return self.data
        if target not in self._others:
            self._others[target] = _Lay.apply(self.data.contiguous(), self.layout, target)
        return self._others[target]

    def plain(self) -> Tensor:
        """Return the values as Paddle's own operators take them."""
        return self.laid(PLAIN)

    def __add__(self, other: Union[FeatureMap, Tensor, float]) -> Union[FeatureMap, Tensor]:
        """Add a map of the same shape in its layout; other things as Paddle adds them."""
        if not isinstance(other, FeatureMap) or other.shape != self.shape:
            return self.plain() + plain(other)
        order = other.layout.order if self.layout.order == PLAIN else self.layout.order
        return FeatureMap(self.laid(order) + other.laid(order), Layout(self.layout.shape, order))

    def __mul__(self, factor: float) -> FeatureMap:
        """Multiply each value by a number."""
        return FeatureMap(self.data * factor, self.layout)

    __rmul__ = __mul__

    def scaled(self, gate: FeatureMap) -> FeatureMap:
        """Multiply each channel of each image by the one value that `gate` has for it."""
        width = self.layout.shape[3]
        factors = gate.laid(self.layout.order)
        if self.layout.order not in (PLAIN, "NHWC"):  # blocks of channels, once for each column
            factors = paddle.tile(factors, [1, 1, 1, width])
        return FeatureMap(self.data * factors, self.layout)


def side_by_side(maps: Sequence[FeatureMap]) -> FeatureMap:
    """Return the channels of some maps one after the other."""
    order = maps[0].layout.order
    n, _, height, width = maps[0].layout.shape
    if any(one.layout.shape[1] % BLOCKS[order] for one in maps):
        order = PLAIN
    channels = sum(one.layout.shape[1] for one in maps)
    axis = 3 if order == "NHWC" else 1
    data = paddle.concat([one.laid(order) for one in maps], axis=axis)
    return FeatureMap(data, Layout((n, channels, height, width), order))


def plain(value: Any) -> Any:
    """Return the tensor of a feature map, and everything else as it is."""
    return value.plain() if isinstance(value, FeatureMap) else value
