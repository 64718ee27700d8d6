"""Finds values in protobuf messages without the classes that their definitions are compiled to.

Nothing that a message says of itself is believed: every length ends inside the message around it,
and depth and number of fields have limits. https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import mmap
from typing import Iterator, Mapping, NamedTuple, Tuple, Union

MOST_FIELDS = 1_000_000
"""Ten times those of the largest network that we know, and read within seconds."""

MOST_DEPTH = 32
LONGEST_VALUE = 1024
"""Bytes of a value that is looked for, such as a name."""

Buffer = Union[bytes, mmap.mmap]
Layout = Mapping[str, Mapping[int, str]]
"""Name of a message -> number of a field -> name of the message that the field holds, or VALUE, or
PRESENT where its value does not matter. Fields that are not named are passed over.
"""

VALUE = "its value"
PRESENT = "that it is there"

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class MalformedError(Exception):
    """What was read is no message of this layout, or is beyond the limits; the text says why."""


class Field(NamedTuple):
    """A field that was looked for: the name of its message, its number, and its value."""

    message: str
    number: int
    value: Union[int, bytes]


class _Position:
    """Where a message is being read, and how many fields were read so far."""

    def __init__(self, data: Buffer) -> None:
        self.data = data
        self.at = 0
        self.fields = 0

    def varint(self, end: int) -> int:
        found = 0
        for shift in range(0, 70, 7):
            if self.at >= end:
                raise MalformedError("it ends inside a number")
            byte = self.data[self.at]
            self.at += 1
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                return found
        raise MalformedError("a number in it has more than 64 bits")

    def tag(self, end: int) -> Tuple[int, int]:
        """Return number and wire type of the next field."""
        self.fields += 1
        if self.fields > MOST_FIELDS:
            raise MalformedError(f"it has more than {MOST_FIELDS:,} fields")
        tag = self.varint(end)
        if not 8 <= tag < 1 << 32:
            raise MalformedError("a field in it has a number that there cannot be")
        return tag >> 3, tag & 7

    def piece(self, wire: int, end: int) -> int:
        """Return the end of the bytes that follow; `end` is that of the message around them."""
        sizes = {_FIXED64: 8, _FIXED32: 4}
        if wire not in (_BYTES, *sizes):
            raise MalformedError(f"a field in it is of the unknown kind {wire}")
        size = self.varint(end) if wire == _BYTES else sizes[wire]
        if size > end - self.at:
            raise MalformedError("a field in it is longer than what is around it")
        return self.at + size


def fields_of(data: Buffer, layout: Layout, message: str) -> Iterator[Field]:
    """Yield the fields that a layout asks for, in the order in which they stand.

    Args:
        data: a message in protobuf's binary form.
        layout: what is in it, as far as it matters.
        message: the name of the outermost message.

    Raises:
        MalformedError: it is no such message, or beyond the limits.
    """
    yield from _read(_Position(data), len(data), layout, message, MOST_DEPTH)


def _read(
    position: _Position, end: int, layout: Layout, message: str, depth: int
) -> Iterator[Field]:
    if not depth:
        raise MalformedError(f"it is nested more than {MOST_DEPTH} deep")
    while position.at < end:
        number, wire = position.tag(end)
        inner = layout[message].get(number)
        if wire == _VARINT:
            value = position.varint(end)
            if inner == VALUE:
                yield Field(message, number, value)
                continue
            stop = position.at
        else:
            stop = position.piece(wire, end)
        if inner is None or inner == PRESENT:
            position.at = stop
            if inner:
                yield Field(message, number, b"")
        elif wire != _BYTES:
            raise MalformedError(f"field {number} of a {message} is not of the kind it must be")
        elif inner == VALUE:
            yield Field(message, number, _value(position, stop))
        else:
            yield from _read(position, stop, layout, inner, depth - 1)


def _value(position: _Position, stop: int) -> bytes:
    start, position.at = position.at, stop
    if stop - start > LONGEST_VALUE:
        raise MalformedError(f"a value in it has more than {LONGEST_VALUE} bytes")
    return bytes(position.data[start:stop])
