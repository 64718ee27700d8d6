"""Lists of images: a path or address on each line, and perhaps more behind it."""

from __future__ import annotations

import csv
import os
import re
from itertools import islice
from pathlib import Path
from typing import Iterator, List, Sequence

from ppcls.data.transforms.imagefile import IMAGE_SUFFIXES
from ppcls.errors import DataError

LIST_SUFFIXES = (".txt", ".csv", ".lst")
MOST_LIST_BYTES = 1 << 28
"""Six million lines; ImageNet's list has 1.3 million."""

_LOOKED_FOR = 100
_HEADS = {"path", "image", "image_path", "file", "filename", "file_name", "source", "url"}
"""Names of a table's first column, in lower case."""

_SUFFIX = re.compile(rf"(?:{'|'.join(map(re.escape, IMAGE_SUFFIXES))})(?=[\s,;|]|$)", re.I)
_SIZES_OF_PNM = re.compile(rb"P[1-6]\s+(?:#[^\n]*\n\s*)*\d+\s+\d+\s")


def is_address(word: str) -> bool:
    """Whether a word is an address of the web."""
    return word.lower().startswith(("http://", "https://"))


def is_image_data(data: bytes) -> bool:
    """Whether bytes are those of an image, not of a list: they are no text, or that of a PNM."""
    is_utf_16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return (b"\0" in data[:4096] and not is_utf_16) or bool(_SIZES_OF_PNM.match(data))


def listed_images_of(data: bytes, where: str, folders: Sequence[Path]) -> Iterator[str]:
    """Yield the paths and addresses of a list.

    A path ends behind the first image suffix (.jpg, ...) that white space, or one of ``, ; |``,
    follows, and an address at white space; a line without such an end is a path as a whole, and one
    in double quotes is what CSV makes of it. What follows, such as a label, is ignored, as are
    empty lines and the head of a table.

    Args:
        data: the list, in UTF-8.
        where: it comes from, for messages.
        folders: where paths may begin; all begin in the first of these where one of the first
            hundred is there.

    Raises:
        DataError: it is no text in UTF-8, or names no image.
    """
    paths = _paths(_text(data, where))
    if not paths:
        raise DataError(f"{where}: names no image; each line is a path or an address")
    local = [path for path in islice(paths, _LOOKED_FOR) if not is_address(path)]
    begins = (one for one in folders if any(os.path.lexists(one / path) for path in local))
    folder = next(begins, folders[0])
    return (path if is_address(path) else str(folder / path) for path in paths)


def _text(data: bytes, where: str) -> str:
    if b"\0" in data:
        raise DataError(f"{where}: the list is not text in UTF-8; save it as UTF-8")
    # Names of files need not be UTF-8; odd bytes survive until the file is opened.
    return data.decode("utf-8", errors="surrogateescape").lstrip("\ufeff")


def _paths(text: str) -> List[str]:
    lines = [line.strip() for line in text.split("\n")]
    found = [_path(line) for line in lines if line]
    if found and re.split(r"[,;|\t]", found[0])[0].strip().lower() in _HEADS:
        del found[0]
    return found


def _path(line: str) -> str:
    if line.startswith('"'):
        return _first_cell(line)
    if is_address(line):
        line = line.split()[0]
    end = _SUFFIX.search(line)
    return line[: end.end()] if end else line


def _first_cell(line: str) -> str:
    try:
        return next(csv.reader([line]))[0]
    except (csv.Error, StopIteration, IndexError):
        return line
