"""Batches: the same from any number of threads, and honest about what could not be read."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Callable, List

import numpy as np
import pytest

from ppcls.data import pace as pacing
from ppcls.data.batch import Batch
from ppcls.data.batch_transforms import BatchTransform
from ppcls.data.dataset import ClassMap, Dataset, ImageNetDataset
from ppcls.data.loader import DataLoader
from ppcls.data.sampler import DistributedBatchSampler, RASampler
from ppcls.data.transforms import Pipeline
from ppcls.errors import BadImageError, ConfigError, DataError
from ppcls.labels import LabelKind, Labels

RANDOM = [
    "DecodeImage",
    {"RandCropImage": {"size": 8, "scale": [0.2, 1.0]}},
    "RandFlipImage",
    {"ColorJitter": {"brightness": 0.5}},
]
BAD = {4: "empty", 11: "HTML", 12: "does not exist"}


@pytest.fixture()
def dataset(image_files: Any, tmp_path: Path, parts: Any) -> Callable[..., ImageNetDataset]:
    """Write thirty images, each with a gradient of its own level, and read them."""

    def make(*ops: Any, damaged: bool = False) -> ImageNetDataset:
        root = image_files({f"{n:02d}.png": 8 * n for n in range(30)})
        if damaged:
            (root / "04.png").write_bytes(b"")
            (root / "11.png").write_text("<html>")
            (root / "12.png").unlink()
        lines = [f"{n:02d}.png {n % 3}\n" for n in range(30)]
        (tmp_path / "list.txt").write_text("".join(lines))
        return ImageNetDataset(str(root), str(tmp_path / "list.txt"), parts(*(ops or RANDOM)))

    return make


def loader(data: ImageNetDataset, workers: int = 0, batch_size: int = 8, **rest: Any) -> DataLoader:
    sampler = DistributedBatchSampler(batch_size, shuffle=True, length=len(data), seed=5)
    return DataLoader(data, sampler, workers, seed=5, **rest)


def everything(batches: List[Batch]) -> List[Any]:
    return [
        (
            batch.images.tobytes(),
            batch.labels.values.tolist(),
            batch.indices.tolist(),
            batch.number,
            batch.bad,
        )
        for batch in batches
    ]


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("damaged", [False, True])
def test_threads_change_nothing(workers: int, damaged: bool, dataset: Any) -> None:
    data = dataset(damaged=damaged)
    for epoch in (0, 3):
        alone = everything(list(loader(data).epoch(epoch)))
        assert everything(list(loader(data, workers).epoch(epoch))) == alone
    assert everything(list(loader(data).epoch(1))) != alone


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [0, 1, 3, 4])
def test_goes_on_in_the_middle(workers: int, start: int, dataset: Any) -> None:
    data = dataset()
    whole = everything(list(loader(data).epoch(2)))
    assert everything(list(loader(data, workers).epoch(2, start=start))) == whole[start:]


def test_batches_hold_what_the_sampler_says(dataset: Any) -> None:
    data = dataset("DecodeImage")
    batches = list(loader(data, 2).epoch(0))
    assert [len(batch) for batch in batches] == [8, 8, 8, 6] and len(loader(data)) == 4
    assert [batch.number for batch in batches] == [0, 1, 2, 3]
    for batch in batches:
        assert batch.images.dtype == np.float32 and batch.images.shape[1:] == (3, 12, 10)
        assert batch.labels.kind is LabelKind.HARD and batch.indices.dtype == np.int64
        np.testing.assert_array_equal(batch.labels.values, batch.indices % 3)
        np.testing.assert_array_equal(batch.images[:, 0, 0, 0], batch.indices * 8)
    seen = np.sort(np.concatenate([batch.indices for batch in batches]))
    np.testing.assert_array_equal(seen, np.arange(30))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ops", [RANDOM, ["DecodeImage"]], ids=["fixed size", "loose"])
def test_bad_images_are_missing_and_named(workers: int, ops: Any, dataset: Any) -> None:
    data = dataset(*ops, damaged=True)
    batches = list(loader(data, workers).epoch(0))
    bad = {item.index: item for batch in batches for item in batch.bad}
    assert sorted(bad) == sorted(BAD)
    for index, reason in BAD.items():
        assert reason in bad[index].reason and bad[index].label == index % 3
        assert bad[index].name == data.path(index) and bad[index].name not in bad[index].reason
    assert sum(len(batch) for batch in batches) == 27
    for batch in batches:
        assert len(batch.images) == len(batch.labels) == len(batch.indices)
        assert not set(batch.indices.tolist()) & set(BAD)


@pytest.mark.parametrize("ops", [RANDOM, ["DecodeImage"]], ids=["fixed size", "loose"])
def test_a_batch_may_be_empty(ops: Any, dataset: Any) -> None:
    data = dataset(*ops, damaged=True)
    batches = list(loader(data, 2, batch_size=1).epoch(0))
    empty = [batch for batch in batches if len(batch) == 0]
    assert len(batches) == 30 and len(empty) == 3
    for batch in empty:
        assert batch.images.ndim == 4 and batch.images.shape[0] == 0 and len(batch.bad) == 1


def test_a_rank_may_have_no_images(dataset: Any) -> None:
    data = dataset()
    sampler = DistributedBatchSampler(15, length=len(data), rank=3, world_size=4)
    sampler.length = 3
    for workers in (0, 2):
        (batch,) = DataLoader(data, sampler, workers).epoch(0)
        assert len(batch) == 0 and batch.images.shape == (0, 3, 8, 8)


def test_images_of_different_size(image_files: Any, tmp_path: Path, parts: Any) -> None:
    from PIL import Image

    root = image_files({"a.png": 1})
    Image.new("RGB", (7, 5)).save(root / "b.png")
    (tmp_path / "list.txt").write_text("a.png 0\nb.png 0\n")
    data = ImageNetDataset(str(root), str(tmp_path / "list.txt"), parts("DecodeImage"))
    with pytest.raises(DataError, match=r"\(5, 7\) and \(12, 10\).*CropImage"):
        list(loader(data).epoch(0))
    assert [batch.images.shape[2:] for batch in loader(data, batch_size=1).epoch(0)]


class Failing:
    """A transform that fails on one image for a reason that is not the image's."""

    def __init__(self, error: Exception, level: int) -> None:
        self.error, self.level = error, level
        self.output_size, self.channels, self.output_dtype = None, 3, np.float32

    def at(self, progress: float) -> Failing:
        return self

    def __call__(self, source: bytes, rng: Any, out: Any) -> np.ndarray:
        from ppcls.data.transforms.decode import decode_rgb

        image = decode_rgb(source)
        if image[0, 0, 0] == self.level:
            raise self.error
        return np.zeros((3, 2, 2), np.float32)


