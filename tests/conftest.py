"""Fixtures that many tests share: where the real data is, and how the commands are run."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

# What starts the tests in the background (nohup, a script's &) lets them ignore these signals, and
# so would every command that a test sends one to.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """Keep the tests of a file on one worker, unless they are in groups of their own."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(ROOT))))


def pytest_make_parametrize_id(val: object, argname: str) -> Optional[str]:
    """Name a long text after its length: the workers send each other the names of all tests."""
    if isinstance(val, (str, bytes)) and len(val) > 200:
        return f"{argname} of {len(val)}"
    return None


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    """Undo what a command did to the log, so that the next test's messages go where it looks."""
    yield
    log = logging.getLogger("ppcls")
    log.handlers.clear()
    log.propagate = True


@pytest.fixture
def own_parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget afterwards what a test registers and imports from files of its own."""
    from ppcls import own_parts, registry

    temporary = str(tmp_path_factory.getbasetemp())
    modules, entries = set(sys.modules), dict(registry._entries)
    yield
    for key, entry in list(registry._entries.items()):
        if key not in entries and not registry.is_built_in(entry.constructor):
            del registry._entries[key]
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(temporary):
            del sys.modules[name]
    registry.arguments_model.cache_clear()
    own_parts.import_installed.cache_clear()


@pytest.fixture(scope="session")
def root() -> Path:
    """The clone that is tested."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real images and reference numbers that stands beside the clone on some
    machines.
    """
    if not SHARED.is_dir():
        pytest.skip("the folder '../shared' with data and reference numbers is not on this machine")
    return SHARED


def _unpacked(archive: Path, target: Path) -> Path:
    if not archive.is_file():
        pytest.skip(f"{archive.name} is not on this machine")
    with tarfile.open(archive) as tar:
        tar.extractall(target, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return target


@pytest.fixture(scope="session")
def imagenet_sample(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 real ImageNet photos; the folder that holds their `list.txt`."""
    target = tmp_path_factory.mktemp("imagenet")
    return _unpacked(shared_dir / "data/imagenet_sample.tar", target) / "imagenet_sample"


@pytest.fixture(scope="session")
def cifar10_test(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10,000 CIFAR-10 JPEGs in class folders."""
    target = tmp_path_factory.mktemp("cifar10")
    return _unpacked(shared_dir / "data/cifar10_test.tar", target) / "test"


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run this interpreter on the clone as a user would, and capture what it prints."""

    def run(
        *arguments: object, cwd: Path = ROOT, **options: object
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}  # type: ignore[dict-item]
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            **options,
        )

    return run


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 real digits of four classes as PNG files in class folders `train` and `val`, with list
    files.
    """
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("digits")
    data = load_digits()
    for split, start, count in (("train", 0, 20), ("val", 20, 10)):
        lines: List[str] = []
        for label in range(4):
            for i, image in enumerate(data.images[data.target == label][start : start + count]):
                path = folder / split / f"d{label}" / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), np.clip(image * 16, 0, 255).astype(np.uint8))
                lines.append(f"{path.relative_to(folder)} {label}")
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return folder


def _split(folder: Path, name: str, batch: int, ops: List[Any]) -> Dict[str, Any]:
    return {
        "dataset": {
            "name": "ImageNetDataset",
            "image_root": str(folder),
            "cls_label_path": str(folder / f"{name}.txt"),
            "transform_ops": [{"DecodeImage": {"channel_num": 1}}, *ops, _NORMALIZE],
        },
        "sampler": {
            "name": "DistributedBatchSampler",
            "batch_size": batch,
            "shuffle": name == "train",
        },
        "loader": {"num_workers": 0},
    }


_NORMALIZE = {
    "NormalizeImage": {
        "scale": "1.0/255.0",
        "mean": [0.5],
        "std": [0.5],
        "order": "",
        "channel_num": 1,
    }
}


@pytest.fixture(scope="session")
def new_recipe(digits: Path) -> Callable[[Path], Dict[str, Any]]:
    """Make a configuration for an output folder, as plain data: LeNet, 80 images in batches of 16,
    2 epochs, 10 updates in all.
    """
    return lambda output_dir: _recipe(digits, output_dir)


@pytest.fixture
def recipe(new_recipe: Callable[[Path], Dict[str, Any]], tmp_path: Path) -> Dict[str, Any]:
    """The configuration of `new_recipe`, for the folder `run` of a test's own folder."""
    return new_recipe(tmp_path / "run")


def _recipe(digits: Path, output_dir: Path) -> Dict[str, Any]:
    crop = {"RandCropImage": {"size": 32, "scale": [0.8, 1.0]}}
    return {
        "Global": {
            "output_dir": str(output_dir),
            "device": "cpu",
            "epochs": 2,
            "print_batch_step": 2,
        },
        "Arch": {"name": "LeNet", "class_num": 4},
        "Loss": {"Train": [{"CELoss": {"epsilon": 0.1}}], "Eval": [{"CELoss": None}]},
        "Optimizer": {
            "name": "Momentum",
            "lr": {"name": "Cosine", "learning_rate": 0.05},
            "regularizer": {"name": "L2", "coeff": 0.0001},
        },
        "DataLoader": {
            "Train": _split(digits, "train", 16, [crop]),
            "Eval": _split(digits, "val", 12, [{"ResizeImage": {"size": 32}}]),
        },
        "Metric": {
            "Train": [{"TopkAcc": {"topk": [1, 2]}}],
            "Eval": [{"TopkAcc": {"topk": [1, 2]}}],
        },
    }


@pytest.fixture
def write_recipe(tmp_path: Path) -> Callable[[Dict[str, Any]], Path]:
    """Write a configuration to a file and return its path."""

    def write(data: Dict[str, Any], name: str = "recipe.yaml") -> Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        return path

    return write


@pytest.fixture
def ppcls(write_recipe: Callable[..., Path]) -> Callable[..., int]:
    """Run a verb of the command line in this process on a configuration given as data."""
    from ppcls import runtime
    from ppcls.cli import main

    runtime.prepare()

    def run(verb: str, data: Dict[str, Any], *arguments: str) -> int:
        return main([verb, "-c", str(write_recipe(data)), *arguments])

    return run


@dataclass(frozen=True)
class TrainedRun:
    """A finished run: its configuration as data and as a file, and its output folder."""

    recipe: Dict[str, Any]
    config: Path
    folder: Path

    @property
    def bundle(self) -> Path:
        """The exported bundle."""
        return self.folder / "inference"


@pytest.fixture(scope="session")
def trained(
    new_recipe: Callable[[Path], Dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> TrainedRun:
    """LeNet after two epochs on four digits, exported; not to be changed."""
    from ppcls import runtime
    from ppcls.cli import main

    runtime.prepare()
    folder = tmp_path_factory.mktemp("trained")
    recipe = new_recipe(folder / "run")
    recipe["Infer"] = {"PostProcess": {"name": "Topk", "topk": 4}}
    config = folder / "recipe.yaml"
    config.write_text(yaml.safe_dump(recipe, sort_keys=False))
    assert main(["train", "-c", str(config)]) == 0
    assert main(["export", "-c", str(config)]) == 0
    return TrainedRun(recipe, config, folder / "run")
