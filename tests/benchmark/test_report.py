"""What people read of a benchmark."""

from __future__ import annotations

from typing import Any, List

import pytest

from ppcls.benchmark.report import _loadgen_table, _scenario_table
from ppcls.benchmark.results import LoadGen, Quantile
from tests.benchmark.test_tables import results


@pytest.mark.parametrize(
    ("comparison", "cells"),
    [
        (
            {"scenario": "single", "unit": "s", "theirs": 0.002, "ours": 0.0021},
            ["single stream", "p90 (ms)", "2", "2.1", "1.050"],
        ),
        (
            {"scenario": "offline", "unit": "images/s", "theirs": 500, "ours": 505},
            ["offline", "images/s", "500", "505", "1.010"],
        ),
        (
            {"scenario": "single", "unit": "s", "theirs": 0.002},
            ["single stream", "p90 (ms)", "2", "-", "-"],
        ),
        (
            {"scenario": "offline", "unit": "images/s", "theirs": 0, "ours": 505},
            ["offline", "images/s", "0", "505", "-"],
        ),
    ],
)
def test_figures_stand_beside_those_of_the_load_generator(
    comparison: Any, cells: List[str]
) -> None:
    found = results()
    assert _loadgen_table(found) == "", "nobody asked for it"
    found.loadgen.append(LoadGen(subject=0, batch_size=4, queries=9, **comparison))
    heading, _, *lines = _loadgen_table(found).splitlines()
    assert heading == "## Beside MLPerf's load generator" and len(lines) == 3
    row = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert row == ["AlexNet", "4", "paddle", "fp32", *cells]


@pytest.mark.parametrize(
    ("percent", "headings"), [(99, ["p99", "p99 by MLPerf (n >= 662)"]), (95, ["p95"])]
)
def test_a_percentile_stands_under_its_own_name(percent: float, headings: List[str]) -> None:
    tail = Quantile(percent=percent, count=400, value=0.02, low=0.019, high=0.021)
    found = results(measurement={"scenario": "server", "percentile": tail, "rate": 7.0})
    heading, _, line = _scenario_table("server", found.measurements, found).splitlines()
    cells = [[cell.strip() for cell in one.strip("|").split("|")] for one in (heading, line)]
    assert cells[0][6 : 6 + len(headings)] == headings and cells[0][-2] == "Queries/s held"
    assert cells[1][6] == "20 (19 to 21)" and cells[1][-2] == "7" and len(cells[0]) == len(cells[1])
