"""The images that are predicted while time is taken: distinct, real, in random order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from ppcls.data.dataset.list_file import ListFile
from ppcls.data.transforms import Pipeline
from ppcls.data.transforms.imagefile import read_image_file
from ppcls.errors import BadImageError, DataError, UsageError
from ppcls.inference.sources import find_images
from ppcls.text import first_few

MEMORY = 400_000_000
"""Bytes that prepared images may take."""


@dataclass(frozen=True)
class Images:
    """Image files and, where they are known, the words for their classes.

    Attributes:
        where: the folder or list file.
        paths: of the images.
        words: for each the class as a list file or a folder names it; None without labels.
        folders: whether the words are names of folders.
    """

    where: str
    paths: List[str]
    words: Optional[List[str]] = None
    folders: bool = False

    def chosen(self, count: int, seed: int) -> Images:
        """Return `count` of them in random order, or all if there are no more."""
        order = np.random.default_rng(seed).permutation(len(self.paths))[:count]
        words = None if self.words is None else [self.words[i] for i in order]
        return Images(self.where, [self.paths[i] for i in order], words, self.folders)


def read_images(where: str) -> Images:
    """Find the images of a folder, of folders for each class, or of a list file.

    A list file has lines of ``path class_index``; paths are relative to its folder, the folder
    around that, or the current one.

    Raises:
        UsageError: there is nothing of this name, or no image in it.
        DataError: the list file is malformed, or names a file that is not there.
    """
    path = Path(where)
    if path.is_file() and path.suffix.lower() in (".txt", ".lst", ".csv"):
        return _listed(path)
    paths = find_images([where])
    if not path.is_dir():
        return Images(where, paths)
    parents = [Path(one).relative_to(path).parts for one in paths]
    if any(len(parts) < 2 for parts in parents):
        return Images(where, paths)
    return Images(where, paths, [parts[0] for parts in parents], folders=True)


def _listed(path: Path) -> Images:
    file = ListFile(path)
    file.refuse({}, "")
    roots = [path.parent, path.parent.parent, Path()]
    root = next((one for one in roots if (one / file.paths[0]).is_file()), path.parent)
    paths = [str(root / file.paths[i]) for i in range(len(file.paths))]
    missing = [one for one in paths if not Path(one).is_file()]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(paths)} images are not there: "
            f"{first_few(missing, 3)}; paths are relative to the list file's folder, its "
            "parent or the current one"
        )
    return Images(str(path), paths, [file.words[code] for code in file.codes])


def class_numbers(images: Images, labels: Sequence[str]) -> Tuple[Optional[np.ndarray], str]:
    """Return the class of each image as a network numbers it, and how the labels were read.

    Instead of numbers None, and why, where the labels are not the network's.

    Args:
        images: with words for their classes, or without.
        labels: the names of the network's classes.
    """
    if images.words is None:
        return None, f"{images.where} has no labels (a list file or a folder for each class has)"
    words = sorted(set(images.words))
    known = {name: number for number, name in enumerate(labels)}
    if all(word in known for word in words) and len(known) == len(labels):
        return _numbered(images.words, known), "classes by name"
    if images.folders:
        return (
            None,
            f"{images.where}: the folders are no classes of the network: {_odd(words, known)}",
        )
    if all(word.isdigit() and int(word) < len(labels) for word in words):
        return _numbered(images.words, {word: int(word) for word in words}), "classes by number"
    odd = [word for word in words if not (word.isdigit() and int(word) < len(labels))]
    return None, (
        f"{images.where}: no class of the network, which has the numbers 0 to {len(labels) - 1}: "
        f"{first_few(odd, 3)}"
    )


def _numbered(words: Sequence[str], numbers: Dict[str, int]) -> np.ndarray:
    return np.array([numbers[word] for word in words], dtype=np.int64)


def _odd(words: Sequence[str], known: Dict[str, int]) -> str:
    return first_few([word for word in words if word not in known], 3)


def prepare_images(images: Images, transform: Pipeline, shape: Tuple[int, int, int]) -> np.ndarray:
    """Return the images as the network takes them, [n, *shape].

    Raises:
        BadImageError: one cannot be read, or is not prepared to `shape`.
    """
    return np.stack([_prepared(path, images.where, transform, shape) for path in images.paths])


def _prepared(path: str, where: str, transform: Pipeline, shape: Tuple[int, ...]) -> np.ndarray:
    try:
        image = transform(read_image_file(path))
    except (BadImageError, OSError) as error:
        raise BadImageError(f"{path}: {error}; take it out of {where}") from None
    if image.shape != shape:
        raise BadImageError(f"{path}: it becomes {image.shape}, and the network takes {shape}")
    return image


def refuse_too_few(images: Images, needed: int) -> None:
    """Make sure that a batch consists of distinct images.

    Raises:
        UsageError: there are fewer than `needed`.
    """
    if len(images.paths) < needed:
        raise UsageError(
            f"{images.where} holds {len(images.paths)} image(s), and a batch needs {needed} "
            "different ones: give --images more, or --batch-sizes smaller numbers"
        )


def most_images(shape: Tuple[int, int, int]) -> int:
    """Return how many prepared images of a shape fit into `MEMORY`."""
    return max(1, MEMORY // (4 * int(np.prod(shape))))
