"""Layouts of folders: one for each class, perhaps inside others called train, val and test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Counter, Dict, Iterable, List, Optional, Sequence

from ppcls.data.dataset.folder import images_by_class, is_hidden
from ppcls.data.layouts.understood import Found, Rows
from ppcls.data.transforms.imagefile import IMAGE_SUFFIXES
from ppcls.errors import DataError, did_you_mean
from ppcls.text import first_few, listed_words, printable

SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""What the parts of a set are called, in any capitals."""

_PARTS = {"train", "val", "valid", "validation", "test"}
"""Those of the names that no class has."""


def split_folders(folder: Path, columns: Sequence[str]) -> Optional[Found]:
    """Read folders called train, val and test, each with class folders; see `recognise`."""
    places = _split_places(folder)
    if "train" not in places or not _has_class_folders(places["train"]):
        return None
    _refuse_columns(folder, columns)
    known = {name: place for name, place in places.items() if _has_class_folders(place)}
    by_class = {name: _images(folder, place) for name, place in known.items()}
    _refuse_empty(places["train"], by_class["train"])
    names = list(by_class["train"])
    for name, classes in by_class.items():
        _refuse_unknown(known[name], classes, names)
    splits = {name: _rows(classes) for name, classes in by_class.items()}
    called = [known[name].name for name in splits]
    noun = "the folders" if called[1:] else "a folder"
    others = sorted(
        one.name
        for one in folder.iterdir()
        if one.is_dir() and one not in known.values() and not is_hidden(one.name)
    )
    warnings = [f"left out, because no class folders are in them: {first_few(others)}"]
    return Found(
        str(folder),
        splits,
        f"{noun} {listed_words(called)}, with a folder for each class",
        names,
        are_folders=True,
        warnings=[*(warnings if others else []), *_left_out_warning(known.values())],
    )


def class_folders(folder: Path, columns: Sequence[str]) -> Optional[Found]:
    """Read a folder for each class; see `recognise`."""
    if not _has_class_folders(folder):
        return None
    _refuse_columns(folder, columns)
    classes = images_by_class(str(folder))
    _refuse_parts(folder, classes)
    _refuse_wrapper(folder, classes)
    _refuse_empty(folder, classes)
    warnings = _left_out_warning([folder])
    loose = sum(one.suffix.lower() in IMAGE_SUFFIXES for one in folder.iterdir())
    if loose:
        warnings.append(f"left out: {loose} images beside the class folders, which have no class")
    how = "a folder for each class"
    return Found(str(folder), {"train": _rows(classes)}, how, list(classes), True, warnings)


def _split_places(folder: Path) -> Dict[str, Path]:
    """Return the folders that are called like a part of a set."""
    by_name = {one.name.lower(): one for one in sorted(folder.iterdir()) if one.is_dir()}
    places = {}
    for split, names in SPLIT_FOLDERS.items():
        found = next((by_name[name] for name in names if name in by_name), None)
        if found:
            places[split] = found
    return places


def _has_class_folders(folder: Path) -> bool:
    """Whether a folder holds folders with an image somewhere; the first one is enough."""
    below = [one for one in folder.iterdir() if one.is_dir() and not is_hidden(one.name)]
    return any(_has_image(one) for one in below)


def _has_image(folder: Path) -> bool:
    return any(
        name.lower().endswith(tuple(IMAGE_SUFFIXES)) and not name.startswith(".")
        for _, _, names in os.walk(folder)
        for name in names
    )


def _images(folder: Path, place: Path) -> Dict[str, List[str]]:
    """Return the images of a part's class folders, from the whole set's folder on."""
    found = images_by_class(str(place))
    return {name: [f"{place.name}/{path}" for path in images] for name, images in found.items()}


def _rows(classes: Dict[str, List[str]]) -> Rows:
    paths = [path for images in classes.values() for path in images]
    return Rows(paths, [name for name, images in classes.items() for _ in images])


def _refuse_columns(folder: Path, columns: Sequence[str]) -> None:
    if columns:
        raise DataError(
            f"'{folder}' has class folders, and no table with a column '{columns[0]}'; name the "
            "CSV file itself"
        )


def _refuse_parts(folder: Path, classes: Dict[str, List[str]]) -> None:
    """Refuse folders that are called like parts of a set and have no folders of classes."""
    parts = [name for name in classes if name.lower() in _PARTS]
    if parts:
        raise DataError(
            f"'{folder}' holds {listed_words(parts)}, which look like parts of a divided set, not "
            f"like classes; the images in them must lie in a folder for each class, as in "
            f"{folder / parts[0] / 'cat' / '1.jpg'}, or a table must name them"
        )


def _refuse_wrapper(folder: Path, classes: Dict[str, List[str]]) -> None:
    """Refuse a folder around the one that is meant, as unpacked archives have it."""
    if len(classes) != 1:
        return
    only = folder / next(iter(classes))
    if _has_class_folders(only):
        raise DataError(
            f"'{folder}' holds one folder only, {only.name}, which holds folders itself; if those "
            f"are the classes, name it: {only}"
        )


def _refuse_empty(folder: Path, classes: Dict[str, List[str]]) -> None:
    empty = [name for name, images in classes.items() if not images]
    if empty:
        raise DataError(
            f"'{folder}': {len(empty)} of {len(classes)} class folders hold no image: "
            f"{printable(first_few(empty))}; put images ({', '.join(IMAGE_SUFFIXES[:5])}, ...) "
            "there or remove the folder"
        )


def _refuse_unknown(place: Path, classes: Dict[str, List[str]], names: Sequence[str]) -> None:
    known = set(names)
    unknown = [name for name, images in classes.items() if images and name not in known]
    if unknown:
        raise DataError(
            f"'{place}' has class folders that the training set has not: "
            f"{printable(first_few(unknown))}.{did_you_mean(unknown[0], names)} The {len(names)} "
            f"classes: {printable(first_few(names))}"
        )


def _left_out_warning(folders: Iterable[Path]) -> List[str]:
    """Say which files in class folders are no images by their ending, and how many."""
    others = Counter(
        os.path.splitext(name)[1].lower() or name
        for folder in folders
        for one in folder.iterdir()
        if one.is_dir() and not is_hidden(one.name)
        for _, _, names in os.walk(one)
        for name in names
        if not name.startswith(".") and not name.lower().endswith(tuple(IMAGE_SUFFIXES))
    )
    endings = ", ".join(f"{count} {printable(ending)}" for ending, count in others.most_common(5))
    advice = "; export .heic and .heif as JPEG" if {".heic", ".heif"} & others.keys() else ""
    what = f"left out, because they are no images by their ending: {endings}{advice}"
    return [what] if others else []
