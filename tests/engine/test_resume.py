"""A run goes on only from a position that it can have come to."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict

import pytest

from ppcls.engine.checkpoint import TrainState
from ppcls.engine.resume import check_position, warn_of_changes
from ppcls.errors import CheckpointError

RUN = {"batches": 5, "update_freq": 2, "samples": 20}
PATH = Path("a.safetensors")


@pytest.mark.parametrize(
    "at",
    [
        {},
        {"epoch": 3, "step": 9, "best_epoch": 4},
        {"epoch": 3, "batch": 4, "step": 11},
        {"epoch": 3, "batch": 5, "step": 12, "bad_samples": [0, 19]},
    ],
)
def test_positions_that_a_run_comes_to(at: Dict[str, Any]) -> None:
    check_position(PATH, TrainState(**at), RUN)


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ({"batch": 6, "step": 3}, "batch 6 of 5 (state.batch)"),
        ({"batch": 10**9, "step": 3}, "batch 1000000000 of 5"),
        ({"epoch": 3, "step": 8}, "step 8 (state.step), where epoch 4, batch 0 makes it 9"),
        ({"epoch": 2**52, "step": 9}, "step 9"),
        ({"best_epoch": 2}, "the best epoch was 2 (state.best_epoch), in 1"),
        ({"bad_samples": [3, 20]}, "image 20 of 20, counted from 0 (state.bad_samples)"),
    ],
)
def test_positions_that_no_run_comes_to(at: Dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match="^a.safetensors cannot be resumed") as caught:
        check_position(PATH, TrainState(**at), RUN)
    assert words in str(caught.value) and "Resume from another checkpoint" in str(caught.value)


def test_settings_that_changed_are_named(caplog: pytest.LogCaptureFixture) -> None:
    now = {"config": "Global: {seed: 1, epochs: 3}"}
    with caplog.at_level(logging.WARNING, "ppcls"):
        then = {"config": "{Global: {seed: 1, epochs: 2}, TTA: {flip: true}}"}
        warn_of_changes(PATH, then, now)
    assert caplog.messages == ["resumed with another Global.epochs: it was 2 and is 3 now"]
    loggers = "Loggers: [Console, CsvScore: {name: a.csv}], Global: {seed: 1, epochs: 3}"
    warn_of_changes(PATH, {"config": f"{{{loggers}}}"}, now)
    assert caplog.messages[1:] == ["resumed without the logger CsvScore, which the run had before"]
    warn_of_changes(PATH, {}, now)
    assert len(caplog.messages) == 2
    with pytest.raises(CheckpointError, match="^a.safetensors: the configuration noted in it"):
        warn_of_changes(PATH, {"config": "Global: ["}, now)
