"""Data sets from list files: labels, class maps, and every mistake in a list."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from ppcls.data.dataset import ClassMap, ImageNetDataset
from ppcls.errors import BadImageError, ConfigError, DataError
from ppcls.labels import LabelKind

FILES = {"a.png": 10, "b.png": 20, "sub dir/c.png": 30}


@pytest.fixture()
def make(image_files: Any, tmp_path: Path, parts: Any) -> Callable[..., ImageNetDataset]:
    """Write a list file beside three images and read both."""
    root = image_files(FILES)

    def make_dataset(text: str, **arguments: Any) -> ImageNetDataset:
        (tmp_path / "list.txt").write_text(text, "utf-8")
        arguments = {"image_root": str(root), "transform_ops": parts("DecodeImage"), **arguments}
        return ImageNetDataset(cls_label_path=str(tmp_path / "list.txt"), **arguments)

    return make_dataset


def test_reads_images_and_labels(make: Any, tmp_path: Path, rng: np.random.Generator) -> None:
    dataset = make("a.png 1\nsub dir/c.png 0\n")
    assert len(dataset) == 2 and len(dataset.class_map) == 2
    assert dataset.class_map.names == ["0", "1"]
    assert dataset.label_kind is LabelKind.HARD and dataset.labels.values.tolist() == [1, 0]
    root = str(tmp_path / "images")
    assert [dataset.path(i) for i in (0, 1)] == [f"{root}/a.png", f"{root}/sub dir/c.png"]
    assert dataset.read(1) == Path(dataset.path(1)).read_bytes() and dataset.name(
        1
    ) == dataset.path(1)
    image = dataset.transform(dataset.read(1), rng)
    np.testing.assert_array_equal(image, np.full((3, 12, 10), 30, np.float32))


def test_is_built_from_yaml(build: Any, image_files: Any, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.png,3\n")
    value = {
        "name": "ImageNetDataset",
        "image_root": str(image_files(FILES)),
        "cls_label_path": str(tmp_path / "list.txt"),
        "delimiter": ",",
        "transform_ops": ["DecodeImage", {"ResizeImage": {"size": 8}}],
    }
    dataset = build("dataset", value)
    assert len(dataset.class_map) == 4 and dataset.transform.output_size == (8, 8)
    assert len(build("dataset", value, class_map=ClassMap.numbered(9)).class_map) == 9


def test_names_as_labels(make: Any) -> None:
    dataset = make("a.png dog\nb.png cat\nsub dir/c.png dog\n")
    assert dataset.class_map.names == ["cat", "dog"]
    assert dataset.labels.values.tolist() == [1, 0, 1]


def test_relabel_closes_gaps(make: Any) -> None:
    text = "a.png 70\nb.png 5\nsub dir/c.png 20261122\n"
    dataset = make(text, relabel=True)
    assert dataset.class_map.names == ["5", "70", "20261122"]
    assert dataset.labels.values.tolist() == [1, 0, 2]
    evaluation = make("a.png 20261122\n", relabel=True, class_map=dataset.class_map)
    assert evaluation.labels.values.tolist() == [2]
    with pytest.raises(DataError, match="list.txt:1: label '6' is not one of the 3 classes"):
        make("a.png 6\n", relabel=True, class_map=dataset.class_map)


def test_evaluation_uses_the_classes_of_training(make: Any) -> None:
    classes = ClassMap(["cat", "cow", "dog"])
    assert make("a.png dog\n", class_map=classes).labels.values.tolist() == [2]
    assert make("a.png 1\n", class_map=classes).labels.values.tolist() == [1]
    assert make("a.png 1\n", class_map=classes).class_map == classes


def test_numbers_are_names_where_folders_have_other_numbers_as_names(make: Any) -> None:
    folders = ClassMap(["1", "10", "2"])
    text = "a.png 1\nb.png 2\nsub dir/c.png 10\n"
    assert make(text, class_map=folders).labels.values.tolist() == [0, 2, 1]
    with_zeros = ClassMap(["01", "02", "10"])
    assert make(text, class_map=with_zeros).labels.values.tolist() == [0, 1, 2]
    assert make("a.png 02\n", class_map=with_zeros).labels.values.tolist() == [1]


def test_relabelled_classes_keep_their_names_in_evaluation_without_relabel(make: Any) -> None:
    text = "a.png 1\nb.png 3\nsub dir/c.png 2\n"
    training = make(text, relabel=True)
    assert training.class_map.names == ["1", "2", "3"]
    evaluation = make(text, class_map=training.class_map)
    assert evaluation.labels.values.tolist() == training.labels.values.tolist() == [0, 2, 1]


def test_a_number_that_is_no_name_is_refused(make: Any) -> None:
    for relabel in (False, True):
        with pytest.raises(DataError) as caught:
            make("a.png 1\nb.png 0\n", relabel=relabel, class_map=ClassMap(["1", "10", "2"]))
        fault, advice = str(caught.value).splitlines()
        assert "list.txt:2: label '0' is not one of the 3 classes." in fault
        assert advice.endswith("so labels are these names: 1, 10, 2.")


def test_numbers_are_places_where_the_names_are_places_or_words(make: Any) -> None:
    for names in (["0", "1", "2"], ["cat", "1", "0"]):
        dataset = make("a.png 2\nb.png 0\n", class_map=ClassMap(names))
        assert dataset.labels.values.tolist() == [2, 0]


@pytest.mark.parametrize(
    "text, arguments, message",
    [
        ("a.png 0\nb.png x\n", {}, "list.txt:2: label 'x' is not a whole number"),
        ("a.png 0\nb.png 1.0\n", {}, "list.txt:2: label '1.0' is not a whole number"),
        ("a.png 0\nb.png --1\n", {}, "list.txt:2: label '--1' is not a whole number"),
        ("a.png 0\nb.png -1\n", {}, "list.txt:2: label -1 is negative"),
        ("a.png 20261122\n", {}, "beyond the last of the 1000000 classes"),
        (
            "a.png 0\nb.png 3\n",
            {"class_map": ClassMap.numbered(3)},
            "list.txt:2: label 3 is beyond the last of the 3 classes, which is 2",
        ),
        (
            "a.png dog\nb.png cta\n",
            {"class_map": ClassMap(["cat", "dog"])},
            "list.txt:2: label 'cta' is not one of the 2 classes. Did you mean 'cat'",
        ),
        (
            "a.png crane\n",
            {"class_map": ClassMap(["crane", "crane"])},
            "list.txt:1: more than one class is called 'crane'",
        ),
        ("a.png 0\nb.png 3\n", {"class_num": 3}, "list.txt:2: label 3 is beyond the last of the 3"),
        ("a.png\n", {}, "list.txt:1: no label"),
        ("a.png 0\nb.png\nb.png x\n", {}, "(?s)list.txt:2: no label.*list.txt:3: label 'x' is not"),
        ("", {}, "is empty"),
    ],
)
def test_refuses_labels(text: str, arguments: Any, message: str, make: Any) -> None:
    with pytest.raises(DataError, match=message):
        make(text, **arguments)


def test_names_all_bad_labels_at_once(make: Any) -> None:
    text = "a.png 0\n" + "b.png 7\n" * 12 + "b.png -2\n"
    with pytest.raises(DataError) as caught:
        make(text, class_map=ClassMap.numbered(2))
    lines = str(caught.value).splitlines()
    assert [line.split(":")[-2] for line in lines[:10]] == [str(n) for n in range(2, 12)]
    assert lines[10] == "... and 3 more"


def test_missing_root(make: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="image_root 'nowhere' does not exist .seen from"):
        make("a.png 0\n", image_root="nowhere")
    with pytest.raises(DataError, match="is a file, not a folder"):
        make("a.png 0\n", image_root=str(tmp_path / "images" / "a.png"))


def test_wrong_root_shows_the_joined_path(make: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'.*/images/train/a.png'.*image_root is probably wrong"):
        make("train/a.png 0\ntrain/b.png 0\n")


@pytest.mark.parametrize(
    "line, delimiter, hint",
    [
        (
            "a.png\tgolden retriever",
            None,
            '; or a tab divides path and label, then set delimiter: "\\t"',
        ),
        ("my cats/0.png,0", None, "; or ',' divides path and label, then set delimiter: ','"),
        ("my cats/0.PNG; 0", None, "; or ';' divides path and label, then set delimiter: ';'"),
        ("cats/0.png|big cat", None, "; or '|' divides path and label, then set delimiter: '|'"),
        ("cats/0.png;big,cat", ",", "; or ';' divides path and label, then set delimiter: ';'"),
        ("cats/0.png,big,cat", ",", "image_root is probably wrong"),
        ("cats,dogs/0.png 0", None, "image_root is probably wrong"),
    ],
)
def test_wrong_division_is_recognised(line: str, delimiter: Any, hint: str, make: Any) -> None:
    with pytest.raises(DataError) as caught:
        make(line + "\n", delimiter=delimiter)
    assert str(caught.value).endswith(hint)


def test_a_missing_file_among_others_is_a_bad_image(make: Any) -> None:
    dataset = make("gone.png 0\na.png 0\n")
    assert dataset.name(0).endswith("/images/gone.png")
    with pytest.raises(BadImageError, match="^the file does not exist$"):
        dataset.read(0)


def test_bad_images_say_why(make: Any, tmp_path: Path, rng: np.random.Generator) -> None:
    root = tmp_path / "images"
    (root / "empty.png").write_bytes(b"")
    (root / "page.png").write_text("<html></html>")
    (root / "half.png").write_bytes((root / "a.png").read_bytes()[:40])
    dataset = make("a.png 0\nempty.png 0\npage.png 0\nhalf.png 0\nsub dir 0\n")
    for index, reason in enumerate(["empty", "HTML", "truncated", "a folder"], 1):
        with pytest.raises(BadImageError, match=reason):
            dataset.transform(dataset.read(index), rng)


def test_transforms_are_checked_before_files(make: Any, parts: Any) -> None:
    with pytest.raises(ConfigError, match="order: ''"):
        make("", image_root="nowhere", transform_ops=parts("NormalizeImage"))


def test_looks_at_few_files_only(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    looked_at = []
    exists = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: looked_at.append(path) or exists(path))
    make("gone.png 0\na.png 0\n" + "b.png 0\n" * 500)
    assert len(looked_at) <= 5


def test_real_list(imagenet_sample: Path, parts: Any, rng: np.random.Generator) -> None:
    ops = parts({"ResizeImage": {"resize_short": 256}}, {"CropImage": {"size": 224}})
    dataset = ImageNetDataset(str(imagenet_sample.parent), str(imagenet_sample / "list.txt"), ops)
    assert len(dataset) == 100
    for index in range(0, 100, 9):
        image = dataset.transform(dataset.read(index), rng)
        assert image.shape == (3, 224, 224) and image.std() > 0
