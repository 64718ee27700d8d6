"""Who is measured when: everything that is compared takes turns, in a new random order each round,
so that what disturbs the machine hits all alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Protocol, Sequence

import numpy as np

from ppcls.benchmark.clock import Clock
from ppcls.benchmark.scenarios import (
    Answer,
    Bound,
    RateSearch,
    closed_loop,
    open_loop,
    poisson_arrivals,
)
from ppcls.benchmark.statistics import smallest_sample
from ppcls.errors import PpclsError

ROUNDS = 7
"""Turns of each: enough for the interval of a median of ratios, which needs 6."""

BRIEF = 0.1
"""Seconds below which a query is short enough to send one more before each turn, uncounted."""


class Trial(Protocol):
    """Something that is measured a turn at a time."""

    @property
    def finished(self) -> bool:
        """Whether it has been measured for long enough."""

    def turn(self) -> None:
        """Measure for a moment."""


def alternate(
    trials: Sequence[Trial], rng: np.random.Generator, rest: Callable[[], None] = lambda: None
) -> Dict[int, PpclsError]:
    """Give turns to all trials, round by round, until all are finished.

    One that has finished keeps its turn as long as others have not: all get as many.

    Args:
        trials: what is measured.
        rng: draws the order of each round.
        rest: called before each turn.

    Returns:
        What went wrong, by the number of the trial, which got no more turns then.
    """
    failed: Dict[int, PpclsError] = {}
    while not all(trial.finished or index in failed for index, trial in enumerate(trials)):
        for index in rng.permutation(len(trials)).tolist():
            if index in failed:
                continue
            rest()
            try:
                trials[index].turn()
            except PpclsError as error:
                failed[index] = error
    return failed


class Samples:
    """The numbers of the images in random order; each comes once before any comes again."""

    def __init__(self, count: int, seed: int) -> None:
        """Number `count` images."""
        self.count = count
        self._rng = np.random.default_rng(seed)
        self._left: List[int] = []

    def take(self, many: int) -> List[int]:
        """Return the next ones, which differ from each other where `many` allows it."""
        while len(self._left) < many:
            drawn = [int(i) for i in self._rng.permutation(self.count)]
            again = [i for i in drawn if i in self._left[:many]]
            self._left += [*[i for i in drawn if i not in again], *again]
        taken, self._left = self._left[:many], self._left[many:]
        return taken


@dataclass
class Loop:
    """A closed loop: single stream, multi-stream and offline, by how many samples a query has.

    Attributes:
        answer: what is measured; it gets what `prepare` makes of the numbers of a query's samples.
        prepare: is not timed.
        samples: numbers of the images; trials that are compared have each its own of the same seed.
        size: samples a query.
        queries: how many queries to send, at least.
        seconds: how long to measure, at least.
        clock: tells the time.
        turns: latencies in seconds of the queries of each turn.
        typical: the latency of a query in seconds, once it is warm.
    """

    answer: Callable[[Any], object]
    prepare: Callable[[List[int]], Any]
    samples: Samples
    size: int
    queries: int
    seconds: float
    clock: Clock
    turns: List[List[float]] = field(default_factory=list)
    typical: float = 0.0

    @property
    def latencies(self) -> List[float]:
        """Those of all turns, in seconds."""
        return [latency for turn in self.turns for latency in turn]

    @property
    def medians(self) -> List[float]:
        """The median of each turn."""
        return [float(np.median(turn)) for turn in self.turns]

    @property
    def finished(self) -> bool:
        """Whether there were enough turns, and with them queries, and seconds."""
        enough = len(self.turns) >= min(ROUNDS, self.queries)
        return enough and sum(self.latencies) >= self.seconds

    @property
    def many(self) -> int:
        """Queries a turn."""
        wanted = max(self.queries, self.seconds / self.typical if self.typical else 0)
        return math.ceil(wanted / min(ROUNDS, self.queries))

    def warm_up(self) -> None:
        """Send two queries that do not count; the second says how long one takes."""
        self.typical = closed_loop(self.answer, self._draw(2), self.clock)[-1]

    def turn(self) -> None:
        """Send some queries, after an uncounted one if it does not take long."""
        many, first = self.many, int(self.typical < BRIEF)
        found = closed_loop(self.answer, self._draw(first + many), self.clock)
        self.turns.append(found[first:])

    def _draw(self, many: int) -> Iterator[Any]:
        return (self.prepare(self.samples.take(self.size)) for _ in range(many))


@dataclass
class Serve:
    """The server scenario: each turn tries one rate.

    Attributes:
        answer: what is measured.
        samples: numbers of the images.
        search: which rate is next.
        bound: what must hold.
        queries: how many to send at each rate.
        at_once: the largest batch.
        seed: of the arrivals.
        clock: tells the time.
        held: latencies at the highest rate that held.
    """

    answer: Answer
    samples: Samples
    search: RateSearch
    bound: Bound
    queries: int
    at_once: int
    seed: int
    clock: Clock
    held: List[float] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether the search is, or it cannot begin with so few queries."""
        return self.search.finished or self.queries < smallest_sample(self.bound.percent)

    def turn(self) -> None:
        """Try the next rate, unless the search is over."""
        if self.finished:
            return
        latencies = self._try(self.search.rate)
        held = self.bound.holds(latencies, self.queries)
        self.held = latencies if held else self.held
        self.search.note(held)

    def _try(self, rate: float) -> List[float]:
        numbers = [self.samples.take(1)[0] for _ in range(self.queries)]
        return open_loop(
            lambda queries: self.answer([numbers[query] for query in queries]),
            poisson_arrivals(rate, self.queries, self.seed).tolist(),
            self.clock,
            self.at_once,
            lambda latencies: self.bound.is_lost(latencies, self.queries),
        )
