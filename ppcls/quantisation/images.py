"""The images that a network is calibrated with, and those that it is judged by: never the same.

Calibration sees which values occur inside the network. An image that was calibrated with looks
better afterwards than a new one, so what is judged must be new.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence

import numpy as np

from ppcls.data.dataset.folder import images_by_class
from ppcls.data.labelled import LIST_SUFFIXES, classes_of, is_list_file, listed_images
from ppcls.data.transforms import Pipeline
from ppcls.data.transforms.imagefile import read_image_file
from ppcls.errors import BadImageError, DataError, UsageError
from ppcls.files import sha256_of
from ppcls.inference.sources import find_images

KEPT_BYTES = 1 << 30
"""Up to how many bytes of prepared images are kept in memory."""

_SHOWN = 5


@dataclass(frozen=True)
class ImageSet:
    """Image files.

    Attributes:
        where: the folder or list file that they come from.
        paths: of the files.
        classes: the number of each image's class, int64 [n]; None where they do not matter.
    """

    where: str
    paths: List[str]
    classes: Optional[np.ndarray] = None

    def prepared(self, transform: Pipeline) -> Iterator[np.ndarray]:
        """Yield each image alone, as a batch [1, ...] that the network takes.

        Raises:
            BadImageError: a file cannot be read; the message names it.
        """
        for path in self.paths:
            try:
                yield transform(read_image_file(path))[None]
            except (BadImageError, OSError) as error:
                raise BadImageError(f"{path}: {error}; take it out of {self.where}") from None


class Prepared:
    """The images of a set as batches of one, as often as they are asked for: prepared once if they
    are small enough to be kept, else each time.

    Raises:
        BadImageError: a file cannot be read; the message names it.
    """

    def __init__(self, images: ImageSet, transform: Pipeline) -> None:
        self._images, self._transform = images, transform
        self._kept: Optional[List[np.ndarray]] = None
        first = next(images.prepared(transform))
        if first.nbytes * len(self) <= KEPT_BYTES:
            self._kept = list(images.prepared(transform))

    def __len__(self) -> int:
        return len(self._images.paths)

    def __iter__(self) -> Iterator[np.ndarray]:
        if self._kept is not None:
            return iter(self._kept)
        return self._images.prepared(self._transform)


def calibration_images(where: str, most: int) -> ImageSet:
    """Return up to `most` images, evenly spread over a folder (any depth) or a list file.

    Raises:
        UsageError: there is nothing of this name, or no image in it.
        DataError: the list file is not as `ppcls.data.labelled.listed_images` takes it.
    """
    paths = listed_images(where).paths if is_list_file(where) else find_images([where])
    count = min(most, len(paths))
    return ImageSet(where, [paths[i * len(paths) // count] for i in range(count)])


def judged_images(where: str, labels: Sequence[str]) -> ImageSet:
    """Return the images of a list file (``path class`` on each line) or of class folders.

    Args:
        where: the file, or the folder of the folders.
        labels: the names of the network's classes, see `ppcls.data.labelled.classes_of`.

    Raises:
        UsageError: it is neither a list file nor a folder.
        DataError: it is empty or malformed, names a file that is not there, or a class that is none
            of the network's.
    """
    by_list = is_list_file(where)
    if by_list:
        paths, words = listed_images(where)
    elif Path(where).is_dir():
        found = images_by_class(where).items()
        paths = [str(Path(where) / path) for _, images in found for path in images]
        words = [name for name, images in found for _ in images]
    else:
        raise UsageError(
            f"{where}: is no list file ({', '.join(LIST_SUFFIXES)}) and no folder of class "
            "folders, which say what the images that judge show"
        )
    if not paths:
        raise DataError(f"{where}: holds no image in a folder of its class")
    return ImageSet(where, paths, classes_of(where, words, labels, not by_list).numbers)


def refuse_overlap(calibration: ImageSet, judged: ImageSet) -> None:
    """Make sure that no image of one set is in the other, by the content of the files.

    Raises:
        DataError: some are; the message names files of both sets.
        OSError: a file cannot be read.
    """
    known = {sha256_of(Path(path)): path for path in calibration.paths}
    both: Dict[str, str] = {}
    for path in judged.paths:
        twin = known.get(sha256_of(Path(path)))
        if twin is not None:
            both[path] = twin
    if not both:
        return
    shown = [f"{path} (in the calibration: {twin})" for path, twin in both.items()]
    more = f" and {len(both) - _SHOWN} more" if len(both) > _SHOWN else ""
    raise DataError(
        f"{len(both)} of the {len(judged.paths)} images that judge ({judged.where}) are among "
        f"those of the calibration ({calibration.where}): {'; '.join(shown[:_SHOWN])}{more}. "
        "Judged by images that it was calibrated with, a network looks better than it is: give "
        "--calibration and --judge different images"
    )
