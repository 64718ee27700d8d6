"""Batch normalisation with an activation after it, and its gradients.

Ioffe, Szegedy 2015, "Batch Normalization", arXiv:1502.03167.
"""

from __future__ import annotations

import ctypes
from typing import Any, List, NamedTuple, Optional, Tuple

import paddle
from paddle import Tensor

from ppcls.kernels.activation import Activation
from ppcls.kernels.layout import Layout, cached, empty
from ppcls.kernels.onednn import (
    DIFF_DST,
    DIFF_SCALE,
    DIFF_SHIFT,
    DIFF_SRC,
    DST,
    FORWARD_TRAINING,
    MEAN,
    SCALE,
    SHIFT,
    SRC,
    VARIANCE,
    WORKSPACE,
    Descriptor,
    Primitive,
    PrimitiveDescriptor,
    library,
)

_BACKWARD = 128
_FIXED, _SCALED, _SHIFTED, _RELU = 1, 2, 4, 8
"""oneDNN's numbers of a kind of propagation, and flags."""


class Rule(NamedTuple):
    """All that decides which operators a normalisation takes.

    Attributes:
        layout: of the map.
        epsilon: what is added to the variance.
        fixed: whether mean and variance are given, rather than those of the batch.
        act: a key of `ppcls.kernels.activation.ACTIVATIONS`, or None.
    """

    layout: Layout
    epsilon: float
    fixed: bool
    act: Optional[str]


class _Normalisation:
    """The operators of one rule. ReLU is part of them; other activations come after them."""

    def __init__(self, rule: Rule) -> None:
        lies = rule.layout.descriptor()
        channels = Descriptor.dense(rule.layout.shape[1:2])
        relu = rule.act == "relu"
        flags = _SCALED | _SHIFTED | (_FIXED if rule.fixed else 0) | (_RELU if relu else 0)
        last = ctypes.c_float(rule.epsilon), ctypes.c_uint(flags)
        engine = library().engine
        made = PrimitiveDescriptor(
            "batch_normalization_forward", engine, FORWARD_TRAINING, lies, lies, *last, None
        )
        back = PrimitiveDescriptor(
            "batch_normalization_backward", engine, _BACKWARD, lies, lies, lies, *last, made, None
        )
        noted = {WORKSPACE: made.layout(WORKSPACE)} if relu else {}
        values = dict.fromkeys((MEAN, VARIANCE, SCALE), channels)
        self.run = Primitive(made, {SRC: lies, DST: lies, SHIFT: channels, **values, **noted})
        gradients = dict.fromkeys((DIFF_SCALE, DIFF_SHIFT), channels)
        maps = dict.fromkeys((SRC, DIFF_DST, DIFF_SRC), lies)
        self.run_back = Primitive(back, {**maps, **values, **gradients, **noted})
        self.noted_bytes = noted[WORKSPACE].bytes if relu else 0


def _made(rule: Rule) -> _Normalisation:
    made: _Normalisation = cached(rule, lambda: _Normalisation(rule))
    return made


class _Normalise(paddle.autograd.PyLayer):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: Any,
        rule: Rule,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        mean: Tensor,
        variance: Tensor,
    ) -> Tensor:
        made, y = _made(rule), rule.layout.empty()
        noted = empty([made.noted_bytes], "uint8") if made.noted_bytes else None
        values = {SCALE: scale, MEAN: mean, VARIANCE: variance, WORKSPACE: noted}
        made.run({SRC: x, DST: y, SHIFT: shift, **values})
        if _comes_after(rule.act):
            Activation.of(rule.layout, rule.act).within(y)
        ctx.rule, ctx.values = rule, values
        # The result itself would hold the context that holds it.
        ctx.save_for_backward(x, y.detach() if _comes_after(rule.act) else None)
        ctx.wanted = [not one.stop_gradient for one in (x, scale, shift)]
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tuple[Optional[Tensor], ...]:
        (x, y), rule = ctx.saved_tensor(), ctx.rule
        gradient = gradient.contiguous()
        if _comes_after(rule.act):
            gradient = Activation.of(rule.layout, rule.act).gradient(gradient, y)
        found = [rule.layout.empty(), *(paddle.empty_like(ctx.values[SCALE]) for _ in range(2))]
        targets = dict(zip((DIFF_SRC, DIFF_SCALE, DIFF_SHIFT), found))
        _made(rule).run_back({SRC: x, DIFF_DST: gradient, **ctx.values, **targets})
        kept: List[Optional[Tensor]] = [one if w else None for one, w in zip(found, ctx.wanted)]
        return (*kept, None, None)


def _comes_after(act: Optional[str]) -> bool:
    return act not in (None, "relu")


def normalise(
    rule: Rule, x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    """Return a normalised map, with a gradient where one is wanted.

    Args:
        rule: what is computed.
        x: the map.
        scale: a factor for each channel.
        shift: what is added to each channel.
        mean: of each channel; unless it is fixed, that of the batch is written here.
        variance: the same, of the squared distances from the mean.

    Raises:
        Unavailable: oneDNN cannot do it.
    """
    found: Tensor = _Normalise.apply(rule, x, scale, shift, mean, variance)
    return found
