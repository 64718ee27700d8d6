"""What a budget of time says."""

from __future__ import annotations

import re

from ppcls.errors import UsageError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

MOST_EPOCHS = 60
"""Of a training; more of them only learn by heart."""


def seconds_of(text: str) -> float:
    """Return the seconds that a budget such as 300, 90s, 5m or 1.5h means.

    Raises:
        UsageError: it is something else, or not above 0.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smh]?)", text.strip().lower())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if seconds <= 0:
        raise UsageError(f"--budget takes a time such as 90s, 5m or 1h, got '{text}'")
    return seconds
