"""What every data set of image files has in common."""

from __future__ import annotations

import errno
import hashlib
import os
from typing import Optional, Sequence, Tuple

import numpy as np

from ppcls.data.dataset.class_map import ClassMap
from ppcls.data.dataset.list_file import ListFile
from ppcls.data.transforms import Pipeline
from ppcls.errors import BadImageError, DataError

_TRIED_AT_ONCE = 5
_NOT_THE_IMAGE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class Dataset:
    """Image files with a class each.

    Attributes:
        image_root: the folder that the paths start from.
        labels: int64, the class of each image.
        class_map: the names of the classes.
        transform: what is done to each image.
    """

    def __init__(
        self,
        image_root: str,
        paths: Sequence[str],
        labels: np.ndarray,
        class_map: ClassMap,
        transform: Pipeline,
    ) -> None:
        """Keep what a subclass found out; `paths` are relative to `image_root`."""
        self.image_root = image_root
        self._paths = paths
        self.labels = labels
        self.class_map = class_map
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def paths(self) -> Sequence[str]:
        """The path of each image, joined with `image_root`."""
        return _JoinedPaths(self.image_root, self._paths)

    @property
    def fingerprint(self) -> str:
        """A checksum of all names (from `image_root` on) and labels, in their order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.labels, dtype="<i8").tobytes())
        for path in self._paths:
            digest.update(path.encode("utf-8", errors="surrogateescape") + b"\n")
        return digest.hexdigest()[:16]

    def path(self, index: int) -> str:
        """Return the path of one image, joined with `image_root`."""
        return os.path.join(self.image_root, self._paths[index])

    def load(
        self, index: int, rng: np.random.Generator, out: Optional[np.ndarray] = None
    ) -> Tuple[np.ndarray, int]:
        """Read, decode and transform one image.

        Args:
            index: which image.
            rng: the source of all randomness.
            out: where to write the image, float32 of its shape; saves a copy.

        Returns:
            The image, channels x height x width, float32, and its class.

        Raises:
            BadImageError: the file cannot be read or decoded; the message begins with its path and
                a colon.
        """
        path = self.path(index)
        try:
            return self.transform(_read(path), rng, out), int(self.labels[index])
        except BadImageError as error:
            raise BadImageError(f"{path}: {error}") from None


class _JoinedPaths(Sequence[str]):
    def __init__(self, root: str, paths: Sequence[str]) -> None:
        self._root = root
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [os.path.join(self._root, path) for path in self._paths[index]]
        return os.path.join(self._root, self._paths[index])


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise BadImageError("the file does not exist") from None
    except IsADirectoryError:
        raise BadImageError("this is a folder, not an image file") from None
    except OSError as error:
        if error.errno in _NOT_THE_IMAGE:
            raise
        raise BadImageError(f"the file cannot be read: {error.strerror}") from None


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


def require_some_images(dataset: Dataset, images: ListFile) -> None:
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
