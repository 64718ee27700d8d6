"""From the words of a layout to numbered classes, and what may be wrong with them."""

from __future__ import annotations

import os
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from ppcls.data.labelled import classes_of
from ppcls.data.layouts.duplicates import same_photos
from ppcls.data.layouts.own_images import OwnImages, OwnSplit
from ppcls.data.layouts.readable import readable
from ppcls.errors import DataError
from ppcls.text import first_few, is_whole_number, printable


class Rows(NamedTuple):
    """Images as a layout has them: paths, for each the word for its class, columns of a table."""

    paths: Sequence[str]
    words: List[str]
    columns: Dict[str, List[str]] = {}


class Found(NamedTuple):
    """What a layout consists of, before its words are understood.

    Attributes:
        root: the folder that paths start from.
        splits: by name, "train" among them.
        how: a sentence on what was recognised.
        names: of the classes, where the layout has a list of them.
        are_folders: words are names of folders, and never numbers.
        warnings: see `OwnImages`.
    """

    root: str
    splits: Dict[str, Rows]
    how: str
    names: Optional[List[str]] = None
    are_folders: bool = False
    warnings: Sequence[str] = ()


def understood(where: str, found: Found) -> OwnImages:
    """Number the classes, and check that the images can be learned from.

    Args:
        where: what the user named, for messages.
        found: what a layout has.

    Raises:
        DataError: there are fewer than two classes; a class of an undivided set has one photo; or a
            word is no class.
    """
    names = _names(found)
    _refuse_one_class(where, found, names)
    splits = {
        name: OwnSplit(rows.paths, _numbers(f"{where} ({name})", rows, found, names), rows.columns)
        for name, rows in found.splits.items()
        if rows.paths
    }
    root = os.path.abspath(found.root)
    splits, warnings = readable(root, splits)
    if "train" not in splits:
        raise DataError(f"'{where}' holds no image to learn from: {'; '.join(warnings)}")
    images = OwnImages(root, names, splits, found.how, [*found.warnings, *warnings])
    _refuse_single_photos(where, images)
    images.warnings.extend([*_empty_classes(images), *same_photos(images)])
    return images


def _names(found: Found) -> List[str]:
    """Return the names of the classes; numbers are sorted by their value."""
    if found.names:
        return found.names
    words = set(found.splits["train"].words)
    if all(map(is_whole_number, words)):
        return sorted(words, key=lambda word: (int(word), word))
    return sorted(words)


def _numbers(where: str, rows: Rows, found: Found, names: List[str]) -> np.ndarray:
    return classes_of(where, rows.words, names, found.are_folders, "the training set").numbers


def _refuse_one_class(where: str, found: Found, names: List[str]) -> None:
    words = set(found.splits["train"].words)
    if len(words) > 1 and len(names) > 1:
        return
    only = printable(next(iter(words), names[0] if names else ""))
    raise DataError(
        f"'{where}' holds one class only, {only}, and telling classes apart takes two: add "
        "a folder or lines for another class (for one thing or not, photos of anything else)"
    )


def _refuse_single_photos(where: str, images: OwnImages) -> None:
    """Refuse classes that cannot be divided."""
    if images.val:
        return
    single = [images.class_names[i] for i in np.flatnonzero(images.counts == 1)]
    if single:
        many = "1 class has one photo" if len(single) == 1 else f"{len(single)} classes have one"
        raise DataError(
            f"'{where}': each class needs two images at least, one to learn from and one to be "
            f"judged by; {many}: {printable(first_few(single))}. Add photos, or remove the class"
        )


def _empty_classes(images: OwnImages) -> List[str]:
    empty = [images.class_names[i] for i in np.flatnonzero(images.counts == 0)]
    if not empty:
        return []
    return [
        f"{len(empty)} of {len(images.class_names)} classes have no photo to learn from: "
        f"{printable(first_few(empty))}"
    ]
