"""What people read of a benchmark."""

from __future__ import annotations

from typing import Any, List

import pytest

from ppcls.benchmark.report import _loadgen_table
from ppcls.benchmark.results import LoadGen
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
