"""What a set of one's own images consists of, whatever its layout."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Dict, List, Optional, Sequence

import numpy as np

SPLIT_NAMES = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class OwnSplit:
    """Images with their classes.

    Attributes:
        paths: from `OwnImages.root` on, or absolute where a list says so.
        numbers: of the classes, int64 [n]: places in `OwnImages.class_names`.
        columns: what further columns of a table say of each image, by their names.
    """

    paths: Sequence[str]
    numbers: np.ndarray
    columns: Dict[str, List[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.paths)


def chosen(images: OwnSplit, where: np.ndarray) -> OwnSplit:
    """Return the images at some places, in ascending order."""
    places = where.tolist()
    columns = {name: [values[i] for i in places] for name, values in images.columns.items()}
    return OwnSplit([images.paths[i] for i in places], images.numbers[where], columns)


@dataclass(frozen=True, eq=False)
class OwnImages:
    """A set of one's own images.

    Attributes:
        root: the absolute path of the folder that paths start from.
        class_names: in the order of their numbers.
        splits: "train", which is all of an undivided set, and "val" and "test" where they are there
            already, each with at least one image.
        how: a sentence on what was recognised.
        warnings: what the user should know: the same photo in two classes, what was left out.
    """

    root: str
    class_names: List[str]
    splits: Dict[str, OwnSplit]
    how: str
    warnings: List[str] = field(default_factory=list)

    @property
    def train(self) -> OwnSplit:
        """The images to learn from, or all images."""
        return self.splits["train"]

    @property
    def val(self) -> Optional[OwnSplit]:
        """The images that are held back to choose a model by, where the set is divided already."""
        return self.splits.get("val")

    @property
    def test(self) -> Optional[OwnSplit]:
        """The images that are held back to judge the chosen model by."""
        return self.splits.get("test")

    @cached_property
    def counts(self) -> np.ndarray:
        """How many images of each class there are to learn from, int64 [classes]."""
        return np.bincount(self.train.numbers, minlength=len(self.class_names))
