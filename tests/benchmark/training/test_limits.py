"""What the machine does at best."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from ppcls.benchmark.training import limits
from ppcls.config import as_config
from ppcls.engine.builder import build_job
from ppcls.engine.world import World


@pytest.mark.slow
def test_speeds_are_plausible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_SIDE", 256)
    assert 1e8 < limits.matrix_product("cpu") < 1e14
    assert 1e8 < limits.copy_bandwidth() < 1e13


def test_files_of_a_data_set_are_decoded(
    recipe: Dict[str, Any], digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = build_job(as_config(recipe), "cpu", World()).train.dataset
    found = limits.decoding(dataset, threads=2)
    assert found is not None and found > 10
    monkeypatch.setattr(dataset, "read", lambda index: b"no image")
    assert limits.decoding(dataset, threads=2) is None


def test_the_shortest_time_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first run is the slowest here, and does not count even where it is the fastest.
    clock = iter(np.cumsum([0, 0.1, 0, 5, 0, 3, 0, 2, 0, 4, 0, 9]).tolist())
    monkeypatch.setattr(limits.time, "perf_counter", lambda: next(clock))
    assert limits._best(lambda: None) == pytest.approx(2)
