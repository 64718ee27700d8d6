"""How good a model of a folder of photos gets, and how fast: `ppcls train --data` on parts of
CIFAR-10.

    python benchmarks/own_photos.py --cifar FOLDER --sets 3x150,10x50,10x5 --seeds 0,1,2

FOLDER holds `train/CLASS/*.jpg` and `test/CLASS/*.jpg`. For each set and seed some photos are
drawn, the command is run as a user would, and its two models, the linear head and the best one, are
exported and judged on test photos with `ppcls predict`. Beside them stands a plain logistic
regression of scikit-learn on the same features of all photos, without tricks; with `--peer PYTHON`,
an environment as `own_photos_timm.py` says, PyTorch's fine-tuning of the same network; and with
`--scratch`, what `ppcls data split` and its recipe train from nothing. Results are printed as a
table and written as JSON, with a plot of accuracy on held-back photos against seconds.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PPCLS = [sys.executable, "-m", "ppcls"]
THREE = ("automobile", "cat", "horse")
"""The classes of sets of three."""

_STEP = re.compile(r"(?:linear head: ([\d.]+)% of the|epoch (\d+)/\d+  eval: .*top1 ([\d.]+)%)")


def main() -> None:
    """Run what the command line asks for."""
    arguments = _parser().parse_args()
    rows = []
    for name in arguments.sets.split(","):
        for seed in map(int, arguments.seeds.split(",")):
            row = measure(name, seed, arguments)
            rows.append(row)
            print(json.dumps(row), flush=True)
            arguments.output.mkdir(parents=True, exist_ok=True)
            (arguments.output / "own_photos.json").write_text(json.dumps(rows, indent=1))
    print(table(rows))
    plot(rows, arguments.output / "own_photos.png")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cifar", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--sets", default="3x150,10x50,10x5", help="CLASSESxPHOTOS, ...")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--judged", type=int, default=1000, help="test photos of each class")
    parser.add_argument("--peer", metavar="PYTHON", help="has torch and timm")
    parser.add_argument("--scratch", action="store_true", help="train from nothing as well")
    parser.add_argument("--output", type=Path, default=Path("output/own_photos"))
    return parser


def measure(name: str, seed: int, arguments: argparse.Namespace) -> Dict[str, Any]:
    """Return what became of one set, accuracies as fractions and times in seconds."""
    classes, photos = classes_of(name, arguments.cifar / "train")
    work = arguments.output / f"{name}_{seed}"
    shutil.rmtree(work, ignore_errors=True)
    data = draw(arguments.cifar / "train", classes, photos, seed, work / "photos")
    command = ["train", "--data", str(data), "--output", str(work / "run"), "--no-report"]
    began = time.perf_counter()
    steps = list(timed([*PPCLS, *command, "--budget", arguments.budget, "--seed", str(seed)]))
    seconds = time.perf_counter() - began
    test = judged_list(arguments.cifar / "test", classes, arguments.judged, work / "test.txt")
    final = work / "run" / "final"
    used = final if (final / "best_model.safetensors").is_file() else work / "run"
    found = {
        "set": name,
        "seed": seed,
        "seconds": round(seconds, 1),
        "steps": steps,
        "linear_head": judge(work / "run", "linear_head.safetensors", test, work),
        "best": judge(used, "best_model.safetensors", test, work),
    }
    found["baseline"] = baseline(work / "run", data, classes, test)
    if arguments.peer and (work / "run/lists/val_list.txt").is_file():
        found["timm"], found["timm_steps"] = peer(work, seed, arguments)
    if arguments.scratch:
        found["scratch"], found["scratch_steps"] = from_scratch(data, seed, test, work)
    return found


def classes_of(name: str, source: Path) -> Tuple[List[str], int]:
    """Return the classes of a set that is called CLASSESxPHOTOS, and the photos of each."""
    count, photos = map(int, name.split("x"))
    every = sorted(path.name for path in source.iterdir())
    return list(THREE) if count == 3 else every[:count], photos


def peer(work: Path, seed: int, arguments: argparse.Namespace) -> Tuple[float, List[Any]]:
    """Return the accuracy of PyTorch's fine-tuning in the same time, and its steps."""
    from ppcls.transfer.budget import seconds_of

    script = [arguments.peer, str(ROOT / "benchmarks/own_photos_timm.py"), "--photos", str(work)]
    given = ["--test", str(arguments.cifar / "test"), "--judged", str(arguments.judged)]
    given += ["--budget", str(seconds_of(arguments.budget)), "--seed", str(seed), *same_as(work)]
    done = subprocess.run([*script, *given], check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return found["best"], found["steps"]


def same_as(work: Path) -> List[str]:
    """Return the peer's options for the network and the size of a run."""
    from ppcls.config import load_config

    config = load_config(str(work / "run/recipe.yaml"))
    crop = next(
        op["CropImage"]["size"]
        for op in config.data["DataLoader"]["Eval"]["dataset"]["transform_ops"]
        if "CropImage" in op
    )
    return ["--lite", config.Arch.name[-1], "--size", str(crop)]


def from_scratch(
    data: Path, seed: int, test: Dict[str, str], work: Path
) -> Tuple[float, List[Any]]:
    """Return the accuracy of the recipe that `ppcls data split` writes, and its steps."""
    lists, run = work / "split", work / "scratch"
    split = ["data", "split", str(data), "--output_dir", str(lists), "--seed", str(seed)]
    subprocess.run([*PPCLS, *split, "--overwrite"], check=True, stdout=sys.stderr)
    command = ["train", "-c", str(lists / "recipe.yaml"), "-o", f"Global.output_dir={run}"]
    steps = list(timed([*PPCLS, *command]))
    shutil.copy(lists / "recipe.yaml", run / "recipe.yaml")
    return judge(run, "best_model.safetensors", test, work), steps


def draw(source: Path, classes: List[str], photos: int, seed: int, target: Path) -> Path:
    """Copy some photos of each class; return the folder."""
    for name in classes:
        files = sorted((source / name).iterdir())
        (target / name).mkdir(parents=True)
        for file in random.Random(f"{seed} {name}").sample(files, photos):
            shutil.copy(file, target / name / file.name)
    return target


def judged_list(source: Path, classes: List[str], count: int, target: Path) -> Dict[str, str]:
    """Write a list of test photos; return the class of each."""
    known = {
        str(file.absolute()): name
        for name in classes
        for file in sorted((source / name).iterdir())[:count]
    }
    target.write_text("".join(f"{path}\n" for path in known))
    return known


def timed(command: List[str]) -> Iterator[Tuple[float, float]]:
    """Run a command; yield (seconds, accuracy on the held-back photos) as it says them."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", file=sys.stderr)
            found = _STEP.search(line)
            if found:
                yield round(time.perf_counter() - began, 1), float(found[1] or found[3]) / 100
    if process.returncode:
        sys.exit(f"{' '.join(command)}: status {process.returncode}")


def judge(run: Path, weights: str, test: Dict[str, str], work: Path) -> float:
    """Export weights of a run, and return the fraction of the test photos that the bundle gets
    right.
    """
    bundle, answers = work / "bundle", work / "answers.csv"
    recipe = ["-c", str(run / "recipe.yaml"), "-o", f"Global.pretrained_model={run / weights}"]
    export = ["export", *recipe, f"Global.save_inference_dir={bundle}", "--overwrite"]
    subprocess.run([*PPCLS, *export, "--format", "paddle,onnx"], check=True, capture_output=True)
    predict = ["predict", "--model_dir", str(bundle), "--topk", "1", "--no-resume"]
    given = ["--input", str(work / "test.txt"), "--output", str(answers)]
    subprocess.run([*PPCLS, *predict, *given], check=True, capture_output=True)
    with answers.open(newline="") as file:
        rows = list(csv.DictReader(file))
    right = [test[row[_column(row, "source")]] == row[_column(row, "name")] for row in rows]
    return round(statistics.mean(right), 4)


def _column(row: Dict[str, str], start: str) -> str:
    return next(name for name in row if name.startswith(start))


def baseline(run: Path, data: Path, classes: List[str], test: Dict[str, str]) -> float:
    """Return the accuracy of a plain logistic regression on the features of all photos."""
    from ppcls import runtime

    runtime.prepare()
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from ppcls.arch import create_model
    from ppcls.config import load_config
    from ppcls.data.transforms import Pipeline
    from ppcls.registry import parse
    from ppcls.transfer.features import open_features

    config = load_config(str(run / "recipe.yaml"))
    split = config.data["DataLoader"].get("Eval")
    ops = split["dataset"]["transform_ops"] if split else config.data["Infer"]["transforms"]
    pipeline = Pipeline([parse("transform", op) for op in ops])
    network = create_model(config.Arch.name, pretrained=True)
    assert pipeline.output_size is not None
    engine = open_features(network, (3, *pipeline.output_size), "cpu")
    photos = [(str(file), name) for name in classes for file in (data / name).iterdir()]

    def features(paths: List[str]) -> np.ndarray:
        images = (pipeline(Path(path).read_bytes()) for path in paths)
        return np.concatenate([engine.run(np.stack(part)) for part in _chunks(images, 64)])

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(features([path for path, _ in photos]), [name for _, name in photos])
    return round(float(model.score(features(list(test)), list(test.values()))), 4)


def _chunks(images: Iterator[np.ndarray], size: int) -> Iterator[List[np.ndarray]]:
    chunk: List[np.ndarray] = []
    for image in images:
        chunk.append(image)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


_COLUMNS = {
    "baseline": "logistic regression",
    "linear_head": "linear head",
    "best": "the command",
    "timm": "timm",
    "scratch": "from scratch",
}


def table(rows: List[Dict[str, Any]]) -> str:
    """Return Markdown: accuracies on test photos, means over the seeds and the range; seconds."""
    titles = ["set", *_COLUMNS.values(), "linear head after", "all after"]
    lines = [f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    for name in dict.fromkeys(row["set"] for row in rows):
        own = [row for row in rows if row["set"] == name]
        cells = [_spread([100 * row[key] for row in own if key in row]) for key in _COLUMNS]
        first = [row["steps"][0][0] if row["steps"] else row["seconds"] for row in own]
        whole = [row["seconds"] for row in own]
        cells += [f"{statistics.mean(times):.0f} s" for times in (first, whole)]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def _spread(values: List[float]) -> str:
    if not values:
        return "-"
    found = f"{statistics.mean(values):.1f} %"
    return f"{found} ({min(values):.1f} to {max(values):.1f})" if len(values) > 1 else found


_CURVES = {"steps": "the command", "timm_steps": "timm", "scratch_steps": "from scratch"}


def plot(rows: List[Dict[str, Any]], path: Path) -> None:
    """Draw accuracy on held-back photos against seconds, a panel for each set."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["set"] for row in rows if row["steps"]))
    if not names:
        return
    figure = Figure(figsize=(4.5 * len(names), 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
        for color, (key, label) in enumerate(_CURVES.items()):
            curves = [row[key] for row in rows if row["set"] == name and row.get(key)]
            for number, curve in enumerate(curves):
                seconds, values = zip(*curve)
                options = {"color": f"C{color}", "label": label if number == 0 else None}
                axes.plot(seconds, [100 * value for value in values], marker=".", **options)
        axes.set_title(f"{name.replace('x', ' classes of ')} photos")
        axes.set_xlabel("seconds from the start of the command")
        axes.set_ylabel("held-back photos right, %")
        axes.legend(fontsize="small")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
