"""Every command of the page on deployment runs, in the order in which a reader types them.

Both languages have the same commands, which `tests/test_docs.py` makes sure of.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import List

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/en/deployment.md"
RECIPE = "configs/quick_start/LeNet_digits.yaml"


def commands() -> List[str]:
    """The commands of the page's shell blocks, without those that install."""
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    joined = "".join(blocks).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and "pip install" not in line]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a clone, with the quick start trained for three epochs, and photos."""
    place = tmp_path_factory.mktemp("reader")
    for name in ("configs", "deploy", "tools", "ppcls"):
        (place / name).symlink_to(ROOT / name)
    for number, kind in enumerate(("cat", "horse")):
        noise = np.random.default_rng(number).integers(0, 256, (9, 12, 3), np.uint8)
        (place / "my_photos" / kind).mkdir(parents=True)
        cv2.imwrite(str(place / "my_photos" / kind / "1.jpg"), cv2.resize(noise, (400, 300)))
    _run("ppcls data prepare digits", place)
    _run(f"ppcls train -c {RECIPE} -o Global.epochs=3", place)
    return place


def _run(command: str, place: Path) -> str:
    beside = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}",
        "PPCLS_HOME": str(place / "home"),
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=place, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.exhaustive  # each verb has tests of its own, and test_docs.py reads what is written
@pytest.mark.timeout(600)
def test_every_command_of_the_page_runs(place: Path) -> None:
    for package in ("onnxruntime", "paddle2onnx", "openvino", "nncf"):
        pytest.importorskip(package, reason="an extra that the page uses is not installed")
    assert len(commands()) >= 10
    for command in commands():
        _run(command, place)
