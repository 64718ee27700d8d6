"""Folders of small photos."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Optional

import pytest

from tests.data.photo_files import photo_of

Photos = Callable[..., Path]


@pytest.fixture()
def photos(tmp_path: Path) -> Photos:
    """Make files below a folder, each another photo, or of a given content."""

    def make(*names: str, folder: str = "photos", content: Optional[bytes] = None) -> Path:
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(photo_of(name) if content is None else content)
        return tmp_path / folder

    return make
