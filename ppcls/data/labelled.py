"""Images whose classes a list file or folders tell, for what judges networks without training them:
where the files are, and which class of a network a word means.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from ppcls.data.dataset.class_map import ClassMap
from ppcls.data.dataset.list_file import ListFile, delimiter_of
from ppcls.data.dataset.table import Table, has_table_form, read_table
from ppcls.errors import DataError, did_you_mean
from ppcls.text import first_few, is_whole_number

ENDINGS_TRIED = ("", ".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG", ".webp", ".bmp")
LIST_SUFFIXES = (".txt", ".lst", ".csv")


class Listed(NamedTuple):
    """The images of a list file, and for each the word for its class."""

    paths: List[str]
    words: List[str]


class Located(NamedTuple):
    """The images of a list file: the folder that their paths start from, the paths, for each the
    word for its class, and what else a table says.
    """

    home: Path
    paths: Sequence[str]
    words: List[str]
    table: Optional[Table] = None


class Classes(NamedTuple):
    """The class of each image as a network numbers it, int64 [n], and how words were understood."""

    numbers: np.ndarray
    how: str


def is_list_file(where: str) -> bool:
    """Whether a name is one of a list file, which need not be there."""
    return Path(where).suffix.lower() in LIST_SUFFIXES and not Path(where).is_dir()


def listed_images(where: Union[str, Path]) -> Listed:
    """Read a list file with `located_images`, and return the images' paths as they can be opened.

    Raises:
        DataError: the file is missing, empty or malformed, or names files that are not there.
    """
    found = located_images(where)
    return Listed([str(found.home / one) for one in found.paths], found.words)


def located_images(where: Union[str, Path], columns: Sequence[str] = ()) -> Located:
    """Read a list file, ``path class`` on each line, or a CSV file (`read_table`).

    White space divides path and class, or a tab, comma, semicolon or bar on every line.
    Paths begin in the folder of the list file or, where its first image is not there, in the folder
    around that one: lists stand beside the images, or name the folder that they are in. Those of a
    table may also begin in a folder beside it, of its name or "images" rather than another, and
    may lack the ending of the file (.jpg, .png), as long as all have the same.

    Args:
        where: the file.
        columns: further columns of a table to keep.

    Raises:
        DataError: the file is missing, empty or malformed, or names files that are not there; or
            columns are asked for that it has not.
    """
    table = read_table(where, columns) if _is_table(where, columns) else None
    paths: Sequence[str]
    if table:
        paths, words = table.paths, table.words
    else:
        file = ListFile(where, delimiter_of(where))
        file.refuse({}, "Each line is 'path class'.")
        paths, words = file.paths, [file.words[code] for code in file.codes]
    homes = _homes(Path(where), with_folders=table is not None)
    home, ending = _start(homes, paths[0], ENDINGS_TRIED if table else [""])
    paths = [f"{path}{ending}" for path in paths] if ending else paths
    missing = [one for one in paths if not os.path.isfile(home / one)]
    if missing:
        raise DataError(_not_there(where, home, missing, len(paths), table is not None))
    return Located(home, paths, words, table)


def _start(homes: Sequence[Path], first: str, endings: Sequence[str]) -> Tuple[Path, str]:
    """Return the folder in which the first image is, and what ends its name besides."""
    for ending in endings:
        for home in homes:
            if os.path.isfile(home / f"{first}{ending}"):
                return home, ending
    return homes[0], ""


def _is_table(where: Union[str, Path], columns: Sequence[str]) -> bool:
    return bool(columns) or (Path(where).suffix.lower() == ".csv" and has_table_form(where))


def _homes(where: Path, with_folders: bool) -> List[Path]:
    """Return the folders that paths may start from, the likeliest first."""
    folder = where.parent
    homes = [folder, folder / ".." if folder.name in ("", "..") else folder.parent]
    if with_folders:
        below = sorted(one for one in folder.iterdir() if one.is_dir())
        homes += sorted(below, key=lambda one: (one.name != where.stem, one.name != "images"))
    return homes


def _not_there(
    where: Union[str, Path], home: Path, missing: Sequence[str], total: int, is_table: bool
) -> str:
    beside = ", or in a folder beside it" if is_table else ""
    return (
        f"{where}: {len(missing)} of {total} images are not there, for example "
        f"{home / missing[0]}; paths begin in the list file's folder or, where its first image is "
        f"not there, in the folder around that one{beside}"
    )


def classes_of(
    where: str,
    words: Sequence[str],
    labels: Sequence[str],
    only_names: bool = False,
    owner: str = "the network",
) -> Classes:
    """Return which of a network's classes are meant: all words are names of classes, or all are
    their numbers. Where both would do, as for digits, they are names.

    Args:
        where: the words are from, for messages.
        words: one for each image.
        labels: the names of the network's classes, in its order.
        only_names: the words are no numbers, since folders are called by them.
        owner: what has the classes, for messages.

    Raises:
        DataError: a word is no class, or a name that several classes have.
    """
    classes, known = ClassMap(labels), sorted(set(words))
    unnamed = [word for word in known if word not in classes]
    unnumbered = [word for word in known if not _is_number(word, len(labels))]
    try:
        if unnamed and not unnumbered and not only_names:
            numbers, how = {word: int(word) for word in known}, "classes by number"
        elif unnamed:
            raise DataError(_no_class(unnamed, unnumbered, classes, only_names, owner))
        else:
            numbers, how = {word: classes.index(word) for word in known}, "classes by name"
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    return Classes(np.array([numbers[word] for word in words], dtype=np.int64), how)


def _is_number(word: str, count: int) -> bool:
    return is_whole_number(word) and int(word) < count


def _no_class(
    unnamed: Sequence[str],
    unnumbered: Sequence[str],
    classes: ClassMap,
    only_names: bool,
    owner: str,
) -> str:
    """Say which words are wrong: those that are neither names nor numbers, if there are such."""
    odd = unnamed if only_names else [word for word in unnamed if word in unnumbered] or unnamed
    numbers = f"; a list has names, or numbers from 0 to {len(classes) - 1}, and not both"
    return (
        f"no class of {owner} is called {first_few(odd, 3)}."
        f"{did_you_mean(odd[0], classes.names)} The {len(classes)} classes: "
        f"{first_few(classes.names)}{'' if only_names else numbers}"
    )
