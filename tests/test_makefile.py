"""The set-up: which Paddle, when an environment is kept, mended or made anew, and what is said."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Callable, Dict, List

import pytest

from scripts import make_venv
from scripts.make_venv import Paddle, Request

ROOT = Path(__file__).resolve().parents[1]
CPU = Paddle("paddlepaddle", "a reason")
GPU = Paddle("paddlepaddle-gpu", "a reason")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make in the clone, as if this process were no part of another make."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone that holds what the environment depends on, in a folder with a space in its name."""
    folder = tmp_path / "my clone"
    folder.mkdir()
    for name in make_venv.INPUTS:
        (folder / name).write_text(f"first {name}", "utf-8")
    monkeypatch.setattr(make_venv, "ROOT", folder)
    return folder


@pytest.fixture
def pip_calls(clone: Path, monkeypatch: pytest.MonkeyPatch) -> List[List[str]]:
    """The steps that would run pip: noted, not run; the rest of the work is real."""
    calls: List[List[str]] = []

    def run(command: List[str], folder: Path, hint: str = "") -> None:
        calls.append(command[3:])

    monkeypatch.setattr(make_venv, "run", run)
    monkeypatch.setattr(make_venv, "make_empty", lambda folder: venv.create(folder, symlinks=True))
    monkeypatch.setattr(make_venv, "pip_version", lambda folder: (23, 0))
    monkeypatch.setattr(make_venv, "summarise", lambda request: "Python 3.x, paddlepaddle 3.x")
    monkeypatch.setattr(make_venv, "MODULES", ["json"])
    return calls


