"""Activations, and their gradients."""

from __future__ import annotations

import ctypes
from typing import Any, Optional

import paddle
from paddle import Tensor

from ppcls.kernels.layout import Layout, cached
from ppcls.kernels.onednn import (
    DIFF_DST,
    DIFF_SRC,
    DST,
    FORWARD_TRAINING,
    SRC,
    Handle,
    Primitive,
    PrimitiveDescriptor,
    library,
)

ACTIVATIONS = {
    # name: oneDNN's algorithm, that of the gradient, alpha, beta
    "relu": (0x20, 0x100, 0.0, 0.0),
    "relu6": (0x2F, 0x106, 0.0, 6.0),
    "leaky_relu": (0x20, 0x100, 0.1, 0.0),
    "leaky_relu_0.01": (0x20, 0x100, 0.01, 0.0),
    "tanh": (0x21, 0x101, 0.0, 0.0),
    "swish": (0x2C, 0x2C, 1.0, 0.0),
    "hardswish": (0x34, 0x34, 1 / 6, 0.5),
}
_FROM_RESULTS = 0x100
"""From this number on, algorithms take the results for the gradient; the others what went in."""


def follows_from_result(act: str) -> bool:
    """Whether the gradient of an activation needs its results, not what went in: only then
    another operator can have it as its last step in training.
    """
    return ACTIVATIONS[act][1] >= _FROM_RESULTS


class Activation:
    """The operators of an activation for maps of one layout."""

    def __init__(self, layout: Layout, act: str) -> None:
        # What fills the last block of channels stays zero, and without whole blocks oneDNN has no
        # fast operator for some gradients.
        self._layout, lies, engine = layout, layout.in_whole_blocks().descriptor(), library().engine
        _, algorithm, *floats = ACTIVATIONS[act]
        alpha, beta = map(ctypes.c_float, floats)
        made = PrimitiveDescriptor(
            "eltwise_forward", engine, FORWARD_TRAINING, algorithm, lies, lies, alpha, beta, None
        )
        back = PrimitiveDescriptor(
            "eltwise_backward", engine, algorithm, lies, lies, lies, alpha, beta, made, None
        )
        self._run = Primitive(made, {SRC: lies, DST: lies})
        self._from = DST if follows_from_result(act) else SRC
        self._run_back = Primitive(back, {self._from: lies, DIFF_DST: lies, DIFF_SRC: lies})

    @classmethod
    def of(cls, layout: Layout, act: Optional[str]) -> Activation:
        """Return that of `act`, made once."""
        assert act is not None
        made: Activation = cached((layout, act), lambda: cls(layout, act))
        return made

    def __call__(self, x: Tensor) -> Tensor:
        """Return the results."""
        y = self._layout.empty()
        self._run({SRC: x, DST: y})
        return y

    def within(self, x: Tensor) -> None:
        """Put the results where the values were."""
        self._run({SRC: x, DST: x})

    def gradient(self, gradient: Tensor, kept: Tensor) -> Tensor:
        """Return the gradient of what went in, from that of the results, and these or what went in:
        see `follows_from_result`.
        """
        found = self._layout.empty()
        self._run_back({self._from: kept, DIFF_DST: gradient, DIFF_SRC: found})
        return found


class _Activate(paddle.autograd.PyLayer):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, layout: Layout, act: str, x: Tensor) -> Tensor:
        y = Activation.of(layout, act)(x)
        ctx.layout, ctx.act = layout, act
        # The result itself would hold the context that holds it.
        ctx.save_for_backward(y.detach() if follows_from_result(act) else x)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (kept,) = ctx.saved_tensor()
        return Activation.of(ctx.layout, ctx.act).gradient(gradient.contiguous(), kept)


def activate(layout: Layout, act: str, x: Tensor) -> Tensor:
    """Return the activation of each value of a map, with a gradient where one is wanted."""
    found: Tensor = _Activate.apply(layout, act, x)
    return found


def as_last_step(act: Optional[str]) -> Optional[Handle]:
    """Return the attribute that lets another operator apply an activation to its result."""
    if act is None:
        return None
    algorithm, _, *floats = ACTIVATIONS[act]
    chain = Handle("post_ops", library().make("post_ops_create"))
    values: Any = map(ctypes.c_float, floats)
    library().call("post_ops_append_eltwise", chain, algorithm, *values)
    attributes = Handle("primitive_attr", library().make("primitive_attr_create"))
    library().call("primitive_attr_set_post_ops", attributes, chain)
    return attributes
