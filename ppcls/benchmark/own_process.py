"""Measurements in processes of their own: what one leaves behind, memory above all, is no part of
the next, and what ends one leaves the others alone.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

import ppcls

_BEAT = 0.05
"""Seconds between two looks at how much memory a process has."""

_GIVEN_BACK = ("inactive_file", "total_inactive_file")
"""What cgroups of version 2 and 1 call the memory of files that they give back when it is asked
for, but count as used.
"""


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
        status: its exit status; below 0 the signal that ended it.
        was_stopped: whether it took more memory than it was to.
    """

    status: int
    was_stopped: bool


def environment_for(**changes: str) -> Dict[str, str]:
    """Return the environment of a process that imports this toolkit, with `changes`."""
    paths = [str(Path(ppcls.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **changes}


def run_within(command: Sequence[str], output: Path, limit: Optional[float]) -> Ended:
    """Run a command, and end it when it takes too much memory.

    Args:
        command: the words of it.
        output: the file that gets all that it says.
        limit: bytes; None for no limit.
    """
    with output.open("wb") as said:
        process = subprocess.Popen(
            command,
            env=environment_for(),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            return _watched(process, limit)
        finally:
            if process.poll() is None:
                _end(process)


def _watched(process: subprocess.Popen[bytes], limit: Optional[float]) -> Ended:
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return Ended(process.wait(_BEAT), False)
        if limit is not None and sum(map(resident_memory, family(process.pid))) > limit:
            return Ended(_end(process), True)


def _end(process: subprocess.Popen[bytes]) -> int:
    """Kill a process and those that it has started; return its exit status."""
    others = family(process.pid)[1:]
    process.kill()
    for other in others:
        with contextlib.suppress(OSError):
            os.kill(other, signal.SIGKILL)
    return process.wait()


def family(process: int) -> List[int]:
    """Return the numbers of a process and of all that it and its children have started."""
    tasks = Path(f"/proc/{process}/task")
    listed = [_text(path) for path in sorted(tasks.glob("*/children"))]
    children = [int(word) for text in listed for word in text.split()]
    return [process, *(one for child in children for one in family(child))]


def resident_memory(process: int) -> int:
    """Return how many bytes a process has in memory; 0 where that is unknown."""
    return _kilobytes(Path(f"/proc/{process}/status"), "VmRSS") or 0


def available_memory(root: Path = Path("/")) -> Optional[int]:
    """Return how many bytes processes may still take: what the machine has, or less where a cgroup
    (a container) limits it. None where that is unknown.

    Args:
        root: of the file system.
    """
    found = [_kilobytes(root / "proc/meminfo", "MemAvailable")]
    for folder in _cgroups(root):
        for most, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            found.append(_room(folder, most, used))
    return min((size for size in found if size is not None), default=None)


def _cgroups(root: Path) -> List[Path]:
    """Return the folders of the cgroups that this process is in, of both versions."""
    folders: List[Path] = []
    for controllers, path in re.findall(
        r"^\d+:([^:\n]*):/(.*)$", _text(root / "proc/self/cgroup"), re.MULTILINE
    ):
        if not controllers or "memory" in controllers.split(","):
            home = root / "sys/fs/cgroup" / ("memory" if controllers else "")
            inside = home / path
            folders += [one for one in (inside, *inside.parents) if one.is_relative_to(home)]
    return folders


def _room(folder: Path, most: str, used: str) -> Optional[int]:
    """Return how many bytes a cgroup still has; None where it has no limit."""
    limit, taken = _text(folder / most).strip(), _text(folder / used).strip()
    if not limit.isdigit() or not taken.isdigit():
        return None
    statistics = dict(re.findall(r"^(\w+) (\d+)$", _text(folder / "memory.stat"), re.MULTILINE))
    given_back = max(int(statistics.get(name, 0)) for name in _GIVEN_BACK)
    return max(0, int(limit) - max(0, int(taken) - given_back))


def _kilobytes(path: Path, key: str) -> Optional[int]:
    """Return a number of kB that a file of the kernel gives, in bytes."""
    found = re.search(rf"^{key}:\s+(\d+) kB$", _text(path), re.MULTILINE)
    return 1024 * int(found[1]) if found else None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
