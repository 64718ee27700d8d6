"""A data set that vanishes is waited for, and is not taken for bad images."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from ppcls.data import outage
from ppcls.data.dataset import ImageNetDataset
from ppcls.data.loader import DataLoader
from ppcls.data.outage import Patience
from ppcls.data.sampler import DistributedBatchSampler
from ppcls.errors import BadImageError, OutageError


@pytest.fixture()
def dataset(image_files: Any, tmp_path: Path, parts: Any) -> ImageNetDataset:
    """Twenty images, the first of which has been read."""
    root = image_files({f"{n:02d}.png": 8 * n for n in range(20)})
    (tmp_path / "list.txt").write_text("".join(f"{n:02d}.png {n % 3}\n" for n in range(20)))
    data = ImageNetDataset(str(root), str(tmp_path / "list.txt"), parts("DecodeImage"))
    assert data.read(0)
    return data


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "BETWEEN_TRIES", 0.02)


def away(data: ImageNetDataset) -> Path:
    root = Path(data.image_root)
    return root.rename(root.with_name("away"))


def back(folder: Path, data: ImageNetDataset) -> None:
    folder.rename(data.image_root)


def later(seconds: float, action: Callable[[], object]) -> None:
    threading.Timer(seconds, action).start()


def test_one_missing_file_is_a_bad_image(dataset: ImageNetDataset) -> None:
    os.remove(dataset.path(3))
    with pytest.raises(BadImageError, match="does not exist"):
        dataset.read(3)


@pytest.mark.parametrize("what", ["folder", "files"])
def test_when_all_are_gone_it_is_an_outage(dataset: ImageNetDataset, what: str) -> None:
    root = Path(dataset.image_root)
    shutil.rmtree(root)
    if what == "files":
        root.mkdir()
    with pytest.raises(OutageError, match="cannot be reached any more, for example 03.png: the"):
        dataset.read(3)


def test_an_image_is_not_bad_where_the_set_comes_back_just_then(
    dataset: ImageNetDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = away(dataset)

    def come_back(index: int) -> bool:
        back(folder, dataset)
        return True

    monkeypatch.setattr(dataset, "_has_others_than", come_back)
    assert dataset.read(3) == Path(dataset.path(3)).read_bytes()


def test_a_set_that_was_never_there_has_bad_images(dataset: ImageNetDataset) -> None:
    dataset._had_some = False
    away(dataset)
    with pytest.raises(BadImageError):
        dataset.read(3)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 3])
def test_it_is_waited_for_and_nothing_is_missing_then(
    dataset: ImageNetDataset, workers: int, caplog: Any
) -> None:
    sampler = DistributedBatchSampler(4, length=20)
    loader = DataLoader(dataset, sampler, workers, patience=Patience(20.0))
    whole = [batch.images for batch in loader.epoch(0)]
    batches = loader.epoch(0)
    found = [next(batches)]
    folder = away(dataset)
    later(0.3, lambda: back(folder, dataset))
    with caplog.at_level(logging.WARNING, "ppcls"):
        found += list(batches)
    assert all(not batch.bad for batch in found)
    np.testing.assert_array_equal(np.concatenate(whole), np.concatenate([b.images for b in found]))
    first, *_, last = caplog.messages
    assert "trying again for 20 s" in first and last == "the images can be reached again"


def test_patience_has_an_end(dataset: ImageNetDataset) -> None:
    away(dataset)
    with pytest.raises(OutageError, match="waited 0 s for it"):
        Patience(0.1).read(dataset, 5)


@pytest.mark.parametrize("way", ["stop is asked for", "loader is closed"])
def test_waiting_ends_when_nobody_wants_it(dataset: ImageNetDataset, way: str) -> None:
    patience = Patience(60.0)
    away(dataset)
    asked = threading.Event()
    patience.gives_up = asked.is_set
    later(0.1, asked.set if way == "stop is asked for" else patience.end)
    began = time.monotonic()
    with pytest.raises(OutageError):
        patience.read(dataset, 5)
    assert time.monotonic() - began < 10
