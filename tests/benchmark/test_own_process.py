"""Processes that are ended when they take too much memory, and how much there is."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Dict, Optional

import pytest

from ppcls.benchmark.own_process import (
    available_memory,
    environment_for,
    family,
    resident_memory,
    run_within,
)

GIB = 2**30


def files(root: Path, content: Dict[str, str]) -> Path:
    for name, text in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MACHINE = {"proc/meminfo": "MemTotal: 16777216 kB\nMemAvailable:    8388608 kB\nCached: 7 kB\n"}
V2 = "sys/fs/cgroup"
V1 = "sys/fs/cgroup/memory"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, 8 * GIB),
        ({"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": "max\n"}, 8 * GIB),
        (
            {
                "proc/self/cgroup": "0::/\n",
                f"{V2}/memory.max": f"{4 * GIB}\n",
                f"{V2}/memory.current": f"{3 * GIB}\n",
                f"{V2}/memory.stat": f"anon 5\ninactive_file {2 * GIB}\nactive_file 9\n",
            },
            3 * GIB,
        ),
        # The limit is that of a group above.
        (
            {
                "proc/self/cgroup": "0::/jobs/one\n",
                f"{V2}/jobs/memory.max": f"{2 * GIB}\n",
                f"{V2}/jobs/memory.current": f"{GIB}\n",
                f"{V2}/jobs/one/memory.max": "max\n",
            },
            GIB,
        ),
        (
            {
                "proc/self/cgroup": "12:cpu,cpuacct:/x\n4:memory:/docker/abc\n",
                f"{V1}/memory.limit_in_bytes": f"{6 * GIB}\n",
                f"{V1}/memory.usage_in_bytes": f"{6 * GIB}\n",
                f"{V1}/memory.stat": f"inactive_file 1\ntotal_inactive_file {GIB}\n",
            },
            GIB,
        ),
    ],
    ids=["machine", "no_limit", "v2", "above", "v1"],
)
def test_available_memory(more: Dict[str, str], expected: int, tmp_path: Path) -> None:
    assert available_memory(files(tmp_path, {**MACHINE, **more})) == expected


def test_unknown_memory_is_no_limit(tmp_path: Path) -> None:
    assert available_memory(tmp_path) is None
    assert resident_memory(2**30) == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only")
def test_this_process_has_memory() -> None:
    assert 2**20 < resident_memory(os.getpid()) < (available_memory() or 0) + 2**40


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only")
def test_who_takes_too_much_is_ended(tmp_path: Path) -> None:
    sleeper = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]
    ended = run_within(sleeper, tmp_path / "output.txt", limit=1.0)
    assert ended == (-signal.SIGKILL, True)


@pytest.mark.parametrize("limit", [None, 1e15])
def test_the_end_and_the_words_of_a_process(tmp_path: Path, limit: Optional[float]) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    ended = run_within([sys.executable, "-c", code], tmp_path / "output.txt", limit)
    assert ended == (3, False)
    assert sorted((tmp_path / "output.txt").read_text().split()) == ["err", "out"]


def test_the_toolkit_can_be_imported_there(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    found = environment_for(OMP_NUM_THREADS="3")
    assert found["PYTHONPATH"].split(os.pathsep) == [str(root), "elsewhere"]
    assert found["OMP_NUM_THREADS"] == "3" and found["PATH"] == os.environ["PATH"]


_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "b = bytearray(200_000_000); input()"],
                         stdin=subprocess.PIPE, start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_what_a_process_has_started_counts_and_ends_with_it(tmp_path: Path) -> None:
    output = tmp_path / "said.txt"
    ended = run_within([sys.executable, "-c", _PARENT], output, limit=150e6)
    child = int(output.read_text().split()[0])
    assert ended.was_stopped and ended.status == -signal.SIGKILL
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or "zombie" in _state(child):
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the process that it started lives on")
    assert family(os.getpid())[0] == os.getpid()


def _state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/status").read_text()
    except OSError:
        return "zombie"
