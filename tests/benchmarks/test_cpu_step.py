"""The benchmark of training steps runs, and says what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_subjects_take_turns_and_end_up_in_a_table(root: Path) -> None:
    command = [sys.executable, str(root / "benchmarks/cpu_step.py"), "--rounds", "2"]
    command += ["--cases", "MobileNetV1_x0_25:2:32:frozen", "--steps", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    head, _, row = done.stdout.splitlines()[1:4]
    assert "paddle [images/s]" in head and "ppcls [images/s]" in head
    assert row.split("|")[1].strip() == "MobileNetV1_x0_25 (frozen)"
    found = json.loads(done.stderr.splitlines()[-1])
    gain = float(row.split("|")[-2])
    assert gain == pytest.approx(found["ppcls"] / found["paddle"], abs=0.01)
