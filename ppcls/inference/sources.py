"""Which image files a command line means."""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, List

from ppcls.data.transforms.imagefile import IMAGE_SUFFIXES
from ppcls.errors import UsageError
from ppcls.text import natural_key


def find_images(inputs: Iterable[str]) -> List[str]:
    """Return the image files that files and folders stand for.

    Folders are searched to any depth; their files come in natural order.

    Raises:
        UsageError: an input does not exist, or a folder holds no images.
    """
    return [path for one in inputs for path in _images_of(Path(one))]


def _images_of(path: Path) -> List[str]:
    if path.is_dir():
        found = [
            file
            for file in path.rglob("*")
            if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()
        ]
        if not found:
            raise UsageError(
                f"{path}: the folder holds no images; looked for {', '.join(IMAGE_SUFFIXES)}"
            )
        return sorted(map(str, found), key=natural_key)
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; give image files, or folders of them")
    return [str(path)]
