"""From the results of a run to the file from which the tables of networks are made."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from ppcls.arch.latency import MEASURED, MeasuredLatencies, MeasuredLatency, read_measured
from ppcls.benchmark.results import Measurement, Results
from ppcls.files import write_text


def latencies_of(results: Results) -> MeasuredLatencies:
    """Return the medians of the single stream without preprocessing, with the toolkit."""
    return MeasuredLatencies(
        created=results.created,
        command=results.command,
        environment=results.environment,
        rows=[
            _latency(one, results)
            for one in results.measurements
            if (one.scenario, one.preprocessing) == ("single", False)
            and not results.subjects[one.subject].bare
            and one.queries
        ],
    )


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


def keep_latencies(results: Results, path: Path = MEASURED) -> Path:
    """Write the latencies into the file of the tables, in place of those of the same networks; rows
    of another machine or other versions are dropped, as they cannot be compared.

    Raises:
        ConfigError: the file that is there is malformed.
    """
    fresh = latencies_of(results)
    before = read_measured(path) if path.is_file() else MeasuredLatencies()
    write_text(path, before.replaced(fresh).model_dump_json(indent=1) + "\n")
    return path
