"""Penalties on the size of the weights: ``regularizer: {name: L2, coeff: 0.0001}``."""

from __future__ import annotations

from typing import Annotated

import paddle
from pydantic import Field

from ppcls.registry import register

Coefficient = Annotated[float, Field(ge=0)]
"""Strength of a penalty: finite and not negative."""


@register("regularizer", "L1")
def l1(coeff: Coefficient) -> paddle.regularizer.L1Decay:
    """Add coeff * sign(weight) to the gradient."""
    return paddle.regularizer.L1Decay(coeff)


@register("regularizer", "L2")
def l2(coeff: Coefficient) -> paddle.regularizer.L2Decay:
    """Add coeff * weight to the gradient, which is the derivative of coeff / 2 * weight^2."""
    return paddle.regularizer.L2Decay(coeff)
