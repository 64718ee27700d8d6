"""Data sets with a folder for each class."""

from __future__ import annotations

import os
from typing import Annotated, Dict, List, Optional

import numpy as np

from ppcls.data.dataset.class_map import ClassMap
from ppcls.data.dataset.files import ImageFiles, require_folder
from ppcls.data.dataset.packed import PackedStrings
from ppcls.data.transforms import Pipeline
from ppcls.data.transforms.imagefile import IMAGE_SUFFIXES
from ppcls.errors import DataError, did_you_mean
from ppcls.labels import LabelKind, Labels
from ppcls.registry import Part, PartsOf, Provided, register
from ppcls.text import first_few

_SUFFIXES = tuple(IMAGE_SUFFIXES)
_OF_SYSTEMS = {"__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information"}
"""Folders that operating systems and archives leave behind."""


@register("dataset")
class ImageFolder(ImageFiles):
    """Images in one folder for each class, whose name is the class's; deeper folders belong to the
    class.

    Classes are numbered in the order of their sorted names. Images directly in `image_root`, files
    that are no images by their ending, and hidden files and folders are left out. With a class map
    (evaluation) its numbers are used; classes without a folder are then allowed, folders that are
    no class are not.

    Args:
        image_root: the folder of the folders.
        transform_ops: what is done to each image.
        class_map: the classes, where they are known already.

    Raises:
        DataError: the folder is missing or empty, a class has no image, or a folder is not a known
            class.
        ConfigError: the transforms do not fit together.
    """

    def __init__(
        self,
        image_root: str,
        transform_ops: Annotated[List[Part], PartsOf("transform")],
        class_map: Provided[Optional[ClassMap]] = None,
    ) -> None:
        transform = Pipeline(transform_ops)
        found = images_by_class(image_root)
        if class_map is None:
            _refuse_empty_classes(image_root, found)
            class_map = ClassMap(list(found))
        else:
            _refuse_unknown_classes(image_root, found, class_map)
        paths = [path for images in found.values() for path in images]
        if not paths:
            raise DataError(
                f"'{image_root}' holds no image in a folder of its class; {_layout(image_root)}"
            )
        numbers = [class_map.index(name) for name in found]
        classes = np.repeat(numbers, [len(images) for images in found.values()])
        labels = Labels(LabelKind.HARD, classes.astype(np.int64))
        super().__init__(image_root, PackedStrings(paths), labels, class_map, transform)


def _layout(root: str) -> str:
    example = os.path.join(root, "cat", "1.jpg")
    return f"it must hold one folder for each class, with the images inside: {example}"


def images_by_class(root: str) -> Dict[str, List[str]]:
    """Return the images of each class folder, relative to `root`; both in the order of their names.

    Raises:
        DataError: the folder is missing, or holds no folder.
    """
    require_folder(root)
    return {name: _images_in(root, name) for name in _class_folders(root)}


def is_hidden(name: str) -> bool:
    """Whether a folder is none of a class: hidden, or left behind by a system."""
    return name.startswith(".") or name in _OF_SYSTEMS


def _class_folders(root: str) -> List[str]:
    with os.scandir(root) as entries:
        names = sorted(e.name for e in entries if e.is_dir() and not is_hidden(e.name))
    if not names:
        raise DataError(f"'{root}' holds no folder; {_layout(root)}")
    return names


def _images_in(root: str, name: str) -> List[str]:
    """Return the sorted paths, relative to `root`, of the images in a class's folder and below."""
    images = []
    for folder, folders, files in os.walk(os.path.join(root, name)):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        kept = [f for f in files if f.lower().endswith(_SUFFIXES) and not f.startswith(".")]
        images += [os.path.relpath(os.path.join(folder, file), root) for file in sorted(kept)]
    return images


def _refuse_empty_classes(root: str, found: Dict[str, List[str]]) -> None:
    empty = [name for name, images in found.items() if not images]
    if empty:
        raise DataError(
            f"'{root}' has {_count(empty, 'class folder')} without an image: {first_few(empty)}; "
            f"put images ({', '.join(IMAGE_SUFFIXES[:5])}, ...) there or remove the folder"
        )


def _refuse_unknown_classes(root: str, found: Dict[str, List[str]], class_map: ClassMap) -> None:
    unknown = [name for name in found if name not in class_map]
    if unknown:
        hint = did_you_mean(unknown[0], class_map.names)
        raise DataError(
            f"'{root}' has {_count(unknown, 'folder')} without a class in the training set: "
            f"{first_few(unknown)}.{hint} The {len(class_map)} known classes: "
            f"{first_few(class_map.names)}"
        )


def _count(names: List[str], noun: str) -> str:
    return f"{len(names)} {noun}{'s' * (len(names) > 1)}"
