"""Many short strings in little memory."""

from __future__ import annotations

from array import array
from typing import Iterable, List, Sequence, Union, overload

_ENCODING, _ERRORS = "utf-8", "surrogateescape"


class PackedStrings(Sequence[str]):
    """A list of strings in one block of bytes, which takes 8 bytes a string and its characters."""

    def __init__(self, strings: Iterable[str] = ()) -> None:
        self._bytes = bytearray()
        self._ends = array("q", [0])
        for string in strings:
            self.append(string)

    def append(self, string: str) -> None:
        """Add a string at the end."""
        self._bytes += string.encode(_ENCODING, _ERRORS)
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> List[str]: ...

    def __getitem__(self, index: Union[int, slice]) -> Union[str, List[str]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return self._bytes[self._ends[index] : self._ends[index + 1]].decode(_ENCODING, _ERRORS)
