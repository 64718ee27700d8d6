"""How many images a second the loader reads, beside OpenCV's bare decoder and torchvision's loader.

    python benchmarks/loader.py --photos FOLDER --torch PYTHON
    python benchmarks/loader.py --small FOLDER --threads 1

FOLDER has image files, in subfolders or not. Photos are cut to 224 pixels at random, mirrored and
normalised, as ImageNet's recipes do; small images are cut to 32. PYTHON is the interpreter of an
environment with torchvision. Each subject runs in a process of its own, and they take turns: a turn
reads `--images` files once, in batches of 64. The table has the median over the rounds, and the
ratio to bare decoding, turn by turn.

    python benchmarks/loader.py --index         a list of ImageNet's length: seconds and memory
    python benchmarks/loader.py --long 10000    memory over so many batches of small images
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional

from cpu_step import markdown, processor

SUBJECTS = {
    "photos": ["cv2.imdecode", "ppcls", "ppcls, uint8", "ppcls, scaled", "torchvision"],
    "small": ["cv2.imdecode", "ppcls", "ppcls, isolated", "ppcls, pixels kept", "torchvision"],
}
SIDES = {"photos": 224, "small": 32}
BATCH = 64
IMAGENET = 1_281_167


def main() -> None:
    """Run what the command line asks for."""
    arguments = _parser().parse_args()
    if arguments.worker:
        work(arguments)
    elif arguments.index:
        print(json.dumps(index()))
    elif arguments.long:
        print(json.dumps(long_run(arguments.long)))
    else:
        compare(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--photos", type=Path, metavar="FOLDER")
    parser.add_argument("--small", type=Path, metavar="FOLDER")
    parser.add_argument("--images", type=int, default=1000, help="of a turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch", metavar="PYTHON", help="an interpreter that has torchvision")
    parser.add_argument("--index", action="store_true")
    parser.add_argument("--long", type=int, metavar="BATCHES")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--list", type=Path, help=argparse.SUPPRESS)
    return parser


def compare(arguments: argparse.Namespace) -> None:
    """Let the subjects take turns for each set of images that is given, and print a table."""
    for kind, subjects in SUBJECTS.items():
        folder: Optional[Path] = getattr(arguments, kind)
        if folder is None:
            continue
        chosen = [name for name in subjects if name != "torchvision" or arguments.torch]
        with tempfile.TemporaryDirectory() as temporary:
            listed = Path(temporary) / "list.txt"
            listed.write_text("".join(f"{file}\n" for file in _files(folder, arguments.images)))
            workers = {name: _started(name, kind, listed, arguments) for name in chosen}
            speeds = _speeds(workers, arguments.rounds, arguments.images)
        print(f"{processor()}, {arguments.threads} threads, {kind}: {arguments.images} files")
        print(_table(speeds))


def _files(folder: Path, count: int) -> List[Path]:
    """Return so many files of a folder in random order, again and again if there are fewer."""
    found = [
        file
        for file in sorted(folder.resolve().rglob("*"))
        if file.suffix in (".jpg", ".JPEG", ".png")
    ]
    if not found:
        raise SystemExit(f"loader: no .jpg, .JPEG or .png files in {folder}")
    random.Random(0).shuffle(found)
    return list(islice(cycle(found), count))


def _started(
    name: str, kind: str, listed: Path, arguments: argparse.Namespace
) -> subprocess.Popen[str]:
    python = arguments.torch if name == "torchvision" else sys.executable
    command = [python, str(Path(__file__).resolve()), "--worker", name, "--list", str(listed)]
    command += [f"--{kind}", str(getattr(arguments, kind)), "--threads", str(arguments.threads)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _speeds(
    workers: Dict[str, subprocess.Popen[str]], rounds: int, images: int
) -> Dict[str, List[float]]:
    speeds: Dict[str, List[float]] = {name: [] for name in workers}
    for number in range(rounds + 1):
        for name, worker in workers.items():
            taken = _turn(worker)
            if number:  # the first round makes what later ones find made
                speeds[name].append(images / taken)
    for worker in workers.values():
        worker.communicate("")
    return speeds


def _turn(worker: subprocess.Popen[str]) -> float:
    assert worker.stdin and worker.stdout
    worker.stdin.write("\n")
    worker.stdin.flush()
    for line in worker.stdout:
        if line.startswith("seconds "):
            return float(line.split()[1])
    raise SystemExit(f"loader: {' '.join(map(str, worker.args))} ended early")  # type: ignore[arg-type]


def _table(speeds: Dict[str, List[float]]) -> str:
    rows = [["", "images/s", "lowest", "highest", "to cv2.imdecode"]]
    for name, found in speeds.items():
        ratio = statistics.median(a / b for a, b in zip(found, speeds["cv2.imdecode"]))
        numbers = (statistics.median(found), min(found), max(found))
        rows.append([name, *(f"{number:.0f}" for number in numbers), f"{ratio:.2f}"])
    return markdown(rows)


# --- a subject's process -------------------------------------------------------------------------


def work(arguments: argparse.Namespace) -> None:
    """Read all files once for each line of standard input, and print the seconds."""
    files = arguments.list.read_text().splitlines()
    side = SIDES["photos" if arguments.photos else "small"]
    walk = _walk(arguments.worker, files, side, arguments.threads)
    for _ in sys.stdin:
        began = time.perf_counter()
        count = sum(walk())
        taken = time.perf_counter() - began
        assert count == len(files)
        print("seconds", taken, flush=True)


def _walk(name: str, files: List[str], side: int, threads: int) -> Callable[[], Iterator[int]]:
    """Return what reads all files, and yields how many at a time."""
    if name == "torchvision":
        return _torchvision(files, side, threads)
    if name == "cv2.imdecode":
        return _bare(files, threads)
    return _ppcls(name, files, side, threads)


def _bare(files: List[str], threads: int) -> Callable[[], Iterator[int]]:
    import cv2
    import numpy as np

    cv2.setNumThreads(1)

    def decode(file: str) -> int:
        with open(file, "rb") as opened:
            image = cv2.imdecode(np.frombuffer(opened.read(), np.uint8), cv2.IMREAD_COLOR)
        return int(image is not None)

    def walk() -> Iterator[int]:
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(decode, files)

    return walk


def _ppcls(name: str, files: List[str], side: int, threads: int) -> Callable[[], Iterator[int]]:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from ppcls import runtime
    from ppcls.data.cache import ImageCache
    from ppcls.data.loader import DataLoader

    runtime.keep_freed_memory()  # as training does
    loader = DataLoader(*_set_of(files, side, "scaled" in name), num_workers=threads)
    loader.leaves_levels = "uint8" in name
    loader.isolate = "isolated" in name
    loader.cache = ImageCache(1 << 30, pixels=True) if "pixels" in name else None
    epochs = iter(range(1_000_000))

    def walk() -> Iterator[int]:
        for batch in loader.epoch(next(epochs)):
            yield len(batch)

    return walk


def _set_of(files: List[str], side: int, scaled: bool):  # type: ignore[no-untyped-def]
    """Return a data set of files, and their order."""
    import numpy as np

    from ppcls.data.dataset import ClassMap
    from ppcls.data.dataset.files import ImageFiles
    from ppcls.data.sampler import DistributedBatchSampler
    from ppcls.data.transforms import Pipeline
    from ppcls.labels import LabelKind, Labels

    ops = [
        {"DecodeImage": {"scaled": scaled}},
        {"RandCropImage": {"size": side}},
        {"RandFlipImage": {"flip_code": 1}},
        {"NormalizeImage": {"order": ""}},
        "ToCHWImage",
    ]
    labels = Labels(LabelKind.HARD, np.zeros(len(files), np.int64))
    dataset = ImageFiles("", files, labels, ClassMap(["all"]), Pipeline(ops))
    return dataset, DistributedBatchSampler(BATCH, shuffle=True, length=len(files))


def _torchvision(files: List[str], side: int, threads: int) -> Callable[[], Iterator[int]]:
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    torch.set_num_threads(1)
    change = transforms.Compose(
        [
            transforms.RandomResizedCrop(side),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )

    class Files(Dataset):  # type: ignore[type-arg,misc]
        def __len__(self) -> int:
            return len(files)

        def __getitem__(self, index: int):  # type: ignore[no-untyped-def]
            return change(Image.open(files[index]).convert("RGB"))

    loader = DataLoader(
        Files(), BATCH, shuffle=True, num_workers=threads, persistent_workers=threads > 0
    )

    def walk() -> Iterator[int]:
        for batch in loader:
            yield len(batch)

    return walk


# --- memory --------------------------------------------------------------------------------------


def index() -> Dict[str, float]:
    """Read a list as long as ImageNet's; return the seconds, and by how much memory grew, in MB."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from ppcls.data.dataset import ImageNetDataset

    with tempfile.TemporaryDirectory() as folder:
        listed, first = Path(folder) / "list.txt", Path(folder) / "n01440764/n01440764_0.JPEG"
        first.parent.mkdir()
        first.write_bytes(b"")
        with open(listed, "w") as file:
            for number in range(IMAGENET):
                name = f"n{1440764 + number % 1000:08d}"
                file.write(f"{name}/{name}_{number}.JPEG {number % 1000}\n")
        before, began = _peak(), time.perf_counter()
        dataset = ImageNetDataset(folder, str(listed), ["DecodeImage"])
        taken = time.perf_counter() - began
        assert len(dataset) == IMAGENET
        return {"lines": IMAGENET, "seconds": round(taken, 2), "MB": round(_peak() - before)}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def long_run(batches: int) -> Dict[str, object]:
    """Read so many batches, and return the memory of the process after each tenth, in MB."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import cv2
    import numpy as np

    from ppcls.data.loader import DataLoader

    with tempfile.TemporaryDirectory() as folder:
        files = [f"{folder}/{number}.jpg" for number in range(640)]
        for number, file in enumerate(files):
            cv2.imwrite(file, np.random.default_rng(number).integers(0, 256, (40, 50, 3), np.uint8))
        loader = DataLoader(*_set_of(files, 32, False), num_workers=2)
        seen, taken = [], 0
        for epoch in range(-(-batches * BATCH // len(files))):
            for _ in loader.epoch(epoch):
                taken += 1
                if taken % max(1, batches // 10) == 0:
                    seen.append(_resident())
    return {"batches": taken, "MB": seen}


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


if __name__ == "__main__":
    main()
