"""The digits as files: complete, whole, and never over somebody's data."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ppcls.data import prepare
from ppcls.data.dataset import ClassMap, ImageFolder, ImageNetDataset
from ppcls.data.prepare import prepare_digits
from ppcls.errors import UsageError


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared folder."""
    folder = tmp_path_factory.mktemp("digits") / "digits"
    prepared = prepare_digits(folder)
    assert (prepared.train, prepared.val, prepared.classes) == (1438, 359, 10)
    assert str(prepared).startswith("digits: wrote 1438 training and 359 validation images")
    return folder


@pytest.mark.slow
def test_holds_a_fifth_of_each_class_back(digits: Path, parts: Any) -> None:
    train, val = (
        ImageNetDataset(str(digits), str(digits / f"{part}_list.txt"), parts("DecodeImage"))
        for part in ("train", "val")
    )
    assert len(val) == 1797 // 5 and len(train) + len(val) == 1797
    names = [{part.name(i) for i in range(len(part))} for part in (train, val)]
    assert not names[0] & names[1]
    counts, held = (Counter(part.labels.values.tolist()) for part in (train, val))
    for digit in range(10):
        assert abs(held[digit] - (counts[digit] + held[digit]) / 5) <= 1
    assert train.class_map == ClassMap.from_label_file(digits / "label_list.txt")


def test_reads_as_class_folders_too(digits: Path, parts: Any) -> None:
    ops = parts({"DecodeImage": {"channel_num": 1}})
    train = ImageFolder(str(digits / "train"), ops)
    val = ImageFolder(str(digits / "val"), ops, train.class_map)
    assert (len(train), len(val)) == (1438, 359)
    assert train.class_map == ClassMap.numbered(10)


def test_images_are_the_originals_enlarged(digits: Path) -> None:
    from sklearn.datasets import load_digits

    original = load_digits()
    lines = (digits / "train_list.txt").read_text().splitlines()
    for line in lines[::200]:
        name, label = line.split(" ")
        number = int(Path(name).stem)
        assert int(label) == original.target[number] and Path(name).parts[1] == label
        image = cv2.imread(str(digits / name), cv2.IMREAD_UNCHANGED)
        assert image.shape == (64, 64) and image.dtype == np.uint8
        small = cv2.resize(image, (10, 10), interpolation=cv2.INTER_AREA)[1:-1, 1:-1]
        correlation = np.corrcoef(small.ravel(), original.images[number].ravel())[0, 1]
        assert correlation > 0.95


def test_running_it_again_changes_nothing(digits: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in digits.rglob("*")}
    assert "are already in" in str(prepare_digits(digits))
    assert {path: path.stat().st_mtime_ns for path in digits.rglob("*")} == before


@pytest.mark.slow
def test_is_the_same_everywhere(digits: Path, tmp_path: Path) -> None:
    prepare_digits(tmp_path / "again")
    for name in ("train_list.txt", "val_list.txt", "label_list.txt"):
        assert (tmp_path / "again" / name).read_bytes() == (digits / name).read_bytes()


@pytest.mark.slow
def test_makes_parents_and_accepts_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert prepare_digits("empty", size=8).is_new
    assert prepare_digits(Path("new") / "deep").folder == Path("new/deep")
    assert sorted(os.listdir(tmp_path)) == ["empty", "new"]


def test_refuses_other_peoples_folders(tmp_path: Path, digits: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match="holds other things; choose a folder"):
        prepare_digits(tmp_path)
    with pytest.raises(UsageError, match="holds other things"):
        prepare_digits(tmp_path / "holiday.jpg")
    with pytest.raises(UsageError, match="another or incomplete version"):
        prepare_digits(digits, size=32)
    assert os.listdir(tmp_path) == ["holiday.jpg"]


def test_notices_missing_files(tmp_path: Path) -> None:
    prepare_digits(tmp_path / "digits", size=8)
    next((tmp_path / "digits" / "val" / "3").iterdir()).unlink()
    with pytest.raises(UsageError, match="1 files are missing.*delete the folder"):
        prepare_digits(tmp_path / "digits", size=8)


def test_leaves_nothing_behind_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepare, "_write_files", full)
    with pytest.raises(UsageError, match="cannot be written: No space left on device"):
        prepare_digits(tmp_path / "digits")
    assert os.listdir(tmp_path) == []


def test_without_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UsageError, match="pip install scikit-learn"):
        prepare_digits(tmp_path / "digits")
