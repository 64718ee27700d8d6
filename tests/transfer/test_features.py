"""Features in an engine against those of the network in Python."""

from __future__ import annotations

from pathlib import Path
from typing import List

import numpy as np
import paddle
import pytest

from ppcls.arch import build
from ppcls.arch.pooled_features import PooledFeatures, last_layer
from ppcls.data.batch import BadImage, Batch
from ppcls.labels import LabelKind, Labels
from ppcls.registry import Part
from ppcls.transfer import features
from ppcls.transfer.features import Features, features_of, kept, open_features
from ppcls.transfer.first_model import spread

RNG = np.random.default_rng(0)


def network(name: str):
    paddle.seed(0)
    found = build(Part("arch", name, {"class_num": 5}))
    found.eval()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV1_x0_25", "AlexNet", "ResNet18", "LeNet"])
def test_the_last_layer_makes_the_logits_of_the_features(name: str) -> None:
    found = network(name)
    side = 64 if name != "LeNet" else 32
    images = paddle.rand([2, found.in_channels, side, side])
    pooled = PooledFeatures(found)
    pooled.eval()
    values = pooled(images)
    assert list(values.shape) == [2, pooled.size]
    np.testing.assert_allclose(
        last_layer(found)(values).numpy(), found(images).numpy(), rtol=1e-5, atol=1e-6
    )


def test_heads_that_end_otherwise_have_no_last_layer() -> None:
    assert last_layer(network("SqueezeNet1_1")) is None


@pytest.mark.slow
def test_an_engine_gives_what_python_gives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path))
    found = network("MobileNetV1_x0_25")
    engine = open_features(found, (3, 32, 32), "cpu")
    images = RNG.normal(0, 1, (19, 3, 32, 32)).astype(np.float32)  # a whole batch and a part
    pooled = PooledFeatures(found)
    pooled.eval()
    expected = pooled(paddle.to_tensor(images)).numpy()
    np.testing.assert_allclose(engine.run(images), expected, rtol=1e-4, atol=1e-5)
    assert engine.name in ("paddle", "onnxruntime", "openvino")


def batches():
    for number, count in enumerate((3, 0, 2)):
        images = np.full((count, 1, 2, 4), number, np.float32) + np.arange(4, dtype=np.float32)
        bad = [BadImage(9, "x.jpg", 0, "empty")] if count == 0 else []
        labels = Labels(LabelKind.HARD, np.zeros(count, np.int64))
        yield Batch(images, labels, np.arange(count) + 10 * number, number, bad)


def test_flipped_images_have_features_of_their_own() -> None:
    done = []
    found = features_of(batches(), lambda images: images[:, 0, 0, :2], True, done.append)
    np.testing.assert_array_equal(found.values[:, 0], [0, 0, 0, 2, 2])
    np.testing.assert_array_equal(found.flipped[:, 0], [3, 3, 3, 5, 5])
    assert found.indices.tolist() == [0, 1, 2, 20, 21]
    assert [image.name for image in found.bad] == ["x.jpg"] and done == [3, 1, 2]


def test_features_are_kept_until_what_they_depend_on_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path))
    made = []

    def compute() -> Features:
        made.append(len(made))
        return Features(np.ones((2, 3), np.float32), None, np.arange(2), [])

    first, again, other = (kept({"files": name}, compute) for name in ("a", "a", "b"))
    assert made == [0, 1]
    np.testing.assert_array_equal(first.values, again.values)
    for file in (tmp_path / "features").iterdir():
        file.write_bytes(b"damaged")
    kept({"files": "a"}, compute)
    assert made == [0, 1, 2]


def test_sets_with_unreadable_images_are_read_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path))
    bad = Features(np.ones((1, 1), np.float32), None, np.arange(1), [BadImage(0, "a", 0, "b")])
    kept({}, lambda: bad)
    assert not (tmp_path / "features").exists()


def test_the_oldest_features_go_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path))
    monkeypatch.setattr(features, "MOST_BYTES", 1500)
    one = Features(np.ones((100, 2), np.float32), None, np.arange(5), [])
    for number in range(3):
        kept({"number": number}, lambda: one)
    made: List[int] = []
    for number in (2, 1):
        kept({"number": number}, lambda: made.append(1) or one)
    assert len(made) == 1  # the last one was still there, the one before was not


def test_a_part_of_a_large_set_has_all_classes_alike() -> None:
    labels = np.repeat([0, 1, 2, 3], [1000, 5, 50, 0 + 300])
    places = spread(labels, 100)
    assert (np.diff(places) > 0).all() and len(places) == 100
    counts = np.bincount(labels[places])
    assert counts[1] == 5 and max(counts[[0, 2, 3]]) - min(counts[[0, 2, 3]]) <= 1
    np.testing.assert_array_equal(spread(labels, 10**6), np.arange(len(labels)))


def test_other_devices_compute_in_python() -> None:
    found = network("LeNet")
    engine = open_features(found, (1, 32, 32), "gpu:0")
    images = RNG.normal(0, 1, (3, found.in_channels, 32, 32)).astype(np.float32)
    pooled = PooledFeatures(found)
    pooled.eval()
    expected = pooled(paddle.to_tensor(images)).numpy()
    assert engine.name == "Paddle on gpu:0"
    np.testing.assert_allclose(engine.run(images), expected, rtol=1e-6)


def test_without_a_place_for_them_features_are_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "home").touch()
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path / "home"))
    one = Features(np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32), np.arange(2), [])
    with caplog.at_level("INFO", "ppcls"):
        assert kept({}, lambda: one) is one
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("the features are not kept: ")
