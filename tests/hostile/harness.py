"""Gives hostile inputs to a reader, each in a process of its own with limits of memory and time.

A reader may accept an input or refuse it with an error of the toolkit's own (`PpclsError`).
Anything else is a failure: another exception, a signal, too much memory, too long.

`HOSTILE` is how many inputs each attack makes (300), `HOSTILE_SEED` what they are drawn from (0),
`HOSTILE_REPORT` a file that gets a line about each attack.
"""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import struct
import time
import traceback
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Callable, Iterable, List, NamedTuple, Sequence, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ppcls.errors import PpclsError

COUNT = int(os.environ.get("HOSTILE", "300"))
SEED = int(os.environ.get("HOSTILE_SEED", "0"))

T = TypeVar("T")

_READ, _REFUSED, _FAILED = 0, 1, 2
_SHOWN = 5
_PATIENCE = 12
"""How many times its seconds of the processor an input may take by the clock."""

_TOGETHER = 25
"""How many inputs share a process, as long as it survives them."""


class Limits(NamedTuple):
    """What one input may take: seconds of the processor, since other processes may have it for most
    of the time, and megabytes besides those that the process has.
    """

    seconds: float = 10.0
    megabytes: int = 512


class Outcome(NamedTuple):
    """What became of one input; `words` are those of the error, if there was one."""

    status: int
    words: str
    seconds: float
    megabytes: float

    @property
    def failed(self) -> bool:
        """Whether the reader did anything but read or refuse."""
        return self.status not in (_READ, _REFUSED)

    @property
    def refused(self) -> bool:
        """Whether the reader refused the input in words of its own."""
        return self.status == _REFUSED


