"""What each training trick brings on its own, on a part of CIFAR-10 that fits a CPU.

    python benchmarks/ablation.py --cifar FOLDER

FOLDER holds `train/CLASS/*.jpg` and `test/CLASS/*.jpg`. The recipe is
`configs/quick_start/LeNet_cifar10.yaml` on so few images that the network learns them by heart,
which is what most of these tricks are against; each variant changes one thing. All test images are
judged once, after the last epoch, so that nothing is chosen by them. Prints a table of means over
the seeds, and writes it as JSON with a plot; the recipe of every run stands in its folder.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import yaml

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "configs/quick_start/LeNet_cifar10.yaml"
_RMSPROP = {
    "name": "RMSProp",
    "momentum": 0.9,
    "rho": 0.9,
    "lr": {"name": "Cosine", "learning_rate": 0.001, "warmup_epoch": 1},
    "regularizer": {"name": "L2", "coeff": 0.0002},
}

VARIANTS: Dict[str, Dict[str, Any]] = {
    # name: {dotted key of the recipe: value}
    "baseline": {},
    "label smoothing 0.1": {"Loss.Train": [{"CELoss": {"epsilon": 0.1}}]},
    "Mixup 0.2": {"DataLoader.Train.batch_transform_ops": [{"MixupOperator": {"alpha": 0.2}}]},
    "CutMix 1.0": {"DataLoader.Train.batch_transform_ops": [{"CutmixOperator": {"alpha": 1.0}}]},
    "RandAugment 2, 5": {"ops": {"RandAugment": {"num_layers": 2, "magnitude": 5}}},
    "EMA 0.99": {"EMA": {"decay": 0.99}},
    "SWA, last quarter": {"SWA": {"start": 0.75, "learning_rate": 0.01}},
    "RMSProp": {"Optimizer": _RMSPROP},
}


def main() -> None:
    """Run what the command line asks for."""
    arguments = _parser().parse_args()
    names = arguments.variants.split(",") if arguments.variants else list(VARIANTS)
    rows: List[Dict[str, Any]] = []
    arguments.output.mkdir(parents=True, exist_ok=True)
    # Seeds outside: what the machine does meanwhile meets all variants.
    for seed in map(int, arguments.seeds.split(",")):
        for name in names:
            rows.append(measure(name, seed, arguments))
            print(json.dumps(rows[-1]), flush=True)
            (arguments.output / "ablation.json").write_text(json.dumps(rows, indent=1))
    print(table(rows))
    plot(rows, arguments.output / "ablation.png")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cifar", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--images", type=int, default=5000, help="to learn from")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--variants", help=f"some of: {', '.join(VARIANTS)}")
    parser.add_argument("--output", type=Path, default=Path("output/ablation"))
    return parser


def measure(name: str, seed: int, arguments: argparse.Namespace) -> Dict[str, Any]:
    """Return what became of one variant: top-1 accuracies as fractions, and seconds."""
    folder = arguments.output / f"{name.replace(' ', '_').replace(',', '')}_{seed}"
    recipe = recipe_of(name, seed, folder / "run", arguments)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    began = time.perf_counter()
    command = [sys.executable, "-m", "ppcls", "train", "-c", str(path), "--overwrite"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr)
    seconds = time.perf_counter() - began
    lines = (folder / "run/train_log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return {"variant": name, "seed": seed, "seconds": round(seconds, 1), **figures(records)}


def figures(records: List[Dict[str, Any]]) -> Dict[str, float]:
    """Return the accuracies of the last evaluation and the last epoch of training."""
    found = {}
    for key, event in (("train", "epoch"), ("eval", "eval")):
        last = [one["metrics"] for one in records if one["event"] == event]
        if last and "top1" in last[-1]:
            found[key] = round(last[-1]["top1"], 4)
    return found


def recipe_of(name: str, seed: int, output: Path, arguments: argparse.Namespace) -> Dict[str, Any]:
    """Return the recipe of a variant as plain data."""
    recipe: Dict[str, Any] = copy.deepcopy(yaml.safe_load(RECIPE.read_text()))
    list_file = lists(arguments.cifar, arguments.images, seed, output.parent)
    train, judged = recipe["DataLoader"]["Train"], recipe["DataLoader"]["Eval"]
    judged["dataset"]["image_root"] = str(arguments.cifar / "test")
    train["dataset"].update(
        name="ImageNetDataset",
        image_root=str(arguments.cifar / "train"),
        cls_label_path=str(list_file),
    )
    recipe["Global"].update(
        output_dir=str(output),
        seed=seed,
        epochs=arguments.epochs,
        start_eval_epoch=arguments.epochs,
        keep_checkpoints=1,
        save_interval=arguments.epochs,
        print_batch_step=10**6,
    )
    recipe["Metric"] = {"Eval": recipe["Metric"]["Eval"]}
    for key, value in VARIANTS[name].items():
        if key == "ops":
            train["dataset"]["transform_ops"].insert(3, value)
            continue
        place: Any = recipe
        *sections, last = key.split(".")
        for section in sections:
            place = place[section]
        place[last] = copy.deepcopy(value)
    return recipe


def lists(cifar: Path, count: int, seed: int, folder: Path) -> Path:
    """Write a list of so many training images, as many of each class; return the file."""
    classes = sorted(path.name for path in (cifar / "train").iterdir())
    lines = []
    for name in classes:
        files = sorted(path.name for path in (cifar / "train" / name).iterdir())
        drawn = random.Random(f"{seed} {name}").sample(files, count // len(classes))
        lines += [f"{name}/{file} {name}\n" for file in drawn]
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "train_list.txt"
    target.write_text("".join(lines))
    return target


def table(rows: List[Dict[str, Any]]) -> str:
    """Return Markdown: means over the seeds, their range, and the gain over the baseline of the
    same seed.
    """
    base = {row["seed"]: row["eval"] for row in rows if row["variant"] == "baseline"}
    titles = ["variant", "top-1", "range", "gain over the baseline", "top-1 in training", "seconds"]
    lines = [f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    for name in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == name]
        right = [100 * row["eval"] for row in own]
        gains = [100 * (row["eval"] - base[row["seed"]]) for row in own if row["seed"] in base]
        learnt = [100 * row["train"] for row in own if "train" in row]
        cells = [
            name,
            f"{statistics.mean(right):.2f} %",
            f"{min(right):.2f} to {max(right):.2f}",
            f"{statistics.mean(gains):+.2f} ({min(gains):+.2f} to {max(gains):+.2f})"
            if gains
            else "-",
            f"{statistics.mean(learnt):.1f} %" if learnt else "-",
            f"{statistics.mean(row['seconds'] for row in own):.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(rows: List[Dict[str, Any]], path: Path) -> None:
    """Draw the accuracy of each run, a line for each variant."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["variant"] for row in rows))
    figure = Figure(figsize=(7, 0.5 * len(names) + 1.2), layout="constrained")
    axes = figure.subplots()
    for place, name in enumerate(names):
        found = [100 * row["eval"] for row in rows if row["variant"] == name]
        axes.plot(found, [place] * len(found), "o", color="C0", alpha=0.6)
        axes.plot(statistics.mean(found), place, "|", color="C1", markersize=22, mew=2)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("top-1 on the 10,000 test images, % (dots: seeds; bar: mean)")
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
