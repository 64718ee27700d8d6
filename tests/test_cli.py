"""The command line itself: help, exit statuses, and the scripts that call it."""

from __future__ import annotations

import errno
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional

import pytest

import ppcls
from ppcls import cli
from ppcls.cli import main

ROOT = Path(__file__).resolve().parents[1]

OPTIONS = {
    "train": ["--config", "--override", "--print-config", "--resume", "--overwrite", "--dry-run"],
    "eval": ["--config", "--override", "--print-config", "--json"],
    "infer": ["--config", "--override", "--print-config"],
    "export": ["--config", "--override", "--print-config", "--output_dir", "--overwrite"],
    "predict": ["--model_dir", "--input", "--output", "--topk", "--batch_size", "--device"],
    "convert": ["--source", "--name", "--input", "--output", "--overwrite", "--list"],
    "data": ["ACTION", "prepare"],
    "models": ["pattern"],
}

COMMANDS = [
    file
    for file in (ROOT / "ppcls/commands").glob("*.py")
    if "\ndef run(" in file.read_text("utf-8")
]

HEAVY = ["cv2", "numpy", "paddle", "pydantic", "tqdm", "yaml"]

SCRIPTS = {
    "tools/train.py": "train",
    "tools/eval.py": "eval",
    "tools/benchmark.py": "benchmark train",
    "tools/infer.py": "infer",
    "tools/export_model.py": "export",
    "tools/convert_weights.py": "convert",
    "deploy/benchmark.py": "benchmark deploy",
    "deploy/predict.py": "predict",
    "deploy/quantize.py": "quantize",
}


def left_with(arguments: List[str]) -> object:
    """The status with which argparse leaves."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert left_with(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    described = {line.split()[0] for line in lines if line.startswith("    ") and line.split()}
    assert set(OPTIONS) <= described


@pytest.mark.parametrize("verb", OPTIONS)
def test_help_of_each_verb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert left_with([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: ppcls {verb} ")
    assert [option for option in OPTIONS[verb] if option not in text] == []


@pytest.mark.parametrize("verb", [None, *OPTIONS])
def test_help_imports_the_command_it_describes_and_nothing_heavy(
    verb: Optional[str], run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    arguments = [verb, "--help"] if verb else ["--help"]
    code = (
        "import atexit, sys; from ppcls.cli import main\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        f"main({arguments})"
    )
    loaded = run_python("-c", code).stderr.split()
    verbs = {file.stem for file in COMMANDS if f"ppcls.commands.{file.stem}" in loaded}
    assert verbs == ({verb} if verb else set())
    assert set(HEAVY) & set(loaded) == set()


def test_every_command_is_a_verb(capsys: pytest.CaptureFixture[str]) -> None:
    left_with(["--help"])
    verbs = set(capsys.readouterr().out.split())
    assert [file for file in COMMANDS if file.stem not in verbs] == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert left_with(["--version"]) == 0
    assert capsys.readouterr().out == f"ppcls {ppcls.__version__}\n"


WRONG: Dict[str, str] = {
    "": "which verb? The verbs are train, eval, ",
    "trian": "there is no verb 'trian'. Did you mean 'ppcls train'? The verbs are train, ",
    "doctor": "there is no verb 'doctor'. Did you mean 'ppcls checks'?",
    "-x": "ppcls has no option -x, and there is no verb. The verbs are",
    "-c a.yaml train": "the verb comes first: ppcls train -c a.yaml\n",
    "--import my.py trian": "ppcls has no option --import, and there is no verb.",
    "export": "ppcls export needs --config; 'ppcls export --help' shows all that it takes, with ",
    "train --epochs 3": "ppcls train has no option --epochs. A recipe's values are changed with "
    "-o: -o Global.epochs=3\n",
    "train -c a.yaml --batch-size=8 --lr 0.1": "ppcls train has no option --batch-size. A recipe's "
    "values are changed with -o: -o DataLoader.Train.sampler.batch_size=8\n  ppcls train has no "
    "option --lr. A recipe's values are changed with -o: -o Optimizer.lr.learning_rate=0.1\n",
    "train -c a.yaml --overwrit": "train has no option --overwrit. Did you mean --overwrite?\n",
    "export -c a.yaml --qqq": "no option --qqq. 'ppcls export --help' shows those that it has\n",
    "predict --input x": "ppcls predict: one of the arguments --model_dir --model is required;",
    "predict --batch-size 3": "predict has no option --batch-size. Did you mean --batch_size?",
    "data splitt": "ACTION: unknown 'splitt'. Did you mean 'split'? Accepted: prepare, split",
    "models a b": "ppcls models: this is one too many: b; ",
    "models --sort size": "--sort: unknown 'size'. Accepted: params, macs, accuracy\n",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_command_lines_leave_with_2_and_a_hint(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with(line.split()) == 2
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert WRONG[line] in text
    assert len(text.splitlines()) <= 2


@pytest.mark.parametrize("verb", cli._VERBS)
def test_every_verb_has_examples_that_parse_and_help_without_marks(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert "`" not in text
    examples = re.findall(rf"^  (ppcls {verb} ?.*)$", text.partition("examples:")[2], re.MULTILINE)
    assert examples
    for example in examples:
        assert cli._parse(shlex.split(example)[1:]).verb == verb


FAILURES: Dict[str, Any] = {
    "a full disk": (
        OSError(errno.ENOSPC, "No space left on device", "figures.json"),
        1,
        "error: figures.json: No space left on device\n",
    ),
    "a system error without a file": (
        OSError(errno.EIO, "Input/output error"),
        1,
        "error: Input/output error\n",
    ),
    "an odd system error": (OSError("odd"), 1, "error: odd\n"),
    "Ctrl-C": (KeyboardInterrupt(), 130, "stopped by Ctrl-C\n"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_interrupts_a_command_is_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error, status, text = FAILURES[name]

    def fail(arguments: object) -> int:
        raise error

    monkeypatch.setattr("ppcls.commands.models.run", fail)
    assert main(["models"]) == status
    assert capsys.readouterr().err == text


SLOW_PADDLE = """
import time
print("importing", flush=True)
try:
    time.sleep(60)
