"""``ppcls checks``: what is here, what is wrong, how to mend it."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Optional

import pytest

from ppcls import __version__, checks
from ppcls.cli import main
from ppcls.errors import UsageError


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


def _unimportable(*broken: str) -> Callable[[str], Any]:
    def imported(name: str) -> Any:
        if name in broken:
            raise ImportError("libfoo.so: not found\nand more")
        return importlib.import_module(name)

    return imported


def test_what_cannot_be_imported_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in = SimpleNamespace(import_module=_unimportable("paddle", "cv2"))
    monkeypatch.setattr(checks, "importlib", stand_in)
    stand_in.metadata = importlib.metadata
    for name, problem, advice in BROKEN.values():
        finding = found(name)
        assert problem in finding.problem and advice in finding.advice
        assert "and more" not in finding.problem


def test_two_builds_of_paddle_are_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_version", lambda package: "3.1.0")
    assert "over each other" in found("Paddle").problem


@pytest.mark.parametrize(
    ("version", "problem"),
    [("3.0.0", "does not run with Paddle 3.0"), ("2.5.1", "needs Paddle 2.6.2"), ("2.6.2", "")],
)
def test_versions_of_paddle(version: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_computed", lambda: version)
    finding = found("Paddle")
    assert problem in finding.problem and bool(finding.problem) == bool(problem)
    assert bool(finding.advice) == bool(problem)


def test_an_unused_gpu_and_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ppcls.runtime.has_nvidia_gpu", lambda: True)
    monkeypatch.setattr("ppcls.runtime.choose_device", lambda *given: "cpu")
    assert "which this Paddle does not use" in found("device").problem

    def refuse(*given: str) -> str:
        raise UsageError("there is no such device")

    monkeypatch.setattr("ppcls.runtime.choose_device", refuse)
    assert found("device").problem == "there is no such device"


@pytest.mark.parametrize(
    ("path", "value", "has_problem"),
    [("5", "AVX2, as ppcls sets it", False), (None, "not loaded", False), ("1", "=1", True)],
)
def test_the_code_path_of_mkl_on_amd(
    path: Optional[str], value: str, has_problem: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ppcls.runtime.is_amd", lambda: True)
    monkeypatch.setattr("ppcls.runtime.prepare", lambda: None)
    monkeypatch.delenv("MKL_DEBUG_CPU_TYPE", raising=False)
    if path is not None:
        monkeypatch.setenv("MKL_DEBUG_CPU_TYPE", path)
    finding = found("MKL")
    assert value in finding.value and bool(finding.problem) == has_problem


def test_a_cache_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path))
    monkeypatch.setattr("os.access", lambda *given: False)
    finding = found("cache")
    assert "cannot be written to" in finding.problem and "PPCLS_HOME" in finding.advice

    def unreadable(folder: Path) -> str:
        raise PermissionError("Permission denied")

    monkeypatch.setattr(checks, "_size", unreadable)
    assert found("cache").problem == "Permission denied"


def test_without_engines_nothing_can_predict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ppcls.inference.engines.is_installed", lambda name: False)
    finding = found("engines")
    assert finding.value == "none" and "nothing can predict" in finding.problem
    assert "ppcls[onnx]" in finding.advice


@pytest.mark.parametrize(
    ("name", "error", "problem"),
    [
        ("OpenVINO", ModuleNotFoundError("No module named 'openvino'", name="openvino"), ""),
        ("OpenCV", ModuleNotFoundError("No module named 'cv2'", name="cv2"), "named 'cv2'"),
        ("OpenVINO", ModuleNotFoundError("No module named 'odd'", name="odd"), "named 'odd'"),
    ],
)
def test_a_missing_package_is_a_problem_where_it_is_needed(
    name: str, error: ImportError, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not needed may be missing, but not half of it."""

    def imported(module: str) -> Any:
        if module == {"OpenVINO": "openvino", "OpenCV": "cv2"}[name]:
            raise error
        return SimpleNamespace(__version__="1.0")

    monkeypatch.setattr(checks, "importlib", SimpleNamespace(import_module=imported))
    (finding,) = [one for one in checks._modules() if one.name == name]
    assert finding.value == "not installed" and "pip install" in finding.advice
    assert problem in finding.problem and bool(finding.problem) == bool(problem)
    others = [one for one in checks._modules() if one.name != name]
    assert {one.value for one in others} == {"1.0"} and not any(one.problem for one in others)


def test_without_paddle_only_the_processor_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "paddle", raising=False)
    assert [one.name for one in checks._device()] == ["processor"]


def test_engines_are_unknown_while_what_they_need_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ppcls.inference.engines", None)
    (finding,) = checks._engines()
    assert finding.value == "unknown as long as a package above is missing"
    assert not finding.problem
