"""`ppcls benchmark deploy`: bundles in engines, timed side by side on this machine."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial
from typing import Callable, Optional, Sequence, Tuple, TypeVar

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
    Start,
    Subject,
)
from ppcls.benchmark.scenarios import SCENARIOS
from ppcls.benchmark.start import cold_start
from ppcls.benchmark.subjects import AUTO, Opened, open_all
from ppcls.errors import BundleError, PpclsError, UsageError
from ppcls.inference.bundle import Bundle, read_bundle
from ppcls.inference.engines.auto import open_fastest
from ppcls.text import distinct

Found = TypeVar("Found")
_log = logging.getLogger("ppcls")


def benchmark(request: Request) -> Results:
    """Measure what is asked for. What fails is left out; results are written after each network.

    Raises:
        UsageError: an option has no meaning here: an unknown network, engine or precision, one that
            is not installed, too few images, a number below its least; or all was left out.
        BundleError: a bundle cannot be read.
        DataError: the images cannot be found.
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
    for number, (name, bundle) in enumerate(zip(names, bundles)):
        facts = _facts(name, bundle, as_registered=number < len(request.models))
        try:
            _Network(facts, bundle, images, request, results).measure()
        except PpclsError as error:
            _leave_out(results, [f"{name}: {error}"])
        finally:
            _keep(results, request)
    if not results.measurements:
        raise UsageError("nothing can be measured: " + "; ".join(results.left_out))
    return results


def _keep(results: Results, request: Request) -> None:
    """Write what there is so far: the next network may take hours, or end the process."""
    results.environment["load_average_at_the_end"] = load_average()
    if not results.measurements:
        return
    try:
        request.outputs.write(results)
    except (OSError, PpclsError) as error:  # the disk may have room again after the next network
        _log.warning("the results so far cannot be written: %s", error)


def _leave_out(results: Results, reasons: Sequence[str]) -> None:
    for reason in reasons:
        if reason not in results.left_out:
            _log.warning("left out: %s", reason)
            results.left_out.append(reason)


def _warn_of_load(results: Results) -> None:
    load = results.environment["load_average"]
    if load and load[0] > 0.5 * results.environment["cores"]:
        _log.warning(
            "other processes are busy here (load average %s): ratios still mean something, as all "
            "engines take turns, but times are too long",
            load[0],
        )


_UNSAID = ("command", "cache", "outputs")
"""What is asked for but does not change what is measured."""


