"""Where the time of a training step goes: a trace for Chrome's viewer, and the most expensive
operators in a table.

Paddle's profiler notes its operators and layers, and the primitives of `ppcls.kernels` besides. It
makes a step of small operators slower, so the fractions count, not the milliseconds.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, Generator, Iterator, List, Tuple

from paddle import profiler

from ppcls import runtime
from ppcls.benchmark.training.watched import Watched
from ppcls.config import Config
from ppcls.engine.builder import build_job
from ppcls.engine.job import Job
from ppcls.engine.step import learn, update
from ppcls.engine.world import World
from ppcls.errors import DataError
from ppcls.files import write_text
from ppcls.kernels.onednn import observed
from ppcls.text import markdown_table

TRACE, TABLE = "trace.json", "profile.md"

PHASES = ("data", "forward", "backward", "update")

_WARM_UP = 3
_MOST_ROWS = 10
_MEANT = {
    "Forward": "Python code of the layers, forward",
    "Backward": "automatic differentiation, between operators",
    "Optimization": "the optimizer, between operators",
    "ProfileStep": "the loop around all",
}
"""What the time of an event outside of operators is spent on, by its category."""

_SUFFIXES = re.compile(
    r"( (dygraph|kernel launch|infer_meta|infer_shape|compute|pybind_imperative_func|node_creation|"
    r"pybind_patch_func|api))+$"
)


@dataclass(frozen=True)
class Cost:
    """What an operator takes.

    Attributes:
        name: for people.
        calls: in a step.
        seconds: in a step, without the operators within.
        fraction: of the step.
    """

    name: str
    calls: float
    seconds: float
    fraction: float


@dataclass(frozen=True)
class Profile:
    """Where the time of a step goes.

    Attributes:
        phases: seconds of each of `PHASES` in a step.
        costs: of the operators, the largest first.
        trace: the file for Chrome's viewer.
    """

    phases: Dict[str, float]
    costs: List[Cost]
    trace: Path


def profile(config: Config, steps: int, folder: Path) -> Profile:
    """Train for some steps, and note what takes how long; nothing of a run is written.

    Args:
        config: the recipe.
        steps: how many, after some that do not count.
        folder: for the trace.

    Raises:
        ConfigError: the configuration is wrong.
        DataError: a data set is missing or malformed, or its images cannot be read.
    """
    runtime.keep_freed_memory()
    job = build_job(config, runtime.use_device(config.Global.device), World())
    # One more than are taken: the end of a loader waits for its threads.
    job = replace(job, train=Watched.of(job.train, _WARM_UP + steps + 1))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / TRACE
    kinds = [profiler.ProfilerTarget.CPU]
    if job.device != "cpu":
        kinds.append(profiler.ProfilerTarget.GPU)
    recorder = profiler.Profiler(targets=kinds, on_trace_ready=lambda one: None)
    with runtime.without_lines(r"."), contextlib.closing(_steps(job)) as running:
        for _ in itertools.islice(running, _WARM_UP):
            pass
        recorder.start()
        with observed(lambda name: profiler.RecordEvent(f"oneDNN {name}")):
            for _ in itertools.islice(running, steps):
                recorder.step()
        recorder.stop()
        recorder.export(str(path), "json")
    return Profile(*_costs(_read(path), steps), path)


def _read(path: Path) -> List[Dict[str, Any]]:
    """Return the spans of a trace, and leave only events in the file: Paddle ends its list with an
    empty one.
    """
    content = json.loads(path.read_text("utf-8"))
    content["traceEvents"] = [one for one in content["traceEvents"] if "ph" in one]
    write_text(path, json.dumps(content))
    return [one for one in content["traceEvents"] if one["ph"] == "X"]


def _steps(job: Job) -> Generator[None, None, None]:
    """Take a step of training at a time."""
    job.network.train()
    batches = job.train.epoch(0)
    with contextlib.closing(batches):
        for step in itertools.count():
            with profiler.RecordEvent("data"):
                batch = next(batches, None)
            if batch is None:
                return
            if not len(batch):
                raise DataError("none of the images of a batch can be read")
            learn(job, batch, profiler.RecordEvent)
            update(job, step, profiler.RecordEvent)
            yield


def _costs(events: List[Dict[str, Any]], steps: int) -> Tuple[Dict[str, float], List[Cost]]:
    """Return the seconds of each phase, and what the operators take, from events of a trace."""
    own: Dict[str, float] = defaultdict(float)
    calls: Dict[str, int] = defaultdict(int)
    phases = dict.fromkeys(PHASES, 0.0)
    for event, seconds in _own_times(events):
        plain = _plain(event["name"])
        # Paddle has an event of its own of the name "backward".
        if plain in phases and event["cat"] == "PythonUserDefined":
            phases[plain] += event["dur"] * 1e-6
        name = _named(event["cat"], plain)
        own[name] += seconds
        calls[name] += 1
    total = sum(phases.values()) or 1.0
    costs = [
        Cost(name, calls[name] / steps, seconds / steps, seconds / total)
        for name, seconds in sorted(own.items(), key=lambda item: -item[1])
    ]
    return {name: seconds / steps for name, seconds in phases.items()}, costs


def _own_times(events: List[Dict[str, Any]]) -> Iterator[Tuple[Dict[str, Any], float]]:
    """Yield each event with its seconds, without those of the events within, thread by thread."""
    threads = defaultdict(list)
    for event in events:
        # Paddle writes a thread's events under two names, as 12(Python) and 12(C++).
        threads[event["pid"], str(event["tid"]).partition("(")[0]].append(event)
    for found in threads.values():
        inside: List[List[Any]] = []
        for event in sorted(found, key=lambda one: (one["ts"], -one["dur"])):
            while inside and event["ts"] >= inside[-1][0]["ts"] + inside[-1][0]["dur"]:
                yield _closed(inside)
            if inside:
                inside[-1][1] -= event["dur"]
            inside.append([event, event["dur"]])
        while inside:
            yield _closed(inside)


def _closed(inside: List[List[Any]]) -> Tuple[Dict[str, Any], float]:
    event, microseconds = inside.pop()
    return event, max(0.0, microseconds) * 1e-6


def _plain(name: str) -> str:
    """Return the name of an event without the time that Paddle writes behind it."""
    return re.sub(r"\[[^\[\]]*\]$", "", name)


def _named(category: str, plain: str) -> str:
    """Return what the time of an event is counted under."""
    if category in _MEANT:
        return _MEANT[category]
    if plain in PHASES:
        return "waiting for data" if plain == "data" else f"Python code around the {plain}"
    if plain.startswith("oneDNN "):
        return plain.replace("_", " ")
    of_layer = re.fullmatch(r"Global_GradNodePyLayer_?_?(\w+)", plain)
    if of_layer:
        return f"Python code around oneDNN, backward of {of_layer[1].strip('_').lower()}"
    return f"Paddle {_SUFFIXES.sub('', plain)}"


def profile_as_markdown(found: Profile, network: str) -> str:
    """Return the phases, and the operators that take the most, for people."""
    total = sum(found.phases.values()) or 1.0
    parts = [f"{name} {seconds / total:.0%}" for name, seconds in found.phases.items()]
    rows = [["", "of a step", "[ms]", "calls"]]
    for cost in found.costs[:_MOST_ROWS]:
        shown = [f"{cost.fraction:.1%}", f"{1e3 * cost.seconds:.2f}", f"{cost.calls:.0f}"]
        rows.append([cost.name, *shown])
    rest = sum(cost.fraction for cost in found.costs[_MOST_ROWS:])
    lines = [
        f"# Where a step of {network} goes",
        f"A step takes {1e3 * total:.1f} ms under the profiler: {', '.join(parts)}.",
        markdown_table(rows, left=[0]),
        f"All others together: {rest:.1%}. The trace is {found.trace}; open it in chrome://tracing "
        "or https://ui.perfetto.dev.",
    ]
    return "\n\n".join(lines) + "\n"
