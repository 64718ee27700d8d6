"""Images in memory: the same batches, read once, within the memory that is given."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from ppcls.data.cache import ImageCache
from ppcls.data.dataset import ImageNetDataset
from ppcls.data.loader import DataLoader
from ppcls.data.sampler import DistributedBatchSampler
from ppcls.data.transforms import Transform

OPS = [
    "DecodeImage",
    {"RandCropImage": {"size": 8, "scale": [0.2, 1.0]}},
    "RandFlipImage",
    {"ColorJitter": {"brightness": 0.5}},
]
SCALED = [{"DecodeImage": {"scaled": True}}, *OPS[1:]]
IMAGE = 12 * 10 * 3


class Counting(ImageNetDataset):
    """Counts how often each file is read."""

    def read(self, index: int) -> bytes:
        self.reads = [*getattr(self, "reads", []), index]
        return super().read(index)


@pytest.fixture()
def dataset(image_files: Any, tmp_path: Path, parts: Any) -> Any:
    """Ten images of one grey level each; number 7 is none."""

    def make(*ops: Any) -> Counting:
        root = image_files({f"{n}.png": 8 * n for n in range(10)})
        (root / "7.png").write_text("<html>")
        (tmp_path / "list.txt").write_text("".join(f"{n}.png 0\n" for n in range(10)))
        return Counting(str(root), str(tmp_path / "list.txt"), parts(*ops))

    return make


def epochs(data: Any, cache: Any, workers: int = 2) -> List[Any]:
    sampler = DistributedBatchSampler(4, shuffle=True, length=len(data), seed=5)
    loader = DataLoader(data, sampler, workers, cache=cache)
    return [
        (batch.images.tobytes(), batch.indices.tolist(), [bad.reason for bad in batch.bad])
        for epoch in range(3)
        for batch in loader.epoch(epoch)
    ]


@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ops", [OPS, SCALED, ["DecodeImage"]], ids=["crop", "scaled", "loose"])
def test_the_same_batches_from_files_that_are_read_once(
    ops: Any, workers: int, pixels: bool, dataset: Any
) -> None:
    plain = epochs(dataset(*ops), None, workers)
    data, cache = dataset(*ops), ImageCache(1 << 20, pixels)
    assert epochs(data, cache, workers) == plain
    kept_pixels = pixels and ops is not SCALED
    bad = [7] * (3 if kept_pixels else 1)  # what is no image has no pixels to keep
    assert sorted(data.reads) == sorted([*range(7), 8, 9, *bad])
    assert len(cache) == (9 if kept_pixels else 10)


def test_memory_is_bounded(dataset: Any, caplog: Any) -> None:
    data, cache = dataset(*OPS), ImageCache(3 * IMAGE + IMAGE // 2, pixels=True)
    with caplog.at_level(logging.INFO, "ppcls"):
        assert epochs(data, cache) == epochs(dataset(*OPS), None)
    assert len(cache) == 3 and len(data.reads) == 3 + 3 * 7
    (said,) = caplog.messages
    assert said.startswith("the cache is full: 3 images take") and "loader.cache_gib" in said


class Spoiling(Transform):
    """Writes into what it is given."""

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        image[:] = 0
        return image


def test_nobody_changes_what_is_kept(dataset: Any) -> None:
    from ppcls.data.transforms import Pipeline

    data = dataset("DecodeImage")
    data.transform = Pipeline([Spoiling()])
    with pytest.raises(RuntimeError, match="read-only"):
        epochs(data, ImageCache(1 << 20, pixels=True), workers=0)
