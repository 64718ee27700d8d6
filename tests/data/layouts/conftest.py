"""Folders of files that are called like photos; what is in them is their own name."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest

Photos = Callable[..., Path]


@pytest.fixture()
def photos(tmp_path: Path) -> Photos:
    """Make files below a folder, each with other bytes unless `bytes_of` says so."""

    def make(*names: str, folder: str = "photos", content: bytes = b"") -> Path:
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content or name.encode())
        return tmp_path / folder

    return make