@pytest.fixture
def fake_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put an `nvidia-smi` on the path that runs the given shell line."""

    def place(line: str) -> None:
        command = tmp_path / "bin/nvidia-smi"
        command.parent.mkdir(exist_ok=True)
        command.write_text(f"#!/bin/sh\n{line}\n")
        command.chmod(0o755)
        monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")

    return place


def test_every_target_is_listed_with_a_line_of_help() -> None:
    listed = re.findall(r"^make ([a-z-]+) +\S", make("help").stdout, re.MULTILINE)
    targets = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(targets)
    promised = {"setup", "quickstart", "test", "test-fast", "test-oldest", "lint", "format"}
    assert promised <= set(listed)


def test_quick_start_shows_commands_that_a_user_can_type() -> None:
    shown = make("-n", "quickstart").stdout
    commands = re.findall(r"^(\.venv/bin/\S+) (.+)$", shown, re.MULTILINE)
    verbs = [arguments.split()[0] for _, arguments in commands]
    assert verbs == ["data", "tools/train.py", "tools/eval.py", "tools/export_model.py"] + [
        "deploy/predict.py"
    ]
    for file in re.findall(r"(?:tools|deploy|configs)/\S+", " ".join(map(" ".join, commands))):
        assert (ROOT / file).is_file(), file


def test_quick_start_predicts_a_digit_that_is_written() -> None:
    from ppcls.data.prepare import _EVERY_FIFTH, _load_digits

    digit = re.findall(
        r"--input dataset/digits/val/(\d)/(\d+)\.png", make("-n", "quickstart").stdout
    )
    ((label, number),) = digit
    labels = _load_digits()[1]
    held_back = sorted(range(len(labels)), key=lambda index: (labels[index], index))[_EVERY_FIFTH]
    assert int(number) in held_back and labels[int(number)] == int(label)


def test_ci_runs_make_test() -> None:
    text = (ROOT / ".ci/run").read_text("utf-8")
    assert "set -euo pipefail" in text and text.rstrip().endswith("make test")
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_a_missing_python_is_one_clear_line() -> None:
    done = make("setup", "PYTHON=python2x")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "setup: there is no 'python2x'; name another one by adding PYTHON="
    )


@pytest.mark.parametrize("version", [(3, 9, 0), (3, 11, 7), (3, 13, 0)])
def test_supported_pythons_are_accepted(version: tuple) -> None:
    assert make_venv.python_problem(version) == ""


@pytest.mark.parametrize("version", [(3, 6, 15), (3, 8, 18), (3, 14, 0), (4, 0, 0)])
def test_other_pythons_are_refused_in_one_line_that_names_a_way_out(version: tuple) -> None:
    line = make_venv.python_problem(version)
    assert "3.9 to 3.13" in line and ".".join(map(str, version)) in line
    assert "adding PYTHON=" in line and "\n" not in line


def test_without_nvidia_smi_it_is_the_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    package, why = make_venv.choose_paddle("auto", {})
    assert package == "paddlepaddle" and "no nvidia-smi" in why


@pytest.mark.parametrize(
    ("line", "package"),
    [
        ("echo 'GPU 0: A100 (UUID: 1)'", "paddlepaddle-gpu"),
        ("echo 'NVIDIA-SMI has failed'; exit 9", "paddlepaddle"),
        ("echo 'No devices found.'", "paddlepaddle"),
    ],
)
def test_nvidia_smi_decides(
    fake_nvidia_smi: Callable[[str], None], line: str, package: str
) -> None:
    fake_nvidia_smi(line)
    assert make_venv.choose_paddle("auto", {}).package == package


@pytest.mark.parametrize(("wanted", "package"), [("cpu", CPU.package), ("gpu", GPU.package)])
def test_the_user_overrules(
    fake_nvidia_smi: Callable[[str], None], wanted: str, package: str
) -> None:
    fake_nvidia_smi("exit 1" if wanted == "gpu" else "echo GPU 0")
    found = make_venv.choose_paddle(wanted, {})
    assert found.package == package and f"PADDLE={wanted}" in found.why


def test_one_pip_call_brings_everything(clone: Path) -> None:
    assert make_venv.pip_arguments(Request(clone / ".venv", CPU)) == [
        "install", "--disable-pip-version-check", "--editable", ".[cpu,dev]"
    ]  # fmt: skip
    request = Request(clone / ".venv", GPU, Path("requirements/oldest.txt"), "https://example.org")
    arguments = make_venv.pip_arguments(request)
    assert ".[gpu,dev]" in arguments
    assert arguments[-4:] == [
        "--constraint", "requirements/oldest.txt", "--extra-index-url", "https://example.org"
    ]  # fmt: skip


def test_second_call_only_looks(
    clone: Path, pip_calls: List[List[str]], capsys: pytest.CaptureFixture
) -> None:
    request = Request(clone / ".venv", CPU)
    make_venv.make(request)
    make_venv.make(request)
    assert len(pip_calls) == 1
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == "setup: paddlepaddle, because a reason"
    assert last.startswith("setup: .venv is current: Python 3.x, paddlepaddle 3.x")


@pytest.mark.parametrize("name", make_venv.INPUTS)
def test_changed_requirements_are_installed_into_the_same_environment(
    clone: Path, pip_calls: List[List[str]], name: str
) -> None:
    request = Request(clone / ".venv", CPU)
    make_venv.make(request)
    (clone / ".venv/kept").touch()
    (clone / name).write_text("second", "utf-8")
    make_venv.make(request)
    assert len(pip_calls) == 2 and (clone / ".venv/kept").exists()


def test_another_paddle_replaces_the_one_that_is_there(
    clone: Path, pip_calls: List[List[str]]
) -> None:
    make_venv.make(Request(clone / ".venv", CPU))
    site = next((clone / ".venv").glob("lib/python*/site-packages"))
    (site / "paddlepaddle-3.3.1.dist-info").mkdir()
    make_venv.make(Request(clone / ".venv", GPU))
    assert pip_calls[1] == ["uninstall", "--yes", "paddlepaddle"]
    assert ".[gpu,dev]" in pip_calls[2]


def interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the set-up inside pip."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(make_venv, "run", stop)
        make_venv.make(Request(folder, CPU))


def lost_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finish the set-up, then lose a package."""
    make_venv.make(Request(folder, CPU))
    monkeypatch.setattr(make_venv, "MODULES", ["json", "a_package_that_is_gone"])


