"""The same network trained on CIFAR-10 by this toolkit and by PyTorch: same first weights, images,
order, rates and rule, so that the curves should lie over each other.

    python benchmarks/torch_training.py --cifar FOLDER --torch PYTHON

FOLDER holds `train/CLASS/*.jpg` and `test/CLASS/*.jpg`; PYTHON is the interpreter of an environment
with torch and NumPy. LeNet is trained with momentum, weight decay, label smoothing and a cosine
with warm-up; nothing random happens to images. Float32 adds up in another order there, and training
amplifies that, so the end is compared with how far apart seeds are. Prints a table, and writes it
as JSON with a plot of accuracy on all test images after each epoch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
BATCH, MOMENTUM, DECAY, SMOOTHING = 128, 0.9, 0.0005, 0.1
MEAN, STD = [0.491, 0.482, 0.447], [0.247, 0.243, 0.262]


def main() -> None:
    """Run what the command line asks for."""
    arguments = _parser().parse_args()
    if arguments.worker:
        print(json.dumps(train_by_torch(arguments.worker)))
        return
    rows = []
    arguments.output.mkdir(parents=True, exist_ok=True)
    for seed in map(int, arguments.seeds.split(",")):
        rows.append(measure(seed, arguments))
        print(json.dumps(rows[-1]), flush=True)
        (arguments.output / "torch_training.json").write_text(json.dumps(rows, indent=1))
    print(table(rows))
    plot(rows, arguments.output / "torch_training.png")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cifar", type=Path, metavar="FOLDER")
    parser.add_argument("--torch", metavar="PYTHON", default=sys.executable)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--output", type=Path, default=Path("output/torch_training"))
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser


def measure(seed: int, arguments: argparse.Namespace) -> Dict[str, Any]:
    """Return the accuracy after each epoch of both, as fractions, and the seconds they took."""
    folder = arguments.output / str(seed)
    recipe = recipe_of(arguments.cifar, arguments.epochs, seed, folder / "run")
    task = folder / "task.npz"
    prepare(recipe, task)
    began = time.perf_counter()
    curve = train_by_ppcls(recipe, folder)
    seconds = time.perf_counter() - began
    command = [arguments.torch, __file__, "--worker", str(task)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    theirs = json.loads(done.stdout.splitlines()[-1])
    ours = {"curve": curve, "seconds": round(seconds, 1)}
    return {"seed": seed, "ppcls": ours, "torch": theirs}


def recipe_of(cifar: Path, epochs: int, seed: int, output: Path) -> Dict[str, Any]:
    """Return the recipe as plain data."""

    def split(name: str, shuffle: bool) -> Dict[str, Any]:
        levels = {"scale": 1 / 255, "mean": MEAN, "std": STD, "order": ""}
        ops = ["DecodeImage", {"ResizeImage": {"size": 32}}, {"NormalizeImage": levels}]
        return {
            "dataset": {
                "name": "ImageFolder",
                "image_root": str(cifar / name),
                "transform_ops": [*ops, "ToCHWImage"],
            },
            "sampler": {"name": "BatchSampler", "batch_size": BATCH, "shuffle": shuffle},
            "loader": {"num_workers": 2, "cache": "pixels"},
        }

    return {
        "Global": {
            "output_dir": str(output),
            "pretrained_model": str(output.parent / "first.safetensors"),
            "device": "cpu",
            "seed": seed,
            "epochs": epochs,
            "print_batch_step": 100,
            "keep_checkpoints": 1,
        },
        "Arch": {"name": "LeNet", "class_num": 10},
        "Loss": {"Train": [{"CELoss": {"epsilon": SMOOTHING}}]},
        "Optimizer": {
            "name": "Momentum",
            "momentum": MOMENTUM,
            "lr": {"name": "Cosine", "learning_rate": 0.03, "warmup_epoch": 1},
            "regularizer": {"name": "L2", "coeff": DECAY},
        },
        "DataLoader": {"Train": split("train", True), "Eval": split("test", False)},
        "Metric": {"Eval": [{"TopkAcc": {"topk": 1}}]},
    }


def prepare(recipe: Dict[str, Any], task: Path) -> None:
    """Write the first weights for this toolkit, and all that PyTorch needs."""
    from ppcls import runtime

    runtime.prepare()
    from ppcls import weights
    from ppcls.config import as_config
    from ppcls.engine.builder import build_job
    from ppcls.engine.world import World

    task.parent.mkdir(parents=True, exist_ok=True)
    without = {**recipe, "Global": {**recipe["Global"], "pretrained_model": None}}
    job = build_job(as_config(without), "cpu", World())
    weights.save_weights(job.network, recipe["Global"]["pretrained_model"])
    state = {f"weight.{name}": value.numpy() for name, value in job.network.state_dict().items()}
    epochs, batches = recipe["Global"]["epochs"], len(job.train)
    orders = [np.concatenate(job.train.sampler.batches(epoch)) for epoch in range(epochs)]
    rates = [job.optimizer.schedule.at(step) for step in range(epochs * batches)]
    assert job.eval is not None
    both = {"train": job.train, "test": job.eval}
    images = {f"{name}.images": _levels(loader) for name, loader in both.items()}
    labels = {f"{name}.labels": loader.dataset.labels.values for name, loader in both.items()}
    np.savez(task, order=np.stack(orders), rates=np.array(rates), **images, **labels, **state)


def _levels(loader: Any) -> np.ndarray:
    """Return all images of a set as uint8 [n, height, width, 3]."""
    dataset = loader.dataset
    height, width = dataset.transform.output_size
    levels = np.empty((len(dataset), height, width, 3), np.uint8)
    for index, place in enumerate(levels):
        dataset.transform.levels(dataset.read(index), None, place)
    return levels


def train_by_ppcls(recipe: Dict[str, Any], folder: Path) -> List[float]:
    """Train as a user does; return the accuracy after each epoch."""
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    command = [sys.executable, "-m", "ppcls", "train", "-c", str(path), "--overwrite"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    lines = (folder / "run/train_log.jsonl").read_text().splitlines()
    found = [record for record in map(json.loads, lines) if record["event"] == "eval"]
    return [round(record["metrics"]["top1"], 4) for record in found]


def train_by_torch(path: Path) -> Dict[str, Any]:
    """Train what `prepare` wrote; return the accuracy after each epoch, and seconds."""
    import torch
    from torch import nn

    torch.set_num_threads(len(_cores()))
    task = dict(np.load(path))
    network = nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 120, 5), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    _take_weights(network, {key: value for key, value in task.items() if key[:7] == "weight."})
    options = {"lr": 0.1, "momentum": MOMENTUM, "weight_decay": DECAY}
    optimizer = torch.optim.SGD(network.parameters(), **options)
    loss_of = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    rates = iter(task["rates"].tolist())
    curve, began = [], time.perf_counter()
    for order in task["order"]:
        network.train()
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            loss = loss_of(network(_images(task["train.images"][chosen])), _labels(task, chosen))
            optimizer.zero_grad()
            loss.backward()
            optimizer.param_groups[0]["lr"] = next(rates)
            optimizer.step()
        curve.append(_accuracy(network, task))
    return {"curve": curve, "seconds": round(time.perf_counter() - began, 1)}


def _cores() -> Any:
    import os

    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(1)


def _take_weights(network: Any, arrays: Dict[str, np.ndarray]) -> None:
    """Give the layers their weights, in the order in which both have them."""
    import torch

    layers = [layer for layer in network if hasattr(layer, "weight")]
    pairs = [arrays[key] for key in arrays]
    assert len(pairs) == 2 * len(layers), list(arrays)
    for layer, weight, bias in zip(layers, pairs[::2], pairs[1::2]):
        # Paddle's matrices are [in, out].
        given = weight.T if weight.ndim == 2 else weight
        assert layer.weight.shape == given.shape and layer.bias.shape == bias.shape
        layer.weight.data = torch.tensor(given)
        layer.bias.data = torch.tensor(bias)


def _images(levels: np.ndarray) -> Any:
    import torch

    values = (levels.astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))


def _labels(task: Dict[str, np.ndarray], chosen: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(task["train.labels"][chosen])


def _accuracy(network: Any, task: Dict[str, np.ndarray]) -> float:
    import torch

    network.eval()
    images, labels, right = task["test.images"], task["test.labels"], 0
    with torch.no_grad():
        for start in range(0, len(images), 500):
            found = network(_images(images[start : start + 500])).argmax(1).numpy()
            right += int((found == labels[start : start + 500]).sum())
    return round(right / len(images), 4)


def differences(rows: List[Dict[str, Any]]) -> Tuple[List[float], float]:
    """Return, in percent, how much more accurate ours is at the end of each seed, and the standard
    deviation of all ends around their toolkit's mean: the noise of a seed.
    """
    ends = {name: [100 * row[name]["curve"][-1] for row in rows] for name in ("ppcls", "torch")}
    gaps = [a - b for a, b in zip(ends["ppcls"], ends["torch"])]
    around = [value - statistics.mean(found) for found in ends.values() for value in found]
    freedom = max(1, len(around) - len(ends))
    return gaps, (sum(value**2 for value in around) / freedom) ** 0.5


def table(rows: List[Dict[str, Any]]) -> str:
    """Return Markdown: a line for each seed, and what the differences are worth."""
    lines = ["| seed | ours | PyTorch | ours after | PyTorch after |", f"|{' --- |' * 5}"]
    for row in rows:
        ends = [f"{100 * row[name]['curve'][-1]:.2f} %" for name in ("ppcls", "torch")]
        times = [f"{row[name]['seconds']:.0f} s" for name in ("ppcls", "torch")]
        lines.append(f"| {' | '.join([str(row['seed']), *ends, *times])} |")
    gaps, noise = differences(rows)
    mean = statistics.mean(gaps)
    error = noise * (2 / len(gaps)) ** 0.5
    lines += [
        "",
        f"ours less PyTorch's: {mean:+.2f} % in the mean ({min(gaps):+.2f} to {max(gaps):+.2f}); "
        f"a seed's standard deviation is {noise:.2f} %, so the mean's is about {error:.2f} %",
    ]
    return "\n".join(lines)


def plot(rows: List[Dict[str, Any]], path: Path) -> None:
    """Draw the curves over each other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    styles = {"ppcls": ("C0", "-", "ours"), "torch": ("C1", "--", "PyTorch")}
    for name, (color, line, label) in styles.items():
        for number, row in enumerate(rows):
            curve = [100 * value for value in row[name]["curve"]]
            known = label if number == 0 else None
            axes.plot(range(1, len(curve) + 1), curve, line, color=color, marker=".", label=known)
    axes.set(xlabel="epoch", ylabel="top-1 on the 10,000 test images, %")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
