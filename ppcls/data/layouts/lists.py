"""Layouts of files that name images: lists, with or without names of classes, and tables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from ppcls.data.dataset.class_map import ClassMap
from ppcls.data.dataset.list_file import IMAGE_ENDINGS
from ppcls.data.dataset.table import Table, table_columns
from ppcls.data.labelled import Located, located_images
from ppcls.data.layouts.duplicates import MOST_COMPARED
from ppcls.data.layouts.folders import SPLIT_FOLDERS, class_folders
from ppcls.data.layouts.own_images import SPLIT_NAMES
from ppcls.data.layouts.understood import Found, Rows
from ppcls.errors import DataError, did_you_mean
from ppcls.text import first_few, listed_words, printable

LIST_ENDINGS = ("_list.txt", ".txt")
LABEL_FILES = ("label_list.txt", "labels.txt", "label.txt", "classes.txt", "class_list.txt")

_SPLIT_OF = {name: split for split, names in SPLIT_FOLDERS.items() for name in names}
_SPLIT_OF["dev"] = "val"


def list_files(
    folder: Path, columns: Sequence[str], without_lists: bool = False
) -> Optional[Found]:
    """Read train_list.txt (unless without them) or train.txt, and those beside; see `recognise`."""
    files = {}
    endings = LIST_ENDINGS[1:] if without_lists else LIST_ENDINGS
    for split, names in SPLIT_FOLDERS.items():
        possible = [folder / f"{name}{ending}" for ending in endings for name in names]
        found = next((one for one in possible if one.is_file()), None)
        if found:
            files[split] = found
    if "train" not in files:
        return None
    if columns:
        raise DataError(f"'{files['train']}' is a list, and has no column '{columns[0]}'")
    return _joined(folder, {name: located_images(file) for name, file in files.items()}, files)


def tables(folder: Path, columns: Sequence[str]) -> Optional[Found]:
    """Read a CSV file for all images, or one for each part; see `recognise`.

    Raises:
        DataError: several would do.
    """
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() == ".csv"]
    files = [file for file in files if file.is_file() and table_columns(file)]
    parts = {_SPLIT_OF[file.stem.lower()]: file for file in files if file.stem.lower() in _SPLIT_OF}
    if "train" in parts:
        located = {name: located_images(parts[name], columns) for name in parts}
        return _joined(folder, located, parts)
    if not files or _are_class_folders(folder):
        return None
    if len(files) > 1:
        names = first_few([str(file) for file in files])
        raise DataError(f"'{folder}' holds several tables of images; name one of them: {names}")
    return one_list(files[0], columns)


def _are_class_folders(folder: Path) -> bool:
    """Whether class folders are beside a table, and not a folder of all images."""
    try:
        found = class_folders(folder, ())
    except DataError:
        return False
    return found is not None and len(found.names or []) > 1


def one_list(file: Path, columns: Sequence[str]) -> Found:
    """Read one list or table, with the parts that a column of it tells; see `recognise`.

    Raises:
        DataError: it is malformed, or the column of parts says anything but train, val, test.
    """
    located = located_images(file, columns)
    if located.table is None or located.table.parts is None:
        return _joined(file.parent, {"train": located}, {"train": file})
    found = _joined(file.parent, {"train": located}, {"train": file})
    splits = _by_part(file, found.splits["train"], located.table)
    if not splits["train"].paths:
        raise DataError(f"'{file}': no line is of the part train (column '{_part_name(located)}')")
    return found._replace(splits=splits, how=f"{found.how}, parts in '{_part_name(located)}'")


def _part_name(located: Located) -> str:
    return located.table.names[2] if located.table else ""


def _by_part(file: Path, rows: Rows, table: Table) -> Dict[str, Rows]:
    parts = [part.lower() for part in table.parts or []]
    unknown = sorted({part for part in parts if part not in _SPLIT_OF})
    if unknown:
        raise DataError(
            f"'{file}': the column '{table.names[2]}' says {printable(first_few(unknown, 3))}."
            f"{did_you_mean(unknown[0], _SPLIT_OF)} Accepted: {', '.join(_SPLIT_OF)}"
        )
    return {
        split: _chosen(rows, [i for i, part in enumerate(parts) if _SPLIT_OF[part] == split])
        for split in SPLIT_NAMES
    }


def _chosen(rows: Rows, places: List[int]) -> Rows:
    columns = {name: [values[i] for i in places] for name, values in rows.columns.items()}
    return Rows([rows.paths[i] for i in places], [rows.words[i] for i in places], columns)


def _joined(folder: Path, located: Dict[str, Located], files: Dict[str, Path]) -> Found:
    """Return lists or tables as one set, whose root is where the paths of the first one begin."""
    root = located["train"].home
    splits = {
        name: Rows(_from(root, found), found.words, found.table.columns if found.table else {})
        for name, found in located.items()
    }
    names, label_file = _names(folder)
    how = _how(located, files, label_file)
    return Found(str(root), splits, how, names, warnings=_unlisted(root, splits))


def _unlisted(root: Path, splits: Dict[str, Rows]) -> List[str]:
    """Say how many images are beside those on the lists: photos that were added later."""
    known = {os.path.abspath(root / path) for rows in splits.values() for path in rows.paths}
    if len(known) > MOST_COMPARED:
        return []
    folders = sorted({os.path.dirname(path) for path in known})
    others = [path for folder in folders for path in _images_in(folder) if path not in known]
    if not others:
        return []
    what = "1 image" if len(others) == 1 else f"{len(others)} images, such as"
    return [f"left out, because no list names them: {what} {printable(others[0])}"]


def _images_in(folder: str) -> List[str]:
    with os.scandir(folder) as entries:
        names = sorted(one.name for one in entries if one.name.lower().endswith(IMAGE_ENDINGS))
    return [os.path.join(folder, name) for name in names if not name.startswith(".")]


def _from(root: Path, found: Located) -> Sequence[str]:
    """Return paths from `root` on, absolute ones where they begin elsewhere."""
    if found.home == root:
        return found.paths
    return [os.path.abspath(found.home / path) for path in found.paths]


def _names(folder: Path) -> Tuple[Optional[List[str]], Optional[str]]:
    """Return the names of the classes, if a file has them, and that file's name."""
    file = next((name for name in LABEL_FILES if (folder / name).is_file()), None)
    return (ClassMap.from_label_file(folder / file).names, file) if file else (None, None)


def _how(located: Dict[str, Located], files: Dict[str, Path], label_file: Optional[str]) -> str:
    names = [file.name for file in files.values()]
    table = located["train"].table
    noun = "table" if table else "list"
    how = f"the {noun}{'s' * (len(names) > 1)} {listed_words(names)}"
    if table:
        how += f", paths in '{table.names[0]}', classes in '{table.names[1]}'"
    return f"{how}, names of the classes in {label_file}" if label_file else how
