"""The benchmark of reading runs, and says what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import cv2
import numpy as np
import pytest


@pytest.fixture
def run(root: Path) -> Callable[..., str]:
    def run(*arguments: object) -> str:
        command = [sys.executable, str(root / "benchmarks/loader.py"), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.slow
def test_subjects_take_turns_and_end_up_in_a_table(run: Any, tmp_path: Path) -> None:
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (40, 50, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), noise)
    told = run("--small", tmp_path, "--images", 5, "--rounds", 1, "--threads", 1).splitlines()
    assert told[0].endswith("1 threads, small: 5 files")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in told[1:]]
    assert [row[0] for row in rows[2:]] == [
        "cv2.imdecode",
        "ppcls",
        "ppcls, isolated",
        "ppcls, pixels kept",
    ]
    assert rows[2][-1] == "1.00" and all(float(row[1]) > 0 for row in rows[2:])


@pytest.mark.slow
def test_memory_is_said_ten_times(run: Any) -> None:
    found = json.loads(run("--long", 20))
    assert found["batches"] == 20 and len(found["MB"]) == 10 and min(found["MB"]) > 10
