"""Every bad input of tests/messages/cases.yaml gets its message and exit status.

The commands run inside this process where they can, so that the whole table takes less than a
minute; limits, signals and missing packages need real processes.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Dict, List

import pytest

from ppcls import runtime
from scripts.error_messages import (
    LANGUAGES,
    SHOWN_FOLDER,
    Case,
    Outcome,
    Processes,
    Run,
    Starts,
    Step,
    clean,
    faults,
    page,
    page_path,
    play,
    read_cases,
)

runtime.prepare()

CASES = read_cases()

VERBS = {
    "tools/train.py": "train",
    "tools/eval.py": "eval",
    "tools/infer.py": "infer",
    "tools/export_model.py": "export",
    "tools/convert_weights.py": "convert",
    "deploy/predict.py": "predict",
    "deploy/quantize.py": "quantize",
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
        _, script, *arguments = shlex.split(step.run)
        capsys.readouterr()
        try:
            status = main([VERBS[script], *arguments])
        except SystemExit as left:
            status = int(str(left.code))
        captured = capsys.readouterr()
        return Outcome(clean(captured.out + captured.err, folder), status)

    return run_step


def _marks(case: Case) -> List[pytest.MarkDecorator]:
    """All cases are slow; those that start programs and are not on the page, exhaustive."""
    starts_programs = any(step.needs_a_process for step in case.steps)
    return [pytest.mark.exhaustive] if starts_programs and not case.page else []


@pytest.mark.slow
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


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_shows_the_messages_and_statuses(language: str) -> None:
    """What processes printed is taken from the page; all else must be as the table says."""
    text = page_path(language).read_text("utf-8")
    found = iter(
        re.findall(r"^```console\n\$ ([^\n]*)\n(.*?)\n```\n\n.*?(\d+)$", text, re.M | re.S)
    )
    outcomes: Dict[str, List[Outcome]] = {}
    for case in CASES:
        for step in case.steps if case.page else ():
            command, output, status = next(found)
            assert command == step.run
            outcomes.setdefault(case.name, []).append(Outcome(output, int(status)))
    for case in CASES:
        assert faults(case, Path("nowhere"), outcomes.get(case.name, [])) == []
    assert page(language, outcomes) == text


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_names_no_folder_of_a_machine(language: str) -> None:
    text = page_path(language).read_text("utf-8").replace(SHOWN_FOLDER, "")
    assert re.findall(r"(?<![\w.])/(?:tmp|home|work|root|usr|opt|var)/\S*", text) == []