except BaseException:
    raise ImportError("initialization failed")
"""


def test_ctrl_c_while_paddle_is_imported_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "paddle").mkdir()
    (tmp_path / "paddle/__init__.py").write_text(SLOW_PADDLE)
    process = subprocess.Popen(
        [sys.executable, "-m", "ppcls", "zoo"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1] == "stopped by Ctrl-C\n"
    assert process.returncode == 130


def test_errors_do_not_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "--model_dir", "bundle", "a\x1b[2J.png"]) != 0
    assert "\\x1b[2J" in capsys.readouterr().err


def test_errors_of_the_program_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("ppcls.commands.models.run", fail)
    with pytest.raises(ZeroDivisionError):
        main(["models"])


def test_a_reader_that_stops_reading_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does Python say at its end that it could not write."""

    def fail(arguments: object) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    closed: List[str] = []
    stderr = SimpleNamespace(write=closed.append, close=lambda: closed.append("closed"))
    monkeypatch.setattr("ppcls.commands.models.run", fail)
    monkeypatch.setattr(sys, "stderr", stderr)
    assert main(["models"]) == 1
    assert closed == ["closed"]


@pytest.mark.parametrize(
    ("line", "verb", "options"),
    [
        ("ppcls ", None, []),
        ("ppcls nonsense ", None, []),
        ("ppcls models --so", "models", ["--sort"]),
    ],
)
def test_a_shell_that_completes_is_answered_for_the_verb_on_its_line(
    line: str, verb: Optional[str], options: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: List[Any] = []

    def answer(*parsers: Any) -> None:
        answered.append(parsers)
        raise SystemExit(0)

    monkeypatch.setenv("_ARGCOMPLETE", "1")
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setattr("ppcls.commands.completion.answer_shell", answer)
    assert left_with([]) == 0
    ((parser, child),) = answered
    assert parser.prog == "ppcls"
    assert (child.prog if child else None) == (f"ppcls {verb}" if verb else None)
    assert all(option in child.format_help() for option in options)


def test_the_package_can_be_run_as_a_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ppcls", "--version"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module("ppcls", run_name="__main__")
    assert left.value.code == 0
    assert capsys.readouterr().out == f"ppcls {ppcls.__version__}\n"


@pytest.mark.slow
def test_a_reader_that_stops_reading_is_no_error() -> None:
    command = f"'{sys.executable}' -m ppcls models | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() != ""
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_work_from_any_folder_without_installation(
    script: str, tmp_path: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = run_python(ROOT / script, "--help", cwd=tmp_path, env={"PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: ppcls {SCRIPTS[script]} ")


def test_every_script_is_tested() -> None:
    found = {
        str(path.relative_to(ROOT))
        for folder in ("tools", "deploy")
        for path in (ROOT / folder).glob("*.py")
    }
    assert found == {*SCRIPTS, "tools/model_zoo.py"}  # tests/tools/test_model_zoo.py


@pytest.mark.slow
def test_a_relative_link_to_a_script_works(tmp_path: Path) -> None:
    (tmp_path / "tools").symlink_to(os.path.relpath(ROOT / "tools", tmp_path.resolve()))
    done = subprocess.run(
        [sys.executable, "tools/train.py", "-c", "nothing.yaml", "--print-config"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no configuration file nothing.yaml")
