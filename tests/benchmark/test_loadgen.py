"""MLPerf's load generator: what is read of its summary, and a run where it is installed."""

from __future__ import annotations

import importlib.util
from typing import List

import pytest

from ppcls.benchmark.loadgen import Load, check_loadgen, read_summary, run_loadgen
from ppcls.errors import BundleError, UsageError

SUMMARY = """
90.0th percentile latency (ns) : 2151282
50.00 percentile latency (ns)   : 2124225
90.00 percentile latency (ns)   : 2151282
Samples per second: 499.493
"""


def test_the_summary_is_read() -> None:
    assert read_summary("single", SUMMARY) == pytest.approx(2.151282e-3)
    assert read_summary("offline", SUMMARY) == 499.493
    with pytest.raises(UsageError, match="says nothing of the scenario single"):
        read_summary("single", "nothing")


def test_a_missing_load_generator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'ppcls\[loadgen\]'"):
        check_loadgen()


@pytest.mark.parametrize("scenario", ["single", "offline"])
def test_it_asks_for_images_that_are_there(scenario: str) -> None:
    pytest.importorskip("mlperf_loadgen", reason="the extra 'loadgen' is not installed")
    asked: List[int] = []
    figure = run_loadgen(scenario, lambda numbers: asked.extend(numbers), Load(10, 64, 0.001))
    assert figure > 0
    assert len(asked) >= 64 and set(asked) <= set(range(10))


def test_an_engine_that_fails_does_not_end_the_process() -> None:
    pytest.importorskip("mlperf_loadgen", reason="the extra 'loadgen' is not installed")

    def fail(numbers: List[int]) -> None:
        raise BundleError("it fails")

    with pytest.raises(BundleError, match="it fails"):
        run_loadgen("single", fail, Load(10, 64, 0.001))
