"""A clock that only moves when something is done, and what is measured by it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ppcls import runtime

runtime.prepare()

from ppcls.benchmark.networks import bundle_of  # noqa: E402
from ppcls.inference.bundle import Bundle  # noqa: E402


class FakeClock:
    """Seconds that pass where a test says so."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def sleep_until(self, moment: float) -> None:
        self.time = max(self.time, moment)

    def work(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds


@pytest.fixture
def clock() -> FakeClock:
    """A clock of the test's own."""
    return FakeClock()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where LeNet is exported to, once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def bundle(cache: Path) -> Bundle:
    """LeNet with random weights."""
    return bundle_of("LeNet", cache)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve grey pictures in folders of the classes 3 and 7, and a list file of them."""
    folder = tmp_path_factory.mktemp("photos")
    drawn = np.random.default_rng(0).integers(0, 256, (12, 40, 50, 3), dtype=np.uint8)
    lines = []
    for number, image in enumerate(drawn):
        path = folder / "images" / str(3 + 4 * (number % 2)) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
        lines.append(f"{path.relative_to(folder)} {path.parent.name}\n")
    (folder / "list.txt").write_text("".join(lines))
    return folder
