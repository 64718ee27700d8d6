"""The images that a network is calibrated with, and those that it is judged by: never the same.

Calibration sees which values occur inside the network. An image that was calibrated with looks
better afterwards than a new one, so what is judged must be new.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from ppcls.data.dataset.class_map import ClassMap
from ppcls.data.dataset.folder import images_by_class
from ppcls.data.dataset.list_file import ListFile
from ppcls.data.transforms import Pipeline
from ppcls.data.transforms.imagefile import read_image_file
from ppcls.errors import BadImageError, DataError, UsageError
from ppcls.files import sha256_of
from ppcls.inference.sources import find_images

LIST_SUFFIXES = (".txt", ".lst", ".csv")

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


def calibration_images(where: str, most: int) -> ImageSet:
    """Return up to `most` images, evenly spread over a folder (any depth) or a list file.

    A list file has an image on each line, relative to the file's folder, and may have labels.

    Raises:
        UsageError: there is nothing of this name, or no image in it.
        DataError: the list file is empty, or names a file that is not there.
    """
    paths = _listed(Path(where))[0] if _is_list(where) else find_images([where])
    count = min(most, len(paths))
    return ImageSet(where, [paths[i * len(paths) // count] for i in range(count)])


def judged_images(where: str, labels: Sequence[str]) -> ImageSet:
    """Return the images of a list file (``path class`` on each line) or of class folders.

    Args:
        where: the file, or the folder of the folders.
        labels: the names of the network's classes. A list gives names or numbers, folders names.

    Raises:
        UsageError: it is neither a list file nor a folder.
        DataError: it is empty or malformed, names a file that is not there, or a class that is none
            of the network's.
    """
    if _is_list(where):
        paths, words = _listed(Path(where))
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
    return ImageSet(where, paths, _class_numbers(where, words, labels))


def _is_list(where: str) -> bool:
    return Path(where).suffix.lower() in LIST_SUFFIXES and not Path(where).is_dir()


def _listed(path: Path) -> Tuple[List[str], List[str]]:
    """Return the paths and the words for their classes."""
    file = ListFile(path)
    file.refuse({}, "Each line is 'path class'.")
    paths = [str(path.parent / one) for one in file.paths]
    missing = [one for one in paths if not Path(one).is_file()]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(paths)} images are not there, for example "
            f"{missing[0]}; paths are relative to the list file's folder"
        )
    return paths, [file.words[code] for code in file.codes]


def _class_numbers(where: str, words: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    classes = ClassMap(labels)
    numbers = {word: _class_number(where, word, classes) for word in set(words)}
    return np.array([numbers[word] for word in words], dtype=np.int64)


def _class_number(where: str, word: str, classes: ClassMap) -> int:
    if word not in classes and word.isdecimal() and int(word) < len(classes):
        return int(word)
    try:
        return classes.index(word)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


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
