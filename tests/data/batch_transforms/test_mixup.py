"""Mixup against a hand calculation, alone, in the loader, and in a run that is resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, List

import numpy as np
import pytest

from ppcls.data.batch import Batch
from ppcls.data.batch_transforms.base import BatchTransform, as_soft
from ppcls.data.dataset import ImageNetDataset
from ppcls.data.loader import DataLoader
from ppcls.data.sampler import DistributedBatchSampler
from ppcls.data.transforms import Pipeline
from ppcls.engine.device_ops import network_input
from ppcls.errors import ConfigError
from ppcls.labels import LabelKind, Labels
from ppcls.registry import create

HARD, SOFT, MULTI_HOT, MIXED = LabelKind


class Drawn:
    """A generator that draws what a test says."""

    def beta(self, a: float, b: float) -> float:
        assert a == b == 0.2
        return 0.75

    def permutation(self, count: int) -> np.ndarray:
        return np.array([1, 2, 0])[:count]


def batch_of(images: np.ndarray, labels: Labels) -> Batch:
    return Batch(images, labels, np.arange(len(images)), number=0)


def mixup(alpha: float = 0.2, classes: int = 3) -> Any:
    return create("batch_transform", "MixupOperator", {"alpha": alpha}, class_num=classes)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_mixes_images_and_labels_by_hand(dtype: Any) -> None:
    images = np.array([0, 100, 200], dtype).reshape(3, 1, 1, 1)
    batch = mixup()(batch_of(images, Labels(HARD, np.array([0, 1, 1]))), Drawn())
    # 0.75 * own + 0.25 * partner: 0 with 100, 100 with 200, 200 with 0.
    assert batch.images.ravel().tolist() == [25, 125, 150] and batch.images.dtype == np.float32
    assert batch.labels.kind is SOFT
    assert batch.labels.values.tolist() == [[0.75, 0.25, 0], [0, 1, 0], [0.25, 0.75, 0]]


def test_soft_labels_are_mixed_too() -> None:
    soft = Labels(SOFT, np.array([[0.5, 0.5], [1, 0], [0, 1]], np.float32))
    batch = mixup(classes=2)(batch_of(np.zeros((3, 1, 1, 1), np.float32), soft), Drawn())
    assert batch.labels.values.tolist() == [[0.625, 0.375], [0.75, 0.25], [0.125, 0.875]]


def test_images_of_a_device_are_mixed_there_to_the_same_numbers(dataset: Any, parts: Any) -> None:
    data = dataset()
    data.transform = Pipeline(parts({"CropImage": {"size": 8}}, {"NormalizeImage": {"order": ""}}))
    sampler = DistributedBatchSampler(8, shuffle=True, length=30)
    ops = [mixup(1.0)]
    plain = DataLoader(data, sampler, batch_transforms=ops)
    levels = DataLoader(data, sampler, batch_transforms=ops, leaves_levels=True)
    for there, here in zip(levels.epoch(3), plain.epoch(3)):
        assert there.images.dtype == np.uint8 and len(there.left) == 2 and not here.left
        np.testing.assert_array_equal(there.labels.values, here.labels.values)
        np.testing.assert_allclose(network_input(there).numpy(), here.images, rtol=0, atol=1e-6)


def test_ops_that_change_images_themselves_get_normalised_ones(dataset: Any, parts: Any) -> None:
    class Halving(BatchTransform):
        def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
            return replace(batch, images=batch.images / 2)

    data = dataset()
    data.transform = Pipeline(parts({"CropImage": {"size": 8}}, {"NormalizeImage": {"order": ""}}))
    sampler = DistributedBatchSampler(8, length=30)
    ops = [mixup(1.0), Halving()]
    plain, other = (
        DataLoader(data, sampler, batch_transforms=ops, leaves_levels=leaves)
        for leaves in (False, True)
    )
    for one, two in zip(plain.epoch(0), other.epoch(0)):
        assert not two.left
        np.testing.assert_array_equal(one.images, two.images)


@pytest.mark.parametrize("count", [0, 1])
def test_batches_that_have_no_pair(count: int) -> None:
    images = np.full((count, 3, 2, 2), 0.3, np.float32)
    given = batch_of(images, Labels(HARD, np.full(count, 2)))
    batch = mixup()(given, np.random.default_rng(0))
    np.testing.assert_allclose(batch.images, images, rtol=1e-6)
    np.testing.assert_allclose(batch.labels.values, np.eye(3)[[2] * count], rtol=1e-6)
    assert batch.labels.values.dtype == np.float32


def test_leaves_the_batch_that_went_in_as_it_was() -> None:
    images, labels = np.random.rand(3, 1, 2, 2).astype(np.float32), Labels(HARD, np.arange(3))
    before = images.copy()
    mixup()(batch_of(images, labels), Drawn())
    np.testing.assert_array_equal(images, before)
    assert labels.values.tolist() == [0, 1, 2]


def test_alpha_decides_how_even_the_mixture_is() -> None:
    def distance(alpha: float) -> float:
        batch = batch_of(np.zeros((2, 1, 1, 1), np.float32), Labels(HARD, np.array([0, 1])))
        rngs = [np.random.default_rng(seed) for seed in range(300)]
        largest = [mixup(alpha, 2)(batch, rng).labels.values.max() for rng in rngs]
        # Every other permutation of two changes nothing.
        return float(np.mean([value for value in largest if value < 1]))

    assert distance(0.1) > 0.9 > 0.7 > distance(5)


@pytest.mark.parametrize("alpha", [0, -1, float("inf")])
def test_nonsense_is_refused(alpha: float) -> None:
    with pytest.raises(ConfigError, match="MixupOperator: alpha: must be "):
        mixup(alpha)


def test_kinds_of_labels() -> None:
    assert mixup().output_kind(HARD) is mixup().output_kind(SOFT) is SOFT
    assert mixup().output_kind(MULTI_HOT) is mixup().output_kind(MIXED) is MIXED
    np.testing.assert_array_equal(as_soft(Labels(HARD, np.array([1])), 3).values, [[0, 1, 0]])


# --- in the loader -----------------------------------------------------------------------------


@pytest.fixture()
def dataset(image_files: Any, tmp_path: Path, parts: Any) -> Callable[..., ImageNetDataset]:
    """Thirty images of one level each, three of which may be damaged."""

    def make(damaged: bool = False) -> ImageNetDataset:
        root = image_files({f"{n:02d}.png": 8 * n for n in range(30)})
        for number in (4, 11, 12) if damaged else ():
            (root / f"{number:02d}.png").write_bytes(b"")
        lines = [f"{n:02d}.png {n % 3}\n" for n in range(30)]
        (tmp_path / "list.txt").write_text("".join(lines))
        return ImageNetDataset(str(root), str(tmp_path / "list.txt"), parts("DecodeImage"))

    return make


def loader(data: Any, workers: int = 0, size: int = 8, seed: int = 5, **rank: int) -> DataLoader:
    sampler = DistributedBatchSampler(size, shuffle=True, length=len(data), seed=seed, **rank)
    return DataLoader(data, sampler, workers, seed, batch_transforms=[mixup(1.0)])


def everything(batches: Any) -> List[Any]:
    return [(b.images.tobytes(), b.labels.values.tobytes(), b.number, b.bad) for b in batches]


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("workers", [1, 3])
def test_threads_and_resuming_change_nothing(workers: int, damaged: bool, dataset: Any) -> None:
    data = dataset(damaged)
    whole = everything(loader(data).epoch(2))
    for start in (0, 1, 3):
        assert everything(loader(data, workers).epoch(2, start)) == whole[start:]
    assert everything(loader(data).epoch(1)) != whole
    assert everything(loader(data, seed=6).epoch(2)) != whole


def test_every_batch_of_an_epoch_draws_for_itself(dataset: Any) -> None:
    data = dataset()
    fractions = [batch.labels.values.max(axis=1).min() for batch in loader(data).epoch(0)]
    assert len(set(np.round(fractions, 6).tolist())) == 4


def test_images_and_labels_stay_together(dataset: Any) -> None:
    data = dataset(damaged=True)
    for batch in loader(data, 2).epoch(0):
        originals = 8.0 * batch.indices
        # Each image is a level, so both partners can be told from the mixture and the labels.
        one_hot = np.eye(3)[batch.indices % 3]
        found = [
            np.allclose(
                batch.images[:, 0, 0, 0], f * originals + (1 - f) * originals[order], atol=1e-3
            )
            and np.allclose(batch.labels.values, f * one_hot + (1 - f) * one_hot[order], atol=1e-5)
            for f, order in [expected(batch)]
        ]
        assert found == [True] and not {4, 11, 12} & set(batch.indices.tolist())


def expected(batch: Batch) -> Any:
    """The mixture that the documented generator of (seed, epoch, number) draws."""
    seed = np.random.SeedSequence([5, 0, batch.number], spawn_key=(1,))
    rng = np.random.default_rng(seed)
    return rng.beta(1.0, 1.0), rng.permutation(len(batch))


def test_ranks_mix_their_part_of_a_batch_in_the_same_proportion(dataset: Any) -> None:
    data = dataset()
    ranks = [list(loader(data, size=4, rank=rank, world_size=2).epoch(0)) for rank in (0, 1)]
    for batches in zip(*ranks):
        assert len({batch.number for batch in batches}) == 1
        assert len({expected(batch)[0] for batch in batches}) == 1


def test_an_empty_batch_is_transformed_too(dataset: Any) -> None:
    data = dataset(damaged=True)
    empty = [batch for batch in loader(data, 2, size=1).epoch(0) if len(batch) == 0]
    assert len(empty) == 3
    assert all(batch.labels.kind is SOFT and batch.labels.values.shape == (0, 3) for batch in empty)


class Failing(BatchTransform):
    """An op with a bug."""

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        raise ZeroDivisionError("a bug")


@pytest.mark.parametrize("workers", [0, 2])
def test_mistakes_of_an_op_come_out(workers: int, dataset: Any) -> None:
    data = dataset()
    sampler = DistributedBatchSampler(8, length=30)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        list(DataLoader(data, sampler, workers, batch_transforms=[Failing()]).epoch(0))
