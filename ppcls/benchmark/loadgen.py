"""The same scenarios through MLPerf's own load generator, to check this program against it.

It needs the extra `ppcls[loadgen]`. https://github.com/mlcommons/inference/tree/master/loadgen
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

from ppcls.errors import PpclsError, UsageError

MISSING = "MLPerf's load generator is not installed: pip install 'ppcls[loadgen]'"
_SUMMARY = "mlperf_log_summary.txt"

_FOUND = {
    "single": (re.compile(r"^90\.00 percentile latency \(ns\)\s*: (\d+)", re.M), 1e-9),
    "offline": (re.compile(r"^Samples per second\s*: ([\d.eE+]+)", re.M), 1.0),
}
"""Scenario -> where its figure stands in the summary, and the factor to seconds or images/s."""


class Load(NamedTuple):
    """How much is asked for: images there are, queries (offline: samples), and the expected time
    for one image in seconds.
    """

    images: int
    queries: int
    expected: float


def check_loadgen() -> None:
    """Make sure that it is installed.

    Raises:
        UsageError: it is not.
    """
    if importlib.util.find_spec("mlperf_loadgen") is None:
        raise UsageError(MISSING)


def run_loadgen(scenario: str, answer: Callable[[List[int]], object], load: Load) -> float:
    """Let the load generator ask, and return the 90th percentile in seconds (scenario "single") or
    images a second ("offline").

    Args:
        scenario: "single" or "offline".
        answer: predicts the images of these numbers.
        load: how much to ask for.

    Raises:
        PpclsError: `answer` raises it.
    """
    import mlperf_loadgen as loadgen

    failed: List[PpclsError] = []

    def issue(samples: List[Any]) -> None:
        # It waits for every answer, and ends the process if an error reaches it.
        try:
            answer([sample.index for sample in samples])
        except PpclsError as error:
            failed.append(error)
        done = [loadgen.QuerySampleResponse(sample.id, 0, 0) for sample in samples]
        loadgen.QuerySamplesComplete(done)

    with tempfile.TemporaryDirectory() as folder:
        system = loadgen.ConstructSUT(issue, lambda: None)
        library = loadgen.ConstructQSL(
            load.images, load.images, lambda numbers: None, lambda numbers: None
        )
        settings, logs = _settings(loadgen, scenario, load), _logs(loadgen, folder)
        loadgen.StartTestWithLogSettings(system, library, settings, logs)
        loadgen.DestroyQSL(library)
        loadgen.DestroySUT(system)
        if failed:
            raise failed[0]
        return read_summary(scenario, Path(folder, _SUMMARY).read_text("utf-8"))


def read_summary(scenario: str, text: str) -> float:
    """Return the figure of a scenario from the load generator's summary.

    Raises:
        UsageError: it is not there: another version writes it in other words.
    """
    pattern, factor = _FOUND[scenario]
    found = pattern.search(text)
    if found is None:
        raise UsageError(f"MLPerf's load generator says nothing of the scenario {scenario}: {text}")
    return float(found[1]) * factor


def _settings(loadgen: Any, scenario: str, load: Load) -> Any:
    settings = loadgen.TestSettings()
    settings.mode = loadgen.TestMode.PerformanceOnly
    values: Dict[str, Any] = {"min_duration_ms": 0, "min_query_count": load.queries}
    if scenario == "single":
        settings.scenario = loadgen.TestScenario.SingleStream
        values["single_stream_expected_latency_ns"] = int(1e9 * load.expected)
        values["max_query_count"] = load.queries
    else:
        settings.scenario = loadgen.TestScenario.Offline
        values["offline_expected_qps"] = 1 / load.expected
    for name, value in values.items():
        setattr(settings, name, value)
    return settings


def _logs(loadgen: Any, folder: str) -> Any:
    output = loadgen.LogOutputSettings()
    output.outdir = folder
    output.copy_summary_to_stdout = False
    logs = loadgen.LogSettings()
    logs.log_output = output
    logs.enable_trace = False
    return logs
