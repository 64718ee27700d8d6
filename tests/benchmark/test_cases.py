"""Engines of known speed, with a clock of the tests' own: what is made of their times."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np
import pytest

from ppcls.benchmark.cases import Case, Inputs, Lengths
from ppcls.benchmark.results import Measurement, Subject
from ppcls.benchmark.scenarios import Bound
from ppcls.benchmark.subjects import Opened
from ppcls.errors import BundleError

INPUTS = Inputs([f"{i}.png" for i in range(20)], np.arange(20, dtype=np.float32).reshape(20, 1))
LENGTHS = Lengths(seconds=0.0, queries=70, bound=Bound(0.05), seed=0)


class FakeEngine:
    """Takes so many seconds for a batch, ten times as long with preprocessing."""

    def __init__(self, clock: Any, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds
        self.batches: List[Any] = []

    def run(self, images: np.ndarray) -> np.ndarray:
        self.batches.append(images)
        self.clock.work(self.seconds)
        return images

    def predict(self, paths: Any) -> object:
        self.clock.work(10 * self.seconds)
        return paths


def opened(engine: FakeEngine, name: str, precision: str = "fp32", bare: bool = False) -> Opened:
    """A fake engine as the benchmark sees it."""
    about = {"name": "openvino"} if name == "auto" else {}
    subject = Subject(network="N", engine=name, precision=precision, bare=bare, about=about)
    return Opened(subject, engine.run, None if bare else engine.predict)


TIMES: Dict[Tuple[str, str, bool], float] = {
    ("onnxruntime", "fp32", False): 0.0204,
    ("onnxruntime", "fp32", True): 0.02,
    ("openvino", "fp32", True): 0.01,
    ("auto", "fp32", False): 0.0102,
    ("auto", "bf16", False): 0.0051,
    ("openvino", "bf16", True): 0.005,
}


@pytest.fixture
def case(clock: Any) -> Case:
    """All of `TIMES`, batches of two."""
    engines = [opened(FakeEngine(clock, time), *key) for key, time in TIMES.items()]
    return Case(list(enumerate(engines)), INPUTS, 2, LENGTHS, clock, lambda: None)


def measured(case: Case, scenario: str) -> Dict[Tuple[str, str, bool], Measurement]:
    """The measurements without preprocessing, by what they are of."""
    keys = list(TIMES)
    return {keys[one.subject]: one for one in case.measure(scenario, [False])}


def test_ratios_are_those_of_the_engines(case: Case) -> None:
    found = measured(case, "single")
    ours = found["onnxruntime", "fp32", False]
    assert ours.to_bare and ours.to_bare.value == pytest.approx(1.02)
    assert ours.to_fp32 is None, "it is float32 itself"
    auto = found["auto", "fp32", False]
    assert auto.to_fastest_bare and auto.to_fastest_bare.value == pytest.approx(1.02)
    assert (auto.fastest_bare, auto.notes) == ("openvino", ["auto: openvino"])
    assert auto.to_bare is None
    lower = found["auto", "bf16", False]
    assert lower.to_fp32 and lower.to_fp32.value == pytest.approx(0.5)
    assert lower.to_fastest_bare and lower.to_fastest_bare.value == pytest.approx(1.02)
    assert found["openvino", "fp32", True].to_bare is None


def test_single_stream(case: Case) -> None:
    one = measured(case, "single")["openvino", "fp32", True]
    assert one.median and one.percentile
    assert one.queries == 70
    assert (one.median.value, one.percentile.value) == pytest.approx((0.01, 0.01))
    assert one.images_per_second == pytest.approx(200)
    assert one.variation == pytest.approx(0, abs=1e-9) and one.notes == []
    assert one.early_stopping == pytest.approx(0.01)


def test_a_query_of_the_multi_stream_has_eight_samples(clock: Any) -> None:
    engine = FakeEngine(clock, 0.01)
    case = Case([(0, opened(engine, "paddle"))], INPUTS, 3, LENGTHS, clock, lambda: None)
    (one,) = case.measure("multi", [False])
    assert one.median and one.median.value == pytest.approx(0.03)
    assert one.percentile and one.percentile.reason == "n = 70, and p99 needs 368"
    assert [len(batch) for batch in engine.batches[:6]] == [3, 3, 2, 3, 3, 2]
    first = np.concatenate(engine.batches[:3]).ravel()
    assert len(set(first)) == 8


def test_offline_counts_samples(case: Case) -> None:
    one = measured(case, "offline")["openvino", "fp32", True]
    assert 35 <= one.queries <= 42, "70 samples in batches of 2, in whole turns"
    assert one.percentile is None
    assert one.images_per_second == pytest.approx(200)


@pytest.mark.slow
def test_the_server_finds_what_batches_of_two_can_bear(clock: Any) -> None:
    lengths = LENGTHS._replace(queries=2000)
    engine = opened(FakeEngine(clock, 0.01), "paddle")
    case = Case([(0, engine)], INPUTS, 2, lengths, clock, lambda: None)
    (one,) = case.measure("server", [False])
    assert one.rate is not None and 100 < one.rate < 200
    assert one.percentile and one.percentile.value and one.percentile.value <= 0.05
    assert one.notes == ["p99 within 50 ms"]


def test_a_bound_below_one_answer_is_never_held(clock: Any) -> None:
    lengths = LENGTHS._replace(queries=400, bound=Bound(0.009))
    engine = opened(FakeEngine(clock, 0.01), "paddle")
    case = Case([(0, engine)], INPUTS, 1, lengths, clock, lambda: None)
    (one,) = case.measure("server", [False])
    assert (one.rate, one.queries) == (None, 0)
    assert one.notes == ["no rate has p99 within 9 ms"]


def test_preprocessing_is_timed_where_it_is_asked_for(case: Case) -> None:
    both = case.measure("single", [False, True])
    keys = list(TIMES)
    included = {keys[one.subject]: one for one in both if one.preprocessing}
    assert set(included) == {key for key in keys if not key[2]}, "bare engines have none"
    one = included["auto", "fp32", False]
    assert one.median and one.median.value == pytest.approx(0.102)
    assert one.to_fastest_bare is None


def test_what_is_unstable_says_so(clock: Any) -> None:
    engine = FakeEngine(clock, 0.01)
    usual = engine.run

    def sometimes_slow(images: np.ndarray) -> np.ndarray:
        clock.work(0.1 * (len(engine.batches) % 5 == 0))
        return usual(images)

    engine.run = sometimes_slow  # type: ignore[method-assign]
    case = Case([(0, opened(engine, "paddle"))], INPUTS, 1, LENGTHS, clock, lambda: None)
    (one,) = case.measure("single", [False])
    assert one.variation and one.variation > 0.1 and one.notes == ["unstable"]


def test_an_engine_that_fails_is_left_out(clock: Any) -> None:
    good, bad = FakeEngine(clock, 0.01), FakeEngine(clock, 0.01)

    def fail(images: np.ndarray) -> np.ndarray:
        raise BundleError("it fails")

    bad.run = fail  # type: ignore[method-assign]
    both = [(0, opened(good, "paddle")), (1, opened(bad, "openvino"))]
    case = Case(both, INPUTS, 1, LENGTHS, clock, lambda: None)
    assert [one.subject for one in case.measure("single", [False])] == [0]
    assert case.left_out == ["N, openvino, fp32, batch 1, single stream: it fails"]


@pytest.mark.parametrize("scenario", ["single", "multi", "server", "offline"])
def test_one_that_fails_later_does_not_stop_the_others(clock: Any, scenario: str) -> None:
    good, bad = FakeEngine(clock, 0.001), FakeEngine(clock, 0.001)
    usual = bad.run

    def fail_later(images: np.ndarray) -> np.ndarray:
        if len(bad.batches) > 30:
            raise BundleError("it fails")
        return usual(images)

    bad.run = fail_later  # type: ignore[method-assign]
    both = [(0, opened(bad, "openvino", bare=True)), (1, opened(good, "openvino"))]
    case = Case(both, INPUTS, 1, LENGTHS._replace(queries=400), clock, lambda: None)
    (one,) = case.measure(scenario, [False])
    assert (one.subject, one.to_bare) == (1, None)
    assert one.queries >= 400
    (reason,) = case.left_out
    assert reason.startswith("N, openvino (bare), fp32, batch 1, ")
    assert reason.endswith(": it fails")


def test_the_server_compiles_for_fewer_images_before_it_counts(clock: Any) -> None:
    engine = FakeEngine(clock, 0.01)
    case = Case([(0, opened(engine, "paddle"))], INPUTS, 4, LENGTHS, clock, lambda: None)
    case.measure("server", [False])
    assert [len(batch) for batch in engine.batches] == [4, 4, 1], "70 queries are too few for p99"
