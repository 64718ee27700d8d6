"""The targets; when the environment is kept, filled or made again, and what is said."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List

import pytest

ROOT = Path(__file__).resolve().parents[1]
INPUTS = ("Makefile", "requirements.txt", "setup.py", "pyproject.toml")
STAND_IN = """#!/bin/bash
# Stands for a Python that makes environments and has pip: notes what it is asked for.
echo "$*" >> "$CALLS"
case "$1 $2" in
"--version "*) [ -n "${ANSWERS:-}" ] && echo "$ANSWERS" || exec "$REAL_PYTHON" "$@" ;;
"-c "*) exec "$REAL_PYTHON" "$@" ;;
"-m venv")
    target="${!#}"
    if [ "$3" = --clear ]; then rm -rf "$target"; fi
    mkdir -p "$target/bin"
    cp "$0" "$target/bin/python"
    touch "$target/pyvenv.cfg" ;;
"-m pip")
    [ -z "${PIP_FAILS:-}" ] || { echo "no matching distribution" >&2; exit 1; }
    packages="$(dirname "$(dirname "$0")")/lib/python3/site-packages"
    mkdir -p "$packages/paddle"
    touch "$packages/paddle/__init__.py"
    sleep "${PIP_TAKES:-0}" ;;
esac
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make in a clone, as if this process were no part of another make."""
    given = re.findall(r"^(\w+) \?=", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    others = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    inherited = {key: value for key, value in others.items() if key not in given}
    return subprocess.run(
        ["make", *arguments],
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
    )


class Clone:
    """What the set-up needs of a clone, and a Python that does the work quickly."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tools = folder.parent / "tools"
        self.tools.mkdir()
        self.add_tool("python3", STAND_IN)
        shutil.copytree(ROOT / "requirements", folder / "requirements")
        for name in INPUTS:
            shutil.copy(ROOT / name, folder / name)

    def add_tool(self, name: str, script: str) -> None:
        """Put a program where programs are found first."""
        (self.tools / name).write_text(script, "utf-8")
        (self.tools / name).chmod(0o755)

    def setup(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `make setup`, and keep in `calls` what Python was asked to do."""
        log = self.folder.parent / "calls.log"
        log.write_text("")
        places = {
            "PATH": f"{self.tools}:{os.environ['PATH']}",
            "CALLS": str(log),
            "REAL_PYTHON": sys.executable,
        }
        done = make("setup", *arguments, cwd=self.folder, **{**places, **environment})
        lines = log.read_text().splitlines()
        self.calls: List[str] = [line for line in lines if not line.startswith(("-c", "--version"))]
        return done


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone in a folder with a space in its name."""
    return Clone(tmp_path / "my clone")


def test_every_target_is_listed_with_a_line_of_help() -> None:
    listed = re.findall(r"^make ([a-z-]+) +\S", make("help").stdout, re.MULTILINE)
    targets = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(targets)
    promised = {"setup", "quickstart", "test", "test-fast", "test-oldest", "lint", "format"}
    assert promised <= set(listed)


def test_quick_start_shows_commands_that_a_user_can_type() -> None:
    shown = make("-n", "quickstart").stdout
    commands = re.findall(r"^(\.venv/bin/\S+) (?!-m pip)(.+)$", shown, re.MULTILINE)
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


# --- the environment -----------------------------------------------------------------------------


def test_one_pip_call_brings_everything_and_a_second_set_up_only_looks(clone: Clone) -> None:
    assert clone.setup("PADDLE=cpu").returncode == 0
    assert clone.calls[0] == "-m venv .venv"
    assert clone.calls[-1].split() == [
        "-m",
        "pip",
        "install",
        "-qq",
        "--editable",
        ".[cpu,dev]",
    ]
    done = clone.setup("PADDLE=cpu")
    assert done.stdout == "setup: .venv is ready (PADDLE=cpu)\n"
    assert clone.calls == []


def test_a_set_up_that_was_broken_off_is_done_again_from_the_start(clone: Clone) -> None:
    broken = clone.setup("PADDLE=cpu", PIP_FAILS="yes")
    assert broken.returncode == 2 and "no matching distribution" in broken.stderr
    assert clone.setup("PADDLE=cpu").returncode == 0
    assert clone.calls[0] == "-m venv --clear .venv"
    assert clone.setup("PADDLE=cpu").returncode == 0 and clone.calls == []


@pytest.mark.parametrize("name", INPUTS[1:])
def test_changed_requirements_are_installed_into_the_same_environment(
    clone: Clone, name: str
) -> None:
    clone.setup("PADDLE=cpu")
    ready = next((clone.folder / ".venv").glob(".ready-*")).stat().st_mtime
    os.utime(clone.folder / name, (ready + 5, ready + 5))
    clone.setup("PADDLE=cpu")
    assert clone.calls[0] == "-m pip install -qq --upgrade pip"
    assert "--editable" in clone.calls[-1]


def test_another_paddle_or_another_place_makes_the_environment_again(clone: Clone) -> None:
    clone.setup("PADDLE=cpu")
    index = "https://example.org/cu126/"
    clone.setup("PADDLE=gpu", PADDLE_INDEX=index)
    assert clone.calls[0] == "-m venv --clear .venv"
    assert clone.calls[-1].endswith(f"--extra-index-url {index} --editable .[gpu,dev]")
    moved = clone.folder.rename(clone.folder.with_name("elsewhere"))
    clone.folder = moved
    clone.setup("PADDLE=gpu", PADDLE_INDEX=index)
    assert clone.calls[0] == "-m venv --clear .venv"


@pytest.mark.parametrize("accident", ["removed", "nowhere", "broken"])
def test_an_environment_whose_python_does_not_start_is_made_again(
    clone: Clone, accident: str
) -> None:
    clone.setup("PADDLE=cpu")
    python = clone.folder / ".venv/bin/python"
    python.unlink()
    if accident == "nowhere":  # as where the Python that it was made with was removed
        python.symlink_to("/nowhere/python3")
    elif accident == "broken":
        python.write_text("#!/bin/sh\nexit 127\n")
        python.chmod(0o755)
    assert clone.setup("PADDLE=cpu").returncode == 0
    assert clone.calls[0] == "-m venv --clear .venv" and "--editable" in clone.calls[-1]


@pytest.mark.slow
def test_another_python_makes_the_environment_again_where_it_is_asked_for(clone: Clone) -> None:
    clone.setup("PADDLE=cpu")
    clone.add_tool("python3.12", STAND_IN.replace("case", 'ANSWERS="Python 3.12.1"\ncase', 1))
    clone.setup("PADDLE=cpu", "PYTHON=python3.12")
    assert clone.calls[0] == "-m venv --clear .venv"
    clone.setup("PADDLE=cpu", "PYTHON=python3.12")
    assert clone.calls == []
    clone.setup("PADDLE=cpu")
    assert clone.calls == []


def test_an_environment_that_the_user_made_is_filled(clone: Clone) -> None:
    clone.setup("PADDLE=cpu")
    next((clone.folder / ".venv").glob(".ready-*")).unlink()
    clone.setup("PADDLE=cpu")
    assert clone.calls[0] == "-m pip install -qq --upgrade pip"
    assert "--editable" in clone.calls[-1]


def test_an_environment_without_paddle_is_made_again(clone: Clone) -> None:
    clone.setup("PADDLE=cpu")
    shutil.rmtree(clone.folder / ".venv/lib/python3/site-packages/paddle")
    clone.setup("PADDLE=cpu")
    assert clone.calls[0] == "-m venv --clear .venv" and "--editable" in clone.calls[-1]


def test_two_set_ups_at_once_make_one_environment(clone: Clone) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(clone.setup, "PADDLE=cpu", PIP_TAKES="0.2") for _ in range(2)]
    assert [done.result().returncode for done in both] == [0, 0]
    calls = (clone.folder.parent / "calls.log").read_text().splitlines()
    assert [line for line in calls if line.startswith("-m venv")] == ["-m venv .venv"]


