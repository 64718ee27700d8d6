"""Images whose classes a list file or folders tell, for what judges networks without training them:
where the files are, and which class of a network a word means.
"""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Sequence, Union

import numpy as np

from ppcls.data.dataset.class_map import ClassMap
from ppcls.data.dataset.list_file import ListFile
from ppcls.errors import DataError, did_you_mean
from ppcls.text import first_few

LIST_SUFFIXES = (".txt", ".lst", ".csv")


class Listed(NamedTuple):
    """The images of a list file, and for each the word for its class."""

    paths: List[str]
    words: List[str]


class Classes(NamedTuple):
    """The class of each image as a network numbers it, int64 [n], and how words were understood."""

    numbers: np.ndarray
    how: str


def is_list_file(where: str) -> bool:
    """Whether a name is one of a list file, which need not be there."""
    return Path(where).suffix.lower() in LIST_SUFFIXES and not Path(where).is_dir()


def listed_images(where: Union[str, Path]) -> Listed:
    """Read a list file, ``path class`` on each line.

    Paths begin in the folder of the list file or, where its first image is not there, in the folder
    around that one: lists stand beside the images, or name the folder that they are in.

    Raises:
        DataError: the file is missing, empty or malformed, or names files that are not there.
    """
    file = ListFile(where)
    file.refuse({}, "Each line is 'path class'.")
    folder = Path(where).parent
    around = folder / ".." if folder.name in ("", "..") else folder.parent
    is_around = not (folder / file.paths[0]).is_file() and (around / file.paths[0]).is_file()
    paths = [str((around if is_around else folder) / one) for one in file.paths]
    missing = [one for one in paths if not Path(one).is_file()]
    if missing:
        raise DataError(
            f"{where}: {len(missing)} of {len(paths)} images are not there, for example "
            f"{missing[0]}; paths begin in the list file's folder or, where its first image is not "
            "there, in the folder around that one"
        )
    return Listed(paths, [file.words[code] for code in file.codes])


def classes_of(
    where: str, words: Sequence[str], labels: Sequence[str], only_names: bool = False
) -> Classes:
    """Return which of a network's classes are meant: all words are names of classes, or all are
    their numbers. Where both would do, as for digits, they are names.

    Args:
        where: the words are from, for messages.
        words: one for each image.
        labels: the names of the network's classes, in its order.
        only_names: the words are no numbers, since folders are called by them.

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
            raise DataError(_no_class(unnamed, unnumbered, classes, only_names))
        else:
            numbers, how = {word: classes.index(word) for word in known}, "classes by name"
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    return Classes(np.array([numbers[word] for word in words], dtype=np.int64), how)


def _is_number(word: str, count: int) -> bool:
    return word.isdecimal() and int(word) < count


def _no_class(
    unnamed: Sequence[str], unnumbered: Sequence[str], classes: ClassMap, only_names: bool
) -> str:
    """Say which words are wrong: those that are neither names nor numbers, if there are such."""
    odd = unnamed if only_names else [word for word in unnamed if word in unnumbered] or unnamed
    numbers = f"; a list has names, or numbers from 0 to {len(classes) - 1}, and not both"
    return (
        f"no class of the network is called {first_few(odd, 3)}."
        f"{did_you_mean(odd[0], classes.names)} The {len(classes)} classes: "
        f"{first_few(classes.names)}{'' if only_names else numbers}"
    )
