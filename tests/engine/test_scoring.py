"""Logits of a whole set, in its order, in one pass."""

from __future__ import annotations

import csv
import threading
from pathlib import Path
from typing import Any, List, TypeVar

import numpy as np
import paddle
import pytest

from ppcls.arch import build
from ppcls.config import as_config
from ppcls.data.loader import DataLoader
from ppcls.data.sampler import DistributedBatchSampler
from ppcls.engine.builder import build_eval
from ppcls.engine.evaluator import evaluate_network
from ppcls.engine.predictions_csv import write_predictions
from ppcls.engine.scoring import ScoreKeeper, listening, score
from ppcls.engine.trained import eval_transform, load_trained
from ppcls.engine.world import World
from ppcls.errors import UsageError
from ppcls.metric import CombinedMetric
from ppcls.registry import Part

T = TypeVar("T")


@pytest.fixture(scope="module")
def parts(trained: Any) -> Any:
    """A trained network and the loader of its 40 evaluation images."""
    config = as_config(trained.recipe)
    found = load_trained(config, eval_transform(config))
    return found.network, build_eval(config, found.class_map, World())


def one_by_one(network: Any, loader: DataLoader) -> np.ndarray:
    """Logits of each image of the set alone."""
    dataset = loader.dataset
    images = [dataset.transform(dataset.read(index)) for index in range(len(dataset))]
    with paddle.no_grad():
        rows = [network(paddle.to_tensor(image[None])).numpy()[0] for image in images]
    return np.stack(rows)


def test_a_row_for_each_image_in_the_order_of_the_set(parts: Any, digits: Path) -> None:
    network, loader = parts
    found = score(network, loader, World())
    names = [line.split()[0] for line in (digits / "val.txt").read_text().splitlines()]
    assert found.names == found.paths == [str(digits / name) for name in names]
    assert found.indices.tolist() == list(range(40)) and found.bad == []
    assert found.labels.tolist() == [i // 10 for i in range(40)]
    assert found.logits.dtype == np.float32 and found.embeddings.shape == (0, 0)
    np.testing.assert_allclose(found.logits, one_by_one(network, loader), atol=1e-5)
    np.testing.assert_allclose(found.probabilities.sum(1), 1, rtol=1e-5)


def test_the_order_of_reading_changes_nothing(parts: Any) -> None:
    network, loader = parts
    shuffled = DistributedBatchSampler(7, shuffle=True, length=40, seed=3)
    found = score(network, DataLoader(loader.dataset, shuffled), World())
    np.testing.assert_allclose(found.logits, score(network, loader, World()).logits, atol=1e-5)


def test_embeddings_are_what_the_last_layer_works_on(parts: Any) -> None:
    network, loader = parts
    found = score(network, loader, World(), embeddings=True)
    last = [layer for layer in network.head.sublayers() if isinstance(layer, paddle.nn.Linear)][-1]
    again = found.embeddings @ last.weight.numpy() + last.bias.numpy()
    np.testing.assert_allclose(again, found.logits, atol=1e-4)


def test_embeddings_of_a_head_that_ends_in_a_convolution() -> None:
    network = build(Part("arch", "SqueezeNet1_1", {"class_num": 3}))
    network.eval()
    with listening(network) as embedding:
        network(paddle.zeros([2, 3, 64, 64]))
    assert embedding.read().shape == [2, 512]


def damaged(loader: DataLoader, bad: List[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let some images of the set be unreadable."""
    read = loader.dataset.read
    monkeypatch.setattr(
        loader.dataset, "read", lambda index: b"no image" if index in bad else read(index)
    )


@pytest.mark.parametrize("bad", [[0], [3, 17, 39], list(range(39)), list(range(40))])
def test_unreadable_images_are_left_out(
    parts: Any, bad: List[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, loader = parts
    whole = score(network, loader, World(), embeddings=True)
    damaged(loader, bad, monkeypatch)
    found = score(network, loader, World(), embeddings=True)
    good = np.setdiff1d(np.arange(40), bad)
    assert [image.index for image in found.bad] == bad
    assert found.indices.tolist() == good.tolist() and len(found.names) == len(found) == len(good)
    if len(good):
        np.testing.assert_allclose(found.logits, whole.logits[good], atol=1e-5)
        np.testing.assert_allclose(found.embeddings, whole.embeddings[good], atol=1e-5)
    else:
        assert found.logits.shape == (0, 4)


class Member(World):
    """One of two processes, here a thread."""

    size = 2

    def __init__(self, rank: int, slots: List[Any], meeting: threading.Barrier) -> None:
        self.rank, self.slots, self.meeting = rank, slots, meeting

    def gather(self, value: T) -> List[T]:
        self.slots[self.rank] = value
        self.meeting.wait()
        found = list(self.slots)
        self.meeting.wait()
        return found


def test_two_processes_find_what_one_does(parts: Any) -> None:
    network, loader = parts
    slots, meeting = [None, None], threading.Barrier(2, timeout=60)
    keepers, found = [ScoreKeeper(loader.dataset) for _ in range(2)], {}
    for rank, keeper in enumerate(keepers):
        sampler = DistributedBatchSampler(3, length=40, rank=rank, world_size=2)
        batches = DataLoader(loader.dataset, sampler).epoch(0)
        evaluate_network(network, batches, CombinedMetric([]), None, World(), [keeper])

    def meet(rank: int) -> None:
        found[rank] = keepers[rank].result([], Member(rank, slots, meeting))

    threads = [threading.Thread(target=meet, args=[rank]) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    alone = score(network, loader, World())
    for one in found.values():
        assert one.names == alone.names
        np.testing.assert_allclose(one.logits, alone.logits, atol=1e-5)


def test_table_of_predictions(parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, loader = parts
    damaged(loader, [2], monkeypatch)
    found = score(network, loader, World())
    write_predictions(tmp_path / "found.csv", found)
    with (tmp_path / "found.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [loader.dataset.name(i) for i in range(40)]
    assert rows[2]["label"] == "0" and rows[2]["predicted"] == ""
    readable = [row for row in rows if row["predicted"]]
    assert [int(row["predicted"]) for row in readable] == found.predicted.tolist()
    assert [row["correct"] == "1" for row in readable] == list(found.predicted == found.labels)
    for row, probabilities in zip(readable, found.probabilities):
        assert row["class_1"] == row["predicted"] and row["probability_1"] == row["probability"]
        ranked = [float(row[f"probability_{rank}"]) for rank in range(1, 5)]
        np.testing.assert_allclose(ranked, np.sort(probabilities)[::-1], atol=1e-6)
    with pytest.raises(UsageError, match="ends in .csv"):
        write_predictions(tmp_path / "found.txt", found)
