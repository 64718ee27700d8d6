"""When a run is told that it has lost what it knew."""

from __future__ import annotations

import logging
from typing import List

import pytest

from ppcls.engine.chance import ChanceWatch


def warnings_of(values: List[float], train: float, caplog: pytest.LogCaptureFixture) -> List[str]:
    watch = ChanceWatch(1 / 3)
    with caplog.at_level(logging.WARNING, "ppcls"):
        for epoch, value in enumerate(values):
            watch.judge({"top1": value}, {"top1": train}, epoch, peak=0.02)
    return [record.getMessage() for record in caplog.records]


def test_the_rate_is_named_where_training_does_not_learn_either(caplog) -> None:
    (message,) = warnings_of([0.85, 0.333, 0.34, 0.333, 0.333], 0.35, caplog)
    assert "at chance (top1 34.00%), after 85.00% in epoch 0" in message
    assert "learning_rate=0.002" in message


def test_running_statistics_are_named_where_training_learns(caplog) -> None:
    (message,) = warnings_of([0.85, 0.333, 0.333], 0.95, caplog)
    assert "Arch.freeze_statistics=True" in message


@pytest.mark.parametrize(
    "values",
    [[0.333, 0.333, 0.333], [0.85, 0.333, 0.7, 0.333], [0.40, 0.333, 0.333], [0.9, float("nan")]],
    ids=["never better", "not in a row", "hardly better", "no value"],
)
def test_what_is_no_loss_is_not_one(values: List[float], caplog) -> None:
    assert not warnings_of(values, 0.9, caplog)
