"""The same measurement for several values of a key, each in a process of its own: what one leaves
behind, memory above all, is no part of the next.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

from ppcls.benchmark.own_process import environment_for
from ppcls.benchmark.training.report import Point
from ppcls.benchmark.training.results import Training
from ppcls.errors import PpclsError, UsageError
from ppcls.files import replacing

_SHORT = {
    "batch_size": "DataLoader.Train.sampler.batch_size",
    "num_workers": "DataLoader.Train.loader.num_workers",
}
"""Names for keys that are changed often."""

_THREADS = "threads"
"""Of the operators: an environment variable, not a key."""

_log = logging.getLogger("ppcls")


class Sweep(NamedTuple):
    """A key, and the values that it takes."""

    key: str
    values: List[str]

    @classmethod
    def of(cls, text: str) -> Sweep:
        """Return what `KEY=VALUE,VALUE,...` says.

        Raises:
            UsageError: it says nothing.
        """
        key, _, values = text.partition("=")
        found = [value.strip() for value in values.split(",") if value.strip()]
        if not key.strip() or not found:
            raise UsageError(
                f"--sweep '{text}': write a key and its values, as in batch_size=8,16,32. Keys are "
                f"those of -o, and for short {', '.join([*_SHORT, _THREADS])}"
            )
        return cls(key.strip(), found)


def measure_each(sweep: Sweep, arguments: Sequence[str]) -> List[Point]:
    """Measure with each value.

    Args:
        sweep: which values.
        arguments: the command line behind `ppcls benchmark train`, without the sweep.

    Raises:
        PpclsError: none of the values could be measured; what others said is in the log.
    """
    points = []
    for value in sweep.values:
        _log.info("%s = %s", sweep.key, value)
        found = _measured(sweep.key, value, arguments)
        if found is not None:
            points.append((value, found))
    if not points:
        raise PpclsError(f"--sweep {sweep.key}: nothing could be measured; see above")
    return points


def _measured(key: str, value: str, arguments: Sequence[str]) -> Optional[Training]:
    threads = {"OMP_NUM_THREADS": value} if key == _THREADS else {}
    changed = [] if threads else ["-o", f"{_SHORT.get(key, key)}={value}"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ppcls", "benchmark", "train", *arguments, *changed]
        done = subprocess.run(
            [*command, "--output", folder],
            env=environment_for(**threads),
            stdout=subprocess.DEVNULL,
        )
        if done.returncode:
            _log.warning("%s = %s cannot be measured: status %d", key, value, done.returncode)
            return None
        content = json.loads((Path(folder) / "results.json").read_text("utf-8"))
    return Training.model_validate(content)


def draw(sweep: Sweep, points: Sequence[Point], path: Path) -> None:
    """Draw images per second against the values, and the memory beside them, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names, places = [value for value, _ in points], range(len(points))
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    speed, memory = figure.subplots(1, 2)
    for part, label in (
        ("training", "training"),
        ("loader", "loader alone"),
        ("bare", "step alone"),
    ):
        rates = [found.parts[part].images_per_second.value for _, found in points]
        speed.plot(places, rates, marker="o", label=label)
    memory.plot(places, [found.peak_memory / 1e9 for _, found in points], marker="o")
    for axes, label in ((speed, "images per second"), (memory, "peak memory [GB]")):
        axes.set_xticks(list(places), names)
        axes.set(xlabel=sweep.key, ylabel=label)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    speed.legend()
    figure.suptitle(f"Training {points[0][1].network}")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
