"""The machine, as far as it tells."""

from __future__ import annotations

import os
import time

import pytest

from ppcls.benchmark.clock import SystemClock, settle
from ppcls.benchmark.environment import environment
from ppcls.runtime import available_cores


def test_what_a_measurement_depends_on_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KMP_BLOCKTIME", "0")
    found = environment(threads=1)
    assert found["threads"] == 1 and environment(None)["threads"] == available_cores()
    assert found["cores"] <= (os.cpu_count() or 1)
    assert found["cpu"] and found["python"].count(".") == 2
    assert found["versions"]["numpy"]
    assert found["variables"]["KMP_BLOCKTIME"] == "0"
    assert len(found["load_average"]) == 3


def test_the_clock_sleeps_until_a_moment() -> None:
    clock = SystemClock()
    moment = clock.now() + 0.02
    clock.sleep_until(moment)
    assert clock.now() >= moment
    clock.sleep_until(moment - 1)


def test_resting_ends_for_a_process_that_rests() -> None:
    before = time.process_time()
    settle(longest=2.0)
    assert time.process_time() - before < 1.0
