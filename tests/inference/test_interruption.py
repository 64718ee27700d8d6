"""Real processes that predict into a file, interrupted and killed: nothing is lost, and the file at
the end is the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Callable

import pytest

pytestmark = pytest.mark.slow

COUNT = 1200


@pytest.fixture
def many(photos: Path) -> Path:
    """A list of so many images that predicting them takes seconds."""
    listed = photos / "many.txt"
    names = ("2.png", "10.png", "3.png", "deeper/a.PNG", "gone.png")
    listed.write_text("".join(f"{names[i % 5]}\n" for i in range(COUNT)))
    return listed


@pytest.fixture
def start(
    root: Path, exported: Path, many: Path, tmp_path: Path
) -> Callable[..., subprocess.Popen[str]]:
    def run(*options: object) -> subprocess.Popen[str]:
        command = [sys.executable, root / "deploy/predict.py", "--model_dir", exported]
        command += ["--device", "cpu", "--threads", "1", "--batch_size", "7", many, *options]
        return subprocess.Popen(
            [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return run


def finished(process: subprocess.Popen[str], status: int = 0) -> str:
    """Wait for the end, and return what was said."""
    _, said = process.communicate(timeout=120)
    assert process.returncode == status, said
    return said


def wait_for_rows(process: subprocess.Popen[str], part: Path, more_than: int) -> None:
    """Return when the part has grown, or the process has ended."""
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if part.exists() and part.stat().st_size > more_than:
            return
        time.sleep(0.002)


@pytest.mark.timeout(300)
def test_interrupted_and_killed_runs_end_with_the_same_file(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    whole, found = tmp_path / "whole.csv", tmp_path / "found.csv"
    finished(start("--output", whole))
    part = tmp_path / "found.csv.part"
    first = start("--output", found)
    wait_for_rows(first, part, 2000)
    first.send_signal(signal.SIGINT)
    said = finished(first, status=130)
    assert "Traceback" not in said
    assert f"rows are kept in {part}; the same command with --resume goes on" in said
    data = part.read_bytes()
    assert data.endswith(b"\r\n") and whole.read_bytes().startswith(data) and not found.exists()
    second = start("--output", found, "--resume")
    wait_for_rows(second, part, len(data) + 2000)
    second.send_signal(signal.SIGKILL)
    second.communicate()
    said = finished(start("--output", found, "--resume"))
    assert f" of {COUNT} images were predicted before" in said
    assert found.read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob("*found*.part*"))


@pytest.mark.exhaustive
def test_a_terminal_shows_a_bar(root: Path, exported: Path, photos: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 99, 0, 0))
    command = [sys.executable, root / "deploy/predict.py", "--model_dir", exported]
    command += ["--device", "cpu", photos, "--output", tmp_path / "p.csv"]
    process = subprocess.Popen(
        [*map(str, command)], stdout=subprocess.DEVNULL, stderr=theirs, stdin=theirs
    )
    os.close(theirs)
    printed = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while data := os.read(ours, 4096):
            printed += data
    os.close(ours)
    assert process.wait(60) == 0 and b"predicting " in printed, printed
    assert printed.startswith(b"opening "), "before it is prepared, and takes seconds"
