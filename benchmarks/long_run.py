"""Whether memory stays flat over a long run: what the process has, every so many steps.

    python benchmarks/long_run.py -c configs/quick_start/LeNet_digits.yaml --steps 10000

The recipe is trained in the trainer, with its loader, metrics and moving average; what is written
is the picture and the numbers. Memory is the resident set, in bytes; its trend is the slope of a
line through the second half of the run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Generator, List, Tuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

Point = Tuple[int, int]
"""Steps, and bytes of memory after them."""


def main() -> None:
    """Run what the command line asks for."""
    arguments = _parser().parse_args()
    network, points = train(arguments.config, arguments.override, arguments.steps, arguments.every)
    arguments.output.mkdir(parents=True, exist_ok=True)
    trend = 1000 * slope(points)
    found = {"network": network, "points": points, "bytes_per_1000_steps": trend}
    (arguments.output / "long_run.json").write_text(json.dumps(found))
    plot(network, points, arguments.output / "long_run.png")
    half = [size / 1e6 for _, size in points[len(points) // 2 :]]
    print(
        f"{network}: {points[-1][0]} steps; in the second half {min(half):.1f} to {max(half):.1f} "
        f"MB, {trend / 1e6:+.2f} MB per 1,000 steps"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("-c", "--config", required=True, metavar="FILE")
    parser.add_argument("-o", "--override", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--every", type=int, default=50, help="steps from a point to the next")
    parser.add_argument("--output", type=Path, default=Path("output/long_run"))
    return parser


def train(config: str, overrides: List[str], steps: int, every: int) -> Tuple[str, List[Point]]:
    """Return the network's name, and how much memory the process had during a run."""
    from ppcls import runtime

    runtime.prepare()
    runtime.keep_freed_memory()
    from ppcls.benchmark.training.measure import train_over
    from ppcls.benchmark.training.watched import Watched
    from ppcls.config import load_config
    from ppcls.data.batch import Batch
    from ppcls.engine.builder import build_job
    from ppcls.engine.world import World

    points: List[Point] = []

    class Noting(Watched):
        """Notes the memory as batches are asked for."""

        def epoch(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]:
            for step, batch in enumerate(super().epoch(epoch, start)):
                if step % every == 0:
                    points.append((step, resident()))
                yield batch

    read = load_config(config, overrides)
    job = build_job(read, runtime.use_device(read.Global.device), World())
    train_over(job, Noting.of(job.train, steps))
    return job.network.model_name, [*points, (steps, resident())]


def resident() -> int:
    """Return the bytes of memory that this process has now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def slope(points: List[Point]) -> float:
    """Return the bytes per step of a line through the second half of the points."""
    steps, sizes = np.array(points[len(points) // 2 :], float).T
    return float(np.polyfit(steps, sizes, 1)[0])


def plot(network: str, points: List[Point], path: Path) -> None:
    """Draw memory against steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    steps, sizes = np.array(points, float).T
    axes.plot(steps, sizes / 1e6)
    axes.set(xlabel="steps", ylabel="memory [MB]", title=f"Training {network}")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
