"""One network at one batch size: all its engines take turns in each scenario."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from ppcls.benchmark.bare import RIVALS
from ppcls.benchmark.clock import Clock, SystemClock, settle
from ppcls.benchmark.results import Measurement
from ppcls.benchmark.scenarios import SCENARIOS, Bound, RateSearch
from ppcls.benchmark.statistics import (
    UNSTABLE,
    early_stopping_estimate,
    paired_ratio,
    quantile,
    variation,
)
from ppcls.benchmark.subjects import AUTO, Opened
from ppcls.benchmark.turns import ROUNDS, Loop, Samples, Serve, alternate
from ppcls.errors import PpclsError

_log = logging.getLogger("ppcls")


class Lengths(NamedTuple):
    """How long is measured.

    Attributes:
        seconds: for each engine in each scenario, at least.
        queries: the same in queries; None is what each scenario has.
        bound: of the server scenario.
        seed: of all that is random.
    """

    seconds: float
    queries: Optional[int]
    bound: Bound
    seed: int

    def queries_of(self, scenario: str, batch: int) -> int:
        """Return how many queries to send; of the offline scenario it is batches of samples."""
        wanted = self.queries or SCENARIOS[scenario].queries
        return -(-wanted // batch) if scenario == "offline" else wanted


class Inputs(NamedTuple):
    """The same images as files and as arrays [n, ...] that a network takes."""

    paths: List[str]
    arrays: np.ndarray


@dataclass(frozen=True)
class Competitor:
    """An opened engine, with preprocessing or without, in its place among the results."""

    opened: Opened
    subject: int
    preprocessing: bool
    trial: Union[Loop, Serve]

    @property
    def key(self) -> Tuple[str, str, bool, bool]:
        """Engine, precision, bare, preprocessing."""
        subject = self.opened.subject
        return subject.engine, subject.precision, subject.bare, self.preprocessing


class Case:
    """A network's engines at one batch size.

    Args:
        opened: the engines, each with its number among the results' subjects.
        inputs: the images.
        batch: images at once.
        lengths: how long is measured.
        clock: tells the time.
        rest: what to do before each turn.
    """

    def __init__(
        self,
        opened: Sequence[Tuple[int, Opened]],
        inputs: Inputs,
        batch: int,
        lengths: Lengths,
        clock: Optional[Clock] = None,
        rest: Callable[[], None] = settle,
    ) -> None:
        self.opened = opened
        self.inputs = inputs
        self.batch = batch
        self.lengths = lengths
        self.clock = clock or SystemClock()
        self.rest = rest
        self.left_out: List[str] = []

    def measure(self, scenario: str, preprocessing: Sequence[bool]) -> List[Measurement]:
        """Measure a scenario; `preprocessing` says without, with, or both."""
        competitors = [
            found
            for included in preprocessing
            for subject, one in self.opened
            if one.predict or not included
            for found in self._competitor(scenario, subject, one, included)
        ]
        self._announce(scenario, competitors)
        rng = np.random.default_rng(self.lengths.seed)
        failed = alternate([one.trial for one in competitors], rng, self.rest)
        for index, error in failed.items():
            self._leave_out(competitors[index].opened, scenario, error)
        measured = [one for index, one in enumerate(competitors) if index not in failed]
        return [self._measurement(scenario, one, measured) for one in measured]

    def _leave_out(self, one: Opened, scenario: str, error: PpclsError) -> None:
        where = f"batch {self.batch}, {SCENARIOS[scenario].title}"
        self.left_out.append(f"{one.subject.title}, {where}: {error}")

    def _competitor(
        self, scenario: str, subject: int, one: Opened, included: bool
    ) -> List[Competitor]:
        """Return a competitor after its first queries; none if it fails at them."""
        loop = self._loop(scenario, one, included)
        try:
            loop.warm_up()
            trial = self._serve(one, included, loop) if scenario == "server" else loop
        except PpclsError as error:
            self._leave_out(one, scenario, error)
            return []
        return [Competitor(one, subject, included, trial)]

    def _loop(self, scenario: str, one: Opened, included: bool) -> Loop:
        size = SCENARIOS[scenario].samples if scenario == "multi" else self.batch
        answer, prepare = self._ways(one, included)
        queries = self.lengths.queries_of(scenario, self.batch)
        samples = Samples(len(self.inputs.paths), self.lengths.seed)
        return Loop(answer, prepare, samples, size, queries, self.lengths.seconds, self.clock)

    def _ways(
        self, one: Opened, included: bool
    ) -> Tuple[Callable[[Any], object], Callable[[List[int]], Any]]:
        """Return what answers a query, and what makes the query of the numbers of images."""
        if included and one.predict:
            paths = self.inputs.paths
            return one.predict, lambda numbers: [paths[i] for i in numbers]
        return (lambda batches: [one.run(batch) for batch in batches]), self.batches

    def batches(self, numbers: Sequence[int]) -> List[np.ndarray]:
        """Return the images of these numbers in batches."""
        starts = range(0, len(numbers), self.batch)
        return [self.inputs.arrays[list(numbers[i : i + self.batch])] for i in starts]

    def _serve(self, one: Opened, included: bool, loop: Loop) -> Serve:
        answer, prepare = self._ways(one, included)
        queries = self.lengths.queries_of("server", self.batch)
        serve = Serve(
            answer=lambda numbers: answer(prepare(list(numbers))),
            samples=Samples(len(self.inputs.paths), self.lengths.seed),
            search=RateSearch(high=1.5 * self.batch / loop.typical),
            bound=self.lengths.bound,
            queries=queries,
            at_once=self.batch,
            seed=self.lengths.seed,
            clock=self.clock,
        )
        # Batches are not always full: some engines compile the network once more for those.
        serve.answer([0])
        return serve

    def _announce(self, scenario: str, competitors: Sequence[Competitor]) -> None:
        if not competitors:
            return
        loops = [one.trial for one in competitors if isinstance(one.trial, Loop)]
        seconds = sum(ROUNDS * loop.many * loop.typical for loop in loops)
        about = f", {seconds:.0f} s or more" if loops else ""
        _log.info(
            "%s, batch %d, %s: %d in turns%s",
            competitors[0].opened.subject.network,
            self.batch,
            SCENARIOS[scenario].title,
            len(competitors),
            about,
        )

    # --- what came out -------------------------------------------------------------------------

    def _measurement(
        self, scenario: str, one: Competitor, all: Sequence[Competitor]
    ) -> Measurement:
        common = {
            "subject": one.subject,
            "scenario": scenario,
            "batch_size": self.batch,
            "preprocessing": one.preprocessing,
            "notes": _choice(one.opened),
        }
        if isinstance(one.trial, Serve):
            return Measurement(**{**common, **self._served(one.trial)})
        others = {other.key: other.trial for other in all if isinstance(other.trial, Loop)}
        found = _looped(one.trial, SCENARIOS[scenario].percent)
        found["notes"] += common["notes"]
        return Measurement(**{**common, **found, **_ratios(one.key, one.trial, others)})

    def _served(self, trial: Serve) -> Dict[str, Any]:
        found, percent = trial.held, self.lengths.bound.percent
        bound = f"p{percent:g} within {1e3 * self.lengths.bound.seconds:g} ms"
        if not found:
            least = quantile([0.0] * trial.queries, percent).reason
            why = least or f"no rate has {bound}"
            return {"queries": 0, "seconds": 0.0, "notes": [why]}
        return {
            "queries": len(found),
            "seconds": len(found) / trial.search.low,
            "median": quantile(found, 50),
            "percentile": quantile(found, percent),
            "images_per_second": trial.search.low,
            "rate": trial.search.low,
            "notes": [bound],
        }


def _looped(trial: Loop, percent: Optional[float]) -> Dict[str, Any]:
    found, spread = trial.latencies, variation(trial.latencies)
    unstable = spread is not None and spread > UNSTABLE
    return {
        "queries": len(found),
        "seconds": sum(found),
        "median": quantile(found, 50),
        "percentile": None if percent is None else quantile(found, percent),
        "early_stopping": None if percent is None else early_stopping_estimate(found, percent),
        "variation": spread,
        "images_per_second": trial.size * len(found) / sum(found),
        "notes": ["unstable"] if unstable else [],
    }


def _ratios(
    key: Tuple[str, str, bool, bool], trial: Loop, others: Dict[Any, Loop]
) -> Dict[str, Any]:
    """Compare a trial with the same engine bare and at float32, and `auto` with its rivals."""
    engine, precision, bare, included = key
    if included or bare:
        return {}
    found: Dict[str, Any] = {}
    rivals = {
        "to_bare": (engine, precision, True, False),
        "to_fp32": (engine, "fp32", False, False),
    }
    for name, rival in rivals.items():
        if rival in others and rival != key:
            found[name] = paired_ratio(trial.medians, others[rival].medians)
    fastest = _fastest([(name, precision, True, False) for name in RIVALS], others)
    if engine == AUTO and fastest:
        found["to_fastest_bare"] = paired_ratio(trial.medians, others[fastest].medians)
        found["fastest_bare"] = fastest[0]
    return found


def _fastest(keys: Sequence[Any], others: Dict[Any, Loop]) -> Any:
    there = [key for key in keys if key in others]
    return min(there, key=lambda key: np.median(others[key].latencies), default=None)


def _choice(opened: Opened) -> List[str]:
    subject = opened.subject
    return [f"auto: {subject.about.get('name', '?')}"] if subject.engine == AUTO else []
