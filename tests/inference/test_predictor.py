from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import cv2
import numpy as np
import pytest
from PIL import Image

from ppcls.errors import BundleError, UsageError
from ppcls.inference import Prediction, Predictor
from ppcls.inference.engines import ENGINES, Engine

Edited = Callable[[Callable[[Dict[str, Any]], object]], Path]


@pytest.fixture(scope="module")
def predictor(exported: Path) -> Predictor:
    return Predictor(exported, device="cpu", batch_size=2)


def _image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def _png(rgb: np.ndarray) -> bytes:
    return cv2.imencode(".png", rgb[:, :, ::-1])[1].tobytes()


def _without_source(prediction: Prediction) -> Dict[str, Any]:
    return {**prediction.to_dict(), "source": None}


def test_paths_bytes_and_arrays_agree(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(_png(_image()))
    rows = list(predictor([path, str(path), path.read_bytes(), _image()]))
    assert [row.source for row in rows] == [str(path), str(path), "bytes[2]", "array[3]"]
    for row in rows:
        assert row.error is None and row.class_ids == rows[0].class_ids
        np.testing.assert_allclose(row.scores, rows[0].scores, rtol=1e-4)
    assert len(rows[0].names) == 3
    assert rows[0].scores == sorted(rows[0].scores, reverse=True)


def test_one_image_alone(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(_png(_image()))
    for image in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), _image()):
        row = predictor(image)
        assert row.error is None
    assert len(list(predictor(np.stack([_image(), _image(1)])))) == 2
    assert list(predictor([])) == []


def test_images_of_pillow(predictor: Predictor, tmp_path: Path) -> None:
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.fromarray(_image()).save(turned, quality=95, exif=exif, subsampling=0)
    grey = Image.fromarray(_image()).convert("L")
    clear = Image.fromarray(_image()).convert("RGBA")
    with Image.open(turned) as opened:
        rows = list(predictor([Image.fromarray(_image()), _image(), grey, clear, opened, turned]))
    assert [row.source for row in rows[:3]] == ["image[0]", "array[1]", "image[2]"]
    assert all(row.error is None for row in rows)
    np.testing.assert_allclose(rows[0].scores, rows[1].scores, rtol=1e-4)
    np.testing.assert_allclose(rows[3].scores, rows[1].scores, rtol=1e-4)
    np.testing.assert_allclose(rows[4].scores, rows[5].scores, rtol=0.01)
    row = predictor(grey)
    assert row.scores == pytest.approx(rows[2].scores, rel=1e-4)


def test_grey_arrays_are_images(predictor: Predictor) -> None:
    grey = _image()[:, :, 0]
    rows = list(predictor([grey, grey[:, :, None], np.dstack([grey] * 3)]))
    assert [row.error for row in rows] == [None] * 3
    assert len({tuple(row.class_ids) for row in rows}) == 1


def test_how_long_each_image_took(predictor: Predictor) -> None:
    one, bad, other = predictor([_image(), b"", _image(1)])
    assert bad.timing is None and one.timing is not None and other.timing is not None
    assert min(one.timing) > 0
    assert "timing" not in one.to_dict(), "what is written is the same in every run"
    assert one == replace(one, timing=None)


def test_unusable_images_are_error_rows_in_their_place(
    predictor: Predictor, tmp_path: Path
) -> None:
    (tmp_path / "text.png").write_text("hello")
    truncated = _png(_image())[:200]
    images: List[Any] = [
        _image(),
        tmp_path / "gone.png",
        tmp_path / "text.png",
        tmp_path,
        _image(1),
        b"",
        truncated,
        _image().astype(np.float32),
        np.zeros((0, 5, 3), np.uint8),
        None,
        _image(2),
    ]
    rows = list(predictor(images))
    assert [i for i, row in enumerate(rows) if row.error is None] == [0, 4, 10]
    for row in rows:
        assert bool(row.error) == (row.scores == [])
    words = [row.error or "" for row in rows]
    assert "does not exist" in words[1] and "truncated" in words[6] and "float32" in words[7]
    alone = [predictor(images[i]) for i in (0, 4, 10)]
    for single, i in zip(alone, (0, 4, 10)):
        assert single.class_ids == rows[i].class_ids
        np.testing.assert_allclose(single.scores, rows[i].scores, rtol=1e-4)


