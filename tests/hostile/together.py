"""Gives hostile inputs to a reader several at a time: starting a process for each takes longer than
reading it does.
"""

from __future__ import annotations

import random
import sys
from itertools import islice
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, List, Sequence

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ppcls.errors import PpclsError
from tests.hostile.harness import COUNT, SEED, Limits, Summary, outcome_of

TOGETHER = 20


class Refused(PpclsError):
    """How many inputs of a group were refused; the way to tell it to the parent process."""


def drawn(strategy: st.SearchStrategy[Any]) -> List[Any]:
    """Return `COUNT` inputs from a strategy, the same ones each time."""
    found: List[Any] = []

    @settings(
        max_examples=COUNT,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(example: Any) -> None:
        found.append(example)

    draw()
    return found


def made(name: str, make: Callable[[random.Random], Any]) -> Iterator[Any]:
    """Yield `COUNT` inputs made from random numbers, the same ones for a seed."""
    return (make(random.Random(f"{SEED} {name} {number}")) for number in range(COUNT))


def attack_together(
    name: str,
    inputs: Iterable[Any],
    read: Callable[[Any], object],
    keep: Path,
    limits: Limits,
) -> Summary:
    """Give inputs to `read`, `TOGETHER` of them in a process; where one fails, each of them again.

    Args:
        name: what is attacked, for the summary.
        inputs: bytes as a rule.
        read: what the toolkit does with one.
        keep: a folder for inputs that fail, where they are bytes.
        limits: of all inputs of a process together.
    """
    summary = Summary(name, SEED)
    left = iter(inputs)
    while group := list(islice(left, TOGETHER)):
        idle = outcome_of(lambda: None, limits).megabytes
        found = outcome_of(lambda group=group: _read_all(group, read), limits)  # type: ignore[misc]
        summary.seconds = max(summary.seconds, found.seconds)
        summary.megabytes = max(summary.megabytes, found.megabytes - idle)
        if found.failed:
            _one_by_one(summary, group, read, keep, limits)
        else:
            summary.inputs += len(group)
            summary.refused += int(found.words)
    print(summary, file=sys.__stderr__ if COUNT > 300 else sys.stderr)
    return summary


def _read_all(group: Sequence[Any], read: Callable[[Any], object]) -> None:
    refused = 0
    for given_input in group:
        try:
            read(given_input)
        except PpclsError as error:
            assert str(error), "a refusal says why"
            refused += 1
    raise Refused(str(refused))


def _one_by_one(
    summary: Summary,
    group: Sequence[Any],
    read: Callable[[Any], object],
    keep: Path,
    limits: Limits,
) -> None:
    for given_input in group:
        found = outcome_of(lambda given_input=given_input: read(given_input), limits)  # type: ignore[misc]
        if found.failed and isinstance(given_input, bytes):
            (keep / f"{summary.name.replace(' ', '_')}-{summary.inputs}").write_bytes(given_input)
        summary.add(summary.inputs, found)
