"""Damages bytes at random, as files are damaged by accident and by attackers."""

from __future__ import annotations

import random
import struct

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return `data` with one to six changes: bits, numbers, pieces cut, repeated or moved."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        if not found:
            return bytes(found)
        rng.choice(_CHANGES)(found, rng)
    return bytes(found)


def _bit(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _byte(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] = rng.choice((0, 0xFF, rng.randrange(256)))


def _number(data: bytearray, rng: random.Random) -> None:
    form = rng.choice(["<B", "<H", ">H", "<I", ">I", "<Q", ">Q"])
    size = struct.calcsize(form)
    if size <= len(data):
        value = rng.choice(_EXTREMES) & (256**size - 1)
        struct.pack_into(form, data, rng.randrange(len(data) - size + 1), value)


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _remove(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.randint(1, 64)]


def _repeat(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    piece = data[start : start + rng.randint(1, 64)]
    data[start:start] = piece * rng.randint(1, 8)


def _append(data: bytearray, rng: random.Random) -> None:
    data += rng.randbytes(rng.randint(1, 64)) if hasattr(rng, "randbytes") else b"\0" * 16


_CHANGES = (_bit, _byte, _number, _number, _cut, _remove, _repeat, _append)
