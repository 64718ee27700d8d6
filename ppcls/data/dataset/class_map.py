"""The names of the classes, in the order of a network's outputs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Union

from ppcls.data.dataset.list_file import bad_lines, read_lines
from ppcls.errors import DataError, did_you_mean
from ppcls.text import first_few, is_whole_number


class ClassMap:
    """The names of the classes; a class's number is its place in the list.

    Names may repeat (ImageNet has two kinds of crane), but then only numbers tell the classes
    apart.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Keep the names.

        Raises:
            DataError: there is no class, or a name has bytes that are not UTF-8.
        """
        if not names:
            raise DataError("a class map needs at least one class")
        for name in names:
            _require_text(name)
        self.names: List[str] = list(names)
        self._index: Dict[str, int] = {}
        for index, name in enumerate(self.names):
            self._index.setdefault(name, index)

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClassMap) and self.names == other.names

    def __repr__(self) -> str:
        return f"ClassMap({len(self)} classes: {first_few(self.names, 5)})"

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def index(self, name: str) -> int:
        """Return the number of a class.

        Raises:
            DataError: no class has the name (the message gives the nearest), or more than one has.
        """
        if name not in self._index:
            raise DataError(
                f"there is no class '{name}'.{did_you_mean(name, self._index)} "
                f"The {len(self)} known classes: {first_few(self.names)}"
            )
        if len(self._index) < len(self) and Counter(self.names)[name] > 1:
            raise DataError(
                f"more than one class is called '{name}'; give the class's number instead"
            )
        return self._index[name]

    @classmethod
    def numbered(cls, count: int) -> ClassMap:
        """Return `count` classes that are called by their numbers."""
        return cls([str(number) for number in range(count)])

    @classmethod
    def from_label_file(cls, path: Union[str, Path]) -> ClassMap:
        """Read a file with a class on each line, either all ``number name``, in any order, or all
        ``name``.

        Raises:
            DataError: the file is missing or empty, or numbers are missing, repeated, or not on
                every line.
        """
        lines = [(line, " ".join(text.split())) for line, text in read_lines(path, "label file")]
        pairs = [(line, *text.partition(" ")[::2]) for line, text in lines]
        if not all(is_whole_number(number) and name for _, number, name in pairs):
            _refuse_numbers_last(path, [text for _, text in lines])
            return cls([text for _, text in lines])
        names: List[Optional[str]] = [None] * len(pairs)
        bad = {}
        for line, text, name in pairs:
            number = int(text)
            if number >= len(names):
                bad[line] = (
                    f"class {number}, but the file has {len(names)} classes: 0 to {len(names) - 1}"
                )
            elif names[number] is not None:
                bad[line] = f"class {number} has a name already, '{names[number]}'"
            else:
                names[number] = name
        if bad:
            raise bad_lines(
                path, bad, "Each line is 'number name', the numbers without gaps from 0."
            )
        return cls([name for name in names if name is not None])


def _require_text(name: str) -> None:
    """Refuse a folder's name that no JSON file could hold."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"the class name {name!r} is not UTF-8; rename the class") from None


def _refuse_numbers_last(path: Union[str, Path], lines: List[str]) -> None:
    """Refuse ``name number`` on every line, which would make "cat 0" the name of a class."""
    last = [line.rpartition(" ")[2] for line in lines if " " in line]
    if len(lines) > 1 and sorted(last) == sorted(map(str, range(len(lines)))):
        raise DataError(
            f"the label file '{path}' has the numbers last, as in '{lines[0]}'; write the number "
            "first: 'number name'"
        )
