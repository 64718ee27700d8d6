"""`pip install 'ppcls[onnx]'` in a new environment, without Paddle, predicts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable, List

import pytest

from ppcls.inference import Predictor

PYTHONS = [sys.executable, os.environ.get("PYTHON_313") or shutil.which("python3.13")]


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
@pytest.mark.parametrize("python", PYTHONS, ids=["this", "3.13"])
def test_an_environment_with_the_extra_alone(
    python: str, bundled: Callable[[List[str]], Path], photos: Path, root: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    pytest.importorskip("paddle2onnx", reason="the extra 'onnx' is not installed")
    if python is None or _fails(python, "--version"):
        pytest.skip("there is no python3.13 here that starts; PYTHON_313 may name one")
    folder = bundled(["paddle", "onnx"])
    expected = list(Predictor(folder, engine="paddle", device="cpu")([str(photos / "2.png")]))
    home = tmp_path / "environment"
    source = tmp_path / "source"
    shutil.copytree(root, source, ignore=shutil.ignore_patterns(".*", "output", "dataset", "build"))
    _run(python, "-m", "venv", home)
    _run(home / "bin/python", "-m", "pip", "install", "--quiet", f"{source}[onnx]")
    assert _fails(home / "bin/python", "-c", "import paddle")
    found = tmp_path / "found.jsonl"
    images = ["--input", photos / "2.png", "--output", found]
    said = _run(home / "bin/ppcls", "predict", "--model_dir", folder, *images)
    assert "\nengine: onnxruntime " in said and said.count("\n") == 3, said
    (row,) = [json.loads(line) for line in found.read_text().splitlines()]
    assert row["class_ids"] == expected[0].class_ids
    assert row["scores"] == pytest.approx(expected[0].scores, abs=1e-6)


def _run(*command: object) -> str:
    """Run a command, and return what it writes to stderr."""
    words = [str(part) for part in command]
    return subprocess.run(words, check=True, env=_clean(), stderr=subprocess.PIPE, text=True).stderr


def _fails(*command: object) -> bool:
    done = subprocess.run([str(part) for part in command], capture_output=True, env=_clean())
    return done.returncode != 0


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