@pytest.mark.parametrize("workers", [0, 2])
def test_other_errors_name_the_file_and_keep_the_traceback(workers: int, dataset: Any) -> None:
    data = dataset()
    data.transform = Failing(ZeroDivisionError("a bug"), level=8 * 17)
    with pytest.raises(RuntimeError, match="image 17, '.*17.png'.*a bug") as caught:
        list(loader(data, workers).epoch(0))
    cause = caught.value.__cause__
    assert isinstance(cause, ZeroDivisionError)
    assert "raise self.error" in "".join(traceback.format_tb(cause.__traceback__))


def test_errors_for_users_pass_unchanged(dataset: Any) -> None:
    data = dataset()
    data.transform = Failing(ConfigError("set it right"), level=8 * 17)
    with pytest.raises(ConfigError, match="^set it right$"):
        list(loader(data, 2).epoch(0))


class InMemory(Dataset):
    """Images without files, of which number 2 cannot be had."""

    def __init__(self, images: List[bytes], labels: Labels, transform: Pipeline) -> None:
        names = [f"shard.tar/{number}" for number in range(len(images))]
        super().__init__(names, labels, ClassMap(["cat", "dog"]), transform)
        self.images = images

    def read(self, index: int) -> bytes:
        if index == 2:
            raise BadImageError("the shard ends before it")
        return self.images[index]


