"""Every bad input of the table in scripts/error_messages.py gets its message and exit status.

The commands run inside this process where they can, so that the whole table takes less than a
minute; limits, signals and missing packages need real processes.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import List

import pytest

from ppcls import runtime
from scripts import error_messages
from scripts.error_messages import (
    CASES,
    LANGUAGES,
    SECTIONS,
    Case,
    Outcome,
    Processes,
    Run,
    Starts,
    Step,
    clean,
    faults,
    page_path,
    play,
)

runtime.prepare()

VERBS = {
    "tools/train.py": "train",
    "tools/eval.py": "eval",
    "tools/infer.py": "infer",
    "tools/export_model.py": "export",
    "tools/convert_weights.py": "convert",
    "deploy/predict.py": "predict",
}


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Processes:
    """Runs commands as real processes."""
    return Processes(tmp_path_factory.mktemp("processes") / "programs")


@pytest.fixture(scope="session")
def starts(tmp_path_factory: pytest.TempPathFactory, processes: Processes) -> Starts:
    """The folders that cases start from."""
    return Starts(tmp_path_factory.mktemp("starts"), processes.run)


@pytest.fixture
def run(
    processes: Processes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Run one command: in this process, or in one of its own when it needs that."""
    from ppcls.cli import main

    def run_step(step: Step, folder: Path) -> Outcome:
        if step.needs_a_process:
            return processes.run(step, folder)
        monkeypatch.chdir(folder)
        _, door, *arguments = shlex.split(step.command)
        capsys.readouterr()
        try:
            status = main([VERBS[door], *arguments])
        except SystemExit as left:
            status = int(str(left.code))
        captured = capsys.readouterr()
        return Outcome(clean(captured.out + captured.err, folder), status)

    return run_step


def _marks(case: Case) -> List[pytest.MarkDecorator]:
    return [pytest.mark.slow] if case.needs_a_process else []


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=_marks(case)) for case in CASES]
)
def test_bad_input_gets_its_message(case: Case, starts: Starts, run: Run, tmp_path: Path) -> None:
    if case.name == "no_gpu" and runtime.use_device("auto") != "cpu":
        pytest.skip("this machine has a GPU")
    folder = tmp_path / "project"
    starts.copy(case.start, folder)
    outcomes = play(case, folder, run)
    assert faults(case, folder, outcomes) == []


def test_names_and_titles_are_unique() -> None:
    for texts in ([case.name for case in CASES], *zip(*(case.title for case in CASES))):
        assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_shows_exactly_the_table(language: str) -> None:
    text = page_path(language).read_text("utf-8")
    place = LANGUAGES.index(language)
    expected = []
    for title, cases in SECTIONS:
        expected += [f"## {title[place]}", *(f"### {case.title[place]}" for case in cases)]
    assert re.findall(r"^###? .*", text, re.MULTILINE) == expected
    commands = [f"$ {step.command}" for case in CASES for step in case.steps]
    assert re.findall(r"^\$ .*", text, re.MULTILINE) == commands


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_shows_the_messages_and_statuses(language: str) -> None:
    parts = re.split(r"^### .*\n", page_path(language).read_text("utf-8"), flags=re.MULTILINE)[1:]
    for case, part in zip(CASES, parts):
        assert case.story[LANGUAGES.index(language)] in part
        blocks = re.findall(r"^```console\n(.*?)^```\n\n.*?(\d+)", part, re.MULTILINE | re.DOTALL)
        for step, (block, status) in zip(case.steps, blocks):
            assert [text for text in step.texts if text not in block] == [], case.name
            assert int(status) == step.status


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_names_no_folder_of_a_machine(language: str) -> None:
    text = page_path(language).read_text("utf-8").replace(error_messages.SHOWN_FOLDER, "")
    assert re.findall(r"(?<![\w.])/(?:tmp|home|work|root|usr|opt|var)/\S*", text) == []
    assert "Traceback" not in text
