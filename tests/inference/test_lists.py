from __future__ import annotations

from pathlib import Path
from typing import List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppcls.errors import DataError
from ppcls.inference.lists import is_image_data, listed_images_of

HERE = [Path()]


def listed(text: str) -> List[str]:
    return list(listed_images_of(text.encode("utf-8", "surrogateescape"), "list.txt", HERE))


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("a.jpg", "a.jpg"),
        ("  my cats/a b.JPEG 3 ", "my cats/a b.JPEG"),
        ("a.jpg\tcat with.png", "a.jpg"),
        ("a.jpg,cat,0.5", "a.jpg"),
        ("a.jpg;3", "a.jpg"),
        ("a.jpg | cat", "a.jpg"),
        ('"a, b.jpg",3', "a, b.jpg"),
        ('"say ""hi"".png"', 'say "hi".png'),
        ("no suffix at all", "no suffix at all"),
        ("a.jpg.bak", "a.jpg.bak"),
        ("https://a.example/i?id=3,4 7", "https://a.example/i?id=3,4"),
        ("https://a.example/i.png,7", "https://a.example/i.png"),
        ("a.jpg\r", "a.jpg"),
        ("\udcff.png 1", "\udcff.png"),
    ],
)
def test_where_a_path_ends(line: str, path: str) -> None:
    assert listed(f"{line}\n") == [path]


def test_heads_empty_lines_and_marks_of_the_order_of_bytes() -> None:
    assert listed("\ufeffpath,label\n\na.png,3\n") == ["a.png"]
    assert listed("source,error,answer\nb.png,,cat\n") == ["b.png"]


@pytest.mark.parametrize("text", ["", "\n \n", "path\n"])
def test_lists_without_an_image(text: str) -> None:
    with pytest.raises(DataError, match="list.txt: names no image"):
        listed(text)


def test_other_encodings_are_told() -> None:
    with pytest.raises(DataError, match="save it as UTF-8"):
        list(listed_images_of("a.png\n".encode("utf-16"), "list.txt", HERE))


def test_images_are_told_from_lists(photos: Path) -> None:
    assert is_image_data((photos / "2.png").read_bytes())
    assert is_image_data(b"P6\n# made by hand\n2 1\n255\nabcdef")
    for text in (b"BMW/1.jpg\n", b"P6/1.jpg 3 4\n", b"II*.png", "a.png".encode("utf-16"), b""):
        assert not is_image_data(text)


def test_all_paths_begin_where_the_first_that_is_found_does(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "two/b.png").write_bytes(b"")
    folders = [tmp_path / "one", tmp_path / "two"]
    found = list(listed_images_of(b"a.png\n/x/c.png\nb.png\n", "list", folders))
    assert found == [str(tmp_path / "two/a.png"), "/x/c.png", str(tmp_path / "two/b.png")]
    assert list(listed_images_of(b"a.png\n", "list", folders)) == [str(tmp_path / "one/a.png")]


@settings(max_examples=30)
@given(st.lists(st.from_regex(r"[a-z0-9_/-]{1,9}(\.jpg|\.PNG)", fullmatch=True), min_size=1))
def test_paths_come_back(paths: List[str]) -> None:
    paths = [path.lstrip("/") for path in paths]
    with_labels = "".join(f"{path} {number}\n" for number, path in enumerate(paths))
    expected = [str(Path(path)) for path in paths]
    assert listed(with_labels) == listed("\n".join(paths)) == expected
