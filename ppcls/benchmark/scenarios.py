"""The four scenarios of MLPerf Inference, as functions of what answers, and of a clock.

https://github.com/mlcommons/inference_policies/blob/master/inference_rules.adoc defines them:
single stream (one sample a query, the next one when it is answered; p90), multi-stream (8 samples a
query; p99), server (queries arrive by a Poisson process, whether the last one is answered or not;
the highest rate with p99 within a bound) and offline (all samples in one query; throughput).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, TypeVar

import numpy as np

from ppcls.benchmark.clock import Clock
from ppcls.benchmark.statistics import quantile

Query = TypeVar("Query")
Answer = Callable[[Sequence[int]], object]
"""Answers the samples of these numbers, at once or in batches."""


class Scenario(NamedTuple):
    """What MLPerf asks for."""

    title: str
    percent: Optional[float]
    """The percentile that is reported."""
    samples: int
    """A query has so many."""
    queries: int
    """How many this program sends if nothing is said, enough for the percentile. Of the offline
    scenario, which has one query, it is the samples.
    """
    mlperf: str
    """The length of a run by MLPerf's rules."""


SCENARIOS: Dict[str, Scenario] = {
    "single": Scenario("single stream", 90, 1, 100, "600 s and at least 64 queries"),
    "multi": Scenario("multi-stream", 99, 8, 400, "600 s and at least 662 queries"),
    "server": Scenario("server", 99, 1, 400, "600 s for each rate"),
    "offline": Scenario("offline", None, 0, 200, "600 s and at least 24,576 samples"),
}
MLPERF_SECONDS = 600.0


def closed_loop(
    answer: Callable[[Query], object], queries: Iterable[Query], clock: Clock
) -> List[float]:
    """Send each query when the one before is answered; return the latencies in seconds.

    What it takes to come by the next query is not timed.
    """
    latencies = []
    for query in queries:
        start = clock.now()
        answer(query)
        latencies.append(clock.now() - start)
    return latencies


def poisson_arrivals(rate: float, count: int, seed: int) -> np.ndarray:
    """Return when the queries of a Poisson process arrive, in seconds.

    Another rate gives the same arrivals on another scale, so that rates are compared fairly.
    """
    return np.cumsum(np.random.default_rng(seed).exponential(size=count)) / rate


def open_loop(
    answer: Answer,
    arrivals: Sequence[float],
    clock: Clock,
    at_once: int = 1,
    give_up: Callable[[List[float]], bool] = lambda latencies: False,
) -> List[float]:
    """Answer queries that arrive at given times; return the latencies in seconds.

    Latency counts from the arrival that was scheduled, so a query that waits for others is slow.
    Up to `at_once` queries that are waiting are answered together.

    Args:
        answer: gets the numbers of the queries.
        arrivals: seconds after the beginning, in order.
        clock: tells the time.
        at_once: the largest batch.
        give_up: whether the latencies so far decide the matter.
    """
    due = np.asarray(arrivals, dtype=float)
    latencies: List[float] = []
    start = clock.now()
    while len(latencies) < len(due) and not give_up(latencies):
        first = len(latencies)
        clock.sleep_until(start + due[first])
        waiting = int(np.searchsorted(due, clock.now() - start, side="right")) - first
        batch = range(first, first + max(1, min(at_once, waiting)))
        answer(batch)
        done = clock.now() - start
        latencies += [done - float(due[query]) for query in batch]
    return latencies


@dataclass(frozen=True)
class Bound:
    """What the server scenario demands: `percent` of the queries within `seconds`."""

    seconds: float
    percent: float = 99.0

    def holds(self, latencies: Sequence[float], count: int) -> bool:
        """Whether all of `count` queries were sent, and enough of them answered in time."""
        found = quantile(latencies, self.percent).value
        return len(latencies) == count and found is not None and found <= self.seconds

    def is_lost(self, latencies: Sequence[float], count: int) -> bool:
        """Whether more of them are late already than may be of `count`."""
        late = sum(latency > self.seconds for latency in latencies)
        return late > count * (1 - self.percent / 100)


@dataclass
class RateSearch:
    """Bisection for the highest rate that holds, one try after another.

    Attributes:
        high: a rate that does not hold, in queries a second; at first a guess, which is doubled as
            long as it does hold.
        low: the highest rate that has held; 0 as long as none has.
        precision: the relative width at which the search ends.
        least: the fraction of the first `high` below which no rate is tried: if even so few
            queries are late, it is not because they wait for each other.
        most: how often the first `high` is exceeded at most: what holds even then does so because
            all queries together take less time than one may.
    """

    high: float
    low: float = 0.0
    precision: float = 0.02
    least: float = 0.02
    most: float = 16.0

    def __post_init__(self) -> None:
        self._lowest, self._highest = self.least * self.high, self.most * self.high
        self._is_bounded = False

    @property
    def rate(self) -> float:
        """The rate to try next."""
        return (self.low + self.high) / 2 if self._is_bounded else self.high

    @property
    def finished(self) -> bool:
        """Whether the rate is known well enough, or none holds."""
        is_known = self.high - self.low <= self.precision * self.high
        is_hopeless = self.high <= self._lowest or self.low >= self._highest
        return is_hopeless or (is_known and self._is_bounded)

    def note(self, held: bool) -> None:
        """Say whether `rate` held."""
        if held and not self._is_bounded:
            self.low, self.high = self.high, 2 * self.high
        elif held:
            self.low = self.rate
        else:
            self.high, self._is_bounded = self.rate, True
