from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import List

import pytest

from ppcls.errors import BadImageError, DataError, UsageError
from ppcls.inference import sources
from ppcls.inference.sources import (
    Fetched,
    FileOrSource,
    Gathering,
    Held,
    Missing,
    find_images,
    refuse_all_missing,
)


def gathered(*words: object, **options: bool) -> List[FileOrSource]:
    return Gathering(**options).sources(map(str, words))


def names(found: List[FileOrSource], folder: Path) -> List[str]:
    return [os.path.relpath(one, folder) for one in found if isinstance(one, str)]


def give_stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data), isatty=bool))


def test_folders_are_searched_in_natural_order(photos: Path) -> None:
    every = ["2.png", "3.png", "10.png", "deeper/a.PNG"]
    assert names([*find_images([str(photos)])], photos) == every
    assert names(gathered(photos), photos) == every
    assert names(gathered(photos, recursive=False), photos) == every[:3]


def test_a_named_file_is_taken_whatever_it_is_called(photos: Path) -> None:
    notes, image = str(photos / "notes.md"), str(photos / "2.png")
    Path(notes).write_text("no image")
    assert find_images([notes, image, image]) == [notes, image, image]
    assert gathered(notes, image, image) == [notes, image, image]


def test_patterns(photos: Path) -> None:
    assert names(gathered(photos / "*.png"), photos) == ["2.png", "3.png", "10.png"]
    assert names(gathered(photos / "**/*.[pP][nN][gG]"), photos)[-1] == "deeper/a.PNG"
    assert gathered(photos / "*.gif") == [
        Missing(str(photos / "*.gif"), "no file matches this pattern")
    ]
    odd = photos / "[1].png"
    odd.write_bytes(b"")
    assert gathered(odd) == [str(odd)], "what has exactly this name is no pattern"


def test_lists_name_files_and_addresses(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = photos / "list.txt"
    listed.write_text("2.png 7\nhttps://a.example/b.jpg\ngone.png\n")
    address = Fetched("https://a.example/b.jpg")
    expected: List[FileOrSource] = [str(photos / "2.png"), address, str(photos / "gone.png")]
    assert gathered(listed) == expected
    listed.write_text("photos/2.png\n")
    assert names(gathered(listed), photos) == ["2.png"], "from the folder around"
    monkeypatch.chdir(photos / "deeper")
    listed.write_text("a.PNG\n")
    assert gathered(listed) == ["a.PNG"], "from the current folder, as `find` writes it"


def test_an_image_that_is_called_like_a_list_is_an_image(photos: Path) -> None:
    odd = photos / "odd.txt"
    odd.write_bytes((photos / "2.png").read_bytes())
    assert gathered(odd) == [str(odd)]


def test_standard_input_is_an_image_or_a_list(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (photos / "2.png").read_bytes()
    give_stdin(monkeypatch, data)
    (held,) = gathered("-")
    assert held == Held("-", data) and isinstance(held, Held) and held.read() == data
    monkeypatch.chdir(photos)
    give_stdin(monkeypatch, b"2.png\n3.png\n")
    assert gathered("-") == ["2.png", "3.png"]
    give_stdin(monkeypatch, b"")
    with pytest.raises(DataError, match="standard input: names no image"):
        gathered("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="standard input, which is closed"):
        gathered("-")


def test_a_terminal_is_asked_for_paths(
    photos: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    typed = SimpleNamespace(buffer=io.BytesIO(b"2.png\n"), isatty=lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)
    monkeypatch.chdir(photos)
    with caplog.at_level("INFO", "ppcls"):
        assert gathered("-") == ["2.png"]
    assert caplog.messages == [
        "type or paste paths and addresses, one on each line; Ctrl-D ends them"
    ]


def test_lists_that_never_end_are_not_read(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_LIST_BYTES", 20)
    give_stdin(monkeypatch, b"x" * 30)
    with pytest.raises(DataError, match="standard input has more than 0 MB"):
        gathered("-")
    listed = photos / "list.txt"
    listed.write_text("2.png\n" * 10)
    with pytest.raises(DataError, match="list.txt: the list cannot be read: it has 0 MB"):
        gathered(listed)


def test_addresses() -> None:
    assert gathered("HTTP://a.example/x?y=1") == [Fetched("HTTP://a.example/x?y=1")]
    (found,) = gathered("http://a.example/x", private_urls=True)
    assert isinstance(found, Fetched) and found.private_too


def test_what_is_missing_is_no_error_beside_others(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = gathered(photos / "2.png", tmp_path / "gone.png", tmp_path / "empty")
    refuse_all_missing(found)
    assert isinstance(found[2], Missing)
    with pytest.raises(BadImageError, match="holds no images; looked for .jpg"):
        found[2].read()
    with pytest.raises(DataError, match=r"gone.png: no such file or folder; .*empty: the folder"):
        refuse_all_missing(found[1:])
    with pytest.raises(DataError, match="and 2 more"):
        refuse_all_missing(["x", "y", "z", "a\0b", "c"])


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gone: no such file or folder"):
        find_images([str(tmp_path / "gone")])
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UsageError, match="holds no images; looked for .jpg"):
        find_images([str(tmp_path)])
