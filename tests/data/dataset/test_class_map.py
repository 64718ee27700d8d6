"""Names of classes, from files and by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppcls.data.dataset import ClassMap
from ppcls.errors import DataError


def test_names_and_numbers() -> None:
    classes = ClassMap(["cat", "dog"])
    assert (len(classes), classes.names, classes.index("dog")) == (2, ["cat", "dog"], 1)
    assert "cat" in classes and "cow" not in classes
    assert classes == ClassMap(["cat", "dog"]) != ClassMap(["dog", "cat"])
    assert ClassMap.numbered(3).names == ["0", "1", "2"]


def test_unknown_names_are_explained() -> None:
    with pytest.raises(DataError, match="no class 'gog'. Did you mean 'dog'.*cat, dog"):
        ClassMap(["cat", "dog"]).index("gog")


def test_repeated_names_have_no_number() -> None:
    classes = ClassMap(["crane", "dog", "crane"])
    assert classes.index("dog") == 1
    with pytest.raises(DataError, match="more than one class is called 'crane'"):
        classes.index("crane")


def test_refuses_names_that_are_no_text() -> None:
    with pytest.raises(DataError, match="not UTF-8"):
        ClassMap([b"caf\xe9".decode("utf-8", "surrogateescape")])


@pytest.mark.parametrize(
    "text, names",
    [
        ("cat\ndog\n", ["cat", "dog"]),
        ("\ufeff0 cat\r\n1 guinea pig\r\n", ["cat", "guinea pig"]),
        ("1\tdog, hound\n\n0\tcat\n", ["cat", "dog, hound"]),
        ("0\n1\n2\n", ["0", "1", "2"]),
        ("0 0\n1 1\n", ["0", "1"]),
        ("7 up\ncola\n", ["7 up", "cola"]),
        ("猫\n狗\n", ["猫", "狗"]),
    ],
)
def test_reads_label_files(text: str, names: list, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(text, "utf-8")
    assert ClassMap.from_label_file(path).names == names


@pytest.mark.parametrize(
    "text, message",
    [
        ("0 cat\n2 dog\n", r"labels.txt:2: class 2, but the file has 2 classes: 0 to 1"),
        ("0 cat\n0 dog\n", r"labels.txt:2: class 0 has a name already, 'cat'"),
        (" \n\n", "is empty"),
    ],
)
def test_refuses_label_files(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=message):
        ClassMap.from_label_file(path)


def test_missing_label_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="label file .*nothing.txt' does not exist"):
        ClassMap.from_label_file(tmp_path / "nothing.txt")


def test_numbers_behind_the_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("horse 0\ncat 1\npickup truck 2\n")
    with pytest.raises(DataError, match="numbers last, as in 'horse 0'.*number first"):
        ClassMap.from_label_file(path)
