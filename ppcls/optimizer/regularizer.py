"""Penalties on the size of the weights: ``regularizer: {name: L2, coeff: 0.0001}``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ppcls.registry import register

Coefficient = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""Strength of a penalty: finite and not negative."""


class Regularizer:
    """Base of the penalties: a strength `coeff`."""

    def __init__(self, coeff: Coefficient) -> None:
        self.coeff = coeff


@register("regularizer")
class L1(Regularizer):
    """Add coeff * sign(weight) to the gradient."""


@register("regularizer")
class L2(Regularizer):
    """Add coeff * weight to the gradient, which is the derivative of coeff / 2 * weight^2."""
