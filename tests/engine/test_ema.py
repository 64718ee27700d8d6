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


@pytest.mark.parametrize("ramp", [True, False])
def test_the_average_is_the_formula_of_its_paper(ramp: bool) -> None:
    network = create_model("LeNet")
    average = ExponentialMovingAverage(network, decay=0.99, ramp=ramp)
    wanted = average.arrays()
    rng = np.random.default_rng(0)
    for step in (1, 2, 500, 5000):
        decay = min(0.99, (1 + step) / (10 + step)) if ramp else 0.99
        for name, value in network.state_dict().items():
            value.set_value(rng.normal(size=value.shape).astype(np.float32))
            wanted[name] = wanted[name] * np.float32(decay) + value.numpy() * np.float32(1 - decay)
        average.update(step)
    assert all(np.array_equal(average.arrays()[name], wanted[name]) for name in wanted)