def lost_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finish the set-up, then remove the Python that made it."""
    make_venv.make(Request(folder, CPU))
    (folder / "bin/python").unlink()
    (folder / "bin/python").symlink_to("/nowhere/python3")


def made_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finish the set-up, then move the clone or update Python."""
    make_venv.make(Request(folder, CPU))
    monkeypatch.setattr(make_venv, "home", lambda: "Python 3.99 in /elsewhere")


def empty_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop before anything is written."""
    folder.mkdir()


@pytest.mark.parametrize(
    ("accident", "words"),
    [
        (interrupted, "left unfinished"),
        (empty_folder, "left unfinished"),
        (lost_package, "lost packages"),
        (lost_python, "lost packages or its Python"),
        (made_elsewhere, "was made for Python 3."),
    ],
)
def test_a_broken_environment_is_made_anew(
    clone: Path,
    pip_calls: List[List[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    accident: Callable[[Path, pytest.MonkeyPatch], None],
    words: str,
) -> None:
    folder = clone / ".venv"
    accident(folder, monkeypatch)
    if folder.exists() and any(folder.iterdir()):
        (folder / "old").touch()
    pip_calls.clear()
    make_venv.make(Request(folder, CPU))
    assert words in capsys.readouterr().out
    assert not (folder / "old").exists() and not (folder / make_venv.UNFINISHED).exists()
    assert len(pip_calls) == 1 and make_venv.read_stamp(folder)


def test_a_folder_of_the_user_is_left_alone(clone: Path, pip_calls: List[List[str]]) -> None:
    (clone / ".venv").mkdir()
    (clone / ".venv/thesis.txt").write_text("mine")
    with pytest.raises(SystemExit, match="is no virtual environment"):
        make_venv.make(Request(clone / ".venv", CPU))
    assert (clone / ".venv/thesis.txt").read_text() == "mine" and not pip_calls


def test_an_environment_that_the_user_made_is_filled(
    clone: Path, pip_calls: List[List[str]]
) -> None:
    venv.create(clone / ".venv", symlinks=True)
    (clone / ".venv/kept").touch()
    make_venv.make(Request(clone / ".venv", CPU))
    assert (clone / ".venv/kept").exists() and len(pip_calls) == 1


def test_a_failing_step_shows_its_output_and_what_may_help(
    clone: Path, capsys: pytest.CaptureFixture
) -> None:
    command = [sys.executable, "-c", "print('no matching distribution'); raise SystemExit(1)"]
    (clone / ".venv").mkdir()
    with pytest.raises(SystemExit, match="this step failed: .*\nsetup: try this"):
        make_venv.run(command, clone / ".venv", hint="try this")
    assert "no matching distribution" in capsys.readouterr().out


def test_the_gpu_hint_names_both_ways_out() -> None:
    assert "PADDLE_INDEX=https://" in make_venv.GPU_HINT and "PADDLE=cpu" in make_venv.GPU_HINT


@pytest.mark.parametrize("changed", ["package", "constraints", "index", "python"])
def test_the_key_notices(clone: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    (clone / "oldest.txt").write_text("numpy==1.24.0")
    plain = Request(clone / ".venv", CPU)
    before = make_venv.key(plain)
    if changed == "python":
        monkeypatch.setattr(make_venv, "home", lambda: "Python 3.99 elsewhere")
    others: Dict[str, Request] = {
        "package": plain._replace(paddle=GPU),
        "constraints": plain._replace(constraints=Path("oldest.txt")),
        "index": plain._replace(extra_index="https://example.org"),
        "python": plain,
    }
    assert make_venv.key(others[changed]) != before


def test_the_environment_of_this_run_is_current() -> None:
    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("these tests do not run in the clone's own .venv")
    done = make("setup", f"PYTHON={Path(sys.base_prefix) / 'bin/python3'}")
    assert "setup: .venv is current" in done.stdout, done.stdout + done.stderr
