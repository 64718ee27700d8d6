"""Sums of feature maps, in bfloat16 by oneDNN: Paddle has no such operator on CPUs."""

from __future__ import annotations

from typing import Any, Tuple

import paddle
from paddle import Tensor

from ppcls.kernels.layout import Layout, cached
from ppcls.kernels.onednn import DST, SRC, SRC_1, Primitive, PrimitiveDescriptor, library

_ADD = 0x1FFF0
"""oneDNN's number of the algorithm."""


def _primitive(layout: Layout) -> Primitive:
    lies, engine = layout.descriptor(), library().engine
    made = PrimitiveDescriptor("binary", engine, _ADD, lies, lies, lies, None)
    return Primitive(made, dict.fromkeys((SRC, SRC_1, DST), lies))


def added(layout: Layout, one: Tensor, other: Tensor) -> Tensor:
    """Return the sum of two contiguous maps in the same layout, without a gradient."""
    found = layout.empty()
    run: Primitive = cached((_primitive, layout), lambda: _primitive(layout))
    run({SRC: one, SRC_1: other, DST: found})
    return found


class _Add(paddle.autograd.PyLayer):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, layout: Layout, one: Tensor, other: Tensor) -> Tensor:
        ctx.wanted = [not tensor.stop_gradient for tensor in (one, other)]
        return added(layout, one, other)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tuple[Any, ...]:
        return tuple(gradient if wanted else None for wanted in ctx.wanted)


def add(layout: Layout, one: Tensor, other: Tensor) -> Tensor:
    """Return the sum of two contiguous maps in the same layout, with a gradient where one is
    wanted.
    """
    if layout.dtype == "float32":
        return one + other
    found: Tensor = _Add.apply(layout, one, other)
    return found
