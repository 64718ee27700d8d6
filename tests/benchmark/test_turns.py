"""Who is measured when."""

from __future__ import annotations

from collections import Counter
from typing import Any, List

import numpy as np
import pytest

from ppcls.benchmark.scenarios import Bound, RateSearch
from ppcls.benchmark.turns import ROUNDS, Loop, Samples, Serve, alternate
from ppcls.errors import BundleError


def loop(clock: Any, takes: float, **changes: Any) -> Loop:
    """Something that takes so many seconds for a query."""
    values = {"queries": 21, "seconds": 0.0, "size": 1, "samples": Samples(5, 0), **changes}
    return Loop(answer=lambda query: clock.work(takes), prepare=lambda x: x, clock=clock, **values)


def test_all_get_as_many_turns_in_an_order_that_changes(clock: Any) -> None:
    order: List[str] = []
    trials = {}
    for name, seconds in (("a", 0.01), ("b", 0.5), ("c", 0.02)):
        trials[name] = loop(clock, seconds)
        trials[name].prepare = lambda x, name=name: order.append(name)
        trials[name].warm_up()
    order.clear()
    alternate(list(trials.values()), np.random.default_rng(0))
    assert {len(trial.turns) for trial in trials.values()} == {ROUNDS}
    assert {len(trial.latencies) for trial in trials.values()} == {21}
    turns = [name for i, name in enumerate(order) if i == 0 or order[i - 1] != name]
    assert len({tuple(turns[i : i + 3]) for i in range(0, 18, 3)}) > 1


def test_one_that_fails_gets_no_more_turns(clock: Any) -> None:
    good, bad = loop(clock, 0.01), loop(clock, 0.01)
    asked: List[int] = []

    def fail(query: object) -> None:
        asked.append(1)
        raise BundleError("it fails")

    bad.answer = fail
    failed = alternate([good, bad], np.random.default_rng(0))
    assert {index: str(error) for index, error in failed.items()} == {1: "it fails"}
    assert (len(good.turns), len(asked)) == (ROUNDS, 1)


def test_seconds_and_queries_are_both_least(clock: Any) -> None:
    long = loop(clock, 0.01, seconds=3.0)
    long.warm_up()
    alternate([long], np.random.default_rng(0))
    assert sum(long.latencies) >= 3.0 and len(long.latencies) >= 300


def test_the_first_query_of_a_turn_is_not_counted(clock: Any) -> None:
    times = iter([0.01, 0.01, *[5.0, 0.01, 0.01, 0.01] * 50])
    trial = loop(clock, 0.0)
    trial.answer = lambda query: clock.work(next(times))
    trial.warm_up()
    alternate([trial], np.random.default_rng(0))
    assert set(np.round(trial.latencies, 6)) == {0.01}


def test_rest_comes_before_each_turn(clock: Any) -> None:
    rests: List[int] = []
    trials = [loop(clock, 0.1), loop(clock, 0.1)]
    for trial in trials:
        trial.warm_up()
    alternate(trials, np.random.default_rng(0), lambda: rests.append(1))
    assert len(rests) == 2 * ROUNDS


def test_every_image_comes_once_before_any_comes_again() -> None:
    samples = Samples(10, seed=3)
    taken = [samples.take(4) for _ in range(25)]
    assert all(len(set(batch)) == 4 for batch in taken)
    flat = [number for batch in taken for number in batch]
    counts = Counter(flat[:40])
    assert max(counts.values()) - min(counts.values()) <= 1
    assert taken == [
        batch for other in [Samples(10, seed=3)] for batch in map(other.take, [4] * 25)
    ]
    assert taken[:5] != [Samples(10, seed=4).take(4) for _ in range(5)]


def test_a_server_tries_a_rate_each_turn(clock: Any) -> None:
    sizes: List[int] = []

    def answer(numbers: Any) -> None:
        sizes.append(len(numbers))
        clock.work(0.01)

    trial = Serve(
        answer=answer,
        samples=Samples(50, 0),
        search=RateSearch(high=1.5 * 4 / 0.01),
        bound=Bound(0.1),
        queries=1000,
        at_once=4,
        seed=0,
        clock=clock,
    )
    alternate([trial], np.random.default_rng(0))
    assert max(sizes) == 4
    # Four at once: faster than one at a time, slower than always four.
    assert 100 < trial.search.low < 400
    assert len(trial.held) == 1000


def test_a_server_with_too_few_queries_does_not_begin(clock: Any) -> None:
    trial = Serve(
        answer=lambda numbers: pytest.fail("nothing is sent"),
        samples=Samples(5, 0),
        search=RateSearch(high=10),
        bound=Bound(1.0),
        queries=100,
        at_once=1,
        seed=0,
        clock=clock,
    )
    alternate([trial], np.random.default_rng(0))
    assert trial.held == []
