"""Data sets of images with any number of classes, and every mistake in their lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from ppcls.data.dataset import ClassMap, MultiLabelDataset
from ppcls.errors import DataError
from ppcls.labels import LabelKind


@pytest.fixture()
def make(image_files: Any, tmp_path: Path, parts: Any) -> Callable[..., MultiLabelDataset]:
    """Write a list file beside three images and read both."""
    root = image_files({"a.png": 10, "b.png": 20, "sub dir/c.png": 30})

    def make_dataset(text: str, **arguments: Any) -> MultiLabelDataset:
        (tmp_path / "list.txt").write_text(text, "utf-8")
        arguments = {"image_root": str(root), "transform_ops": parts("DecodeImage"), **arguments}
        return MultiLabelDataset(cls_label_path=str(tmp_path / "list.txt"), **arguments)

    return make_dataset


def test_each_image_has_an_answer_for_every_class(make: Any) -> None:
    dataset = make("a.png\t1,0,1\nsub dir/c.png\t0,0,0\nb.png\t1, 0, 1\n", delimiter="\t")
    assert dataset.label_kind is LabelKind.MULTI_HOT
    assert dataset.class_map == ClassMap.numbered(3)
    assert dataset.labels.values.dtype == np.float32
    assert dataset.labels.values.tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 1]]
    assert dataset.path(1).endswith("images/sub dir/c.png")
    same, other = make("a.png 1,0\n"), make("a.png 0,1\n")
    assert same.fingerprint == make("a.png 1,0\n").fingerprint != other.fingerprint


def test_is_built_from_yaml_with_known_classes(build: Any, make: Any, tmp_path: Path) -> None:
    make("a.png 1,0\n")
    value = {
        "name": "MultiLabelDataset",
        "image_root": str(tmp_path / "images"),
        "cls_label_path": str(tmp_path / "list.txt"),
        "label_ratio": True,
        "transform_ops": ["DecodeImage"],
    }
    named = build("dataset", value, class_map=ClassMap(["sea", "sky"]))
    assert named.class_map.names == ["sea", "sky"] and named.labels.values.tolist() == [[1, 0]]


def test_mistakes_name_their_lines(make: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        make("a.png 1,0,1\nb.png 1,0\nsub dir/c.png 1,2,1\na.png\nb.png 1,,1\n")
    where = tmp_path / "list.txt"
    assert str(error.value).splitlines() == [
        f"{where}:2: 2 answers, but the first line has 3",
        f"{where}:3: '2' is neither 0 nor 1",
        f"{where}:4: no label in 'a.png'",
        f"{where}:5: '' is neither 0 nor 1",
        *str(error.value).splitlines()[4:],
    ]
    assert "1 where the image has it" in str(error.value)


@pytest.mark.parametrize("known", [{"class_map": ClassMap(["sea", "sky"])}, {"class_num": 2}])
def test_the_number_of_classes_is_that_of_training(make: Any, known: Any) -> None:
    with pytest.raises(DataError, match=r"list.txt:1: 3 answers, but there are 2 classes"):
        make("a.png 1,0,1\n", **known)
