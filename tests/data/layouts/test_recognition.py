"""Every layout that people keep photos in gives the same typed parts."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Dict, List

import cv2
import numpy as np
import pytest

from ppcls.data.layouts import OwnImages, duplicates, readable, recognise
from ppcls.errors import DataError
from tests.data.photo_files import photo_of

ALL = ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2 b.JPEG"]


def told(images: OwnImages) -> Dict[str, List[Any]]:
    """Each part as pairs of path and name of the class."""
    return {
        split: [
            (path, images.class_names[number])
            for path, number in zip(found.paths, found.numbers.tolist())
        ]
        for split, found in images.splits.items()
    }


def by_folder(*paths: str) -> List[Any]:
    return [(path, Path(path).parent.name) for path in paths]


def test_class_folders(photos: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = photos(*ALL)
    found = recognise(folder)
    assert told(found) == {"train": by_folder(*ALL)}
    assert found.class_names == ["cat", "dog"] and found.counts.tolist() == [2, 2]
    assert found.how == "a folder for each class" and found.warnings == []
    assert (found.root, found.val, found.test) == (str(folder), None, None)
    monkeypatch.chdir(folder.parent)
    assert recognise("photos").root == str(folder)


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_folders_of_parts(photos: Any, val: str) -> None:
    names = [f"train/{name}" for name in ALL]
    folder = photos(*names, f"{val}/cat/3.jpg", "test/dog/4.jpg", "notes/a.jpg")
    found = recognise(folder)
    assert told(found) == {
        "train": by_folder(*names),
        "val": by_folder(f"{val}/cat/3.jpg"),
        "test": by_folder("test/dog/4.jpg"),
    }
    assert found.how == f"the folders train, {val} and test, with a folder for each class"
    assert found.warnings == ["left out, because no class folders are in them: notes"]


def test_a_test_folder_without_classes_is_left_out(photos: Any) -> None:
    found = recognise(photos(*(f"train/{name}" for name in ALL), "test/1.jpg"))
    assert found.splits.keys() == {"train"} and "test" in found.warnings[0]


def test_paddlex(photos: Any) -> None:
    folder = photos("images/1.jpg", "images/2 b.jpg", "images/3.jpg")
    (folder / "train.txt").write_text("images/1.jpg 0\nimages/2 b.jpg 1\n")
    (folder / "val.txt").write_text("images/3.jpg 1\n")
    (folder / "label.txt").write_text("0 Maine Coon\n1 dog\n")
    found = recognise(folder)
    assert told(found) == {
        "train": [("images/1.jpg", "Maine Coon"), ("images/2 b.jpg", "dog")],
        "val": [("images/3.jpg", "dog")],
    }
    assert found.how == "the lists train.txt and val.txt, names of the classes in label.txt"


@pytest.mark.parametrize("divided_by", [" ", "\t", ","])
@pytest.mark.parametrize("label_file", ["label_list.txt", "labels.txt", None])
def test_paddleclas(photos: Any, divided_by: str, label_file: str) -> None:
    folder = photos("a/1.jpg", "a/2.jpg", "my b/3.jpg")
    (folder / "train_list.txt").write_text(f"a/1.jpg{divided_by}0\nmy b/3.jpg{divided_by}1\n")
    (folder / "val_list.txt").write_text(f"a/2.jpg{divided_by}0\n")
    names = ["0", "1"]
    if label_file:
        names = ["apple", "banana"]
        (folder / label_file).write_text("apple\nbanana\n")
    found = recognise(folder)
    assert told(found) == {
        "train": [("a/1.jpg", names[0]), ("my b/3.jpg", names[1])],
        "val": [("a/2.jpg", names[0])],
    }


def test_a_tab_leaves_names_with_spaces_whole(photos: Any) -> None:
    folder = photos("1.jpg", "2.jpg", "3.jpg", "4.jpg")
    lines = "1.jpg\tmaine coon\n2.jpg\tmaine coon\n3.jpg\tpug\n4.jpg\tpug\n"
    (folder / "train.txt").write_text(lines)
    assert recognise(folder).class_names == ["maine coon", "pug"]


def test_lists_go_before_folders_and_name_what_they_leave_out(photos: Any) -> None:
    folder = photos(*ALL, "dog/new.jpg")
    (folder / "train_list.txt").write_text("cat/1.jpg 0\ndog/1.jpg 1\n")
    (folder / "val_list.txt").write_text(f"{folder}/cat/2.jpg 0\ndog/2 b.JPEG 1\n")
    found = recognise(folder)
    assert found.warnings == [f"left out, because no list names them: 1 image {folder}/dog/new.jpg"]
    assert len(recognise(folder, without_lists=True).train) == 5


def test_numbers_with_gaps_are_names(photos: Any) -> None:
    folder = photos("1.jpg", "2.jpg", "3.jpg", "4.jpg")
    (folder / "train.txt").write_text("1.jpg 2\n2.jpg 10\n3.jpg 10\n4.jpg 2\n")
    assert recognise(folder).class_names == ["2", "10"]
    assert recognise(folder).train.numbers.tolist() == [0, 1, 1, 0]


def test_table_with_parts_and_further_columns(photos: Any) -> None:
    folder = photos(*(f"images/{i}.jpg" for i in range(4)))
    (folder / "photos.csv").write_text(
        "\ufeffFile Name;Label;Data Set;who\n0.jpg;cat;train;ann\n1.jpg;dog;train;bob\n"
        "2.jpg;cat;valid;ann\n3.jpg;dog;test;eve\n"
    )
    for place in (folder, folder / "photos.csv"):
        found = recognise(place, columns=["who"])
        assert told(found) == {
            "train": [("0.jpg", "cat"), ("1.jpg", "dog")],
            "val": [("2.jpg", "cat")],
            "test": [("3.jpg", "dog")],
        }
        assert found.root == str(folder / "images")
        assert found.train.columns == {"who": ["ann", "bob"]}
        assert found.how == (
            "the table photos.csv, paths in 'File Name', classes in 'Label', parts in 'Data Set'"
        )


def test_a_table_for_each_part(photos: Any) -> None:
    folder = photos("train/1.jpg", "train/2.jpg", "valid/3.jpg")
    (folder / "train.csv").write_text("image,label\n1.jpg,cat\n2.jpg,dog\n")
    (folder / "valid.csv").write_text("image,label\n3.jpg,dog\n")
    found = recognise(folder)
    assert told(found) == {
        "train": [("1.jpg", "cat"), ("2.jpg", "dog")],
        "val": [(str(folder / "valid/3.jpg"), "dog")],
    }


def test_a_table_beside_class_folders_is_not_taken(photos: Any) -> None:
    folder = photos(*ALL)
    (folder / "some.csv").write_text("path,label\ncat/1.jpg,a\ncat/2.jpg,b\n")
    assert recognise(folder).how == "a folder for each class"


def test_names_without_ending(photos: Any) -> None:
    folder = photos("train/a1.jpg", "train/a2.jpg", "test/a3.jpg")
    (folder / "labels.csv").write_text("id,category\n" + "a1,cat\na2,dog\n" * 2)
    found = recognise(folder)
    assert told(found)["train"][:2] == [("a1.jpg", "cat"), ("a2.jpg", "dog")]
    assert found.root == str(folder / "train")


def test_what_systems_leave_behind_is_no_class(photos: Any) -> None:
    found = recognise(photos(*ALL, "__MACOSX/cat/._1.jpg", ".thumbs/1.jpg", "cat/3.heic"))
    assert found.class_names == ["cat", "dog"]
    assert found.warnings == [
        "left out, because they are no images by their ending: 1 .heic; export .heic and .heif as "
        "JPEG"
    ]


def test_a_list_is_taken_alone(photos: Any, tmp_path: Path) -> None:
    folder = photos(*ALL)
    (folder / "some.txt").write_text("".join(f"{name}\t{name[:3]}\n" for name in ALL))
    (tmp_path / "other.csv").write_text("".join(f"photos/{name},{name[:3]}\n" for name in ALL))
    for file in (folder / "some.txt", tmp_path / "other.csv"):
        found = recognise(file)
        assert [name for _, name in told(found)["train"]] == ["cat", "cat", "dog", "dog"]
        assert all(os.path.isfile(os.path.join(found.root, path)) for path in found.train.paths)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cat/1.jpg", "cat/2.jpg"], "one class only, cat, .*add a folder"),
        (["pets/cat/1.jpg", "pets/dog/1.jpg"], "one folder only, pets.*name it: .*/photos/pets"),
        (
            ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg"],
            "two images at least.*1 class has one photo: dog",
        ),
        (["cat/1.jpg", "cat/2.jpg", "dog/1.heic"], "1 of 2 class folders hold no image: dog"),
        (["1.jpg", "2.jpg"], r"holds 2 images, and nothing says(.|\n)*FOLDER/cat/1.jpg"),
        (["train/1.jpg", "test/2.jpg"], "test and train, which look like parts of a divided set"),
        (["a.txt"], "no images in a layout that is known"),
        (
            ["train/cat/1.jpg", "train/dog/1.jpg", "val/dgo/1.jpg"],
            "class folders that the training set has not: dgo. Did you mean 'dog'",
        ),
    ],
)
def test_what_cannot_be_learned_from(photos: Any, names: List[str], expected: str) -> None:
    folder = photos(*names)
    with pytest.raises(DataError, match=expected):
        recognise(folder)


def test_what_is_not_there(tmp_path: Path, photos: Any) -> None:
    folder = photos(*ALL)
    with pytest.raises(DataError, match="there is no folder .*Did you mean 'photos'"):
        recognise(tmp_path / "photo")
    with pytest.raises(DataError, match="is no list file .*and no folder"):
        recognise(folder / "cat/1.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is empty"):
        recognise(tmp_path / "empty")


def test_tables_that_are_not_understood(photos: Any) -> None:
    folder = photos("images/1.jpg", "images/2.jpg")
    table = folder / "a.csv"
    table.write_text("path,label,split\n1.jpg,a,trian\n2.jpg,b,train\n")
    with pytest.raises(DataError, match="'split' says trian. Did you mean 'train'"):
        recognise(table)
    table.write_text("path,label,split\n1.jpg,a,val\n2.jpg,b,val\n")
    with pytest.raises(DataError, match="no line is of the part train"):
        recognise(table)
    table.write_text("path,label\n1.jpg,a\n2.jpg,b\n3.jpg,b\n")
    with pytest.raises(DataError, match="1 of 3 images are not there, for example .*images/3.jpg"):
        recognise(table)
    table.write_text("path,label\n1.jpg,a\n2.jpg,b\n")
    (folder / "b.csv").write_text("path,label\n1.jpg,a\n2.jpg,b\n")
    with pytest.raises(DataError, match="several tables.*a.csv, .*b.csv"):
        recognise(folder)
    with pytest.raises(DataError, match="no column 'who'"):
        recognise(table, columns=["who"])


def test_the_same_photo_in_two_classes(photos: Any) -> None:
    photos(*ALL)
    photos("cat/3.jpg", content=photo_of("twice"))
    folder = photos("dog/3.jpg", content=photo_of("twice"))
    photos("dog/4.jpg", content=photo_of("twine"))
    photos("dog/5.jpg", content=photo_of("dog/1.jpg"))
    assert recognise(folder).warnings == [
        "1 photo is in two classes: cat/3.jpg and dog/3.jpg; they teach contradictions; keep each "
        "in one"
    ]


def test_the_same_photo_in_two_parts(photos: Any) -> None:
    photos(*(f"train/{name}" for name in ALL))
    photos("train/cat/x.jpg", content=photo_of("known"))
    folder = photos("val/cat/y.jpg", content=photo_of("known"))
    (warning,) = recognise(folder).warnings
    assert warning.startswith(
        "1 photo is in two of train, val and test: train/cat/x.jpg and val/cat/y.jpg"
    )


def test_photos_that_cannot_be_read_are_left_out(photos: Any) -> None:
    folder = photos(*ALL)
    os.mkfifo(folder / "cat/pipe.jpg")
    (folder / "cat/nothing.jpg").touch()
    (folder / "dog/cut.jpg").write_bytes(photo_of("cut")[:50])
    (folder / "dog/page.jpg").write_text("<html>")
    (folder / "dog/dot.png").write_bytes(cv2.imencode(".png", np.zeros((1, 9)))[1].tobytes())
    found = recognise(folder)
    assert sorted(found.train.paths) == sorted([*ALL, "dog/dot.png"])
    bad, tiny = found.warnings
    assert bad.startswith("left out, because they cannot be read: 4 (cat/nothing.jpg: the file is ")
    assert "dog/cut.jpg: the PNG file is truncated" in bad and bad.endswith("; ...)")
    assert tiny == "images of less than 8 pixels: 1 (dog/dot.png)"
    for name in ALL[2:]:
        (folder / name).write_bytes(b"")
    with pytest.raises(DataError, match="two images at least.*dog"):
        recognise(folder)


def test_large_sets_are_not_opened(photos: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = photos(*ALL)
    (folder / "cat/nothing.jpg").touch()
    for limit in ("MOST_OPENED", "MOST_BYTES"):
        monkeypatch.setattr(readable, limit, 4)
        assert len(recognise(folder).train) == 5
        monkeypatch.undo()
    monkeypatch.setattr(duplicates, "MOST_COMPARED", 3)
    assert recognise(folder).warnings[1].startswith("these are 4 photos, so they were not searched")


@pytest.mark.exhaustive
def test_many_classes(photos: Any) -> None:
    folder = photos(*(f"class {i}/{j}.jpg" for i in range(20_000) for j in range(2)))
    began = time.process_time()
    found = recognise(folder)
    assert (len(found.class_names), len(found.train)) == (20_000, 40_000)
    assert time.process_time() - began < 20
