"""Which layout a folder or file of one's own images has."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple, Union

from ppcls.data.labelled import is_list_file
from ppcls.data.layouts.folders import class_folders, split_folders
from ppcls.data.layouts.lists import list_files, one_list, tables
from ppcls.data.layouts.own_images import OwnImages
from ppcls.data.layouts.understood import Found, understood
from ppcls.data.transforms.imagefile import IMAGE_SUFFIXES
from ppcls.errors import DataError, did_you_mean
from ppcls.text import printable

KNOWN = """\
Known layouts:
  FOLDER/cat/1.jpg, FOLDER/dog/1.jpg, ...         a folder for each class
  FOLDER/train/cat/1.jpg, FOLDER/val/cat/1.jpg    such folders in train and val (and test)
  FOLDER/train_list.txt, FOLDER/val_list.txt      lists, 'path class' on each line
  FOLDER/train.txt, val.txt, labels.txt           the same, with the names of the classes
  FOLDER/photos.csv                               a header with the columns path and label
  photos.csv, list.txt                            such a file itself"""

_Layout = Callable[[Path, Sequence[str]], Optional[Found]]
_LAYOUTS: Tuple[_Layout, ...] = (split_folders, tables, class_folders)
"""What reads each layout of a folder without lists, or returns None where it has another."""


def recognise(
    path: Union[str, Path], columns: Sequence[str] = (), without_lists: bool = False
) -> OwnImages:
    """Recognise the layout of one's own images and read all of it; nothing is moved or copied.

    Images that cannot be read are left out, as `readable` says; those that are there twice are
    named, as `same_photos` says. No image is decoded.

    A folder may hold (the first that it has):

    1. the lists ``train_list.txt`` (or ``train.txt``), and ``val_list.txt`` and ``test_list.txt``
       where they are there, with ``label_list.txt``, ``labels.txt``, ``label.txt`` or
       ``classes.txt``;
    2. the folders ``train``, ``val`` (``valid``, ``validation``), ``test`` of class folders;
    3. a CSV file with columns of paths and classes and, if there is one, of parts; or one for each
       part, ``train.csv`` and ``val.csv``;
    4. a folder for each class.

    A file is a CSV file, or a list with ``path class`` on each line.

    Args:
        path: the folder or file.
        columns: further columns of a CSV file to keep, in `OwnSplit.columns`.
        without_lists: read a folder as if it had no ``*_list.txt``, as `ppcls data split` writes
            them.

    Returns:
        Absolute root, class names, images and class numbers of "train" (all images where the set is
        not divided), "val" and "test", a sentence on what was recognised, and warnings.

    Raises:
        DataError: there is no such folder or file, no layout is recognised, files are malformed, or
            there are too few classes or photos.
    """
    place = Path(path)
    if place.is_file():
        return understood(str(path), _of_file(place, columns))
    _require_there(place)
    found = list_files(place, columns, without_lists)
    for layout in _LAYOUTS:
        found = found or layout(place, columns)
    if found is None:
        raise DataError(_unknown(place))
    return understood(str(path), found)


def _of_file(place: Path, columns: Sequence[str]) -> Found:
    if not is_list_file(str(place)):
        raise DataError(f"'{place}' is no list file (.txt, .lst, .csv) and no folder. {KNOWN}")
    return one_list(place, columns)


def _require_there(place: Path) -> None:
    if place.is_dir():
        return
    siblings: List[str] = []
    if place.absolute().parent.is_dir():
        siblings = [one.name for one in place.absolute().parent.iterdir()]
    raise DataError(
        f"there is no folder '{printable(str(place))}'.{did_you_mean(place.name, siblings)}"
    )


def _unknown(place: Path) -> str:
    """Say what a folder holds instead of a layout."""
    entries = list(place.iterdir())
    images = sum(one.suffix.lower() in IMAGE_SUFFIXES for one in entries)
    if not entries:
        held = "is empty"
    elif images:
        held = f"holds {images} images, and nothing says which class each belongs to"
    else:
        held = f"holds no images in a layout that is known ({len(entries)} entries)"
    return f"'{place}' {held}. {KNOWN}"
