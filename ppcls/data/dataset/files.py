"""Data sets whose images are files below one folder."""

from __future__ import annotations

import os
from typing import Optional, Sequence

from ppcls.data.dataset.base import Dataset
from ppcls.data.dataset.class_map import ClassMap
from ppcls.data.dataset.list_file import ListFile
from ppcls.data.transforms import Pipeline
from ppcls.data.transforms.imagefile import read_image_file
from ppcls.errors import BadImageError, DataError, OutageError
from ppcls.labels import Labels

_TRIED_AT_ONCE = 5
_TRIED_IN_AN_OUTAGE = 16


class ImageFiles(Dataset):
    """Image files with a label each; `image_root` is the folder that the paths start from."""

    def __init__(
        self,
        image_root: str,
        paths: Sequence[str],
        labels: Labels,
        class_map: ClassMap,
        transform: Pipeline,
    ) -> None:
        """Keep what a subclass found out; `paths` are relative to `image_root`."""
        super().__init__(paths, labels, class_map, transform)
        self.image_root = image_root
        self._had_some = False

    def path(self, index: int) -> str:
        """Return the path of one image, joined with `image_root`."""
        return os.path.join(self.image_root, self._names[index])

    def name(self, index: int) -> str:
        """Return the path, by which people find the file."""
        return self.path(index)

    def read(self, index: int) -> bytes:
        """Return the bytes of an image file; see `Dataset.read`."""
        try:
            data = read_image_file(self.path(index))
        except BadImageError as error:
            if self._had_some and not self._has_others_than(index):
                raise OutageError(
                    f"the images below {self.image_root} cannot be reached any more, for example "
                    f"{self._names[index]}: {error}"
                ) from None
            # The set may have come back in between; what is bad for itself still is.
            data = read_image_file(self.path(index))
        self._had_some = True
        return data

    def _has_others_than(self, index: int) -> bool:
        """Whether one of some further images, from all over the set, can be opened."""
        step = max(1, len(self) // _TRIED_IN_AN_OUTAGE)
        others = ((index + i * step) % len(self) for i in range(1, _TRIED_IN_AN_OUTAGE + 1))
        return any(_can_be_read(self.path(other)) for other in others)


def _can_be_read(path: str) -> bool:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            file.read(1)
    except (OSError, ValueError):
        return False
    return True


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def require_folder(path: str) -> None:
    """Check that the folder of the images is there.

    Raises:
        DataError: it is missing, or a file.
    """
    if os.path.isdir(path):
        return
    seen_from = "" if os.path.isabs(path) else f" (seen from {os.getcwd()})"
    kind = "is a file, not a folder" if os.path.exists(path) else "does not exist"
    raise DataError(f"image_root '{path}' {kind}{seen_from}; set it to the folder of the images")


def require_some_images(dataset: ImageFiles, images: ListFile) -> None:
    """Check the first few images, and no more: a million look-ups on a network disk would take
    minutes.

    Raises:
        DataError: none of them exists, so `image_root` is probably wrong, or the lines are divided
            at the wrong place.
    """
    first = [dataset.path(index) for index in range(min(len(dataset), _TRIED_AT_ONCE))]
    if any(os.path.exists(path) for path in first):
        return
    raise DataError(
        f"none of the first {len(first)} images of '{images.path}' exists, for example "
        f"'{first[0]}', which is image_root '{dataset.image_root}' and the path on the line; "
        f"image_root is probably wrong{_hint_at(images.other_delimiter())}"
    )


def _hint_at(mark: Optional[str]) -> str:
    if mark is None:
        return ""
    name, written = ("a tab", '"\\t"') if mark == "\t" else (f"'{mark}'", f"'{mark}'")
    return f"; or {name} divides path and label, then set delimiter: {written}"
