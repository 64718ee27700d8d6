"""`ppcls benchmark deploy`: bundles in engines, timed side by side on this machine."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import numpy as np

from ppcls.benchmark.cases import Case, Inputs, Lengths
from ppcls.benchmark.environment import environment, load_average
from ppcls.benchmark.images import (
    Images,
    class_numbers,
    most_images,
    prepare_images,
    read_images,
    refuse_too_few,
)
from ppcls.benchmark.loadgen import Load, check_loadgen, run_loadgen
from ppcls.benchmark.networks import are_random, bundle_of, published_top1
from ppcls.benchmark.results import (
    Accuracy,
    Answers,
    LoadGen,
    Measurement,
    NetworkFacts,
    Results,
    Subject,
)
from ppcls.benchmark.scenarios import MLPERF_SECONDS, SCENARIOS, Bound
from ppcls.benchmark.start import cold_start
from ppcls.benchmark.subjects import Opened, Plan, check_engines, open_all
from ppcls.errors import UsageError, did_you_mean
from ppcls.inference.bundle import Bundle, read_bundle
from ppcls.inference.engines import PRECISIONS

_log = logging.getLogger("ppcls")
_MLPERF_QUERIES = {"single": 64, "multi": 662, "server": 459, "offline": 24_576}


@dataclass(frozen=True)
class Request:
    """What to measure; the options of the command.

    Attributes:
        models: registered networks, exported to a cache.
        model_dirs: bundles.
        images: a folder, a folder of class folders, or a list file.
        batch_sizes: images at once.
        precisions: in which engines compute.
        engines: names; empty for all.
        scenarios: keys of `SCENARIOS`.
        preprocessing: without, with, or both.
        threads: of each engine; None is one per core.
        bare: whether engines are called without the toolkit too.
        seconds: to measure each engine in each scenario, at least.
        queries: the same in queries; None is what the scenario needs.
        latency_bound: of the server scenario, in seconds.
        server_percent: the percentile that keeps within it.
        cold_starts: how many new processes to start for each engine.
        loadgen: whether to compare with MLPerf's load generator.
        seed: of all that is random.
        cache: the folder of exported networks.
        command: what was typed.
    """

    models: List[str]
    model_dirs: List[str]
    images: str
    batch_sizes: List[int]
    precisions: List[str]
    engines: List[str]
    scenarios: List[str]
    preprocessing: List[bool]
    threads: Optional[int]
    bare: bool
    seconds: float
    queries: Optional[int]
    latency_bound: float
    server_percent: float
    cold_starts: int
    loadgen: bool
    seed: int
    cache: Optional[Path] = None
    command: List[str] = field(default_factory=list)

    @property
    def lengths(self) -> Lengths:
        """How long is measured."""
        bound = Bound(self.latency_bound, self.server_percent)
        return Lengths(self.seconds, self.queries, bound, self.seed)

    @property
    def plan(self) -> Plan:
        """What is opened."""
        return Plan(self.engines, self.precisions, self.threads, self.bare)

    @property
    def mlperf_length(self) -> bool:
        """Whether runs are as long as MLPerf's rules ask for."""
        return self.seconds >= MLPERF_SECONDS and all(
            self.lengths.queries_of(name, 1) >= _MLPERF_QUERIES[name] for name in self.scenarios
        )


def benchmark(request: Request) -> Results:
    """Measure what is asked for.

    Raises:
        UsageError: an option has no meaning here: an unknown network, engine or precision, one that
            is not installed, too few images, a number below its least.
        BundleError: a bundle cannot be used.
        DataError: the images cannot be used.
    """
    _check(request)
    images = read_images(request.images)
    needed = max([*request.batch_sizes, 8 if "multi" in request.scenarios else 1])
    refuse_too_few(images, needed)
    results = _empty(request, len(images.paths))
    bundles = [bundle_of(name, request.cache) for name in request.models]
    bundles += [read_bundle(folder) for folder in request.model_dirs]
    for bundle in bundles:
        _Network(bundle, images, request, results).measure()
    results.environment["load_average_at_the_end"] = load_average()
    if not results.measurements:
        raise UsageError("nothing can be measured: " + "; ".join(results.left_out))
    return results


def _check(request: Request) -> None:
    for what, given, accepted in (
        ("scenario", request.scenarios, list(SCENARIOS)),
        ("precision", request.precisions, list(PRECISIONS)),
    ):
        for name in given:
            if name not in accepted:
                raise UsageError(
                    f"unknown {what} '{name}'.{did_you_mean(name, accepted)} "
                    f"Accepted: {', '.join(accepted)}"
                )
    numbers = [
        ("--batch-sizes", min(request.batch_sizes, default=0), 1),
        ("--threads", request.threads if request.threads is not None else 1, 1),
        ("--queries", request.queries if request.queries is not None else 1, 1),
        ("--cold-starts", request.cold_starts, 0),
    ]
    for option, number, least in numbers:
        if number < least:
            raise UsageError(f"{option} takes numbers from {least}, got {number}")
    if not request.seconds >= 0:
        raise UsageError(f"--duration is a number of seconds from 0, got {request.seconds:g}")
    if not request.latency_bound > 0:
        raise UsageError(f"--latency-bound is above 0 ms, got {1e3 * request.latency_bound:g}")
    if not 50 <= request.server_percent < 100:
        raise UsageError(f"--server-percentile is 50 to 99.9, got {request.server_percent:g}")
    check_engines(request.engines)
    if request.loadgen:
        check_loadgen()


