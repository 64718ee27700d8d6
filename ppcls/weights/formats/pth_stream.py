"""PyTorch's checkpoints before version 1.6: pickles, and behind them the storages' bytes."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, Dict, Tuple

from ppcls.weights.formats.pickles import (
    MOST_INSTRUCTIONS,
    Bounded,
    Budget,
    Reader,
    RefusedError,
    brief,
    plain_key,
)
from ppcls.weights.formats.pth_tensors import ADVICE, Elements, Storage, Storages, known_names

MAGIC = 0x1950A86A20F9469CFC6C
"""The number that these files start with, as a pickle of its own."""
_PROTOCOL = 1001


def read_stream(file: BinaryIO, size: int) -> Tuple[Any, Elements]:
    """Return what a file of `size` bytes describes, and the numbers of its storages."""
    storages = Storages()
    stream = _Stream(file, size, storages)
    magic, protocol = stream.load(), stream.load()
    if (magic, protocol) != (MAGIC, _PROTOCOL):
        raise RefusedError(f"its protocol is {brief(protocol)}, not {_PROTOCOL}")
    stream.load()  # about the machine that wrote it; storages are little-endian on every one
    content, keys = stream.load(), stream.load()
    places = _places(stream, keys, storages)

    def fetch(storage: Storage) -> bytes:
        if storage.key not in places:
            raise RefusedError(f"{storage.describe()} is missing")
        file.seek(places[storage.key])
        return file.read(storage.size)

    return content, Elements(fetch, "<", size)


class _Stream:
    """Pickles, whole numbers and data that follow one another in a file of `size` bytes."""

    def __init__(self, file: BinaryIO, size: int, storages: Storages) -> None:
        self._file, self._size, self._storages = file, size, storages
        self._instructions = Budget(MOST_INSTRUCTIONS)
        self._known = known_names(self._instructions)

    def load(self) -> Any:
        """Return the content of the next pickle; all together have no more than one may have."""
        more = self._storages.refer, ADVICE, self._instructions
        return Reader(self._file, self._size, self._known, *more).load()

    def number(self) -> int:
        """Return the next number of 64 bits."""
        (found,) = struct.unpack("<q", Bounded(self._file, self._size).read(8))
        return int(found)

    def skip(self, size: int) -> int:
        """Go past `size` bytes of data and return where they start."""
        place = self._file.tell()
        if place + size > self._size:
            raise EOFError
        self._file.seek(place + size)
        return place


def _places(stream: _Stream, keys: Any, storages: Storages) -> Dict[str, int]:
    """Return where each storage starts: behind its number of elements, in the order of `keys`."""
    places: Dict[str, int] = {}
    for key in keys:
        storage = storages.by_key.get(plain_key(key))
        if storage is None or key in places:
            raise RefusedError(f"it lists a storage {brief(key)} that no tensor has")
        count = stream.number()
        if count != storage.count:
            raise RefusedError(f"{storage.describe()} has {count} elements, not {storage.count}")
        places[key] = stream.skip(storage.size)
    return places
