"""The benchmark of training steps runs, and says what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest


def run(root: Path, *options: str) -> Tuple[List[str], List[str], Dict[str, Any]]:
    """Return the cells of the table's head and of its row, and what was measured."""
    command = [sys.executable, str(root / "benchmarks/cpu_step.py"), "--rounds", "2"]
    command += ["--cases", "MobileNetV1_x0_25:2:32:frozen", "--steps", "1", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    head, _, row = done.stdout.splitlines()[1:4]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in (head, row)]
    return cells[0], cells[1], json.loads(done.stderr.splitlines()[-1])


@pytest.mark.slow
def test_subjects_take_turns_and_end_up_in_a_table(root: Path) -> None:
    head, row, found = run(root)
    assert "paddle [images/s]" in head and "ppcls [images/s]" in head
    assert row[0] == "MobileNetV1_x0_25 (frozen)"
    assert float(row[-1]) == pytest.approx(found["ppcls"] / found["paddle"], abs=0.01)


@pytest.mark.slow
def test_evaluation_is_measured_beside_onnx_runtime(root: Path) -> None:
    for name in ("onnxruntime", "paddle2onnx"):
        pytest.importorskip(name, reason="the extra onnx is not installed")
    head, _, found = run(root, "--evaluation")
    assert head[3:6] == [f"{name} [images/s]" for name in ("paddle", "ppcls", "onnxruntime")]
    assert all(found[name] > 0 for name in ("paddle", "ppcls", "onnxruntime"))
