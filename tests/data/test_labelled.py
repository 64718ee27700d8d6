"""Where the images of a list file are, and which classes its words mean."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls.data.labelled import classes_of, is_list_file, listed_images
from ppcls.errors import DataError

LABELS = ["cat", "dog", "crane", "crane"]


def listing(folder: Path, text: str) -> Path:
    """A list file."""
    folder.mkdir(exist_ok=True)
    path = folder / "list.txt"
    path.write_text(text)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of two files; what is in them does not matter."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "b c.png"):
        (folder / name).touch()
    return folder


def test_list_files_are_known_by_their_names(pictures: Path) -> None:
    assert is_list_file("gone/list.txt") and is_list_file("a.LST") and is_list_file("a.csv")
    assert not is_list_file(str(pictures)) and not is_list_file("a.png")
    (pictures / "folder.txt").mkdir()
    assert not is_list_file(str(pictures / "folder.txt"))


@pytest.mark.parametrize("start", ["", "pictures/"])
def test_paths_begin_in_the_folder_of_the_list_or_around_it(pictures: Path, start: str) -> None:
    where = listing(pictures, f"{start}a.png 3\n{start}b c.png cat\n")
    found = listed_images(where)
    assert found.paths == [str(pictures / "a.png"), str(pictures / "b c.png")]
    assert found.words == ["3", "cat"]


def test_absolute_paths_are_taken_as_they_are(pictures: Path, tmp_path: Path) -> None:
    where = listing(tmp_path / "elsewhere", f"{pictures / 'a.png'} 0\n")
    assert listed_images(where).paths == [str(pictures / "a.png")]


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_the_list_may_be_in_the_current_folder(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    (pictures / "deeper").mkdir()
    monkeypatch.chdir(pictures / inside)
    listing(pictures, "pictures/a.png 0\n")
    (path,) = listed_images("../" * bool(inside) + "list.txt").paths
    assert Path(path).samefile(pictures / "a.png")


def test_images_in_the_current_folder_are_not_meant(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures)
    (tmp_path / "one").mkdir()
    where = listing(tmp_path / "one/two", "a.png 0\nb.png 1\n")
    expected = (
        rf"list\.txt: 2 of 2 images are not there, for example {where.parent / 'a.png'}; paths "
        "begin in the list file's folder or, where its first image is not there, in the folder "
        "around that one"
    )
    with pytest.raises(DataError, match=expected):
        listed_images(where)


def test_a_line_without_a_class_is_named(pictures: Path) -> None:
    with pytest.raises(DataError, match=r"list\.txt:2: no label in 'b\.png'"):
        listed_images(listing(pictures, "a.png 0\nb.png\n"))
    with pytest.raises(DataError, match="does not exist"):
        listed_images(pictures / "gone.txt")


def test_words_are_names_or_numbers() -> None:
    found = classes_of("x", ["dog", "cat", "dog"], LABELS)
    assert found.numbers.tolist() == [1, 0, 1] and found.how == "classes by name"
    found = classes_of("x", ["3", "0"], LABELS)
    assert found.numbers.tolist() == [3, 0] and found.how == "classes by number"


def test_names_that_are_digits_are_names() -> None:
    found = classes_of("x", ["2", "1"], ["0", "2", "1"])
    assert found.numbers.tolist() == [1, 2] and found.how == "classes by name"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["cat", "dgo"],
            r"x: no class of the network is called dgo\. Did you mean 'dog'.*cat, dog",
        ),
        (["0", "4"], r"is called 4\..*; a list has names, or numbers from 0 to 3, and not both"),
        (["cat", "1"], r"is called 1\..*, and not both"),
        (["0", "\u00b2", "-1"], r"is called -1, \u00b2\."),
        (["crane", "cat"], "x: more than one class is called 'crane'; give the class's number"),
    ],
)
def test_words_that_are_no_classes_are_named(words: List[str], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        classes_of("x", words, LABELS)


def test_folders_are_not_called_by_numbers() -> None:
    with pytest.raises(DataError, match=r"is called 0, 1\. The 4 classes: cat, .*crane$"):
        classes_of("x", ["1", "0"], LABELS, only_names=True)


@given(st.lists(st.text("012ab", min_size=1, max_size=2), min_size=1, max_size=4))
def test_words_are_understood_as_a_whole(words: List[str]) -> None:
    labels = ["a", "b", "1", "0"]
    by_name = all(word in labels for word in words)
    by_number = all(word in ("0", "1", "2", "3", "00", "01", "02") for word in words)
    if not by_name and not by_number:
        with pytest.raises(DataError):
            classes_of("x", words, labels)
        return
    found = classes_of("x", words, labels).numbers.tolist()
    assert found == [labels.index(word) if by_name else int(word) for word in words]
