"""The directories of TIFF files, and of EXIF, which is a TIFF without an image.

Pillow and libtiff read all values of a directory, and each may claim the whole file: so 64 kB take
gigabytes. The few that matter are read here, as views of the file, after TIFF 6.0 and BigTIFF.
"""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass
from typing import Iterator, List, NamedTuple, Tuple

import numpy as np

ORIENTATION = 274
_POINTERS = (34665, 34853, 40965)
"""Tags of further directories that Pillow follows: EXIF, GPS, interoperability."""

_WIDTHS = np.array([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8], np.int64)
"""Bytes of one value, by the number of its type; values of other types are nobody's."""
_WHOLE_NUMBERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_FIRST_PRIVATE = 32768
_ALLOWANCE = 1 << 16
_MOST_CLAIMED = 4
"""How many times the size of a file its directories may claim; honest ones claim each byte once."""


class _Form(NamedTuple):
    """The layout of classic TIFF and of BigTIFF: where numbers stand, and how wide they are."""

    first: int
    entries: str
    offset: str
    entry: int


_FORMS = {42: _Form(4, "H", "I", 12), 43: _Form(8, "Q", "Q", 20)}


@dataclass(frozen=True)
class Directory:
    """The fields of one image, or of one group of facts about it.

    Attributes:
        data: the file.
        order: "<" or ">".
        start: where it stands in the file.
        fields: its table, with the columns `tag`, `kind`, `count` and `value`: an offset, unless
            the values themselves are no longer than one.
        places: where each row's `value` stands.
        next: where the next directory is; 0 where there is none.
    """

    data: bytes
    order: str
    start: int
    fields: np.ndarray
    places: np.ndarray
    next: int

    def values(self, tag: int) -> np.ndarray:
        """Return the whole numbers of a field as int64; none where it is missing.

        Raises:
            struct.error: the file ends before them.
        """
        rows = np.flatnonzero(self.fields["tag"] == tag)
        if not len(rows):
            return np.empty(0, np.int64)
        field, place = self.fields[rows[-1]], int(self.places[rows[-1]])
        kind, count = _WHOLE_NUMBERS.get(int(field["kind"])), int(field["count"])
        if kind is None:
            return np.empty(0, np.int64)
        width = np.dtype(kind).itemsize
        start = place if count * width <= field["value"].itemsize else int(field["value"])
        if start + count * width > len(self.data):
            raise struct.error("beyond the end")
        return np.frombuffer(self.data, self.order + kind, count, start).astype(np.int64)

    def number(self, tag: int, default: int) -> int:
        """Return the first number of a field."""
        values = self.values(tag)
        return int(values[0]) if len(values) else default

    @property
    def claimed(self) -> int:
        """The bytes that reading all its values takes, its table included."""
        starts, sizes = self._extents()
        return int(np.minimum(sizes, len(self.data) - starts).sum()) + self.fields.nbytes

    @property
    def is_cut(self) -> bool:
        """Whether the file ends before values of fields that TIFF itself defines."""
        starts, sizes = self._extents()
        apart = sizes > self.fields["value"].itemsize
        public = self.fields["tag"] < _FIRST_PRIVATE
        return bool((public & apart & (starts + sizes > len(self.data))).any())

    def _extents(self) -> Tuple[np.ndarray, np.ndarray]:
        """Return offset and size of each field's values; no larger than the file and ten times it,
        so that no sum goes beyond 64 bits.
        """
        kinds = np.where(self.fields["kind"] < len(_WIDTHS), self.fields["kind"], 0)
        most = np.uint64(len(self.data))
        count, start = (
            np.minimum(self.fields[column].astype(np.uint64), most).astype(np.int64)
            for column in ("count", "value")
        )
        return start, count * _WIDTHS[kinds]


def read_directory(data: bytes, start: int = 0) -> Directory:
    """Read the directory that stands at `start`, or the first one.

    Raises:
        struct.error: the file is no TIFF, or stops before the directory ends.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    (magic,) = struct.unpack_from(f"{order}H", data, 2) if order else (0,)
    if order is None or magic not in _FORMS:
        raise struct.error("no TIFF")
    form = _FORMS[magic]
    if not start:
        (start,) = struct.unpack_from(order + form.offset, data, form.first)
    (count,) = struct.unpack_from(order + form.entries, data, _place(data, start))
    table = start + struct.calcsize(form.entries)
    end = table + count * form.entry
    wide = f"{order}u{struct.calcsize(form.offset)}"
    row = np.dtype(
        [("tag", f"{order}u2"), ("kind", f"{order}u2"), ("count", wide), ("value", wide)]
    )
    (following,) = struct.unpack_from(order + form.offset, data, _place(data, end))
    fields = np.frombuffer(data, row, count, table)
    places = table + np.arange(count) * form.entry + row.fields["value"][1]  # type: ignore[index]
    return Directory(data, order, start, fields, places, following)


def is_bounded(data: bytes) -> bool:
    """Whether reading all directories takes memory and time in proportion to the file's size."""
    left = _MOST_CLAIMED * len(data) + _ALLOWANCE
    for directory in _all_directories(data):
        left -= directory.claimed
        if left < 0:
            return False
    return True


def orientation_of(exif: bytes) -> int:
    """Return EXIF's orientation, 1 to 8, or 1 (upright) where the block is missing or damaged."""
    try:
        block = exif[6:] if exif.startswith(b"Exif\0\0") else exif
        value = read_directory(block).number(ORIENTATION, 1)
    except struct.error:
        return 1
    return value if value in range(1, 9) else 1


def _all_directories(data: bytes) -> Iterator[Directory]:
    """Yield the directories that a reader may come to, each once."""
    starts: List[int] = [0]
    seen = set()
    while starts:
        try:
            found = read_directory(data, starts.pop())
        except struct.error:
            continue
        if found.start in seen:
            continue
        seen.add(found.start)
        yield found
        starts += [start for start in (found.next, *_pointers(found)) if start]


def _pointers(directory: Directory) -> Iterator[int]:
    for tag in _POINTERS:
        with contextlib.suppress(struct.error):
            yield directory.number(tag, 0)


def _place(data: bytes, start: int) -> int:
    """Return an offset, which `struct` must not take for one from the end or for too large."""
    if not 0 <= start <= len(data):
        raise struct.error("beyond the end")
    return start
