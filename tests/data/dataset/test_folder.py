"""Data sets from class folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from ppcls.data.dataset import ClassMap, ImageFolder
from ppcls.errors import DataError
from ppcls.labels import LabelKind

FILES = {"dog/2.png": 2, "dog/1.png": 1, "cat/x.PNG": 3, "dog/more/3.png": 4}


@pytest.fixture()
def make(image_files: Any, parts: Any) -> Callable[..., ImageFolder]:
    """Write images and read their folder."""

    def make_dataset(files: Any = FILES, **arguments: Any) -> ImageFolder:
        return ImageFolder(str(image_files(files)), parts("DecodeImage"), **arguments)

    return make_dataset


def test_folders_are_classes(make: Any, rng: np.random.Generator) -> None:
    dataset = make()
    assert dataset.class_map.names == ["cat", "dog"]
    root = dataset.image_root
    names = ["cat/x.PNG", "dog/1.png", "dog/2.png", "dog/more/3.png"]
    assert [dataset.name(i) for i in range(4)] == [f"{root}/{name}" for name in names]
    assert dataset.label_kind is LabelKind.HARD and dataset.labels.values.tolist() == [0, 1, 1, 1]
    assert dataset.transform(dataset.read(3), rng)[0, 0, 0] == 4


def test_leaves_out_what_is_no_image(make: Any, image_files: Any) -> None:
    root = image_files({"loose.png": 1, ".hidden/1.png": 1, "cat/.2.png": 1, "cat/.git/3.png": 1})
    (root / "cat").mkdir(exist_ok=True)
    (root / "cat" / "notes.txt").write_text("not an image")
    dataset = make()
    assert len(dataset) == 4 and dataset.class_map.names == ["cat", "dog"]


def test_evaluation_uses_the_classes_of_training(make: Any) -> None:
    classes = ClassMap(["bird", "cat", "cow", "dog"])
    dataset = make(class_map=classes)
    assert dataset.class_map is classes
    assert dataset.labels.values.tolist() == [1, 3, 3, 3]


def test_unknown_class_in_evaluation(make: Any) -> None:
    with pytest.raises(
        DataError, match="1 folder without a class .*: dog. Did you mean 'dogs'.*: cat, dogs"
    ):
        make(class_map=ClassMap(["cat", "dogs"]))


def test_empty_class_folder(make: Any, image_files: Any) -> None:
    root = image_files({})
    for name in ("cow", "zebra"):
        (root / name).mkdir(parents=True)
    with pytest.raises(DataError, match="2 class folders without an image: cow, zebra"):
        make()
    assert len(make(class_map=ClassMap(["cat", "cow", "dog", "zebra"]))) == 4


def test_nothing_to_read(make: Any, image_files: Any, tmp_path: Path, parts: Any) -> None:
    with pytest.raises(DataError, match="does not exist"):
        make({})
    with pytest.raises(DataError, match="holds no folder; it must hold one folder for each class"):
        make({"loose.png": 1})
    (tmp_path / "classes" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no image"):
        ImageFolder(str(tmp_path / "classes"), parts("DecodeImage"), ClassMap(["cat"]))


def test_link_to_a_folder_is_a_class(make: Any, image_files: Any, tmp_path: Path) -> None:
    root = image_files(FILES)
    (root / "wolf").symlink_to(root / "dog" / "more", target_is_directory=True)
    assert make().class_map.names == ["cat", "dog", "wolf"]


def test_is_built_from_yaml(build: Any, image_files: Any) -> None:
    value = {
        "name": "ImageFolder",
        "image_root": str(image_files(FILES)),
        "transform_ops": ["DecodeImage"],
    }
    assert len(build("dataset", value).class_map) == 2
