"""List files in every shape that people write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppcls.data.dataset.list_file import ListFile
from ppcls.errors import ConfigError, DataError


def read(folder: Path, text: Any, delimiter: Any = None) -> ListFile:
    path = folder / "list.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    images = ListFile(path, delimiter)
    images.refuse({}, "")
    return images


def rows(images: ListFile) -> list:
    return [(path, images.words[code]) for path, code in zip(images.paths, images.codes)]


@pytest.mark.parametrize(
    "text, delimiter",
    [
        ("a.jpg 0\nb/my cat.jpg 12\n", None),
        ("a.jpg\t0\nb/my cat.jpg\t12", None),
        ("a.jpg   0  \r\n\r\n  b/my cat.jpg \t 12\r\n", None),
        ("\ufeffa.jpg 0\nb/my cat.jpg 12\n", None),
        ("a.jpg\t0\nb/my cat.jpg\t12\n", "\t"),
        ("a.jpg,0\nb/my cat.jpg, 12\n", ","),
        ("a.jpg;0\nb/my cat.jpg;12\n", ";"),
        ("a.jpg 0\nb/my cat.jpg 12\n", " "),
        ("a.jpg||0\nb/my cat.jpg||12\n", "||"),
    ],
)
def test_reads_lines(text: str, delimiter: Any, tmp_path: Path) -> None:
    assert rows(read(tmp_path, text, delimiter)) == [("a.jpg", "0"), ("b/my cat.jpg", "12")]


WORD = st.text(
    st.characters(
        blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], blacklist_characters=",\ufeff"
    ),
    min_size=1,
    max_size=8,
)
PATH = st.lists(WORD, min_size=1, max_size=3).map(" ".join)
LABEL = st.integers(0, 10**6).map(str)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(PATH, LABEL), min_size=1, max_size=12),
    st.sampled_from(
        [(" ", None), ("\t", None), ("   ", None), ("\t", "\t"), (",", ","), (" ", " ")]
    ),
    st.sampled_from(["\n", "\r\n", "\n\n", "\n \t\n"]),
    st.booleans(),
)
def test_reads_back_what_was_written(
    tmp_path_factory: Any, entries: list, divided: tuple, ending: str, has_mark: bool
) -> None:
    mark, delimiter = divided
    text = "".join(f"{path}{mark}{label}{ending}" for path, label in entries)
    images = read(tmp_path_factory.mktemp("list"), ("\ufeff" if has_mark else "") + text, delimiter)
    assert rows(images) == entries
    step = 2 if len(ending) > 2 or ending == "\n\n" else 1
    np.testing.assert_array_equal(images.lines, np.arange(len(entries)) * step + 1)


def test_odd_bytes_in_names_survive(tmp_path: Path) -> None:
    images = read(tmp_path, b"caf\xe9.jpg 3\n")
    assert images.paths[0].encode("utf-8", "surrogateescape") == b"caf\xe9.jpg"


def test_lists_bad_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, "a.jpg 0\nb.jpg\n\nmy cat.jpg\nc.jpg 1\n")
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("list.txt:2: no label in 'b.jpg'")
    assert lines[1].endswith("list.txt:4: no label in 'my cat.jpg'")
    assert lines[2] == "Each line is 'path label'."


def test_names_wrong_and_missing_labels_together(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.jpg 0\nb.jpg\nc.jpg x\nd.jpg 0\n")
    images = ListFile(tmp_path / "list.txt")
    with pytest.raises(DataError) as caught:
        images.refuse({images.words.index("x"): "not a number"}, "Labels are numbers.")
    lines = str(caught.value).splitlines()
    assert [line.rsplit("/", 1)[-1] for line in lines] == [
        "list.txt:2: no label in 'b.jpg'",
        "list.txt:3: not a number",
        "Each line is 'path label'. Labels are numbers.",
    ]


def test_lists_ten_bad_lines_and_counts_the_rest(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, "".join(f"{number}.jpg\n" for number in range(47)))
    lines = str(caught.value).splitlines()
    assert len(lines) == 12 and lines[10] == "... and 37 more"


@pytest.mark.parametrize(
    "text, delimiter, advice",
    [
        ("a.jpg,0\n", None, "set delimiter: ','"),
        ("a.jpg;0\n", None, "set delimiter: ';'"),
        ("a.jpg 0\n", "\t", r"since delimiter is '\\t'"),
        ("a.jpg,\n", ",", "no label in 'a.jpg,'"),
        (",0\n", ",", "no label in ',0'"),
    ],
)
def test_advises(text: str, delimiter: Any, advice: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=advice):
        read(tmp_path, text, delimiter)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "list.txt' is empty"),
        (b"\n \r\n\t\n", "list.txt' is empty"),
        ("a.jpg 0\n".encode("utf-16"), "save it as UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not UTF-8 text"),
    ],
)
def test_refuses_files(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, data)


def test_refuses_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        ListFile(tmp_path / "nothing.txt")
    with pytest.raises(DataError, match=r"does not exist \(seen from "):
        ListFile("nothing.txt")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        ListFile(tmp_path)
    with pytest.raises(ConfigError, match="delimiter is empty"):
        ListFile(tmp_path / "list.txt", "")
