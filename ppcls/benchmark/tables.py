"""From the results of a run to the file from which the tables of networks are made."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Set

from ppcls.arch.latency import MeasuredLatencies, MeasuredLatency, read_measured
from ppcls.benchmark.results import Measurement, Results, Subject
from ppcls.files import write_text


def latencies_of(results: Results) -> MeasuredLatencies:
    """Return the medians of the single stream without preprocessing, with the toolkit, on the CPU,
    of networks as they are registered.
    """
    registered = {network.name for network in results.networks if network.as_registered}
    return MeasuredLatencies(
        created=results.created,
        command=results.command,
        environment=results.environment,
        rows=[
            _latency(one, results)
            for one in results.measurements
            if (one.scenario, one.preprocessing) == ("single", False)
            and _belongs(results.subjects[one.subject], registered)
            and one.queries
        ],
    )


def _belongs(subject: Subject, registered: Set[str]) -> bool:
    is_on_cpu = subject.about.get("device") == "cpu"
    return subject.network in registered and is_on_cpu and not subject.bare


def _latency(one: Measurement, results: Results) -> MeasuredLatency:
    subject, median = results.subjects[one.subject], one.median
    weights = {network.name: network.weights for network in results.networks}
    seconds = median.value if median and median.value else one.seconds / one.queries
    return MeasuredLatency(
        network=subject.network,
        engine=subject.engine,
        precision=subject.precision,
        batch_size=one.batch_size,
        milliseconds=_rounded(seconds) or 0.0,
        low=_rounded(median.low if median else None),
        high=_rounded(median.high if median else None),
        queries=one.queries,
        weights=weights[subject.network],
    )


def _rounded(seconds: Optional[float]) -> Optional[float]:
    return None if seconds is None else float(f"{1e3 * seconds:.4g}")


def keep_latencies(results: Results, path: Path) -> None:
    """Write the latencies into the file of the tables, in place of those of the same networks; rows
    of another machine or other versions are dropped, as they cannot be compared.

    Raises:
        ConfigError: the file that is there is malformed.
    """
    fresh = latencies_of(results)
    before = read_measured(path) if path.is_file() else MeasuredLatencies()
    write_text(path, before.replaced(fresh).model_dump_json(indent=1) + "\n")
