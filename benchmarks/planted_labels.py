"""How many wrong labels the report on a run finds, where it is known which ones are wrong.

    python benchmarks/planted_labels.py --cifar FOLDER --sets 3x150,10x50 --seeds 0,1

FOLDER is that of `own_photos.py`, and the photos are drawn as there. A part of them, `--part`, is
moved into the folder of another class; `ppcls train --data` runs as a user would run it, and the
first entries of "fixes" in its report.json, as many as photos were moved, are compared with these.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Set

from own_photos import PPCLS, classes_of, draw


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cifar", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--sets", default="3x150,10x50", help="CLASSESxPHOTOS, ...")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--part", type=float, default=0.05, help="of the photos")
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--output", type=Path, default=Path("output/planted_labels"))
    arguments = parser.parse_args()
    print(
        '| set | seed | moved | found among as many first | among all of "fixes" |\n|'
        + " --- |" * 5
    )
    for name in arguments.sets.split(","):
        for seed in map(int, arguments.seeds.split(",")):
            row = measure(name, seed, arguments)
            print("| " + " | ".join(map(str, row.values())) + " |", flush=True)


def measure(name: str, seed: int, arguments: argparse.Namespace) -> Dict[str, Any]:
    """Return what the report on one set found."""
    classes, photos = classes_of(name, arguments.cifar / "train")
    work = arguments.output / f"{name}_{seed}"
    shutil.rmtree(work, ignore_errors=True)
    data = draw(arguments.cifar / "train", classes, photos, seed, work / "photos")
    moved = plant(data, classes, arguments.part, seed)
    command = ["train", "--data", str(data), "--output", str(work / "run"), "--seed", str(seed)]
    subprocess.run([*PPCLS, *command, "--budget", arguments.budget], check=True, stdout=sys.stderr)
    fixes = json.loads((work / "run/report.json").read_text())["fixes"]
    found = [Path(fix["image"]).name in moved for fix in fixes]
    first = sum(found[: len(moved)])
    return {
        "set": name,
        "seed": seed,
        "moved": len(moved),
        "first": f"{first} ({first / len(moved):.0%})",
        "all": f"{sum(found)} of {len(found)}",
    }


def plant(data: Path, classes: List[str], part: float, seed: int) -> Set[str]:
    """Move a part of the photos into the folder of another class; return their new names."""
    rng = random.Random(seed)
    files = sorted(data.glob("*/*"))
    moved = set()
    for file in rng.sample(files, round(part * len(files))):
        other = rng.choice([name for name in classes if name != file.parent.name])
        target = data / other / f"was_{file.parent.name}_{file.name}"
        file.rename(target)
        moved.add(target.name)
    return moved


if __name__ == "__main__":
    main()
