"""The images that are predicted while time is taken: distinct, real, in random order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import numpy as np

from ppcls.data.labelled import classes_of, is_list_file, listed_images
from ppcls.data.transforms import Pipeline
from ppcls.data.transforms.imagefile import read_image_file
from ppcls.errors import BadImageError, DataError, UsageError
from ppcls.inference.sources import find_images

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

    Raises:
        UsageError: there is nothing of this name, or no image in it.
        DataError: the list file is not as `ppcls.data.labelled.listed_images` takes it.
    """
    path = Path(where)
    if is_list_file(where):
        return Images(where, *listed_images(where))
    paths = find_images([where])
    if not path.is_dir():
        return Images(where, paths)
    parents = [Path(one).relative_to(path).parts for one in paths]
    if any(len(parts) < 2 for parts in parents):
        return Images(where, paths)
    return Images(where, paths, [parts[0] for parts in parents], folders=True)


def class_numbers(images: Images, labels: Sequence[str]) -> Tuple[Optional[np.ndarray], str]:
    """Return the class of each image as a network numbers it, and how the labels were read.

    Instead of numbers None, and why, where the labels are not the network's.

    Args:
        images: with words for their classes, or without.
        labels: the names of the network's classes, see `ppcls.data.labelled.classes_of`.
    """
    if images.words is None:
        return None, f"{images.where} has no labels (a list file or a folder for each class has)"
    try:
        return classes_of(images.where, images.words, labels, images.folders)
    except DataError as error:
        return None, str(error)


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
