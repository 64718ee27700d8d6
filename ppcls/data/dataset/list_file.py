"""List files: text with one image on each line, its path and its class."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import List, Mapping, Optional, Tuple, Union

import numpy as np

from ppcls.data.dataset.packed import PackedStrings
from ppcls.data.transforms.imagefile import IMAGE_SUFFIXES
from ppcls.errors import ConfigError, DataError

_SHOWN = 10


class ListFile:
    """The images of a list file: `paths`, and for each the word that stands for its class.

    Lines are ``path label``. Without a delimiter the last white space divides them, so paths may
    contain spaces. `codes[i]` is the place of image i's word in `words`, and `lines[i]` the number
    of its line.
    """

    def __init__(self, path: Union[str, Path], delimiter: Optional[str] = None) -> None:
        """Read the file.

        Raises:
            ConfigError: the delimiter is empty.
            DataError: the file is missing or empty, or lines have no label; all are named, up to
                ten.
        """
        if delimiter == "":
            raise ConfigError("delimiter is empty; leave it out to divide at the last white space")
        self.path = path
        numbered = read_lines(path, "list file")
        codes: dict[str, int] = {}
        paths, code_of_image, numbers, bad = [], [], [], {}
        for number, text in numbered:
            image, label = _divide(text, delimiter)
            if not label:
                bad[number] = f"no label in '{text}'"
                continue
            paths.append(image)
            code_of_image.append(codes.setdefault(label, len(codes)))
            numbers.append(number)
        if bad:
            raise bad_lines(path, bad, _how_to_divide(numbered[0][1], delimiter))
        self.paths = PackedStrings(paths)
        self.codes = np.array(code_of_image, dtype=np.int64)
        self.words = list(codes)
        self.lines = np.array(numbers, dtype=np.int32)

    def refuse(self, reasons: Mapping[int, str], advice: str) -> None:
        """Raise an error that names the lines whose word has a reason against it; `reasons` is
        {code: reason}.

        Raises:
            DataError: there is such a line.
        """
        if not reasons:
            return
        where = np.flatnonzero(np.isin(self.codes, list(reasons)))
        shown = {int(self.lines[i]): reasons[int(self.codes[i])] for i in where[:_SHOWN]}
        raise bad_lines(self.path, shown, advice, len(where))


def _divide(text: str, delimiter: Optional[str]) -> Tuple[str, str]:
    """Return (path, label); the label is empty where there is none."""
    parts = text.rsplit(delimiter, 1)
    if len(parts) < 2 or not parts[0].strip():
        return text, ""
    label = parts[1].strip()
    # "my cat.jpg" is a path with a space, not the path "my" of the class "cat.jpg".
    return parts[0].strip(), "" if label.lower().endswith(_SUFFIXES) else label


_SUFFIXES = tuple(IMAGE_SUFFIXES)


def _how_to_divide(text: str, delimiter: Optional[str]) -> str:
    if delimiter is not None:
        return f"Each line is 'path{delimiter}label', since delimiter is {delimiter!r}."
    for candidate in (",", ";", "|"):
        if candidate in text:
            return (
                f"Each line is 'path label'; if '{candidate}' divides them, "
                f"set delimiter: '{candidate}'."
            )
    return "Each line is 'path label'."


def read_lines(path: Union[str, Path], what: str) -> List[Tuple[int, str]]:
    """Return (number, text) of the lines of a UTF-8 file that are not blank, stripped.

    Raises:
        DataError: the file is missing, not text, or has no such line.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"the {what} '{path}' does not exist{_seen_from(path)}") from None
    except OSError as error:
        raise DataError(f"the {what} '{path}' cannot be read: {error.strerror}") from None
    text = _decoded(data, path, what)
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line]
    if not lines:
        raise DataError(f"the {what} '{path}' is empty")
    return lines


def _decoded(data: bytes, path: Union[str, Path], what: str) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:1000]:
        raise DataError(f"the {what} '{path}' is not UTF-8 text; save it as UTF-8")
    # Names of files need not be UTF-8; this way odd bytes survive until the file is opened.
    return data.decode("utf-8", errors="surrogateescape").lstrip("\ufeff")


def _seen_from(path: Union[str, Path]) -> str:
    return "" if Path(path).is_absolute() else f" (seen from {Path.cwd()})"


def bad_lines(
    path: Union[str, Path], reasons: Mapping[int, str], advice: str, total: Optional[int] = None
) -> DataError:
    """Return an error with ``file:line: reason`` of ten of `total` lines at most, and `advice`."""
    total = len(reasons) if total is None else total
    shown = [
        f"{path}:{number}: {reason}" for number, reason in islice(sorted(reasons.items()), _SHOWN)
    ]
    if total > len(shown):
        shown.append(f"... and {total - len(shown)} more")
    return DataError("\n".join([*shown, advice]))
