"""Batches on their way to a device, with one that keeps note in a GPU's place."""

from __future__ import annotations

from typing import Any, Generator, List

import numpy as np
import paddle
import pytest

from ppcls.data.batch import Batch
from ppcls.engine import ahead
from ppcls.engine.ahead import batches_on, pinned_sender, sent_ahead
from ppcls.labels import LabelKind, Labels


def batch_of(number: int, count: int = 2) -> Batch:
    images = np.full((count, 1, 1, 3), number, np.uint8)
    labels = Labels(LabelKind.HARD, np.zeros(count, np.int64))
    return Batch(images, labels, np.arange(count), number)


def test_each_is_sent_before_the_one_in_front_is_handed_out() -> None:
    seen: List[str] = []

    def read() -> Generator[Batch, None, None]:
        for number in range(3):
            yield batch_of(number)

    def send(images: np.ndarray) -> Any:
        seen.append(f"sent {images[0, 0, 0, 0]}")
        return paddle.to_tensor(images)

    for batch in sent_ahead(read(), send):
        assert (
            isinstance(batch.images, paddle.Tensor) and batch.images.numpy().max() == batch.number
        )
        seen.append(f"computed {batch.number}")
    assert seen == ["sent 0", "sent 1", "computed 0", "sent 2", "computed 1", "computed 2"]


def test_a_batch_without_images_stays_as_it_is() -> None:
    batches = (batch_of(number, count) for number, count in enumerate([2, 0, 2]))
    found = list(sent_ahead(batches, paddle.to_tensor))
    assert [len(batch) for batch in found] == [2, 0, 2]
    assert isinstance(found[1].images, np.ndarray)


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_who_stops_early_closes_the_loader(taken: int) -> None:
    closed = []

    def read() -> Generator[Batch, None, None]:
        try:
            for number in range(9):
                yield batch_of(number)
        finally:
            closed.append(True)

    batches = sent_ahead(read(), paddle.to_tensor)
    for _ in range(taken):
        next(batches)
    batches.close()
    assert closed == [True] * (taken > 0)


class Loader:
    leaves_levels = False

    def epoch(self, epoch: int, start: int) -> Generator[Batch, None, None]:
        yield batch_of(10 * epoch + start)


def test_on_cpus_nothing_changes() -> None:
    loader: Any = Loader()
    (batch,) = batches_on("cpu", loader, 2, start=3)
    assert batch.number == 23 and isinstance(batch.images, np.ndarray)
    assert not loader.leaves_levels


@pytest.mark.parametrize(("device", "gpu"), [("gpu", 0), ("gpu:3", 3)])
def test_on_a_gpu_levels_go_through_pinned_memory(
    device: str, gpu: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: List[Any] = []

    class Pinned:
        def __init__(self, images: np.ndarray) -> None:
            self.images = images

        def cuda(self, number: int, blocking: bool) -> paddle.Tensor:
            calls.append((number, blocking))
            return paddle.to_tensor(self.images)

    class StandIn:
        CUDAPinnedPlace = str
        Tensor = paddle.Tensor

        @staticmethod
        def to_tensor(images: np.ndarray, place: str) -> Pinned:
            calls.append(("pinned", place, images.dtype.name))
            return Pinned(images)

    monkeypatch.setattr(ahead, "paddle", StandIn)
    loader: Any = Loader()
    (batch,) = batches_on(device, loader, 0)
    assert loader.leaves_levels and batch.images.shape == [2, 1, 1, 3]
    assert calls == [("pinned", "", "uint8"), (gpu, False)]


def test_the_names_are_those_of_paddle() -> None:
    assert callable(paddle.CUDAPinnedPlace) and callable(pinned_sender)
    assert callable(paddle.to_tensor(0.0).cuda)
