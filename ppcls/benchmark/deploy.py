"""`ppcls benchmark deploy`: bundles in engines, timed side by side on this machine."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Sequence, Tuple

import numpy as np

from ppcls.benchmark.cases import Case, Inputs
from ppcls.benchmark.environment import environment, load_average
from ppcls.benchmark.images import (
    Images,
    class_numbers,
    most_images,
    prepare_images,
    read_images,
    refuse_too_few,
)
from ppcls.benchmark.loadgen import Load, run_loadgen
from ppcls.benchmark.networks import are_random, bundle_of, network_of, published_top1
from ppcls.benchmark.request import Request, check_request
from ppcls.benchmark.results import (
    Accuracy,
    Answers,
    LoadGen,
    Measurement,
    NetworkFacts,
    Results,
    Subject,
)
from ppcls.benchmark.scenarios import SCENARIOS
from ppcls.benchmark.start import cold_start
from ppcls.benchmark.subjects import Opened, open_all
from ppcls.errors import UsageError
from ppcls.inference.bundle import Bundle, read_bundle
from ppcls.text import distinct

_log = logging.getLogger("ppcls")


def benchmark(request: Request) -> Results:
    """Measure what is asked for.

    Raises:
        UsageError: an option has no meaning here: an unknown network, engine or precision, one that
            is not installed, too few images, a number below its least.
        BundleError: a bundle cannot be used.
        DataError: the images cannot be used.
    """
    check_request(request)
    images = read_images(request.images)
    needed = max([*request.batch_sizes, 8 if "multi" in request.scenarios else 1])
    refuse_too_few(images, needed)
    results = _empty(request, len(images.paths))
    _warn_of_load(results)
    bundles = [bundle_of(name, request.cache) for name in request.models]
    bundles += [read_bundle(folder) for folder in request.model_dirs]
    names = distinct([network_of(bundle) for bundle in bundles])
    for name, bundle in zip(names, bundles):
        _Network(name, bundle, images, request, results).measure()
    results.environment["load_average_at_the_end"] = load_average()
    if not results.measurements:
        raise UsageError("nothing can be measured: " + "; ".join(results.left_out))
    return results


def _warn_of_load(results: Results) -> None:
    load = results.environment["load_average"]
    if load and load[0] > 0.5 * results.environment["cores"]:
        _log.warning(
            "other processes are busy here (load average %s): ratios still mean something, as all "
            "engines take turns, but times are too long",
            load[0],
        )


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

    def __init__(
        self, name: str, bundle: Bundle, images: Images, request: Request, results: Results
    ) -> None:
        self.name = name
        self.bundle = bundle
        self.request = request
        self.results = results
        self.images = images.chosen(most_images(bundle.input_shape), request.seed)
        self.classes, labels = class_numbers(self.images, bundle.labels)
        if are_random(bundle):
            self.classes, labels = None, "not used: the weights are random"
        arrays = prepare_images(self.images, bundle.pipeline(), bundle.input.image_shape)
        self.inputs = Inputs(self.images.paths, arrays)
        results.networks.append(_facts(name, bundle, labels))

    def measure(self) -> None:
        """Measure all that is asked for."""
        for batch in self.request.batch_sizes:
            self._measure_batch(batch)

    def _measure_batch(self, batch: int) -> None:
        is_first = batch == self.request.batch_sizes[0]
        opened, left_out = open_all(self.name, self.bundle, self.request.plan, batch)
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
            answers.start = cold_start(
                self.bundle,
                self.images.paths[0],
                one.subject.engine,
                self.request.plan.options(one.subject.precision, 1),
                self.request.cold_starts,
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
        (beside,) = case.measure(scenario, [False])
        theirs = run_loadgen(
            scenario,
            lambda numbers: [one.run(part) for part in case.batches(numbers)],
            Load(len(self.inputs.paths), queries, expected),
        )
        own = beside.percentile.value if beside.percentile else beside.images_per_second
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


def _facts(name: str, bundle: Bundle, labels: str) -> NetworkFacts:
    return NetworkFacts(
        name=name,
        folder=str(bundle.folder),
        input_shape=list(bundle.input_shape),
        classes=len(bundle.labels),
        weights=str(bundle.provenance.get("weights", "unknown")),
        published_top1=published_top1(network_of(bundle)),
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
