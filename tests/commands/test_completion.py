"""Completion of command lines by a real bash."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from ppcls.commands import completion

ROOT = Path(__file__).resolve().parents[2]
REGISTER = Path(sys.executable).with_name("register-python-argcomplete")

SCRIPT = """
eval "$({register} ppcls)"
COMP_LINE={line}; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
complete -p ppcls > /dev/null
_python_argcomplete ppcls "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

pytestmark = pytest.mark.skipif(
    not REGISTER.exists() or shutil.which("bash") is None, reason="argcomplete or bash is missing"
)


def completed(line: str, folder: Path) -> List[str]:
    """What bash offers where somebody presses Tab at the end of the line."""
    program = folder / "bin/ppcls"
    if not program.exists():
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m ppcls \"$@\"\n")
        program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    words = " ".join(map(shlex.quote, line.split(" ")))
    script = SCRIPT.format(register=shlex.quote(str(REGISTER)), line=shlex.quote(line), words=words)
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [word.strip() for word in done.stdout.splitlines()]


def test_a_verb_is_completed(tmp_path: Path) -> None:
    assert completed("ppcls tr", tmp_path) == ["train"]


@pytest.mark.slow
def test_recipes_files_and_keys_are_completed(tmp_path: Path) -> None:
    (tmp_path / "quick_stuff.yaml").touch()
    found = completed("ppcls train -c quick_st", tmp_path)
    assert {"quick_start/LeNet_digits.yaml", "quick_stuff.yaml"} <= set(found)
    assert completed("ppcls train -c x.yaml -o Global.epo", tmp_path) == ["Global.epochs="]


def test_options_and_names_of_networks_are_completed(tmp_path: Path) -> None:
    assert completed("ppcls models --max", tmp_path) == ["--max-params", "--max-macs"]
    assert "SqueezeNet1_1" in completed("ppcls models Squ", tmp_path)


@pytest.mark.parametrize(
    ("argument", "prefix", "expected"),
    [
        ("config", "quick_start/LeNet_d", ["quick_start/LeNet_digits.yaml"]),
        ("model", "EfficientNetLite", [f"EfficientNetLite{size}" for size in "012"]),
        ("models", "DetNet", ["DetNet59"]),
        ("pattern", "DetNet", ["DetNet59"]),
        ("override", "Global.epo", ["Global.epochs="]),
        ("override", "Nothing", []),
    ],
)
def test_names_of_each_argument(argument: str, prefix: str, expected: List[str]) -> None:
    parser = argparse.ArgumentParser()
    action = parser.add_argument(f"--{argument}")
    completion.answer_shell(argparse.ArgumentParser(), parser)
    assert vars(action)["completer"](prefix) == expected


def test_without_the_package_nothing_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    parser = argparse.ArgumentParser()
    action = parser.add_argument("--config")
    completion.answer_shell(parser, parser)
    assert "completer" not in vars(action)