def test_surprises_in_preprocessing_are_error_rows(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(exported, device="cpu")
    monkeypatch.setattr(predictor, "transform", lambda image: 1 / 0)
    row = predictor(_image())
    assert row.error == "preprocessing failed: ZeroDivisionError: division by zero"
    monkeypatch.setattr(predictor, "transform", lambda image: np.zeros((3, 8, 8), np.float32))
    row = predictor(_image())
    assert row.error == "preprocessing gives 3x8x8, the network takes 3x32x32"


def test_an_endless_iterator_is_read_batch_by_batch(predictor: Predictor) -> None:
    read = itertools.count()

    def endless() -> Iterator[np.ndarray]:
        while True:
            next(read)
            yield _image()

    rows = list(itertools.islice(predictor(endless()), 3))
    assert len(rows) == 3
    assert next(read) == 4, "two batches of two"


class _Fake(Engine):
    """Gives fixed rows, to see what the predictor makes of them."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def run(self, images: np.ndarray) -> np.ndarray:
        return self.rows[: len(images)]

    def describe(self) -> Dict[str, Any]:
        return {}


def test_output_that_is_not_finite_is_an_error_row(exported: Path) -> None:
    predictor = Predictor(exported, device="cpu")
    rows = np.full((2, 10), 0.1, np.float32)
    rows[0, 3] = np.nan
    predictor.engine = _Fake(rows)
    first, second = predictor([_image(), _image()])
    assert "not finite" in str(first.error) and second.error is None


def test_labels_that_do_not_fit_the_network(edited: Edited) -> None:
    def nine(config: Dict[str, Any]) -> None:
        config["PostProcess"]["Topk"]["label_list"].pop()
        config["Bundle"]["output"]["classes"] = 9

    predictor = Predictor(edited(nine), device="cpu")
    with pytest.raises(
        BundleError, match="label_list holds 9 names, but the network has 10 outputs"
    ):
        predictor(_image())


class _Strange:
    """An engine whose network gives the same for whatever images."""

    def __init__(self, result: np.ndarray) -> None:
        self.result = result

    def run(self, images: np.ndarray) -> np.ndarray:
        return self.result


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (np.zeros((), np.float32), "float32 of shape \\(\\) for a batch of 1"),
        (np.zeros((3, 10), np.float32), "float32 of shape 3x10 for a batch of 1"),
        (np.zeros((1, 10, 1), np.float32), "float32 of shape 1x10x1 for a batch of 1"),
        (np.zeros((1, 10), np.int64), "int64 of shape 1x10 for a batch of 1"),
        (np.array([["a"] * 10]), "<U1 of shape 1x10 for a batch of 1"),
    ],
)
def test_networks_that_do_not_classify(exported: Path, result: np.ndarray, found: str) -> None:
    predictor = Predictor(exported, device="cpu")
    predictor.engine = _Strange(result)
    with pytest.raises(
        BundleError, match=f"gives {found}, but it is to give float32 of shape 1x10"
    ):
        list(predictor(np.zeros((40, 40, 3), np.uint8)))


def test_network_of_other_channels(edited: Edited) -> None:
    def grey(config: Dict[str, Any]) -> None:
        config["Bundle"]["input"]["channels"] = 1
        config["PreProcess"]["DecodeImage"]["channel_num"] = 1
        config["PreProcess"]["transform_ops"][1]["NormalizeImage"].update(mean=[0.5], std=[0.5])

    predictor = Predictor(edited(grey), device="cpu")
    with pytest.raises(BundleError, match="fails on images of shape 1x1x32x32: .*channel"):
        predictor(_image())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is at least 1, got 0"),
        ({"threads": 0}, "threads is at least 1"),
        ({"topk": -1}, "topk is at least 1"),
        ({"engine": "padle"}, "unknown engine 'padle'. Did you mean 'paddle'"),
        ({"device": "tpu"}, "unknown device 'tpu'; accepted: auto, cpu, gpu, gpu:N"),
    ],
)
def test_wrong_options(exported: Path, options: Dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Predictor(exported, **options)


def test_topk_and_threads(exported: Path) -> None:
    predictor = Predictor(exported, device="cpu", threads=1, topk=99)
    row = predictor(_image())
    assert sorted(row.class_ids) == list(range(10))
    assert sum(row.scores) == pytest.approx(1, rel=1e-5)
    assert predictor.engine.describe()["threads"] == 1


def test_two_predictors_in_two_threads(exported: Path) -> None:
    expected = Predictor(exported, device="cpu")(_image()).class_ids
    found: List[List[int]] = []

    def work() -> None:
        found.extend(row.class_ids for row in Predictor(exported, device="cpu")([_image()] * 9))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 18


def test_engines_are_looked_up_in_a_table(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "other", ENGINES["paddle"])
    assert Predictor(exported, engine="other", device="cpu").engine.describe()["name"] == "paddle"
