"""One's own photos as a run takes them: divided, and written into lists in its folder."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from ppcls.data.division import (
    Division,
    DivisionRequest,
    divide,
    joined,
    lacking_classes,
    whole_groups,
)
from ppcls.data.groups import groups_of
from ppcls.data.layouts import OwnImages
from ppcls.data.split import list_texts
from ppcls.files import write_text
from ppcls.text import first_few, printable

LISTS = "lists"

FEWEST = 8
"""Images of the usual class below which nothing is held back: one or two images judge nothing, and
are missed in training.
"""

_log = logging.getLogger("ppcls")


@dataclass(frozen=True)
class Sets:
    """Where the images are.

    Attributes:
        root: the folder that the paths in the lists start from.
        train: the list of the images to learn from.
        val: the list of those that are held back; None where there are too few images for that.
        labels: the names of the classes.
        images: how many there are to learn from.
        groups: which of these belong together, int64 [images]; None where none do.
    """

    root: Path
    train: Path
    val: Optional[Path]
    labels: Path
    images: int
    groups: Optional[np.ndarray] = None


def divided(images: OwnImages, request: DivisionRequest) -> Division:
    """Divide the images if need be, and say what the user should know of them."""
    division = divide(images, request)[0]
    torn = whole_groups(division, request.group_by)[1]
    lacking = lacking_classes(images.class_names, division)
    for warning in dict.fromkeys([*images.warnings, *lacking, *torn]):
        _log.warning("%s", warning)
    if request.val is not None or images.val is not None or np.median(images.counts) >= FEWEST:
        return division
    everything = joined(division["train"], division["val"])
    return {"train": everything, **{name: division[name] for name in ("test",) if name in division}}


def write_sets(
    images: OwnImages, division: Division, folder: Path, group_by: Optional[str] = None
) -> Sets:
    """Write lists of the images into the folder of a run, in place of those of an earlier one."""
    home = folder / LISTS
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    for name, text in list_texts(images, division).items():
        write_text(home / name, text)
    _log.info("%s", _told(images, division))
    val = home / "val_list.txt" if "val" in division else None
    train_list, labels = home / "train_list.txt", home / "label_list.txt"
    groups = groups_of(division["train"], group_by) if group_by else None
    return Sets(Path(images.root), train_list, val, labels, len(division["train"]), groups)


def write_whole_set(images: OwnImages, division: Division, folder: Path) -> Sets:
    """Write a list of all images, those held back as well, into the folder of a run."""
    everything = joined(division["train"], division["val"])
    home = folder / LISTS
    home.mkdir(parents=True, exist_ok=True)
    for name, text in list_texts(images, {"train": everything}).items():
        write_text(home / name, text)
    lists = home / "train_list.txt", None, home / "label_list.txt"
    return Sets(Path(images.root), *lists, len(everything))


def _told(images: OwnImages, division: Division) -> str:
    counts = images.counts.tolist()
    shown = [f"{name} {count}" for name, count in zip(images.class_names, counts)]
    held = f"{len(division['val'])} held back" if "val" in division else "none held back"
    test = f", {len(division['test'])} left to test with" if "test" in division else ""
    return printable(
        f"photos:   {images.how}; {len(shown)} classes: {first_few(shown)}; "
        f"{len(division['train'])} to learn from, {held}{test}"
    )
