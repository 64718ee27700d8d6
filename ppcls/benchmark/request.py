"""What `ppcls benchmark deploy` is asked for, and what cannot be."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import List, Optional

from ppcls.benchmark.cases import Lengths
from ppcls.benchmark.loadgen import check_loadgen
from ppcls.benchmark.outputs import Outputs
from ppcls.benchmark.scenarios import MLPERF_SECONDS, SCENARIOS, Bound
from ppcls.benchmark.subjects import Plan, check_engines
from ppcls.errors import UsageError, did_you_mean
from ppcls.inference.engines import PRECISIONS

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
        device: cpu, gpu, gpu:N or auto.
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
        outputs: where results are written to, after each network.
    """

    models: List[str]
    model_dirs: List[str]
    images: str
    batch_sizes: List[int]
    precisions: List[str]
    engines: List[str]
    scenarios: List[str]
    preprocessing: List[bool]
    device: str
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
    outputs: Outputs = Outputs()

    @property
    def lengths(self) -> Lengths:
        """How long is measured."""
        bound = Bound(self.latency_bound, self.server_percent)
        return Lengths(self.seconds, self.queries, bound, self.seed)

    @property
    def plan(self) -> Plan:
        """What is opened."""
        return Plan(self.engines, self.precisions, self.device, self.threads, self.bare)

    @property
    def mlperf_length(self) -> bool:
        """Whether runs are as long as MLPerf's rules ask for."""
        return self.seconds >= MLPERF_SECONDS and all(
            self.lengths.queries_of(name, 1) >= _MLPERF_QUERIES[name] for name in self.scenarios
        )


def check_request(request: Request) -> None:
    """Refuse what has no meaning.

    Raises:
        UsageError: a name is unknown, a number below its least, or something is not installed.
    """
    _check_names(request)
    _check_numbers(request)
    check_engines(request.engines)
    request.plan.options("fp32", 1)
    if request.loadgen:
        check_loadgen()
    if request.outputs.tables:
        _check_tables(request)
    request.outputs.check()


def _check_names(request: Request) -> None:
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


def _check_tables(request: Request) -> None:
    """Refuse what the tables of networks do not show."""
    if not request.models:
        raise UsageError(
            "--write-tables keeps times of networks that are named (--models), as they are "
            "registered; bundles (--model_dir) may be something else"
        )
    if request.device != "cpu":
        raise UsageError("--write-tables keeps times of CPUs only: --device cpu")


def _check_numbers(request: Request) -> None:
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
