"""Which of the measured times get into the tables of networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ppcls.arch.latency import MeasuredLatency, read_measured
from ppcls.benchmark.results import Measurement, NetworkFacts, Quantile, Results, Subject
from ppcls.benchmark.tables import keep_latencies, latencies_of


def results(subject: Any = None, facts: Any = None, measurement: Any = None) -> Results:
    """A median of 12.345678 ms for AlexNet, as a table takes it unless something is changed."""
    known: Any = {"folder": "x", "input_shape": [3, 224, 224], "classes": 1000, "formats": []}
    known = {**known, "weights": "random", "as_registered": True, **(facts or {})}
    of: Any = {"engine": "paddle", "precision": "fp32", "about": {"device": "cpu"}}
    median = Quantile(percent=50, count=9, value=0.012345678, low=0.012, high=0.013)
    one: Any = {"scenario": "single", "batch_size": 4, "preprocessing": False, "queries": 9}
    one = {**one, "seconds": 0.2, "median": median, **(measurement or {})}
    return Results(
        created="today",
        command=["benchmark"],
        environment={"cpu": "a processor"},
        settings={},
        mlperf_length=False,
        networks=[NetworkFacts(name="AlexNet", **known)],
        subjects=[Subject(network="AlexNet", **{**of, **(subject or {})})],
        measurements=[Measurement(subject=0, **one)],
    )


def test_the_median_is_kept_in_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    keep_latencies(results(), path)
    keep_latencies(results(subject={"engine": "auto"}), path)
    row = {"network": "AlexNet", "precision": "fp32", "batch_size": 4, "queries": 9}
    row = {**row, "milliseconds": 12.35, "low": 12.0, "high": 13.0, "weights": "random"}
    kept = read_measured(path)
    assert kept.rows == [MeasuredLatency(engine=name, **row) for name in ("auto", "paddle")]
    assert kept.environment == {"cpu": "a processor"}


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": {"about": {"device": "gpu:0"}}},
        {"subject": {"about": {}}},
        {"subject": {"bare": True}},
        {"facts": {"as_registered": False, "input_shape": [3, 64, 64]}},
        {"measurement": {"scenario": "multi"}},
        {"measurement": {"preprocessing": True}},
        {"measurement": {"queries": 0}},
    ],
)
def test_what_the_tables_are_not_about_is_left_out(changes: Any) -> None:
    assert len(latencies_of(results()).rows) == 1
    assert latencies_of(results(**changes)).rows == []
