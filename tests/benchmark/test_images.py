"""Which images are predicted, and which labels they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ppcls import registry
from ppcls.benchmark.images import (
    class_numbers,
    most_images,
    prepare_images,
    read_images,
    refuse_too_few,
)
from ppcls.data.transforms import Pipeline
from ppcls.errors import BadImageError, DataError, UsageError

DIGITS = [str(number) for number in range(10)]
OPS = [{"ResizeImage": {"size": 32}}, {"NormalizeImage": {"order": ""}}, {"ToCHWImage": {}}]


def test_folders_of_classes_are_labels(photos: Path) -> None:
    images = read_images(str(photos / "images"))
    assert len(images.paths) == 12 and images.folders
    classes, how = class_numbers(images, DIGITS)
    assert classes is not None
    assert how == "classes by name"
    assert [Path(path).parent.name for path in images.paths] == [str(i) for i in classes]


def test_a_list_file_has_numbers_of_classes(photos: Path) -> None:
    images = read_images(str(photos / "list.txt"))
    names = [f"name {number}" for number in range(8)]
    classes, how = class_numbers(images, names)
    assert classes is not None and classes.tolist()[:4] == [3, 7, 3, 7]
    assert how == "classes by number"


def test_paths_of_a_list_may_begin_with_its_folder(photos: Path) -> None:
    lines = [f"{photos.name}/{line}" for line in (photos / "list.txt").read_text().splitlines()]
    (photos / "other.txt").write_text("\n".join(lines))
    assert all(Path(path).is_file() for path in read_images(str(photos / "other.txt")).paths)


def test_labels_that_do_not_fit_are_not_used(photos: Path) -> None:
    classes, why = class_numbers(read_images(str(photos / "list.txt")), DIGITS[:5])
    assert classes is None
    assert "list.txt: no class of the network is called 7. The 5 classes: 0, 1, 2, 3, 4" in why
    classes, why = class_numbers(read_images(str(photos / "images")), ["cat", "dog"])
    assert classes is None and "no class of the network is called 3, 7. The 2" in why
    classes, why = class_numbers(read_images(str(photos / "images/3")), DIGITS)
    assert classes is None and "has no labels" in why


def test_names_that_two_classes_share_are_no_labels(photos: Path) -> None:
    classes, _ = class_numbers(read_images(str(photos / "images")), [*DIGITS, "3"])
    assert classes is None


def test_missing_images_are_named(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.png 0\nb.png 1\n")
    with pytest.raises(DataError, match=r"list.txt: 2 of 2 images are not there, .*a\.png"):
        read_images(str(tmp_path / "list.txt"))
    with pytest.raises(UsageError, match="no such file or folder"):
        read_images(str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="holds no images"):
        read_images(str(tmp_path))


def test_too_few_images_for_a_batch(photos: Path) -> None:
    images = read_images(str(photos / "list.txt"))
    refuse_too_few(images, 12)
    with pytest.raises(UsageError, match=r"holds 12 image.*needs 13 different.*--batch-sizes"):
        refuse_too_few(images, 13)


def test_images_are_prepared_as_the_bundle_says(photos: Path) -> None:
    pipeline = Pipeline([registry.parse("transform", op) for op in OPS])
    images = read_images(str(photos / "list.txt")).chosen(5, seed=0)
    assert images.paths != read_images(str(photos / "list.txt")).paths[:5]
    prepared = prepare_images(images, pipeline, (3, 32, 32))
    assert prepared.shape == (5, 3, 32, 32) and prepared.dtype == np.float32
    assert len({image.tobytes() for image in prepared}) == 5
    with pytest.raises(BadImageError, match=r"becomes \(3, 32, 32\), and the network takes"):
        prepare_images(images, pipeline, (3, 64, 64))


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    pipeline = Pipeline([registry.parse("transform", op) for op in OPS])
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(BadImageError, match=r"a\.png: .*take it out of"):
        prepare_images(read_images(str(tmp_path)), pipeline, (3, 32, 32))


def test_memory_is_bounded() -> None:
    assert most_images((3, 224, 224)) == 664
    assert most_images((3, 32, 32)) > 10_000
