"""Many short strings in little memory."""

from __future__ import annotations

from typing import Iterable, List, Sequence, Union, overload

import numpy as np


class PackedStrings(Sequence[str]):
    """A read-only list of strings in one block of bytes: 8 bytes a string and its characters."""

    def __init__(self, strings: Iterable[str]) -> None:
        encoded = [string.encode("utf-8", errors="surrogateescape") for string in strings]
        self._ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        self._bytes = b"".join(encoded)

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
        part = self._bytes[self._ends[index] : self._ends[index + 1]]
        return part.decode("utf-8", errors="surrogateescape")
