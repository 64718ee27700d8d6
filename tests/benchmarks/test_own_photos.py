"""The parts of the benchmark that do not train."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import cv2
import pytest


@pytest.fixture(scope="module")
def benchmark(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("own_photos", root / "benchmarks/own_photos.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_steps_of_a_run_are_found_in_what_it_says(benchmark: ModuleType) -> None:
    lines = (
        "linear head: 63.0% of the 100 held-back images are right, 67.8% in cross-validation; 14 s",
        "epoch 3/5  eval:  loss 1.0406  top1 70.00%  (best so far)",
        "epoch 3/5  train: loss 1.1299  top1 72.25%",
    )
    found = [benchmark._STEP.search(line) for line in lines]
    assert [one and (one[1] or one[3]) for one in found] == ["63.0", "70.00", None]


def test_the_same_photos_are_drawn_for_a_seed(benchmark: ModuleType, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "source" / name).mkdir(parents=True)
        for number in range(9):
            (tmp_path / "source" / name / f"{number}.jpg").write_bytes(b"")
    drawn = [
        sorted(
            file.name
            for file in benchmark.draw(
                tmp_path / "source", ["a", "b"], 4, seed, tmp_path / str(i)
            ).rglob("*.jpg")
        )
        for i, seed in enumerate((0, 0, 1))
    ]
    assert drawn[0] == drawn[1] != drawn[2] and len(drawn[0]) == 8


def test_the_table_has_means_over_seeds_and_their_range(benchmark: ModuleType) -> None:
    rows = [
        {
            "set": "3x5",
            "seconds": 10 * n,
            "steps": [(n, 0.5)],
            "baseline": 0.5,
            "linear_head": 0.6,
            "best": n / 10,
        }
        for n in (7, 9)
    ]
    cells = [cell.strip() for cell in benchmark.table(rows).splitlines()[-1].split("|")[1:-1]]
    assert cells == [
        "3x5", "50.0 % (50.0 to 50.0)", "60.0 % (60.0 to 60.0)", "80.0 % (70.0 to 90.0)",
        "-", "-", "8 s", "80 s",
    ]  # fmt: skip


def test_each_set_has_a_panel(benchmark: ModuleType, tmp_path: Path) -> None:
    curve = {"steps": [(5, 0.5), (9, 0.7)], "timm_steps": [(6, 0.4)]}
    benchmark.plot([{"set": name, **curve} for name in ("3x5", "10x5")], tmp_path / "a.png")
    assert cv2.imread(str(tmp_path / "a.png")).shape == (480, 1080, 3)
