"""The scenarios with a clock of the tests' own, and the theory of queues."""

from __future__ import annotations

import math
from typing import Any, List, Sequence

import numpy as np
import pytest
from scipy import stats

from ppcls.benchmark.scenarios import (
    Bound,
    RateSearch,
    closed_loop,
    open_loop,
    poisson_arrivals,
)
from ppcls.benchmark.statistics import quantile

SERVICE = 0.01


def test_single_stream_sends_the_next_query_when_one_is_done(clock: Any) -> None:
    times = iter([0.1, 0.3, 0.2])
    sent: List[float] = []

    def answer(query: int) -> None:
        sent.append(clock.now() - 100)
        clock.work(next(times))

    assert closed_loop(answer, [1, 2, 3], clock) == pytest.approx([0.1, 0.3, 0.2])
    assert sent == pytest.approx([0, 0.1, 0.4])


def test_what_it_takes_to_prepare_a_query_is_not_timed(clock: Any) -> None:
    def queries() -> Any:
        for query in range(3):
            clock.work(9)
            yield query

    assert closed_loop(lambda query: clock.work(1), queries(), clock) == [1, 1, 1]


def test_arrivals_are_a_poisson_process() -> None:
    arrivals = poisson_arrivals(50, 20_000, seed=1)
    gaps = np.diff(arrivals)
    assert stats.kstest(gaps, "expon", args=(0, 1 / 50)).pvalue > 0.01
    in_each_second = np.histogram(arrivals, np.arange(0, 400))[0]
    assert in_each_second.var() / in_each_second.mean() == pytest.approx(1, abs=0.2)
    np.testing.assert_allclose(poisson_arrivals(100, 20_000, seed=1), arrivals / 2)
    assert not np.array_equal(poisson_arrivals(50, 20_000, seed=2), arrivals)


def latencies(clock: Any, load: float, count: int, at_once: int = 1) -> List[float]:
    """Those of a server that takes `SERVICE` seconds for a batch of any size."""
    arrivals = poisson_arrivals(load / SERVICE, count, seed=0).tolist()
    return open_loop(lambda queries: clock.work(SERVICE), arrivals, clock, at_once)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_a_server_of_constant_time_waits_as_the_theory_of_queues_says(
    clock: Any, load: float
) -> None:
    """M/D/1: load / (2 (1 - load)) services of waiting in the mean (Pollaczek, Khinchine)."""
    expected = SERVICE * (1 + load / (2 * (1 - load)))
    assert np.mean(latencies(clock, load, 60_000)) == pytest.approx(expected, rel=0.03)


def test_latency_counts_from_the_scheduled_arrival(clock: Any) -> None:
    found = open_loop(lambda queries: clock.work(1.0), [0.0, 0.1, 0.2, 5.0], clock)
    assert found == pytest.approx([1.0, 1.9, 2.8, 1.0])


def test_waiting_queries_share_a_batch(clock: Any) -> None:
    batches: List[Sequence[int]] = []

    def answer(queries: Sequence[int]) -> None:
        batches.append(list(queries))
        clock.work(1.0)

    found = open_loop(answer, [0.0, 0.1, 0.2, 0.3, 0.4], clock, at_once=3)
    assert batches == [[0], [1, 2, 3], [4]]
    assert found == pytest.approx([1.0, 1.9, 1.8, 1.7, 2.6])


def md1_waiting_time(load: float, services: float) -> float:
    """The probability that a query of M/D/1 waits no longer than `services` (Erlang 1909)."""
    terms = [
        (load * (k - services)) ** k / math.factorial(k) * np.exp(-load * (k - services))
        for k in range(int(services) + 1)
    ]
    return float((1 - load) * sum(terms))


@pytest.mark.slow
def test_the_highest_rate_is_that_of_the_theory(clock: Any) -> None:
    """For p99 within 4 services, a query waits no longer than 3 of them in 99 of 100 cases."""
    loads = np.linspace(0.05, 0.95, 2000)
    expected = max(load for load in loads if md1_waiting_time(load, 3.0) >= 0.99) / SERVICE
    bound, count, search = Bound(4 * SERVICE), 40_000, RateSearch(high=1.5 / SERVICE)
    while not search.finished:
        arrivals = poisson_arrivals(search.rate, count, seed=3).tolist()
        found = open_loop(
            lambda queries: clock.work(SERVICE),
            arrivals,
            clock,
            give_up=lambda late: False,
        )
        search.note(bound.holds(found, count))
    assert search.low == pytest.approx(expected, rel=0.05)


def test_a_rate_holds_only_with_enough_queries() -> None:
    bound = Bound(1.0)
    assert bound.holds([0.5] * 400, 400)
    assert not bound.holds([0.5] * 300, 300), "p99 needs 368"
    assert not bound.holds([0.5] * 399, 400), "one was never sent"
    assert not bound.holds([0.5] * 390 + [2.0] * 10, 400)
    assert bound.is_lost([2.0] * 5, 400) and not bound.is_lost([2.0] * 4, 400)


def test_a_search_without_hope_ends() -> None:
    search = RateSearch(high=64.0)
    while not search.finished:
        search.note(False)
    assert search.low == 0 and search.high >= 1


@pytest.mark.parametrize("guess", [64.0, 20.0, 3.0])
def test_a_search_does_not_depend_on_its_guess(guess: float) -> None:
    search = RateSearch(high=guess)
    while not search.finished:
        search.note(search.rate < 20)
    assert search.low == pytest.approx(20, rel=0.02) and search.low < 20


def test_a_lost_run_is_given_up(clock: Any) -> None:
    bound = Bound(2.0)
    arrivals = (0.1 * np.arange(1000)).tolist()
    found = open_loop(
        lambda queries: clock.work(1.0), arrivals, clock, 1, lambda x: bound.is_lost(x, 1000)
    )
    assert len(found) < 20
    assert quantile(found, 50).value is not None
