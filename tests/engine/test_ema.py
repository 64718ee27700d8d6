"""The moving average comes back as it was saved, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls.arch import create_model
from ppcls.engine.ema import ExponentialMovingAverage
from ppcls.errors import CheckpointError


def test_an_average_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    average = ExponentialMovingAverage(create_model("LeNet"), decay=0.9)
    before = average.arrays()
    other = {name: array + 1 for name, array in before.items()}
    for wrong in ({}, {**other, "head.fc.bias": np.ones(3, np.float32)}):
        with pytest.raises(CheckpointError, match="does not fit the network: "):
            average.load(wrong)
        assert all(np.array_equal(average.arrays()[name], before[name]) for name in before)
    average.load({name: array.astype(np.float64) for name, array in other.items()})
    assert all(np.array_equal(average.arrays()[name], other[name]) for name in other)
