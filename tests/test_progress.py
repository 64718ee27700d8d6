"""What moves on a terminal: seen through a real one, and nothing of it elsewhere."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest

from ppcls import progress

ROOT = Path(__file__).resolve().parents[1]

Seen = List[Tuple[float, str]]


def on_terminal(*arguments: object, cwd: Path = ROOT, columns: int = 160) -> Seen:
    """What a command writes to a terminal of its own, each piece with its time in seconds."""
    mine, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(columns)}
    command = [sys.executable, *map(str, arguments)]
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen(command, cwd=cwd, env=environment, **streams)  # type: ignore[call-overload]
    os.close(theirs)
    began, seen = time.monotonic(), []
    while True:
        select.select([mine], [], [], 60)
        try:
            piece = os.read(mine, 1 << 16)
        except OSError:  # Linux' way to say that nobody has the other end any more
            break
        if not piece:
            break
        seen.append((time.monotonic() - began, piece.decode("utf-8", "replace")))
    os.close(mine)
    assert process.wait(60) == 0, "".join(text for _, text in seen)
    return seen


def screen(seen: Seen) -> List[str]:
    """The lines that stay on the terminal."""
    text = "".join(piece for _, piece in seen).replace("\r\n", "\n")
    return [overwritten(line).rstrip() for line in text.split("\n")]


def overwritten(line: str) -> str:
    """What is left of a line whose beginning was written over."""
    left = ""
    for part in line.split("\r"):
        left = part + left[len(part) :]
    return left


SLOW = """
import time
from ppcls.logs import log_to_terminal
from ppcls.progress import Bar, track, waiting
import logging
log_to_terminal(results_on_stdout=False)
with waiting("a long step"):
    time.sleep(2.4)
    logging.getLogger("ppcls").info("a line of the log")
for number in track(range(3), "counting", 3):
    time.sleep(0.15)
print("done")
"""


@pytest.mark.slow
def test_the_clock_goes_on_while_a_step_takes_long_and_nothing_stays() -> None:
    seen = on_terminal("-c", SLOW)
    text = "".join(piece for _, piece in seen)
    shown = re.findall(r"a long step \.\.\. 00:0(\d)", text)
    assert {"0", "1", "2"} <= set(shown)
    assert re.search(r"counting +67%\|.*\| 2/3 \[00:00<00:00\]", text)
    assert [line for line in screen(seen) if line] == ["a line of the log", "done"]


def test_nothing_of_it_is_written_elsewhere(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run_python("-c", SLOW.replace("2.4", "0"))
    assert (done.stdout, done.stderr) == ("a line of the log\ndone\n", "")


QUIET = """
import os, sys, tempfile
from ppcls.progress import Bar
with tempfile.TemporaryFile() as aside, Bar("converting") as bar:
    kept = os.dup(2)
    os.dup2(aside.fileno(), 2)
    bar._bar.refresh()
    os.dup2(kept, 2)
    aside.seek(0)
    caught = aside.read()
print(caught)
"""


class Terminal:
    """What is written to one, as it comes."""

    def __init__(self) -> None:
        self.mine, theirs = pty.openpty()
        self.stream = os.fdopen(theirs, "w", encoding="utf-8")
        self.text = ""

    def until(self, pattern: str) -> str:
        """Wait until a pattern is on it, and return all that is."""
        deadline = time.monotonic() + 10
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.text
            if select.select([self.mine], [], [], 0.1)[0]:
                self.text += os.read(self.mine, 1 << 16).decode("utf-8", "replace")
        return self.text

    def close(self) -> None:
        """End both sides."""
        self.stream.close()
        os.close(self.mine)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal of 100 columns, on which clocks move often."""
    monkeypatch.setattr(progress, "_BEAT", 0.01)
    monkeypatch.setenv("COLUMNS", "100")
    opened = Terminal()
    yield opened
    opened.close()


def test_a_bar_counts_and_leaves_nothing(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal.stream)
    with progress.Bar("counting", 10, done=2) as bar:
        assert bar.is_shown
        bar.advance(3)
        terminal.until(r"counting  50%\|[^\r]*\| 5/10 ")
        bar.advance_to(9)
        terminal.until(r"counting  90%\|[^\r]*\| 9/10 ")
    terminal.stream.write("end")
    terminal.stream.flush()
    assert overwritten(terminal.until("end")).rstrip() == "end"