def _empty(request: Request, images: int) -> Results:
    kept = {key: value for key, value in vars(request).items() if key not in _UNSAID}
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
        self,
        facts: NetworkFacts,
        bundle: Bundle,
        images: Images,
        request: Request,
        results: Results,
    ) -> None:
        self.name = facts.name
        self.bundle = bundle
        self.request = request
        self.results = results
        self.images = images.chosen(most_images(bundle.input_shape), request.seed)
        self.classes, facts.labels = class_numbers(self.images, bundle.labels)
        if are_random(bundle):
            self.classes, facts.labels = None, "not used: the weights are random"
        arrays = prepare_images(self.images, bundle.pipeline(), bundle.input.image_shape)
        self.inputs = Inputs(self.images.paths, arrays)
        results.networks.append(facts)

    def measure(self) -> None:
        """Measure all that is asked for."""
        for batch in self.request.batch_sizes:
            self._measure_batch(batch)

    def _measure_batch(self, batch: int) -> None:
        opened, left_out = open_all(self.name, self.bundle, self.request.plan, batch)
        _leave_out(self.results, left_out)
        numbered = [(self._number(one.subject), one) for one in opened]
        case = Case(numbered, self.inputs, batch, self.request.lengths)
        for scenario in self.request.scenarios:
            self.results.measurements += case.measure(scenario, self.request.preprocessing)
        _leave_out(self.results, case.left_out)
        ours = [(number, one) for number, one in numbered if one.predict]
        if self.request.loadgen:
            for number, one in ours:
                self._ask_loadgen(number, one, batch)
        answered = {answers.subject for answers in self.results.answers}
        for number, one in ours:
            if number not in answered:
                self.results.answers.append(self._answers(number, one, batch))

    def _number(self, subject: Subject) -> int:
        """Return a subject's number among the results; other batch sizes have the same."""
        for number, known in enumerate(self.results.subjects):
            if _identity(known) == _identity(subject):
                return number
        self.results.subjects.append(subject)
        return len(self.results.subjects) - 1

    def _tried(self, what: str, subject: Subject, measure: Callable[[], Found]) -> Optional[Found]:
        """Return what is measured; None, and the reason among what was left out, if it fails."""
        try:
            return measure()
        except PpclsError as error:
            _leave_out(self.results, [f"{subject.title}, {what}: {error}"])
            return None

    def _answers(self, number: int, one: Opened, batch: int) -> Answers:
        """Return accuracy and start of an engine."""
        answers, classes = Answers(subject=number), self.classes
        if classes is not None:
            answers.accuracy = self._tried(
                "accuracy", one.subject, lambda: accuracy(one, self.inputs.arrays, classes, batch)
            )
        if self.request.cold_starts:
            answers.start = self._tried("start", one.subject, lambda: self._start(one.subject))
        return answers

    def _start(self, subject: Subject) -> Start:
        options = self.request.plan.options(subject.precision, 1)
        if subject.engine == AUTO:
            # Which engine is the fastest for one image is found out once, not at every start.
            open_fastest(self.bundle, options)
        image, repeats = self.images.paths[0], self.request.cold_starts
        return cold_start(self.bundle, image, subject.engine, options, repeats)

    def _ask_loadgen(self, number: int, opened: Opened, batch: int) -> None:
        """Compare the figures of the load generator with those that were measured here."""
        for scenario in ("single", "offline"):
            wanted = (number, scenario, batch, False)
            found = [one for one in self.results.measurements if _place_of(one) == wanted]
            if not found or (scenario == "single" and batch != 1):
                continue
            compare = partial(self._compared, scenario, opened, batch, found[0])
            compared = self._tried("MLPerf's load generator", opened.subject, compare)
            if compared:
                self.results.loadgen.append(compared)

    def _compared(self, scenario: str, one: Opened, batch: int, ours: Measurement) -> LoadGen:
        median = ours.median and ours.median.value
        expected = (median or ours.seconds / ours.queries) / batch
        queries = ours.queries * (batch if scenario == "offline" else 1)
        case = Case([(ours.subject, one)], self.inputs, batch, self.request.lengths)
        measured = case.measure(scenario, [False])
        if not measured:
            raise BundleError(case.left_out[0])
        theirs = run_loadgen(
            scenario,
            lambda numbers: [one.run(part) for part in case.batches(numbers)],
            Load(len(self.inputs.paths), queries, expected),
        )
        (beside,) = measured
        own = beside.percentile.value if beside.percentile else beside.images_per_second
        return LoadGen(
            subject=ours.subject,
            scenario="single" if scenario == "single" else "offline",
            batch_size=batch,
            queries=queries,
            unit="s" if scenario == "single" else "images/s",
            theirs=theirs,
            ours=own,
        )


def _place_of(one: Measurement) -> Tuple[int, str, int, bool]:
    return one.subject, one.scenario, one.batch_size, one.preprocessing


def _identity(subject: Subject) -> Tuple[str, str, str, bool]:
    return subject.network, subject.engine, subject.precision, subject.bare


def _facts(name: str, bundle: Bundle, as_registered: bool) -> NetworkFacts:
    return NetworkFacts(
        name=name,
        folder=str(bundle.folder),
        input_shape=list(bundle.input_shape),
        classes=len(bundle.labels),
        weights=str(bundle.provenance.get("weights", "unknown")),
        published_top1=published_top1(network_of(bundle)),
        formats=list(bundle.formats),
        as_registered=as_registered,
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
