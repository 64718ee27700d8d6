"""`results.json`: what was measured, on what, and how, in a schema that readers can rely on.

Times are in seconds, memory in bytes, accuracy is a fraction. What could not be measured is None,
and `reason` or `notes` say why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Dict, List, Literal, Optional

from pydantic import Field

from ppcls.checking import Section
from ppcls.files import write_text

Positive = Annotated[float, Field(gt=0)]
Number = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Quantile(Section):
    """A quantile of `count` values, and what bounds the true one with 95 % confidence.

    Attributes:
        percent: 90 for the 90th percentile.
        count: how many values it is of.
        value: the order statistic; None where there are too few values.
        low: lower end of the interval.
        high: upper end of the interval.
        reason: why there is no value.
    """

    percent: Positive
    count: Count
    value: Optional[Number] = None
    low: Optional[Number] = None
    high: Optional[Number] = None
    reason: str = ""


class Accuracy(Section):
    """Fractions of `images` that an engine gets right, by the labels that came with them."""

    images: Count
    top1: Fraction
    top5: Fraction


class Start(Section):
    """A new process up to its first prediction: seconds, medians of `repeats` processes.

    Attributes:
        repeats: how many processes.
        imports: from the start of the process until the toolkit is imported.
        opening: reading and checking the bundle, and opening the engine.
        first: the first prediction of an image file.
        total: all of it.
        peak_memory: the most memory that the process had, in bytes.
    """

    repeats: Count
    imports: Number
    opening: Number
    first: Number
    total: Number
    peak_memory: Count


class Subject(Section):
    """What was measured: a bundle in an engine.

    Attributes:
        network: its registered name.
        engine: a name of `ppcls.inference.engines.ENGINES`, or "auto".
        precision: that was asked for.
        bare: the engine was called without the toolkit.
        about: what the engine says of itself.
    """

    network: str
    engine: str
    precision: str
    bare: bool = False
    about: Dict[str, Any] = Field(default_factory=dict)

    @property
    def engine_name(self) -> str:
        """What the engine is called in a table."""
        return f"{self.engine} (bare)" if self.bare else self.engine

    @property
    def title(self) -> str:
        """What it is called where something is said of it."""
        return f"{self.network}, {self.engine_name}, {self.precision}"


class Measurement(Section):
    """One subject in one scenario.

    Attributes:
        subject: number of the subject in `Results.subjects`.
        scenario: single, multi, server or offline.
        batch_size: images at once.
        preprocessing: whether reading, decoding and preparing the images is included.
        queries: how many were sent.
        seconds: how long it took to answer them.
        median: of the latencies.
        percentile: the one of the scenario.
        early_stopping: MLPerf's estimate of that percentile.
        variation: coefficient of variation of the latencies.
        images_per_second: throughput.
        rate: of the server scenario: the highest one in queries a second that held the bound.
        to_bare: time over that of the same engine called bare, in pairs.
        to_fp32: time over that of the same engine at float32, in pairs.
        to_fastest_bare: of "auto": time over that of the fastest engine called bare at the same
            precision, in pairs.
        fastest_bare: which that was.
        notes: why something is missing, or not to be trusted.
    """

    subject: Count
    scenario: Literal["single", "multi", "server", "offline"]
    batch_size: Annotated[int, Field(ge=1)]
    preprocessing: bool
    queries: Count
    seconds: Number
    median: Optional[Quantile] = None
    percentile: Optional[Quantile] = None
    early_stopping: Optional[Number] = None
    variation: Optional[Number] = None
    images_per_second: Optional[Number] = None
    rate: Optional[Number] = None
    to_bare: Optional[Quantile] = None
    to_fp32: Optional[Quantile] = None
    to_fastest_bare: Optional[Quantile] = None
    fastest_bare: str = ""
    notes: List[str] = Field(default_factory=list)


class LoadGen(Section):
    """What MLPerf's own load generator found, beside what this program found in the same run; None
    where there were too few queries for that.
    """

    subject: Count
    scenario: Literal["single", "offline"]
    batch_size: Annotated[int, Field(ge=1)]
    queries: Count
    unit: Literal["s", "images/s"]
    theirs: Number
    ours: Optional[Number] = None


class NetworkFacts(Section):
    """A network that was measured.

    Attributes:
        name: its registered name.
        folder: of the bundle.
        input_shape: channels, height, width.
        classes: how many.
        weights: where they come from; random ones are fast but know nothing.
        published_top1: what was published for it, a fraction.
        labels: which labels of the images fit it, or why none do.
        formats: of the bundle.
        as_registered: it was exported here by its name, so with the input and the classes that it
            is registered with, as float32, for any number of images.
    """

    name: str
    folder: str
    input_shape: List[int]
    classes: int
    weights: str
    published_top1: Optional[Fraction] = None
    labels: str = ""
    formats: List[str]
    as_registered: bool = False


class Answers(Section):
    """Accuracy and start of a subject, which do not depend on a scenario."""

    subject: Count
    accuracy: Optional[Accuracy] = None
    start: Optional[Start] = None


class Results(Section):
    """All of a run.

    Attributes:
        schema_version: goes up when readers of older ones would misread it.
        created: date and time.
        command: what was typed.
        environment: the machine, versions and load.
        settings: scenarios, batch sizes, threads, images, seed and lengths.
        mlperf_length: False where the run is shorter than MLPerf's rules ask for.
        networks: those that were measured.
        subjects: bundles in engines.
        measurements: in the order in which they were asked for.
        answers: accuracy, start, memory.
        loadgen: comparison with MLPerf's load generator, if it was asked for.
        left_out: combinations that do not exist here, and why.
    """

    schema_version: Literal[1] = 1
    created: str
    command: List[str]
    environment: Dict[str, Any]
    settings: Dict[str, Any]
    mlperf_length: bool
    networks: List[NetworkFacts]
    subjects: List[Subject]
    measurements: List[Measurement]
    answers: List[Answers] = Field(default_factory=list)
    loadgen: List[LoadGen] = Field(default_factory=list)
    left_out: List[str] = Field(default_factory=list)


def write_results(results: Results, path: Path) -> None:
    """Write results as JSON, as a whole or not at all."""
    write_text(path, results.model_dump_json(indent=1) + "\n")
