"""The parts of the benchmark that do not train."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def benchmark(root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("planted_labels")


def test_photos_are_moved_to_other_classes_and_none_is_lost(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    classes = ["a", "b", "c"]
    for name in classes:
        (tmp_path / name).mkdir()
        for number in range(20):
            (tmp_path / name / f"{number}.jpg").write_text(name)
    moved = benchmark.plant(tmp_path, classes, 0.1, 0)
    files = sorted(tmp_path.glob("*/*"))
    assert len(moved) == 6 and len(files) == 60
    wrong = {file.name for file in files if file.read_text() != file.parent.name}
    assert wrong == moved
