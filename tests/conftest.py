"""Fixtures that many tests share: where the real data is, and how the commands are run."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Callable

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


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