SOFT = np.array([[0.25, 0.75], [1, 0], [0.5, 0.5], [0, 1]], np.float32)


@pytest.mark.parametrize("kind", [LabelKind.SOFT, LabelKind.MULTI_HOT])
@pytest.mark.parametrize("workers", [0, 2])
def test_data_sets_need_no_files_and_have_any_labels(
    workers: int, kind: LabelKind, photo: np.ndarray, encode: Any, parts: Any
) -> None:
    images = [encode(photo + np.uint8(level), "PNG") for level in range(4)]
    data = InMemory(images, Labels(kind, SOFT), Pipeline(parts("DecodeImage")))
    sampler = DistributedBatchSampler(4, length=4)
    (batch,) = DataLoader(data, sampler, workers).epoch(0)
    assert batch.labels.kind is DataLoader(data, sampler).label_kind is kind
    np.testing.assert_array_equal(batch.labels.values, SOFT[[0, 1, 3]])
    np.testing.assert_array_equal(batch.images[2], (photo + np.uint8(3)).transpose(2, 0, 1))
    (bad,) = batch.bad
    assert (bad.name, bad.label) == ("shard.tar/2", [0.5, 0.5])
    assert bad.reason == "the shard ends before it"


def test_the_fingerprint_is_of_names_and_labels(photo: np.ndarray, parts: Any) -> None:
    pipeline = Pipeline(parts("DecodeImage"))
    hard = [Labels(LabelKind.HARD, np.array(classes)) for classes in ([0, 1], [0, 1], [1, 1])]
    first, same, other = (InMemory([b"", b""], labels, pipeline).fingerprint for labels in hard)
    assert first == same != other
    # SHA-256 of the classes as 8 bytes each, lowest first, then the names on lines of their own.
    written = bytes(8) + b"\1" + bytes(7) + b"shard.tar/0\nshard.tar/1\n"
    assert first == hashlib.sha256(written).hexdigest()[:16]
    soft = InMemory([b""] * 4, Labels(LabelKind.SOFT, SOFT), pipeline)
    # Every checkpoint asks for it, and a million names take seconds.
    assert soft.fingerprint and soft.fingerprint is soft.fingerprint


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ops", [["DecodeImage", "RandFlipImage"], RANDOM], ids=["loose", "fixed"])
def test_levels_may_stay_uint8(ops: Any, workers: int, dataset: Any, parts: Any) -> None:
    data = dataset(*ops, damaged=True)
    floats = list(loader(data, workers, batch_size=1).epoch(0))
    data.transform = Pipeline(parts(*ops), output_dtype="uint8")
    for batch, other in zip(loader(data, workers, batch_size=1).epoch(0), floats):
        assert batch.images.dtype == np.uint8 and other.images.dtype == np.float32
        np.testing.assert_array_equal(batch.images, other.images)


def data_threads() -> int:
    return sum(thread.name.startswith("ppcls-data") for thread in threading.enumerate())


def test_threads_end_when_the_caller_stops_early(dataset: Any) -> None:
    batches = loader(dataset(), 3, batch_size=2).epoch(0)
    next(batches)
    assert 1 <= data_threads() <= 3
    batches.close()
    assert data_threads() == 0
    for _ in loader(dataset(), 2, batch_size=2).epoch(0):
        break
    list(loader(dataset(), 2).epoch(0))
    assert data_threads() == 0


