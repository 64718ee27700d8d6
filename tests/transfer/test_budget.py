"""What a budget means."""

from __future__ import annotations

import pytest

from ppcls.errors import UsageError
from ppcls.transfer.budget import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("300", 300), ("90s", 90), ("5m", 300), (" 1.5 h", 5400), ("0.5M", 30)]
)
def test_units(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5m", "5 minutes", "m", "1e3", "nan", "9" * 20])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--budget takes a time such as 90s, 5m or 1h"):
        seconds_of(text)