def test_a_terminal_that_goes_away_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        screen = progress._Screen()
        assert os.isatty(screen.fileno()) and screen == stream
        screen.write("here")
        assert os.read(mine, 100) == b"here"
        os.close(mine)
        with pytest.raises(OSError, match="Input/output error"):
            os.write(theirs, b"gone")
        screen.write("gone")


@pytest.mark.parametrize(
    ("said", "columns"), [("132", 132), ("0", 80), ("-3", 80), ("wide", 80), (None, 80)]
)
def test_a_terminal_that_does_not_tell_its_size_has_80_columns(
    said: Optional[str], columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.delenv("COLUMNS", raising=False)
    if said is not None:
        monkeypatch.setenv("COLUMNS", said)
    assert progress.columns() == columns


def test_what_keeps_native_code_quiet_does_not_catch_the_bar() -> None:
    assert screen(on_terminal("-c", QUIET))[0] == "b''"


DOWNLOAD = """
import http.server, sys, threading, time
from pathlib import Path
from ppcls.weights.hub.download import download

class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.3)
        self.send_response(200)
        self.send_header("Content-Length", "3000000")
        self.end_headers()
        for _ in range(3):
            self.wfile.write(bytes(1000000))
            self.wfile.flush()
            time.sleep(0.2)

    def log_message(self, *arguments):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
threading.Thread(target=server.serve_forever, daemon=True).start()
download(f"http://127.0.0.1:{server.server_port}/a.pdparams", Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_download_moves_from_the_start(tmp_path: Path) -> None:
    text = "".join(piece for _, piece in on_terminal("-c", DOWNLOAD, tmp_path / "a.pdparams"))
    assert "asking 127.0.0.1" in text
    assert re.search(r"a\.pdparams +\d+%\|[^\r]*\| \d\.\d+M/3\.00M", text)
    assert (tmp_path / "a.pdparams").stat().st_size == 3_000_000


SLOW_DISK = """
import time
from ppcls.data.transforms import Transform
from ppcls.registry import register

@register("transform")
class WaitForTheDisk(Transform):
    def __call__(self, image, rng):
        time.sleep(0.01)
        return image
"""
"""The bar is drawn ten times a second at most: an epoch has to be longer to be seen to move."""


@pytest.mark.slow
def test_a_training_moves_from_the_start(
    recipe: Dict[str, Any], write_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    recipe["DataLoader"]["Train"]["sampler"]["batch_size"] = 1
    recipe["Global"]["print_batch_step"] = 80
    parts = tmp_path / "slow_disk.py"
    parts.write_text(SLOW_DISK)
    recipe["Global"]["imports"] = [str(parts)]
    recipe["DataLoader"]["Train"]["dataset"]["transform_ops"].insert(1, {"WaitForTheDisk": None})
    path = write_recipe(recipe)
    seen = on_terminal("-m", "ppcls", "train", "-c", path, cwd=ROOT)
    text = "".join(piece for _, piece in seen)
    assert re.search(r"loading Paddle \.\.\. 00:0\d", text)
    loaded = max(at for at, piece in seen if "loading Paddle" in piece)
    assert min(at for at, piece in seen if at > loaded) < loaded + 2
    assert "reading the recipe" in text and "building the network" in text
    assert re.search(r"epoch 1/2   0%\|.*\| 0/80 00:00", text)
    assert re.search(
        r"epoch 2/2 +\d+%\|[^\r]*\| \d+/80 \d\d:\d\d, loss \d\.\d+ top1 [^\r]* ETA \d:\d", text
    )
    assert re.search(r"evaluating +0%", text)
    lines = [line for line in screen(seen) if line]
    assert [line for line in lines if re.search(r"evaluating|loading|\d/80", line)] == []
    assert sum("  train: loss" in line for line in lines) == 2
    log = (tmp_path / "run/train.log").read_text()
    assert "batch 80/80  loss" in log
    assert "evaluating" not in log and "|" not in log and "\r" not in log


@pytest.mark.slow
def test_a_training_without_terminal_writes_lines_only(
    recipe: Dict[str, Any],
    write_recipe: Callable[..., Path],
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    recipe["Global"]["epochs"] = 1
    done = run_python("-m", "ppcls", "train", "-c", write_recipe(recipe))
    assert done.stderr == ""
    assert "\r" not in done.stdout
    heads = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert heads[1].startswith("operators: ")
    assert heads[2:6] == ["epoch 1/1 batch 2/5", "epoch 1/1 batch 4/5", "epoch 1/1", "epoch 1/1"]
