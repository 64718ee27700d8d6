"""Penalties; their effect on training is measured in test_algorithms.py."""

from __future__ import annotations

import math

import paddle
import pytest

from ppcls.errors import ConfigError
from ppcls.registry import create, parse


def test_they_are_built_from_their_paddleclas_form():
    built = parse("regularizer", {"name": "L2", "coeff": 0.0001}).build()
    assert isinstance(built, paddle.regularizer.L2Decay) and built._coeff == 0.0001


@pytest.mark.parametrize("kind", ["L1", "L2"])
@pytest.mark.parametrize("coeff", [-1e-4, math.inf, math.nan])
def test_nonsense_is_refused(kind, coeff):
    with pytest.raises(ConfigError, match=f"{kind}: coeff"):
        create("regularizer", kind, {"coeff": coeff})
