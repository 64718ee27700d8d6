"""Make the pages of error messages: give bad input as people do, and print what they get.

``python scripts/error_messages.py`` writes error_messages.md in docs/en and docs/zh_CN from the
cases of tests/messages/cases.yaml that are meant for them. With names of cases it shows these only.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Callable, Dict, List, Mapping, Optional, Sequence

import yaml

ROOT = Path(__file__).resolve().parents[1]
TABLE = yaml.safe_load((ROOT / "tests/messages/cases.yaml").read_text("utf-8"))
LANGUAGES = ("en", "zh_CN")
SHOWN_FOLDER = "/home/you/project"
"""What the pages call the folder in which the commands run."""

CLASSES = ("zero", "one", "two", "three")


@dataclass(frozen=True)
class Step:
    """A command and what must come of it; the fields are those of cases.yaml."""

    run: str
    says: Sequence[str]
    status: int = 0
    before: str = ""
    interrupt: str = ""
    without: Sequence[str] = ()
    absent: Sequence[str] = ()

    @property
    def needs_a_process(self) -> bool:
        """Whether the command cannot be run inside a test's own process."""
        ours = re.match(r"python (tools|deploy)/\w+\.py ", self.run)
        return bool(self.interrupt or self.without or not ours)


@dataclass(frozen=True)
class Case:
    """One bad input; the fields are those of cases.yaml."""

    name: str
    steps: Sequence[Step]
    before: str = ""
    start: str = "plain"
    page: Optional[Mapping[str, Sequence[str]]] = None


@dataclass(frozen=True)
class Outcome:
    """What a command printed, both streams together, and its exit status."""

    output: str
    status: int


Run = Callable[[Step, Path], Outcome]


def read_cases() -> List[Case]:
    """Return the cases of the table, their abbreviations written out."""
    return [
        Case(name, **{**row, "steps": [_read_step(step) for step in row["steps"]]})
        for name, row in TABLE["cases"].items()
    ]


def _read_step(row: Dict[str, object]) -> Step:
    command = Template(str(row["run"])).safe_substitute(TABLE["abbreviations"])
    return Step(**{**row, "run": command})  # type: ignore[arg-type]


# --- the folder that every case starts from ------------------------------------------------------


def make_plain(folder: Path) -> None:
    """Write 120 real digits of four classes as JPEG files, their lists, and the recipe."""
    import cv2
    import numpy as np
    from sklearn.datasets import load_digits

    data = load_digits()
    for split, chosen in (("train", slice(20)), ("val", slice(20, 30))):
        lines = []
        for label, name in enumerate(CLASSES):
            (folder / "digits" / split / name).mkdir(parents=True)
            for i, image in enumerate(data.images[data.target == label][chosen]):
                path = f"{split}/{name}/{i:02d}.jpg"
                large = cv2.resize(np.clip(image * 16, 0, 255).astype(np.uint8), (64, 64))
                cv2.imwrite(str(folder / "digits" / path), large)
                lines.append(f"{path} {label}\n")
        (folder / f"digits/{split}_list.txt").write_text("".join(lines))
    labels = "".join(f"{label} {name}\n" for label, name in enumerate(CLASSES))
    (folder / "digits/label_list.txt").write_text(labels)
    (folder / "to_predict").mkdir()
    for name in ("00.jpg", "01.jpg"):
        shutil.copy(folder / "digits/val/zero" / name, folder / "to_predict")
    (folder / "recipe.yaml").write_text(TABLE["recipe"])
    for scripts in ("tools", "deploy"):
        (folder / scripts).symlink_to(ROOT / scripts)


class Starts:
    """Makes each start once, and copies of it."""

    _STEPS = {"trained": ("plain", "TRAIN"), "exported": ("trained", "EXPORT")}
    """Each start is another one plus a command."""

    def __init__(self, folder: Path, run: Run) -> None:
        self._folder, self._run = folder, run

    def copy(self, start: str, target: Path) -> None:
        """Copy the start to `target`, a folder that does not exist yet."""
        shutil.copytree(self._made(start), target, symlinks=True)

    def _made(self, start: str) -> Path:
        folder = self._folder / start
        if folder.is_dir():
            return folder
        if start == "plain":
            make_plain(folder)
            return folder
        before, command = self._STEPS[start]
        self.copy(before, folder)
        found = self._run(Step(TABLE["abbreviations"][command], says=()), folder)
        if found.status:
            raise RuntimeError(f"{command} failed:\n{found.output}")
        return folder


# --- running -------------------------------------------------------------------------------------

_BLIND = '''\
"""Make packages invisible, as if they were not installed."""
import os, sys
from importlib.machinery import PathFinder

class Blind(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.partition(".")[0] in os.environ["HIDDEN_PACKAGES"].split(",")
        return None if hidden else super().find_spec(name, path, target)

sys.meta_path = [Blind if finder is PathFinder else finder for finder in sys.meta_path]
'''


