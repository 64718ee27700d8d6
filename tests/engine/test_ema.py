"""The moving average comes back as it was saved, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest

from ppcls.arch import create_model
from ppcls.engine.checkpoint import found_checkpoint
from ppcls.engine.ema import ExponentialMovingAverage
from ppcls.engine.selection import ModelSelection
from ppcls.errors import CheckpointError
from ppcls.weights import read


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


@pytest.mark.slow
@pytest.mark.parametrize("keep_better", [True, False])
def test_the_better_of_both_is_kept_where_that_is_wanted(
    keep_better: bool,
    recipe: Dict[str, Any],
    ppcls: Callable[..., int],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An average that hardly leaves the first weights is the worse one."""
    recipe["EMA"] = {"decay": 0.9999, "ramp": False, "keep_better": keep_better}
    recipe["Global"]["epochs"] = 4
    assert ppcls("train", recipe) == 0
    run = tmp_path / "run"
    kept = read(run / "best_model.safetensors")
    last = found_checkpoint(run / "latest")[1] if keep_better else None
    records = [json.loads(line) for line in (run / "train_log.jsonl").read_text().splitlines()]
    best = max(one["metrics"]["top1"] for one in records if one["event"] == "eval")
    assert kept.metadata["metrics"]["top1"] == best
    assert (best > 0.6) == keep_better, "one class in four, by chance"
    if last is not None and kept.metadata["epoch"] == 4:
        arrays = kept.network_arrays()
        assert all(np.array_equal(arrays[name], last.model[name]) for name in arrays)


def test_no_number_is_better_than_none() -> None:
    nan = float("nan")
    for higher, better in ((True, 0.9), (False, 0.1)):
        selection = ModelSelection("m", higher_is_better=higher)
        assert selection.is_better(better, 0.5) and not selection.is_better(0.5, better)
        assert selection.is_better(0.5, nan) and not selection.is_better(nan, 0.5)
        assert not selection.is_better(0.5, 0.5) and not selection.is_better(nan, nan)
