"""Recipes of PaddleClas are counted by what is in the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RECIPE = """
Global: {{epochs: 2, image_channel: 3}}
AMP: {{use_amp: False, level: O2}}
Arch: {{name: {name}}}
Optimizer: {{name: Momentum, clip_grad: 5.0, lr: {{name: {schedule}, learning_rate: 0.1}}}}
Loss: {{Train: [{{CELoss: {{weight: 1.0}}}}]}}
"""


@pytest.mark.slow
def test_counts_and_reasons(root: Path, tmp_path: Path) -> None:
    for file, name, schedule in (
        ("good", "ResNet18", "Cosine"),
        ("odd", "ResNet18", "Cosin"),
        ("strange", "NoSuchNet", "Cosin"),
    ):
        text = RECIPE.format(name=name, schedule=schedule)
        (tmp_path / f"{file}.yaml").write_text(text)
    command = [sys.executable, str(root / "benchmarks/paddleclas_recipes.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    first, *reasons = done.stdout.splitlines()
    assert first == "1 of 2 files of networks that exist here are read; 3 in all"
    (reason,) = reasons
    assert reason.startswith("   1 Optimizer.lr") and "Cosin" in reason and "(odd.yaml)" in reason
