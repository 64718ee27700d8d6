"""The results of a training benchmark for people, in Markdown."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from ppcls.benchmark.results import Quantile
from ppcls.benchmark.statistics import UNSTABLE
from ppcls.benchmark.training.measure import PARTS
from ppcls.benchmark.training.results import Limits, Training
from ppcls.text import markdown_table

MISSING = "-"

Point = Tuple[str, Training]
"""A value that was tried, and what came of it."""


def training_as_markdown(found: Training) -> str:
    """Return the table of the parts, and what it means."""
    parts = [
        f"# Training {found.network}, measured",
        _listed(_about(found)),
        _speeds(found),
        _listed([*_meaning(found), *_limits(found)]),
    ]
    return "\n\n".join(parts) + "\n"


def sweep_as_markdown(key: str, points: Sequence[Point]) -> str:
    """Return a table with a row for each value of a key.

    Args:
        key: what was changed.
        points: its values, each with what was measured.
    """
    head = [key, "training [images/s]", "loader", "step", "step p50 [ms]", "waiting", "memory [GB]"]
    rows = [head]
    for value, found in points:
        speeds = [found.parts[name].images_per_second for name in ("training", "loader", "bare")]
        step = found.parts["training"].step[0]
        rows.append(
            [value, *map(_rate, speeds), _milliseconds(step), f"{found.data_wait:.0%}",
             f"{found.peak_memory / 1e9:.2f}"]
        )  # fmt: skip
    network = points[0][1].network
    return f"# Training {network} by {key}, measured\n\n{markdown_table(rows, left=[0])}\n"


def _about(found: Training) -> List[str]:
    machine = found.environment
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    shape = " x ".join(map(str, found.batch))
    return [
        f"{machine['cpu']}, {machine['cores']} cores ({', '.join(machine['flags'])}), load "
        f"{machine['load_average']} at the end",
        f"Python {machine['python']}, ppcls {machine['ppcls']}, {versions}",
        f"batches of {shape}, {found.precision}; {found.workers} threads read images; operators: "
        f"{found.kernels}",
        f"medians of {found.rounds} turns of {found.steps} steps, in brackets what bounds the true "
        "value with 95 % confidence; the parts take turns in random order; unstable: the "
        f"coefficient of variation (CV) of the steps is above {UNSTABLE:.0%}",
    ]


def _speeds(found: Training) -> str:
    rows = [["", "images/s", "step p50 [ms]", "p90", "p99", "CV"]]
    for name, words in PARTS.items():
        speed = found.parts[name]
        spread = MISSING if speed.variation is None else f"{speed.variation:.0%}"
        unstable = " unstable" if (speed.variation or 0.0) > UNSTABLE else ""
        steps = [_milliseconds(one) for one in speed.step]
        rows.append([words, _interval(speed.images_per_second, 1), *steps, spread + unstable])
    return markdown_table(rows, left=[0])


def _meaning(found: Training) -> List[str]:
    total = sum(found.phases.values()) or 1.0
    phases = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in found.phases.items())
    return [
        f"of a step: {phases}",
        f"training waits for data {found.data_wait:.0%} of its time; with a loader that takes no "
        f"time it were {_interval(found.headspace, 2)} times as fast",
        "a step in the trainer (metrics, checks, moving average) takes "
        f"{_interval(found.trainer_cost, 2)} times as long as one in a bare loop",
        f"peak memory: {found.peak_memory / 1e9:.2f} GB, batches kept for the measurement "
        f"({found.kept_bytes / 1e9:.2f} GB) included",
    ]


def _limits(found: Training) -> List[str]:
    limits: Limits = found.limits
    lines = [
        f"this machine multiplies matrices at {limits.matrix_product / 1e9:.0f} GFLOP/s in "
        f"float32, and copies at {limits.bandwidth / 1e9:.1f} GB/s"
    ]
    speed = found.parts["bare"].images_per_second.value
    if limits.step:
        reached = f"; the step alone reaches {speed / limits.step:.0%} of it" if speed else ""
        lines.append(
            f"at that rate, the multiplications of a step allow {limits.step:.1f} images/s{reached}"
        )
    if limits.decoding:
        lines.append(
            f"OpenCV alone decodes {limits.decoding:.0f} files of this data set a second, with "
            f"{max(1, found.workers)} threads"
        )
    return lines


def _rate(found: Quantile) -> str:
    return MISSING if found.value is None else f"{found.value:.1f}"


def _interval(found: Quantile, digits: int) -> str:
    if found.value is None:
        return f"{MISSING} ({found.reason})"
    return f"{found.value:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def _milliseconds(found: Quantile) -> str:
    if found.value is None:
        return f"{MISSING} ({found.reason})"
    return f"{1e3 * found.value:.1f}"


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
