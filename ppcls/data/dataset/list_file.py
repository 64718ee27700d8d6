"""List files: text with one image on each line, its path and its class."""

from __future__ import annotations

import re
from array import array
from itertools import islice
from pathlib import Path
from typing import Dict, Iterator, Mapping, Optional, Tuple, Union

import numpy as np

from ppcls.data.dataset.packed import PackedStrings
from ppcls.data.transforms.imagefile import IMAGE_SUFFIXES
from ppcls.errors import ConfigError, DataError

IMAGE_ENDINGS = tuple(IMAGE_SUFFIXES)

_SHOWN = 10
_MARKS = (",", ";", "|")
_MARK_BEHIND_IMAGE = re.compile(
    rf"(?:{'|'.join(map(re.escape, IMAGE_ENDINGS))})\s*([{''.join(_MARKS)}])", re.I
)


class ListFile:
    """The images of a list file: `paths`, and for each the word that stands for its class.

    Lines are ``path label``. Without a delimiter the last white space divides them, so paths may
    contain spaces. `codes[i]` is the place of image i's word in `words`, and `lines[i]` the number
    of its line. Lines without a label are kept for `refuse`, so that all mistakes come at once.
    """

    def __init__(self, path: Union[str, Path], delimiter: Optional[str] = None) -> None:
        """Read the file.

        Raises:
            ConfigError: the delimiter is empty.
            DataError: the file is missing or empty, or no line has a label.
        """
        if delimiter == "":
            raise ConfigError("delimiter is empty; leave it out to divide at the last white space")
        self.path = path
        self.paths = PackedStrings()
        # Arrays instead of lists: ImageNet has 1.3 million lines.
        codes, numbers = array("q"), array("q")
        code_of: Dict[str, int] = {}
        self._bad: Dict[int, str] = {}
        self._delimiter = delimiter
        for number, text in read_lines(path, "list file"):
            image, label = _divide(text, delimiter)
            if label:
                self.paths.append(image)
                codes.append(code_of.setdefault(label, len(code_of)))
                numbers.append(number)
            else:
                self._bad[number] = f"no label in '{text}'"
        self.codes = np.frombuffer(codes, dtype=np.int64)
        self.lines = np.frombuffer(numbers, dtype=np.int64)
        self.words = list(code_of)
        if not self.words:
            self.refuse({}, "")

    def other_delimiter(self) -> Optional[str]:
        """Return what seems to divide path and label of the first line, if something else did."""
        path = self.paths[0]
        # In "my cats/0.png,0" the white space divides inside the path.
        behind = _MARK_BEHIND_IMAGE.search(f"{path} {self.words[self.codes[0]]}")
        mark = "\t" if "\t" in path else behind and behind[1]
        return mark if mark != self._delimiter else None

    def refuse(self, reasons: Mapping[int, str], advice: str) -> None:
        """Raise an error that names the lines without a label or with one that is wrong.

        Args:
            reasons: {code: reason} of the words that are wrong.
            advice: what is accepted.

        Raises:
            DataError: there is such a line.
        """
        if not reasons and not self._bad:
            return
        where = np.flatnonzero(np.isin(self.codes, list(reasons)))
        wrong = {int(self.lines[i]): reasons[int(self.codes[i])] for i in where[:_SHOWN]}
        if self._bad:
            advice = f"{_how_to_divide(self._bad, self._delimiter)} {advice}".strip()
        total = len(where) + len(self._bad)
        raise bad_lines(self.path, {**self._bad, **wrong}, advice, total)


def delimiter_of(path: Union[str, Path]) -> Optional[str]:
    """Return what divides path and label of the first line: a tab, a comma, semicolon or bar behind
    the name of an image; None, as `ListFile` takes it, for other white space.

    Raises:
        DataError: the file is missing, empty or not text.
    """
    text = next(read_lines(path, "list file"))[1]
    behind = _MARK_BEHIND_IMAGE.search(text)
    return "\t" if "\t" in text else behind[1] if behind else None


def _divide(text: str, delimiter: Optional[str]) -> Tuple[str, str]:
    """Return (path, label); the label is empty where there is none."""
    parts = text.rsplit(delimiter, 1)
    if len(parts) < 2 or not parts[0].strip():
        return text, ""
    label = parts[1].strip()
    # "my cat.jpg" is a path with a space, not the path "my" of the class "cat.jpg".
    return parts[0].strip(), "" if label.lower().endswith(IMAGE_ENDINGS) else label


def _how_to_divide(bad: Mapping[int, str], delimiter: Optional[str]) -> str:
    if delimiter is not None:
        return f"Each line is 'path{delimiter}label', since delimiter is {delimiter!r}."
    first = next(iter(bad.values()))
    for mark in _MARKS:
        if mark in first:
            return f"Each line is 'path label'; if '{mark}' divides them, set delimiter: '{mark}'."
    return "Each line is 'path label'."


def read_lines(path: Union[str, Path], what: str) -> Iterator[Tuple[int, str]]:
    """Yield (number, text) of the lines of a UTF-8 file that are not blank, stripped.

    Raises:
        DataError: the file is missing, not text, or has no such line.
    """
    is_empty = True
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                text = _decoded(line, number, f"the {what} '{path}'").strip()
                if text:
                    is_empty = False
                    yield number, text
    except FileNotFoundError:
        raise DataError(f"the {what} '{path}' does not exist{_seen_from(path)}") from None
    except OSError as error:
        raise DataError(f"the {what} '{path}' cannot be read: {error.strerror}") from None
    if is_empty:
        raise DataError(f"the {what} '{path}' is empty")


def _decoded(line: bytes, number: int, what: str) -> str:
    if b"\0" in line:
        raise DataError(f"{what} is not UTF-8 text; save it as UTF-8")
    # Names of files need not be UTF-8; this way odd bytes survive until the file is opened.
    text = line.decode("utf-8", errors="surrogateescape")
    return text.lstrip("\ufeff") if number == 1 else text


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