def _empty(request: Request, images: int) -> Results:
    kept = {key: value for key, value in vars(request).items() if key not in ("command", "cache")}
    mlperf = {name: SCENARIOS[name].mlperf for name in request.scenarios}
    return Results(
        created=datetime.now().astimezone().isoformat(" ", "seconds"),
        command=request.command,
        environment=environment(request.threads),
        settings={**kept, "images_found": images, "mlperf_asks_for": mlperf},
        mlperf_length=request.mlperf_length,
        networks=[],
        subjects=[],
        measurements=[],
    )


class _Network:
    """The measurements of one bundle, which it adds to `results`."""

    def __init__(self, bundle: Bundle, images: Images, request: Request, results: Results) -> None:
        self.bundle = bundle
        self.request = request
        self.results = results
        self.images = images.chosen(most_images(bundle.input_shape), request.seed)
        self.classes, labels = class_numbers(self.images, bundle.labels)
        if are_random(bundle):
            self.classes, labels = None, "not used: the weights are random"
        arrays = prepare_images(self.images, bundle.pipeline(), bundle.input_shape)
        self.inputs = Inputs(self.images.paths, arrays)
        results.networks.append(_facts(bundle, labels))

    def measure(self) -> None:
        """Measure all that is asked for."""
        for batch in self.request.batch_sizes:
            self._measure_batch(batch)

    def _measure_batch(self, batch: int) -> None:
        is_first = batch == self.request.batch_sizes[0]
        opened, left_out = open_all(self.bundle, self.request.plan, batch)
        self._leave_out(left_out)
        numbered = [(self._number(one.subject), one) for one in opened]
        case = Case(numbered, self.inputs, batch, self.request.lengths)
        for scenario in self.request.scenarios:
            self.results.measurements += case.measure(scenario, self.request.preprocessing)
        self._leave_out(case.left_out)
        ours = [(number, one) for number, one in numbered if one.predict]
        if self.request.loadgen:
            for number, one in ours:
                self._ask_loadgen(number, one, batch)
        if is_first:
            self.results.answers += [self._answers(number, one, batch) for number, one in ours]

    def _number(self, subject: Subject) -> int:
        """Return a subject's number among the results; other batch sizes have the same."""
        for number, known in enumerate(self.results.subjects):
            if _identity(known) == _identity(subject):
                return number
        self.results.subjects.append(subject)
        return len(self.results.subjects) - 1

    def _leave_out(self, reasons: Sequence[str]) -> None:
        for reason in reasons:
            if reason not in self.results.left_out:
                _log.warning("left out: %s", reason)
                self.results.left_out.append(reason)

    def _answers(self, number: int, one: Opened, batch: int) -> Answers:
        """Return accuracy and start of an engine."""
        answers = Answers(subject=number)
        if self.classes is not None:
            answers.accuracy = accuracy(one, self.inputs.arrays, self.classes, batch)
        if self.request.cold_starts:
            subject, request = one.subject, self.request
            image = self.images.paths[0]
            answers.start = cold_start(
                self.bundle,
                image,
                subject.engine,
                subject.precision,
                request.threads,
                request.cold_starts,
            )
        return answers

    def _ask_loadgen(self, number: int, opened: Opened, batch: int) -> None:
        """Compare the figures of the load generator with those that were measured here."""
        for scenario in ("single", "offline"):
            wanted = (number, scenario, batch, False)
            found = [one for one in self.results.measurements if _place_of(one) == wanted]
            if not found or (scenario == "single" and batch != 1):
                continue
            self.results.loadgen.append(self._compared(scenario, opened, batch, found[0]))

    def _compared(self, scenario: str, one: Opened, batch: int, ours: Measurement) -> LoadGen:
        median = ours.median and ours.median.value
        expected = (median or ours.seconds / ours.queries) / batch
        queries = ours.queries * (batch if scenario == "offline" else 1)
        case = Case([(ours.subject, one)], self.inputs, batch, self.request.lengths)
        theirs = run_loadgen(
            scenario,
            lambda numbers: [one.run(part) for part in case.batches(numbers)],
            Load(len(self.inputs.paths), queries, expected),
        )
        own = ours.percentile.value if ours.percentile else ours.images_per_second
        return LoadGen(
            subject=ours.subject,
            scenario="single" if scenario == "single" else "offline",
            batch_size=batch,
            queries=queries,
            unit="s" if scenario == "single" else "images/s",
            theirs=theirs,
            ours=own or 0.0,
        )


def _place_of(one: Measurement) -> Tuple[int, str, int, bool]:
    return one.subject, one.scenario, one.batch_size, one.preprocessing


def _identity(subject: Subject) -> Tuple[str, str, str, bool]:
    return subject.network, subject.engine, subject.precision, subject.bare


def _facts(bundle: Bundle, labels: str) -> NetworkFacts:
    return NetworkFacts(
        name=bundle.model_name,
        folder=str(bundle.folder),
        input_shape=list(bundle.input_shape),
        classes=len(bundle.labels),
        weights=str(bundle.provenance.get("weights", "unknown")),
        published_top1=published_top1(bundle.model_name),
        labels=labels,
        formats=list(bundle.formats),
    )


def accuracy(one: Opened, arrays: np.ndarray, classes: np.ndarray, batch: int) -> Accuracy:
    """Return how many of the images an engine gets right.

    Args:
        one: the engine.
        arrays: prepared images, [n, ...].
        classes: their classes, int64 [n].
        batch: images at once.
    """
    starts = range(0, len(arrays), batch)
    found = np.concatenate([one.run(arrays[i : i + batch]) for i in starts])
    best = np.argsort(-found, axis=1, kind="stable")[:, :5] == classes[:, None]
    return Accuracy(
        images=len(arrays), top1=float(best[:, 0].mean()), top5=float(best.any(axis=1).mean())
    )
