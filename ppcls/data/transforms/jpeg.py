"""What a JPEG file says of itself (ITU-T T.81), and whether its scans are complete.

Decoders fill what is missing with grey or the last colour and say nothing.
"""

from __future__ import annotations

import io
import struct
from typing import Dict, Iterator, List, NamedTuple, Tuple

import numpy as np

_START_OF_SCAN, _END_OF_IMAGE, _EXIF = 0xDA, b"\xff\xd9", b"Exif\0\0"
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_HUFFMAN, _PROGRESSIVE = {0xC0, 0xC1, 0xC2}, {0xC2, 0xC6, 0xCA, 0xCE}
_NEEDED_BY_DECODERS = {0xE0, 0xEE}
"""Application segments that say something of the colours: JFIF and Adobe."""

_ROWS = 16
"""How much is missing at least, if anything worth noticing is."""
_FILLER = bytes(np.random.default_rng(0).integers(0, 255, 512, dtype=np.uint8))
"""Stands for scan data that should follow; without 0xFF, which starts markers."""
_BYTES_OF_A_BLOCK, _FILLED_ROWS = 32, 48
"""How many of them fill so many rows of pixels, which are more than the one where data ends."""
_LUMA = np.array([0.299, 0.587, 0.114])
_NOTICEABLE = 8
"""Levels of grey by which rounding does not differ."""


class Segment(NamedTuple):
    """A marker with its payload, `data[start:end]`."""

    marker: int
    start: int
    end: int


class Header(NamedTuple):
    """What stands before the first scan's data.

    `scans` is where that data starts, `end` where the image's last marker stands; -1 without any.
    """

    width: int
    height: int
    components: int
    frame: int
    exif: bytes
    scans: int
    end: int


def read_header(data: bytes) -> Header:
    """Walk through the segments up to the first scan.

    Raises:
        struct.error, IndexError: the file stops before it, or the frame is missing.
    """
    frame, exif = None, b""
    for marker, start, end in segments(data):
        if marker in _FRAMES:
            _, height, width, components = struct.unpack_from(">BHHB", data, start)
            frame = marker, width, height, components
        if marker == 0xE1 and data.startswith(_EXIF, start):
            exif = data[start:end]
        if marker == _START_OF_SCAN:
            if frame is None:
                break
            # Inside the scans 0x00 or another marker follows 0xFF: this is the image's end.
            kind, width, height, components = frame
            last = data.rfind(_END_OF_IMAGE, end)
            return Header(width, height, components, kind, exif, end, last)
    raise struct.error("no scan")


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments up to and including the first scan's header."""
    position = 2
    while True:
        position = data.find(b"\xff", position)
        if position < 0:
            return
        while data[position] == 0xFF:
            position += 1
        marker = data[position]
        position += 1
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            continue
        (length,) = struct.unpack_from(">H", data, position)
        yield Segment(marker, position + 2, position + length)
        if marker == _START_OF_SCAN:
            return
        position += length


def is_too_short(header: Header) -> bool:
    """Whether there is less data than the smallest image of this size has: one bit a block."""
    blocks = -(-header.width // 8) * -(-header.height // 8)
    return header.frame in _HUFFMAN and (header.end - header.scans) * 8 < blocks


def lacks_scans(data: bytes, header: Header) -> bool:
    """Whether a progressive file stops before its scans have refined all they began."""
    if header.frame not in _PROGRESSIVE:
        return False
    bits: Dict[Tuple[int, int], int] = {}
    for component, first, low in _scans(data, header):
        bits[component, min(first, 1)] = low
    components = {component for component, _ in bits}
    complete = {key for key, low in bits.items() if low == 0}
    return any((component, part) not in complete for component in components for part in (0, 1))


def _scans(data: bytes, header: Header) -> Iterator[Tuple[int, int, int]]:
    """Yield (component, first coefficient, lowest bit) of each component of each scan."""
    position = data.rfind(b"\xff\xda", 0, header.scans)
    while 0 <= position < header.end:
        length, count = struct.unpack_from(">HB", data, position + 2)
        if length == 6 + 2 * count:
            components = data[position + 5 : position + 5 + 2 * count : 2]
            first, _, bits = struct.unpack_from("BBB", data, position + 5 + 2 * count)
            yield from ((component, first, bits & 15) for component in components)
        position = data.find(b"\xff\xda", position + 2)


def lacks_data(data: bytes, header: Header, image: np.ndarray, reduction: int = 1) -> bool:
    """Whether a decoder made up the last rows of the image [h, w, 3], where data is missing; it may
    have been decoded in so many times smaller a size.

    What is made up has one colour. So has many a background: there the file is decoded with other
    bytes behind its data, which matter only where there was too little.
    """
    least = _ROWS // reduction
    if _plain_rows(image, least) < least:
        return False
    filler = _FILLER * (header.width * _FILLED_ROWS // 64 * _BYTES_OF_A_BLOCK // len(_FILLER) + 1)
    longer = data[: header.end] + filler + data[header.end :]
    # The whole blocks among those rows, an eighth as many.
    blocks = max(1, _plain_rows(image, len(image)) * reduction // 8 - 1)
    try:
        found = _in_small(longer)[-blocks:].astype(int)
    except Exception:  # Pillow raises almost anything on a broken file
        return True
    return bool((abs(found - image[-1, -1] @ _LUMA) > _NOTICEABLE).any())


def _plain_rows(image: np.ndarray, most: int) -> int:
    """Count the last rows, up to so many, that have the colour of the last pixel alone."""
    corner = image[-1, -1]
    # Most images differ already here, and comparing all takes time.
    if image[-1, 0].tobytes() != corner.tobytes():
        return 0
    differs = (image[-most:] != corner).any(axis=(1, 2))
    return int(differs[::-1].argmax()) if differs.any() else len(differs)


def _in_small(data: bytes) -> np.ndarray:
    """Decode to grey in an eighth of the size, which is faster, and without warnings."""
    from PIL import Image

    with Image.open(io.BytesIO(without_extras(data)), formats=["JPEG"]) as image:
        image.draft("L", (max(1, image.width // 8), max(1, image.height // 8)))
        return np.asarray(image)


def without_extras(data: bytes) -> bytes:
    """Return the file without application segments that no decoder needs; Pillow reads those of
    EXIF and MPF as a whole, however much they claim.
    """
    kept: List[bytes] = []
    position = 0
    for marker, start, end in segments(data):
        if 0xE0 <= marker <= 0xEF and marker not in _NEEDED_BY_DECODERS:
            kept.append(data[position : start - 4])
            position = end
    return b"".join([*kept, data[position:]])
