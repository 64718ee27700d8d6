"""How the cost of training grows with threads, batch size, image size and the size of the set.

    python benchmarks/growth.py --networks ResNet50,MobileNetV2,SqueezeNet1_1 --output docs/images

A point is the median of some training steps (forward, backward, momentum) on random images by this
toolkit's operators, each setting in a process of its own; or, for the set, how long a list of so
many images takes to read, and how much memory it needs. The settings take turns. Beside the curves
stands the power law that fits them best, y = a x^b in least squares of the logarithms. Prints
tables, and draws `growth.png`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
BATCH, SIDE = 8, 224
BATCHES = (1, 2, 4, 8, 16)
SIDES = (96, 128, 160, 224, 288)
IMAGES = (10_000, 100_000, 1_281_167)

Point = Tuple[float, float]
"""A setting, and what it costs."""


def main() -> None:
    """Run what the command line asks for."""
    arguments = _parser().parse_args()
    if arguments.worker:
        print(json.dumps(_work(json.loads(arguments.worker))))
        return
    arguments.output.mkdir(parents=True, exist_ok=True)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    panels = {
        "images of a step": _steps(arguments, "batch", BATCHES),
        "side of the images, pixels": _steps(arguments, "side", SIDES),
        "threads": _steps(arguments, "threads", range(1, cores + 1)),
    }
    lists = _lists(arguments.rounds)
    (arguments.output / "growth.json").write_text(json.dumps({"steps": panels, "lists": lists}))
    for title, curves in panels.items():
        print(f"\n{title}: seconds of a step\n\n{table(curves)}")
    print(f"\nimages of a list: seconds, MB\n\n{table(lists)}")
    plot({**panels, "images of the set": lists}, arguments.output / "growth.png")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--networks", default="ResNet50,MobileNetV2,SqueezeNet1_1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3, help="of a round, after one more")
    parser.add_argument("--output", type=Path, default=Path("output/growth"))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser


def _steps(arguments: argparse.Namespace, key: str, values: Any) -> Dict[str, List[Point]]:
    """Return the curve of each network over the values of a setting."""
    usual = {"batch": BATCH, "side": SIDE, "threads": None, "steps": arguments.steps}
    names = arguments.networks.split(",")
    found: Dict[str, Dict[int, List[float]]] = {name: {x: [] for x in values} for name in names}
    for _ in range(arguments.rounds):
        for name in names:
            for x in values:
                found[name][x] += _run({**usual, "network": name, key: x})
    return {
        name: [(x, statistics.median(seconds)) for x, seconds in curve.items()]
        for name, curve in found.items()
    }


def _lists(rounds: int) -> Dict[str, List[Point]]:
    """Return the seconds and megabytes of lists."""
    seconds, sizes = [], []
    for count in IMAGES:
        runs = [_run({"images": count}) for _ in range(rounds)]
        seconds.append((float(count), statistics.median(run[0] for run in runs)))
        sizes.append((float(count), statistics.median(run[1] for run in runs)))
    return {"seconds": seconds, "MB": sizes}


def _run(setting: Dict[str, Any]) -> List[float]:
    environment = dict(os.environ)
    if setting.get("threads"):
        environment["OMP_NUM_THREADS"] = str(setting["threads"])
    command = [sys.executable, __file__, "--worker", json.dumps(setting)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout
    return [float(value) for value in json.loads(done.splitlines()[-1])]


def _work(setting: Dict[str, Any]) -> List[float]:
    sys.path.insert(0, str(ROOT))
    return list_cost(setting["images"]) if "images" in setting else step_seconds(setting)


def step_seconds(setting: Dict[str, Any]) -> List[float]:
    """Return the seconds of some training steps."""
    from ppcls import runtime

    runtime.prepare()
    runtime.keep_freed_memory()
    import paddle

    from ppcls.arch import create_model
    from ppcls.arch.acceleration import accelerate_on

    paddle.set_device("cpu")
    network = create_model(setting["network"], class_num=10)
    accelerate_on("cpu", network)
    network.train()
    optimizer = paddle.optimizer.Momentum(1e-3, parameters=network.parameters())
    images = paddle.randn([setting["batch"], 3, setting["side"], setting["side"]])
    labels = paddle.zeros([setting["batch"]], dtype="int64")
    found = []
    for _ in range(setting["steps"] + 1):
        began = time.perf_counter()
        paddle.nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
        optimizer.clear_grad()
        found.append(time.perf_counter() - began)
    return found[1:]


def list_cost(images: int) -> List[float]:
    """Return the seconds and megabytes that a list of so many images takes."""
    from ppcls.data.dataset.list_file import ListFile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.txt"
        with path.open("w") as file:
            for i in range(images):
                file.write(f"n{i % 1000:08d}/n{i % 1000:08d}_{i}.JPEG {i % 1000}\n")
        before, began = _memory(), time.perf_counter()
        found = ListFile(path)
        seconds = time.perf_counter() - began
        assert len(found.codes) == images
        return [seconds, _memory() - before]


def _memory() -> float:
    """The largest resident set so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def fit(points: List[Point]) -> Tuple[float, float]:
    """Return a and b of y = a x^b, least squares of the logarithms; b = 0 for a single point."""
    x, y = np.log(np.maximum(np.array(points, float), 1e-9)).T
    if len(points) < 2:
        return float(np.exp(y[0])), 0.0
    b, a = np.polyfit(x, y, 1)
    return float(np.exp(a)), float(b)


def table(curves: Dict[str, List[Point]]) -> str:
    """Return Markdown: a line for each curve, with the exponent of its power law."""
    first = next(iter(curves.values()))
    titles = ["", *(f"{x:,.0f}" for x, _ in first), "grows as"]
    lines = [f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    for name, points in curves.items():
        cells = [name, *(f"{y:.3g}" for _, y in points), f"x^{fit(points)[1]:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(panels: Dict[str, Dict[str, List[Point]]], path: Path) -> None:
    """Draw each panel in logarithmic scales, points and the lines that fit them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7), layout="constrained")
    for axes, (title, curves) in zip(figure.subplots(2, 2).flat, panels.items()):
        for number, (name, points) in enumerate(curves.items()):
            x, y = np.array(points, float).T
            a, b = fit(points)
            color = f"C{number}"
            axes.plot(x, y, "o", color=color, label=f"{name}: x^{b:.2f}")
            axes.plot(x, a * x**b, "-", color=color, alpha=0.5)
        axes.set_xscale("log", base=2 if max(x) < 1000 else 10)
        axes.set_yscale("log")
        axes.set_xticks(x, [f"{value:,.0f}" for value in x])
        axes.minorticks_off()
        axes.set_xlabel(title)
        is_list = "MB" in curves
        axes.set_ylabel("to read the list" if is_list else "seconds of a training step")
        axes.legend(fontsize="small")
        axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