@dataclass
class Summary:
    """What became of all inputs of an attack."""

    name: str
    seed: int
    inputs: int = 0
    refused: int = 0
    seconds: float = 0.0
    megabytes: float = 0.0
    failures: List[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Take in the outcome of the next input."""
        number, self.inputs = self.inputs, self.inputs + 1
        self.refused += outcome.refused
        self.seconds = max(self.seconds, outcome.seconds)
        self.megabytes = max(self.megabytes, outcome.megabytes)
        if outcome.failed:
            self.failures.append(f"input {number} of seed {self.seed}: {outcome.words}")

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.inputs} inputs of seed {self.seed}, {self.refused} refused, "
            f"{self.inputs - self.refused - len(self.failures)} read, "
            f"{len(self.failures)} failures; at most {self.seconds:.2f} s and "
            f"{self.megabytes:.0f} MB"
        )


def attack(
    name: str,
    make: Callable[[random.Random], Any],
    read: Callable[[Any], object],
    keep: Path,
    limits: Limits = Limits(),  # noqa: B008 - it cannot be changed
) -> Summary:
    """Make inputs, and give each to `read` in a process of its own.

    Args:
        name: what is attacked, for the summary.
        make: an input from random numbers, bytes as a rule.
        read: what the toolkit does with it.
        keep: a folder for inputs that fail, where they are bytes.
        limits: of each.
    """
    inputs = (make(random.Random(f"{SEED} {name} {number}")) for number in range(COUNT))
    return attack_with(name, inputs, read, keep, limits)


def attack_with(
    name: str,
    inputs: Iterable[Any],
    read: Callable[[Any], object],
    keep: Path,
    limits: Limits,
) -> Summary:
    """Give inputs to `read`; see `attack`."""
    summary, left = Summary(name, SEED), iter(inputs)
    idle = outcome_of(lambda: None, limits).megabytes
    while group := list(islice(left, _TOGETHER)):
        for item, found in zip(group, _outcomes(read, group, limits)):
            if found.failed and isinstance(item, bytes):
                (keep / f"{name.replace(' ', '_')}-{SEED}-{summary.inputs}").write_bytes(item)
            summary.add(found._replace(megabytes=max(0.0, found.megabytes - idle)))
    note(summary)
    return summary


def drawn(strategy: st.SearchStrategy[T]) -> List[T]:
    """Return as many examples of a strategy as an attack has inputs."""
    found: List[T] = []

    @seed(SEED)
    @settings(
        max_examples=COUNT,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def keep(example: T) -> None:
        found.append(example)

    keep()
    return found


def note(summary: Summary) -> None:
    """Say what came of an attack, also in the file `HOSTILE_REPORT`, where there is one."""
    print(summary)
    if "HOSTILE_REPORT" in os.environ:
        with open(os.environ["HOSTILE_REPORT"], "a", encoding="utf-8") as report:
            report.write(f"{summary}\n")


def expect_no_failure(summary: Summary, keep: Path) -> None:
    """Fail with the first failures, and where their inputs are."""
    shown = "\n\n".join(summary.failures[:_SHOWN])
    assert not summary.failures, f"{summary}; inputs are kept in {keep}\n\n{shown}"


def _outcomes(read: Callable[[Any], object], group: Sequence[Any], limits: Limits) -> List[Outcome]:
    """Give some inputs to one process, or each to its own where that does not go well."""
    refused, seconds = bytearray(len(group)), [0.0] * len(group)
    reading, writing = os.pipe()

    def read_all() -> None:
        for i, item in enumerate(group):
            began = time.process_time()
            _limit_time(limits)
            try:
                _told_why(read, item)
            except PpclsError:
                refused[i] = 1
            seconds[i] = time.process_time() - began
        os.write(writing, struct.pack(f"{len(group)}B{len(group)}d", *refused, *seconds))

    together = outcome_of(read_all, limits)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    if together.status != _READ:
        return [outcome_of(lambda item=item: _told_why(read, item), limits) for item in group]  # type: ignore[misc]
    numbers = struct.unpack(f"{len(group)}B{len(group)}d", told)
    pairs = zip(numbers[: len(group)], numbers[len(group) :])
    return [Outcome(_REFUSED if r else _READ, "", s, together.megabytes) for r, s in pairs]


def _told_why(read: Callable[[Any], object], item: Any) -> None:
    """Read, and expect that a refusal says why, and that it is not for want of memory."""
    try:
        read(item)
    except PpclsError as error:
        assert str(error), "a refusal says why"
        assert not re.search("MemoryError|more memory than", str(error)), str(error)
        raise


def outcome_of(action: Callable[[], object], limits: Limits) -> Outcome:
    """Do something in a copy of this process, within limits."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _act(action, writing, limits)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        words = pipe.read().decode("utf-8", "replace")
    _, status, usage = os.wait4(child, 0)
    seconds = usage.ru_utime + usage.ru_stime
    megabytes = usage.ru_maxrss / 1024
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        blocked = f" after {_PATIENCE * limits.seconds:g} s of waiting"
        why = {signal.SIGPROF: f" after {limits.seconds:g} s", signal.SIGALRM: blocked}
        took = why.get(signal.Signals(number), "")
        words = f"killed by {signal.Signals(number).name}{took}\n{words}"
        return Outcome(-number, words, seconds, megabytes)
    return Outcome(os.WEXITSTATUS(status), words, seconds, megabytes)


def _act(action: Callable[[], object], pipe: int, limits: Limits) -> None:
    """Never returns: the process ends here, whatever happens."""
    status, words = _READ, ""
    try:
        for number in (signal.SIGALRM, signal.SIGPROF):
            signal.signal(number, signal.SIG_DFL)
        _limit_time(limits)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what C libraries have to say
        most = _data_bytes() + limits.megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        action()
    except PpclsError as error:
        status, words = _REFUSED, str(error)
    except BaseException:
        status, words = _FAILED, traceback.format_exc()
    finally:
        os.write(pipe, words.encode("utf-8", "replace")[-4000:])
        os._exit(status)


def _limit_time(limits: Limits) -> None:
    """End this process when it has computed for too long, or does not end without computing."""
    signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE * limits.seconds)


def _data_bytes() -> int:
    """Return the memory that counts for RLIMIT_DATA and is in use."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("/proc/self/status does not say VmData")
