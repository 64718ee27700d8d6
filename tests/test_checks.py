"""``ppcls checks``: what is here, what is wrong, how to mend it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable

import pytest

from ppcls import __version__, checks
from ppcls.cli import main


def found(name: str) -> checks.Finding:
    (finding,) = [finding for finding in checks.run_checks() if finding.name == name]
    return finding


def test_this_machine_is_described(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    assert main(["checks"]) == 0
    text = capsys.readouterr().out
    assert f"{__version__}, in {root / 'ppcls'}" in text
    for name in ("Python", "Paddle", "NumPy", "OpenCV", "device", "threads", "MKL", "cache"):
        assert f"ok  {name} " in text
    assert text.endswith("no problem found\n")


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    import numpy

    assert main(["checks", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["problems"] == 0
    values = {item["name"]: item["value"] for item in report["checks"]}
    assert values["NumPy"] == numpy.__version__
    assert "paddle" in values["engines"]


def test_size_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path))
    assert found("cache").value == f"{tmp_path}, empty"
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/x.pdparams").write_bytes(bytes(2_500_000))
    assert found("cache").value == f"{tmp_path}, 2.5 MB"


def test_problems_have_advice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "999")
    monkeypatch.setattr(checks, "PYTHONS", ((3, 6), (3, 7)))
    monkeypatch.setattr("ppcls.runtime.is_amd", lambda: True)
    monkeypatch.setenv("MKL_DEBUG_CPU_TYPE", "4")
    assert main(["checks"]) == 1
    text = capsys.readouterr().out
    assert "WRONG  threads" in text
    assert "OMP_NUM_THREADS=999 is more than the" in text
    assert "unset OMP_NUM_THREADS" in text
    assert "ppcls is tested with Python 3.6 to 3.7" in text
    assert "unset MKL_DEBUG_CPU_TYPE" in text
    assert text.endswith("3 problems found\n")


BROKEN = {
    "paddle": ("Paddle", "it cannot be used: libfoo.so", "pip install --force-reinstall"),
    "cv2": (
        "OpenCV",
        "it is installed, but cannot be imported: libfoo.so",
        "opencv-python-headless",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("module", BROKEN)
def test_a_package_that_does_not_load_is_a_problem(
    module: str, tmp_path: Path, run_python: Callable[..., Any]
) -> None:
    """Where a library of the system is missing, the import itself fails."""
    name, problem, advice = BROKEN[module]
    (tmp_path / module).mkdir()
    (tmp_path / module / "__init__.py").write_text("raise ImportError('libfoo.so: not found')\n")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    done = run_python("-m", "ppcls", "checks", cwd=tmp_path, env={"PYTHONPATH": path})
    assert done.returncode == 1, done.stderr
    (place,) = [i for i, line in enumerate(done.stdout.splitlines()) if f"  {name} " in line]
    assert problem in done.stdout.splitlines()[place + 1]
    assert advice in done.stdout.splitlines()[place + 2]
