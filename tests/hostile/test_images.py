"""Images of strangers: damaged, and made to take time and memory."""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path
from typing import Any, Callable, Dict

import cv2
import numpy as np
import pytest
from PIL import Image

from ppcls.data.transforms.decode import decode_rgb
from tests.hostile.harness import Limits, attack, expect_no_failure
from tests.hostile.mutate import damaged

pytestmark = pytest.mark.slow

LIMITS = Limits(seconds=10, megabytes=700)
"""What an image of 100 million pixels may take."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Threads do not survive a fork."""
    cv2.setNumThreads(0)


@pytest.mark.parametrize("backend", ["cv2", "pil"])
def test_damaged_images(backend: str, tmp_path: Path) -> None:
    originals = _originals()

    def make(rng: random.Random) -> bytes:
        return damaged(rng.choice(originals), rng)

    found = attack(
        f"images {backend}", make, lambda data: decode_rgb(data, backend), tmp_path, LIMITS
    )
    assert found.refused > found.inputs / 4
    expect_no_failure(found, tmp_path)


@pytest.mark.parametrize("backend", ["cv2", "pil"])
def test_images_that_claim_much(backend: str, tmp_path: Path) -> None:
    def make(rng: random.Random) -> bytes:
        return rng.choice(list(BOMBS.values()))(rng)

    found = attack(
        f"bombs {backend}", make, lambda data: decode_rgb(data, backend), tmp_path, LIMITS
    )
    expect_no_failure(found, tmp_path)


def _originals() -> list[bytes]:
    """Small files of every format, with and without what surrounds the pixels."""
    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8), (48, 36))
    exif = Image.Exif()
    exif[274], exif[271] = 6, "maker"
    exif.get_ifd(34665)[37500] = b"note" * 9
    found = []
    for form, options in (
        ("JPEG", {"exif": exif}),
        ("JPEG", {"progressive": True, "subsampling": 2}),
        ("JPEG", {"restart_marker_blocks": 2}),
        ("PNG", {"exif": exif, "icc_profile": b"x" * 99}),
        ("WEBP", {"exif": exif}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {"exif": exif}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("GIF", {}),
        ("BMP", {}),
        ("PPM", {}),
    ):
        stream = io.BytesIO()
        Image.fromarray(photo).save(stream, form, **options)
        found.append(stream.getvalue())
    found.append(cv2.imencode(".jp2", photo)[1].tobytes())
    return found


# --- bombs: small files that claim a lot ----------------------------------------------------------


def _side(rng: random.Random) -> int:
    return rng.choice((1, 9_999, 10_000, 32_000, 65_500, 2**31 - 1))


def _png(rng: random.Random) -> bytes:
    """One bit a pixel, all black: a thousandth of the pixels' size, if it is there at all."""
    width, height = _side(rng), _side(rng)
    ihdr = struct.pack(">LLBBBBB", width, height, 1, 0, 0, 0, 0)
    row = b"\0" * (1 + (min(width, 32_000) + 7) // 8)
    data = zlib.compress(row * rng.choice((1, 10, min(height, 2_000))))
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", ihdr) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def _jpeg(rng: random.Random) -> bytes:
    """A small image whose header says that it is a large one."""
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, "JPEG", progressive=rng.random() < 0.5)
    data = bytearray(stream.getvalue())
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) + 5
    struct.pack_into(">HH", data, at, _side(rng) & 0xFFFF, _side(rng) & 0xFFFF)
    return bytes(data)


def _directory(rng: random.Random, entries: int) -> bytes:
    """A TIFF directory whose every entry claims all of the file."""
    size = 12 * entries
    rows = [
        struct.pack("<HHLL", rng.choice((256, 257, 273, 279, 34665, 700 + i % 60_000)), 7, size, 8)
        for i in range(entries)
    ]
    return b"II*\0" + struct.pack("<LH", 8, entries) + b"".join(rows) + bytes(4)


def _jpeg_exif(rng: random.Random) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), (90, 60, 30)).save(stream, "JPEG")
    data, block = stream.getvalue(), b"Exif\0\0" + _directory(rng, rng.choice((10, 5_400)))
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


def _png_exif(rng: random.Random) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16)).save(stream, "PNG")
    data = stream.getvalue()
    return data[:33] + _chunk(b"eXIf", _directory(rng, rng.choice((10, 20_000)))) + data[33:]


def _tiff(rng: random.Random) -> bytes:
    """An image of one pixel, or many, or none, behind fields that overlap."""
    entries = rng.choice((0, 10, 20_000))
    claims = _directory(rng, entries)[10:-4]
    fields = [(256, _side(rng)), (257, _side(rng)), (258, 8), (262, 1), (277, _side(rng) & 0xFFFF)]
    fields += [
        (278, 1),
        (rng.choice((273, 324)), 8),
        (rng.choice((279, 325)), rng.choice((0, 1, 99))),
    ]
    fields += [(322, _side(rng)), (323, _side(rng))] if rng.random() < 0.3 else []
    own = b"".join(
        struct.pack("<HHLL", tag, 4, rng.choice((1, 1, 1, 0, 2**32 - 1)), value)
        for tag, value in sorted(fields)
    )
    count = len(fields) + len(claims) // 12
    return (
        b"II*\0" + struct.pack("<LH", 8, count & 0xFFFF) + own + claims + bytes(rng.choice((4, 0)))
    )


def _webp(rng: random.Random) -> bytes:
    side = [(_side(rng) - 1) & 0xFFFFFF for _ in range(2)]
    form = b"VP8X" + struct.pack("<LL", 10, 0) + b"".join(s.to_bytes(3, "little") for s in side)
    return b"RIFF" + struct.pack("<L", len(form) + 4) + b"WEBP" + form


def _gif(rng: random.Random) -> bytes:
    side = struct.pack("<HH", _side(rng) & 0xFFFF, _side(rng) & 0xFFFF)
    frame = b"," + bytes(4) + side + b"\0\x02\x02\x4c\x01\0;"
    return b"GIF89a" + side + b"\x80\0\0" + bytes(6) + frame


def _bmp(rng: random.Random) -> bytes:
    size = struct.pack("<llHHL", _side(rng), rng.choice((1, -1)) * _side(rng), 1, 8, 1)
    return b"BM" + struct.pack("<LLLL", 99, 0, 54, 40) + size + bytes(20) + b"\0\1"


def _jpeg2000(rng: random.Random) -> bytes:
    size = struct.pack(">HHLLLLLLLL", 41, 0, _side(rng), _side(rng), 0, 0, 64, 64, 0, 0)
    samples = rng.choice((1, 3, 16_384))
    codestream = (
        b"\xff\x4f\xff\x51" + size + struct.pack(">H", samples) + b"\7\1\1" * min(samples, 3)
    )
    boxes = b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 \0\0\0\0jp2c"
    return rng.choice((b"", boxes)) + codestream + b"\xff\xd9"


def _text(rng: random.Random) -> bytes:
    kind = rng.choice((b"P1", b"P4", b"P5", b"P6"))
    return kind + f" {_side(rng)} {_side(rng)} 255 ".encode() + b"\1" * 30


BOMBS: Dict[str, Callable[[random.Random], Any]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "EXIF of a JPEG": _jpeg_exif,
    "EXIF of a PNG": _png_exif,
    "TIFF": _tiff,
    "WebP": _webp,
    "GIF": _gif,
    "BMP": _bmp,
    "JPEG 2000": _jpeg2000,
    "PNM": _text,
}
