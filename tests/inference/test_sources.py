from __future__ import annotations

from pathlib import Path

import pytest

from ppcls.errors import UsageError
from ppcls.inference.sources import find_images


def test_folders_are_searched_in_natural_order(photos: Path) -> None:
    found = find_images([str(photos)])
    assert [Path(path).relative_to(photos).as_posix() for path in found] == [
        "2.png",
        "3.png",
        "10.png",
        "deeper/a.PNG",
    ]


def test_a_named_file_is_taken_whatever_it_is_called(photos: Path) -> None:
    notes, image = str(photos / "notes.txt"), str(photos / "2.png")
    assert find_images([notes, image, image]) == [notes, image, image]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gone: no such file or folder"):
        find_images([str(tmp_path / "gone")])
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UsageError, match="holds no images; looked for .jpg"):
        find_images([str(tmp_path)])
