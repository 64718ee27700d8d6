"""Which value is the best, and when patience ends."""

from __future__ import annotations

import math
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls.engine.checkpoint import TrainState
from ppcls.engine.selection import ModelSelection


def judged(selection: ModelSelection, values: List[float]) -> TrainState:
    state = TrainState()
    for epoch, value in enumerate(values):
        state.epoch = epoch
        selection.judge(state, value, epoch + 1)
        selection.stop_early(state)
        if state.finished:
            break
    return state


@given(st.lists(st.floats(allow_infinity=False), min_size=1), st.booleans())
def test_the_first_of_the_best_values_is_kept(values: List[float], higher: bool) -> None:
    state = judged(ModelSelection("m", higher), values)
    numbers = [value for value in values if not math.isnan(value)]
    if not numbers:
        assert state.best_value is None and state.best_epoch == 0
    else:
        best = max(numbers) if higher else min(numbers)
        assert state.best_value == best and state.best_epoch == values.index(best) + 1


def test_gains_up_to_min_delta_use_up_patience() -> None:
    selection = ModelSelection("top1", patience=2, min_delta=0.1)
    state = judged(selection, [0.5, 0.55, 0.59, 0.9])
    assert state.finished and state.epoch == 2 and state.best_value == 0.59


def test_without_patience_nothing_stops() -> None:
    assert not judged(ModelSelection("loss", higher_is_better=False), [1.0] * 50).finished


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([0.70, 0.69, 0.66], 1),  # within the margin
        ([0.70, 0.68, 0.69], 2),  # of later ones, the better one
        ([0.70, 0.70], 1),
        ([0.70, 0.64, 0.66], 0),
        ([0.70, math.nan], 0),
    ],
)
def test_a_start_has_to_be_better_by_its_margin(values: List[float], best: int) -> None:
    selection, state = ModelSelection("top1", start_margin=0.03), TrainState()
    for epochs, value in enumerate(values):
        selection.judge(state, value, epochs)
    assert (state.best_epoch, state.best_value) == (best, values[best])


def test_a_margin_holds_where_lower_is_better() -> None:
    selection, state = (
        ModelSelection("loss", higher_is_better=False, start_margin=0.1),
        TrainState(),
    )
    for epochs, value in enumerate([1.0, 1.05, 1.01]):
        selection.judge(state, value, epochs)
    assert state.best_epoch == 2


def test_patience_begins_anew_where_the_start_gives_way() -> None:
    selection, state = ModelSelection("top1", patience=3, start_margin=0.05), TrainState()
    for epochs, value in enumerate([0.70, 0.66, 0.67, 0.68, 0.69]):
        selection.judge(state, value, epochs)
        selection.stop_early(state)
    assert state.best_epoch == 4 and not state.finished