def test_an_unknown_kind_of_paddle_is_refused(clone: Clone) -> None:
    done = clone.setup("PADDLE=GPU")
    assert done.returncode == 2 and "PADDLE is auto, cpu or gpu, not 'GPU'" in done.stderr


def test_a_folder_of_the_user_is_left_alone(clone: Clone) -> None:
    photos = clone.folder / "photos"
    photos.mkdir()
    (photos / "cat.jpg").write_text("a cat")
    done = clone.setup("VENV=photos")
    assert done.returncode == 2 and "'photos' is no virtual environment" in done.stderr
    assert (photos / "cat.jpg").read_text() == "a cat" and clone.calls == []


@pytest.mark.parametrize(
    ("answer", "extra"),
    [
        ("echo 'GPU 0: NVIDIA A100 (UUID: GPU-1)'", "gpu"),
        ("echo 'No devices found'", "cpu"),
        ("echo 'Unable to determine the device handle for GPU 0: Unknown Error'; exit 9", "cpu"),
    ],
)
def test_nvidia_smi_decides_and_the_user_overrules(clone: Clone, answer: str, extra: str) -> None:
    clone.add_tool("nvidia-smi", f"#!/bin/bash\n{answer}\n")
    clone.setup()
    assert clone.calls[-1].endswith(f".[{extra},dev]")
    clone.setup("PADDLE=cpu")
    assert extra == "cpu" or clone.calls[-1].endswith(".[cpu,dev]")


def test_a_gpu_paddle_that_cannot_be_had_gets_the_ways_out(clone: Clone) -> None:
    done = clone.setup("PADDLE=gpu", PIP_FAILS="")
    assert done.returncode == 0
    script = STAND_IN.replace('[ -z "${PIP_FAILS:-}" ]', '[[ "$*" != *gpu* ]]')
    clone.add_tool("python3", script)
    shutil.rmtree(clone.folder / ".venv")
    done = clone.setup("PADDLE=gpu")
    assert done.returncode == 2
    assert "PADDLE_INDEX=https://" in done.stderr and "PADDLE=cpu" in done.stderr


def test_a_missing_python_is_one_clear_line(clone: Clone) -> None:
    done = clone.setup("PYTHON=python9.9")
    first = done.stderr.splitlines()[0]
    assert first == "setup: there is no 'python9.9'; name another one by adding PYTHON=python3.11"
    assert done.returncode == 2


def test_other_pythons_are_refused_in_one_line_that_names_a_way_out(clone: Clone) -> None:
    done = clone.setup("NEWEST=8")
    first = done.stderr.splitlines()[0]
    assert first.startswith("setup: Python 3.9 to 3.8 is needed here")
    assert first.endswith("name another one by adding PYTHON=python3.11") and clone.calls == []


def test_the_oldest_versions_have_an_environment_of_their_own(clone: Clone) -> None:
    shown = make("-n", "test-oldest", cwd=clone.folder).stdout
    assert '-m venv ${unfit:+--clear} ".venv-oldest"' in shown
    assert '--constraint "requirements/oldest.txt"' in shown
    assert ".venv-oldest/bin/python -m pytest" in shown