class Processes:
    """Runs commands as a user does: in a shell, in a folder, with this interpreter as `python`."""

    def __init__(self, folder: Path) -> None:
        """Make the programs that commands need, in `folder`."""
        self._bin, self._blind = folder / "bin", folder / "blind"
        self._bin.mkdir(parents=True)
        self._blind.mkdir()
        python = self._bin / "python"
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        python.chmod(0o755)
        (self._blind / "sitecustomize.py").write_text(_BLIND)

    def run(self, step: Step, folder: Path) -> Outcome:
        """Run one command, and press Ctrl-C when it is time to."""
        process = subprocess.Popen(
            # Ctrl-C is for the program itself, not for a shell around it.
            ["bash", "-c", f"exec {step.run}" if step.run.startswith("python") else step.run],
            cwd=folder,
            env=self._environment(step),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines: List[str] = []
        for line in process.stdout or ():
            lines.append(line)
            if step.interrupt and step.interrupt in line and "^C\n" not in lines:
                process.send_signal(signal.SIGINT)
                lines.append("^C\n")
        return Outcome(clean("".join(lines), folder), process.wait())

    def _environment(self, step: Step) -> Dict[str, str]:
        path = f"{self._bin}{os.pathsep}{os.environ.get('PATH', '')}"
        found = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        if step.without:
            found["PYTHONPATH"] = f"{self._blind}{os.pathsep}{ROOT}"
            found["HIDDEN_PACKAGES"] = ",".join(step.without)
        return found


def clean(output: str, folder: Path) -> str:
    """Replace the names of this machine's folders."""
    for path in (str(folder.resolve()), str(folder), str(ROOT)):
        output = output.replace(path, SHOWN_FOLDER)
    return output


def play(case: Case, folder: Path, run: Run) -> List[Outcome]:
    """Run the commands of a case in its folder, with what goes before each."""
    _prepare(case.before, folder)
    outcomes = []
    for step in case.steps:
        _prepare(step.before, folder)
        outcomes.append(run(step, folder))
    return outcomes


def _prepare(script: str, folder: Path) -> None:
    if script:
        subprocess.run(["bash", "-euc", f"{TABLE['shell']}{script}"], cwd=folder, check=True)


def faults(case: Case, folder: Path, outcomes: Sequence[Outcome]) -> List[str]:
    """Describe what is not as the table says."""
    found = []
    for step, outcome in zip(case.steps, outcomes):
        wrong = [f"no {text!r}" for text in step.says if text not in outcome.output]
        wrong += [f"the file {name} exists" for name in step.absent if (folder / name).exists()]
        if outcome.status != step.status:
            wrong.append(f"exit status {outcome.status} instead of {step.status}")
        if "Traceback" in outcome.output:
            wrong.append("a traceback")
        if wrong:
            found.append(f"{case.name}: {step.run}: {'; '.join(wrong)}\n{outcome.output}")
    return found


# --- writing -------------------------------------------------------------------------------------


def page(language: str, outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """Return the page in one language, with the cases that have outcomes."""
    recipe = "".join(f"{i:2d}  {line}\n" for i, line in enumerate(TABLE["recipe"].splitlines(), 1))
    parts = [TABLE["intro"][language].format(recipe=recipe, folder=SHOWN_FOLDER).rstrip()]
    for case in read_cases():
        if case.page and case.name in outcomes:
            title, story = case.page[language]
            parts += [f"## {title}", story]
            for step, outcome in zip(case.steps, outcomes[case.name]):
                text = re.sub(r"[ \t]+\n", "\n", outcome.output).strip("\n")
                parts.append(f"```console\n$ {step.run}\n{text}\n```")
                parts.append(TABLE["status"][language].format(outcome.status))
    return "\n\n".join(parts) + "\n"


def page_path(language: str) -> Path:
    """Return the file of the page in a language."""
    return ROOT / "docs" / language / "error_messages.md"


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Write the pages, or show the cases that are named; status 1 when one is not as it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="CASE", help="only show these cases")
    names = parser.parse_args(arguments).names
    wrong: List[str] = []
    outcomes: Dict[str, List[Outcome]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        processes = Processes(Path(temporary) / "programs")
        starts = Starts(Path(temporary) / "starts", processes.run)
        for case in read_cases():
            if case.name in names or (case.page and not names):
                folder = Path(temporary) / case.name
                starts.copy(case.start, folder)
                outcomes[case.name] = play(case, folder, processes.run)
                wrong += faults(case, folder, outcomes[case.name])
    if names:
        _show(outcomes)
    elif not wrong:
        for language in LANGUAGES:
            page_path(language).write_text(page(language, outcomes), encoding="utf-8")
    print("\n".join(wrong), file=sys.stderr)
    return int(bool(wrong))


def _show(outcomes: Mapping[str, Sequence[Outcome]]) -> None:
    for case in read_cases():
        for step, outcome in zip(case.steps, outcomes.get(case.name, ())):
            print(f"{case.name}$ {step.run}\n{outcome.output}[{outcome.status}]")


if __name__ == "__main__":
    sys.exit(main())
