"""Time as the scenarios see it; tests have one of their own."""

from __future__ import annotations

import time
from typing import Protocol

_SPIN = 0.001
"""Seconds before the moment in which sleeping is too coarse."""


class Clock(Protocol):
    """Seconds from any beginning, which never go back."""

    def now(self) -> float:
        """Return the time."""

    def sleep_until(self, moment: float) -> None:
        """Return at a time, or at once when it has passed."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        """Return the time in seconds."""
        return time.perf_counter()

    def sleep_until(self, moment: float) -> None:
        """Sleep, and wait the last moment without it."""
        rest = moment - _SPIN - self.now()
        if rest > 0:
            time.sleep(rest)
        while self.now() < moment:
            pass


def settle(longest: float = 0.3, step: float = 0.004) -> None:
    """Wait until this process rests: threads of an engine go on spinning for a while after it has
    answered, and would slow down the next one.

    Args:
        longest: seconds after which the wait ends in any case.
        step: seconds over which the use of the processor is looked at.
    """
    end = time.perf_counter() + longest
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(step)
        if time.process_time() - before < step / 4:
            return
