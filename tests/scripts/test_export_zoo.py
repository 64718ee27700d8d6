"""The script that exports the whole zoo, on its smallest network."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from ppcls.arch import create_model
from scripts.export_zoo import smallest_side


@pytest.mark.slow
def test_a_run_goes_on_where_it_was_and_counts_what_is_there(
    tmp_path: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    for package in ("paddle2onnx", "onnxruntime", "openvino"):
        pytest.importorskip(package, reason="the extras 'onnx' and 'openvino' are not installed")
    results = tmp_path / "results.jsonl"
    failed = {"network": "AlexNet", "error": "it is not there"}
    results.write_text(json.dumps(failed) + "\n")
    done = run_python("scripts/export_zoo.py", "--small", results, "LeNet", "AlexNet")
    assert done.returncode == 1, done.stderr
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert rows[0] == failed and [row["network"] for row in rows] == ["AlexNet", "LeNet"]
    assert rows[1]["side"] == 32
    assert all(worst < 1e-5 and same == 1 for worst, same in rows[1]["worst"].values())
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[1] for line in lines if "LeNet" in line and "|" in line] == [
        *("paddle", "paddle", "onnx", "onnx", "openvino"),
    ]
    assert done.stdout.endswith("AlexNet: it is not there\n")


@pytest.mark.slow
def test_small_images_are_as_large_as_pooling_needs() -> None:
    assert smallest_side(create_model("LeNet")) == 32
    assert smallest_side(create_model("MobileNetV1_x0_25")) == 64
    assert smallest_side(create_model("AlexNet")) == 224
