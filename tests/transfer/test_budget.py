"""What a budget means, and how many epochs fit into it."""

from __future__ import annotations

import pytest

from ppcls.errors import UsageError
from ppcls.transfer.budget import Pace, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("300", 300), ("90s", 90), ("5m", 300), (" 1.5 h", 5400), ("0.5M", 30)]
)
def test_units(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5m", "5 minutes", "m", "1e3", "nan", "9" * 20])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--budget takes a time such as 90s, 5m or 1h"):
        seconds_of(text)


@pytest.mark.parametrize(("seconds", "epochs"), [(0, 0), (23, 0), (24, 1), (130, 7), (1e6, 56666)])
def test_epochs_with_their_evaluations_and_that_of_the_start(seconds: float, epochs: int) -> None:
    pace = Pace(batch=1.0, evaluation=5.0, batches=10)
    assert pace.epoch == 15.0
    found = pace.epochs_within(seconds)
    assert found == epochs
    assert found == 0 or found * 15 + 5 <= 0.85 * seconds
