"""Which images the first model learns from, and what is said of those that it could not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ppcls.arch import create_model
from ppcls.data.batch import BadImage
from ppcls.data.dataset import ImageNetDataset
from ppcls.errors import DataError
from ppcls.transfer import first_model
from ppcls.transfer.features import FeatureEngine, Features
from ppcls.transfer.first_model import (
    FeatureReader,
    _refuse_single_class,
    _right,
    _stamp,
    _warn_of_missing,
    fit_first_model,
)


@pytest.mark.parametrize(
    ("bad", "why"), [(0, "a longer --budget reads more images"), (3, "3 images cannot be read")]
)
def test_classes_without_images_are_named(bad: int, why: str, caplog) -> None:
    _warn_of_missing(np.array([0, 2, 2]), ["cat", "dog", "cow", "owl\x1b"], bad)
    assert caplog.messages == [
        "the linear head never answers 2 of the 4 classes, of which no image was read "
        f"(dog, owl\\x1b): {why}"
    ]


def test_nothing_is_said_where_all_classes_have_images(caplog) -> None:
    _warn_of_missing(np.array([1, 0]), ["cat", "dog"], 5)
    assert not caplog.messages


@pytest.mark.parametrize(("flip", "counts"), [(True, [2, 2, 2, 2]), (False, None)])
def test_a_short_budget_reads_as_many_images_of_each_class(
    flip: bool,
    counts: Any,
    digits: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Those that judge are a random part instead."""
    monkeypatch.setattr(first_model, "_TIMED_FROM", 8)
    monkeypatch.setattr(first_model, "BATCH", 2)
    ops = [{"DecodeImage": {"channel_num": 1}}, {"ResizeImage": {"size": 8}}]
    ops += [{"ToCHWImage": None}]
    images = ImageNetDataset(str(digits), str(digits / "train.txt"), ops)
    network: Any = None

    def read_in(seconds: float) -> np.ndarray:
        reader = FeatureReader(network, Path("w"), "cpu", seconds)
        reader.engine = FeatureEngine(lambda given: given.reshape(len(given), -1), "fake")
        return reader._affordable(images, flip, judges=not flip)

    with caplog.at_level("INFO", "ppcls"):
        few = read_in(0.0)
    assert caplog.messages == ["features of 0 of the 80 images, as the budget allows"]
    assert len(set(few.tolist())) == 8 and sorted(few) == few.tolist()
    if counts:
        assert np.bincount(images.labels.values[few]).tolist() == counts
    assert read_in(0.0).tolist() == few.tolist(), "always the same"
    assert read_in(1e9).tolist() == list(range(80))


def test_what_a_file_is_like_is_known_while_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert _stamp(tmp_path / "a")[0] == 5 and _stamp(tmp_path / "none") == []


def test_without_readable_images_nothing_is_judged() -> None:
    nothing = Features(np.empty((0, 3), np.float32), None, np.empty(0, np.int64), [])
    unused: Any = None
    assert _right(unused, nothing, np.empty(0, np.int64)) == 0


def test_unreadable_held_back_images_leave_one_head(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ops = [{"DecodeImage": {"channel_num": 1}}, {"ResizeImage": {"size": 32}}]
    ops += [{"ToCHWImage": None}]
    train = ImageNetDataset(str(digits), str(digits / "train.txt"), ops)
    rows = np.random.default_rng(0).normal(size=(len(train), 84)).astype(np.float32)
    bad = [BadImage(0, "a.png", 0, "empty")]
    found = iter(
        [
            Features(rows, rows, np.arange(len(train)), []),
            Features(np.empty((0, 1), np.float32), np.empty((0, 1)), np.empty(0, np.int64), bad),
        ]
    )
    reader: Any = SimpleNamespace(read=lambda *given, **options: next(found), engine=None)
    network = create_model("LeNet", class_num=4)
    paths = tmp_path / "head", tmp_path / "final" / "head"
    model = fit_first_model(network, reader, train, train, paths[0], refit=paths[1])
    assert (model.held_back, model.refit, model.bad) == (0, None, bad)
    assert paths[0].is_file() and not paths[1].exists()


def test_a_single_class_is_nothing_to_learn_and_the_first_bad_images_are_named() -> None:
    _refuse_single_class(np.array([0, 1]), [])
    with pytest.raises(
        DataError, match=r"2 training images can be read, of 1 class\(es\), and 0 c"
    ):
        _refuse_single_class(np.array([3, 3]), [])
    bad = [BadImage(number, f"{number}.png", 0, "empty") for number in range(12)]
    with pytest.raises(DataError) as found:
        _refuse_single_class(np.array([], np.int64), bad)
    first, *named = str(found.value).splitlines()
    assert first.endswith("0 training images can be read, of 0 class(es), and 12 cannot:")
    assert named == [f"  {number}.png: empty" for number in range(10)]
