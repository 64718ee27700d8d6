"""The fits and pictures of the curves of growth, and one point of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def growth(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("growth", root / "benchmarks/growth.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_power_law_is_found_again(growth: ModuleType) -> None:
    a, b = growth.fit([(x, 3 * x**1.5) for x in (1, 2, 8, 40)])
    assert (a, b) == pytest.approx((3, 1.5))
    assert growth.fit([(4.0, 2.0)]) == (pytest.approx(2.0), 0.0)
    assert growth.table({"net": [(1, 0.5), (4, 2.0)]}).splitlines()[-1] == (
        "| net | 0.5 | 2 | x^1.00 |"
    )


@pytest.mark.slow
def test_points_are_measured_and_drawn(growth: ModuleType, tmp_path: Path) -> None:
    setting = {"network": "MobileNetV1_x0_25", "batch": 2, "side": 32, "threads": 1, "steps": 2}
    seconds = growth._run(setting)
    assert len(seconds) == 2 and min(seconds) > 0
    taken, size = growth._run({"images": 20_000})
    assert taken > 0 and size >= 0
    points = {"net": [(1.0, seconds[0]), (2.0, seconds[1])]}
    lists = {"seconds": [(1000.0, 0.1), (9000.0, 0.7)], "MB": [(1000.0, 1.0), (9000.0, 9.0)]}
    growth.plot({"a": points, "b": points, "c": points, "d": lists}, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1000
