"""Pooling, and its gradient."""

from __future__ import annotations

from typing import Any, NamedTuple, Tuple

import paddle
from paddle import Tensor

from ppcls.kernels.layout import Layout, cached, empty
from ppcls.kernels.onednn import (
    DIFF_DST,
    DIFF_SRC,
    DST,
    FORWARD_TRAINING,
    SRC,
    WORKSPACE,
    Primitive,
    PrimitiveDescriptor,
    int64s,
    library,
)

ALGORITHMS = {"max": 0x1FF, "average with padding": 0x2FF, "average": 0x3FF}
"""oneDNN's numbers; "average" leaves padding out of the count."""


class Window(NamedTuple):
    """All that decides which operators a pooling takes.

    Attributes:
        source: the layout of the map that comes in; it stays.
        algorithm: a key of `ALGORITHMS`.
        kernel: height, width.
        stride: vertical, horizontal.
        padding: top, bottom, left, right.
    """

    source: Layout
    algorithm: str
    kernel: Tuple[int, int]
    stride: Tuple[int, int]
    padding: Tuple[int, int, int, int]

    @property
    def result(self) -> Layout:
        """The layout of the map that comes out."""
        n, channels, *sides = self.source.shape
        height, width = (
            (sides[i] + sum(self.padding[2 * i : 2 * i + 2]) - self.kernel[i]) // self.stride[i] + 1
            for i in (0, 1)
        )
        return self.source._replace(shape=(n, channels, height, width))


class _Pooling:
    def __init__(self, window: Window) -> None:
        source, result = window.source.descriptor(), window.result.descriptor()
        top, bottom, left, right = window.padding
        sizes = window.stride, window.kernel, (0, 0), (top, left), (bottom, right)
        numbers = [int64s(size) for size in sizes]
        algorithm, engine = ALGORITHMS[window.algorithm], library().engine
        made = PrimitiveDescriptor(
            "pooling_forward", engine, FORWARD_TRAINING, algorithm, source, result, *numbers, None
        )
        back = PrimitiveDescriptor(
            "pooling_backward", engine, algorithm, source, result, *numbers, made, None
        )
        noted = {WORKSPACE: made.layout(WORKSPACE)} if window.algorithm == "max" else {}
        self.run = Primitive(made, {SRC: source, DST: result, **noted})
        self.run_back = Primitive(back, {DIFF_DST: result, DIFF_SRC: source, **noted})
        self.noted_bytes = noted[WORKSPACE].bytes if noted else 0


def _made(window: Window) -> _Pooling:
    made: _Pooling = cached(window, lambda: _Pooling(window))
    return made


class _Pool(paddle.autograd.PyLayer):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, window: Window, x: Tensor) -> Tensor:
        made, y = _made(window), window.result.empty()
        ctx.noted = empty([made.noted_bytes], "uint8") if made.noted_bytes else None
        made.run({SRC: x, DST: y, WORKSPACE: ctx.noted})
        ctx.window = window
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        found, gradient = ctx.window.source.empty(), gradient.contiguous()
        tensors = {DIFF_DST: gradient, DIFF_SRC: found, WORKSPACE: ctx.noted}
        _made(ctx.window).run_back(tensors)
        return found


def pool(window: Window, x: Tensor) -> Tensor:
    """Return a pooled map in the layout `window.result`, with a gradient where one is wanted.

    Raises:
        Unavailable: oneDNN cannot do it.
    """
    found: Tensor = _Pool.apply(window, x)
    return found