def test_threads_leave_the_interpreter_soon_while_they_read(dataset: Any) -> None:
    before = sys.getswitchinterval()
    one, other = (loader(dataset(), 2, batch_size=2).epoch(0) for _ in range(2))
    next(one)
    assert sys.getswitchinterval() < before
    next(other)
    one.close()
    other.close()
    assert sys.getswitchinterval() == before


def test_reads_ahead_but_not_without_limit(dataset: Any) -> None:
    data = dataset()
    read: List[int] = []
    fetch = data.read
    data.read = lambda index: read.append(index) or fetch(index)
    batches = loader(data, 2, batch_size=3, prefetch=2).epoch(0)
    next(batches)
    for _ in range(100):
        if len(read) == 9:
            break
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(read) == 9  # the batch that was handed out, and two more
    batches.close()


def test_small_images_are_read_by_one_thread_from_the_second_epoch_on(
    dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "_ENOUGH", 20)
    one, alone = loader(dataset(), 3), loader(dataset())
    for worth, expected in ((9.0, 3), (9.0, 1), (0.0, 3)):
        monkeypatch.setattr(pacing, "_WORTH_A_THREAD", worth)
        seen = set()
        found = []
        for batch in one.epoch(1):
            seen |= {t.name for t in threading.enumerate() if t.name.startswith("ppcls-data")}
            found.append(batch)
        assert len(seen) <= expected
        assert everything(found) == everything(list(alone.epoch(1)))


def test_how_long_images_take_decides_on_threads() -> None:
    pace = pacing.Pace()
    assert pace.is_worth_threads()  # nothing is known yet
    pace.add(1.0, 10_000)
    assert not pace.is_worth_threads() and pace.is_worth_threads()
    pace.add(1.0, 500)
    assert pace.is_worth_threads()


def test_batch_transforms_count_as_well(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(BatchTransform):
        def __call__(self, batch: Batch, rng: Any) -> Batch:
            time.sleep(0.05)
            return batch

    monkeypatch.setattr(pacing, "_ENOUGH", 1)
    monkeypatch.setattr(pacing, "_WORTH_A_THREAD", 0.005)
    one = loader(dataset(), 2, batch_transforms=[Slow()])
    list(one.epoch(0))
    assert one._pace.is_worth_threads()


@pytest.mark.parametrize("isolate", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_transforms_may_change_with_the_epochs(isolate: bool, dataset: Any) -> None:
    data = dataset("DecodeImage", {"CropImage": {"size": 8}}, {"GridMask": {"d1": 3, "d2": 6}})
    plain = np.concatenate([batch.images for batch in loader(data).epoch(0)])
    reader = loader(data, workers=2, isolate=isolate, epochs=3)
    changed = [
        np.mean([(image == 0).any() for batch in reader.epoch(epoch) for image in batch.images])
        for epoch in range(3)
    ]
    assert (plain == 0).any(axis=(1, 2, 3)).mean() < 0.1
    assert changed[0] < 0.1 and 0.15 < changed[1] < 0.55 and 0.5 < changed[2] < 0.9


@pytest.mark.parametrize("workers", [0, 2])
def test_copies_of_an_image_are_changed_differently(workers: int, dataset: Any) -> None:
    data = dataset()
    twice = RASampler(8, length=len(data), seed=5, repeats=2)
    (first, *_), (again, *_) = (
        list(DataLoader(data, twice, workers, seed=5).epoch(1)) for _ in range(2)
    )
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.indices[::2], first.indices[1::2])
    assert first.indices.max() < len(data)
    same = (first.images[::2] == first.images[1::2]).all(axis=(1, 2, 3))
    assert same.sum() <= 1  # black ones are
    once = DistributedBatchSampler(8, True, length=len(data), seed=5)
    whole = np.concatenate([b.images for b in DataLoader(data, once, seed=5).epoch(1)])
    order = np.concatenate(once.batches(1)).tolist()
    np.testing.assert_array_equal(
        first.images[::2], whole[[order.index(i) for i in first.indices[::2]]]
    )
