"""What image files say of themselves before they are decoded: format, completeness, orientation.

Decoders differ in what they do with half a file (OpenCV fills the rest of a JPEG with grey and says
nothing) and with the orientation that cameras write. So both are read here before.

Pillow reads EXIF and the directories of TIFF. The other containers are walked through here, after
ITU-T T.81 (JPEG), ISO/IEC 15948 (PNG), RFC 9649 (WebP) and GIF89a, since Pillow says less: it stops
at the first pixels, so that it finds neither a cut nor EXIF behind them unless it decodes all (and
some cuts of a GIF not even then), and it refuses a PNG for the wrong checksum of a comment.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from ppcls.errors import BadImageError


@dataclass(frozen=True)
class ImageFile:
    """An image file that is complete as far as its container tells.

    `orientation` is EXIF's, 1 to 8, where the decoder must be told. `for_opencv` are the bytes to
    give to OpenCV where a small change to the container makes it return what is wanted.
    """

    format: str
    data: bytes
    orientation: int = 1
    for_opencv: Optional[bytes] = None


def inspect(data: bytes) -> ImageFile:
    """Recognise the format and check that the file goes on to its end.

    Raises:
        BadImageError: the file is empty, holds text, or stops before its end; formats that are not
            known pass.
    """
    if not data:
        raise BadImageError("the file is empty (0 bytes)")
    for name, (signature, at, reader) in _FORMATS.items():
        if data.startswith(signature, at):
            try:
                return reader(data)
            except (struct.error, IndexError):
                raise truncated(name, data) from None
    _refuse_text(data)
    return ImageFile("unknown", data)


def truncated(name: str, data: bytes) -> BadImageError:
    """Return the error for a file that stops too early."""
    return BadImageError(
        f"the {name} file is truncated: it stops after {len(data)} bytes, before the image ends"
    )


def _refuse_text(data: bytes) -> None:
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"version https://git-lfs"):
        raise BadImageError(
            "the file is a pointer of Git LFS, not the image; fetch it with 'git lfs pull'"
        )
    if start.startswith(b"<"):
        raise BadImageError(
            "the file holds text (HTML or XML), not an image; perhaps a failed download"
        )


# JPEG


def _read_jpeg(data: bytes) -> ImageFile:
    orientation = 1
    for marker, start, end in _jpeg_segments(data):
        if marker == 0xE1 and data.startswith(b"Exif\0\0", start):
            orientation = _orientation(data[start:end])
        if marker == 0xDA:
            # Inside the scans 0x00 or another marker follows 0xFF: this is the image's end.
            if data.rfind(b"\xff\xd9", end) < 0:
                break
            return ImageFile("JPEG", data, orientation)
    raise truncated("JPEG", data)


def _jpeg_segments(data: bytes) -> Iterator[Tuple[int, int, int]]:
    """Yield (marker, start, end of the payload) up to and including the first scan's header."""
    position = 2
    while True:
        position = data.find(b"\xff", position)
        if position < 0:
            raise truncated("JPEG", data)
        while data[position] == 0xFF:
            position += 1
        marker = data[position]
        position += 1
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            continue
        (length,) = struct.unpack_from(">H", data, position)
        yield marker, position + 2, position + length
        position += length


# TIFF, and EXIF, which is a TIFF without an image

_ORIENTATION, _EXTRA_SAMPLES, _SHORT = 274, 338, 3
_OFFSETS_AND_LENGTHS = ((273, 279), (324, 325))
_MOST_EXIF = 1 << 16
"""The bytes of EXIF that are read: what a JPEG can hold, so that no value of a file is too long."""


def _orientation(exif: bytes) -> int:
    """Return EXIF's orientation, or 1 (upright) where the block is missing or damaged."""
    from PIL import Image

    block = Image.Exif()
    try:
        # The first directory only; maker notes and thumbnails are left alone.
        block.load(exif[:_MOST_EXIF])
        value: Any = block.get(_ORIENTATION)
    except Exception:  # Pillow raises almost anything on a damaged block
        return 1
    return int(value) if value in range(1, 9) else 1


def _read_tiff(data: bytes) -> ImageFile:
    try:
        start, fields = _tiff_fields(data)
        pairs = [zip(fields.get(at, ()), fields.get(n, ())) for at, n in _OFFSETS_AND_LENGTHS]
        is_cut = any(at + length > len(data) for pair in pairs for at, length in pair)
        has_loose_alpha = fields.get(_EXTRA_SAMPLES) == (2,)
    except Exception:  # Pillow raises almost anything on a damaged block, and passes strange types
        raise truncated("TIFF", data) from None
    if is_cut or not any(offsets in fields for offsets, _ in _OFFSETS_AND_LENGTHS):
        raise truncated("TIFF", data)
    # libtiff, which both decoders use, turns the image upright itself.
    for_opencv = _with_associated_alpha(data, start) if has_loose_alpha else None
    return ImageFile("TIFF", data, for_opencv=for_opencv)


def _tiff_fields(data: bytes) -> Tuple[int, Mapping[int, Any]]:
    """Return where the first directory starts, and {tag: values} as far as they can be read."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    stream = io.BytesIO(data)
    fields = ImageFileDirectory_v2(stream.read(8))
    start = stream.seek(fields.next)
    fields.load(stream)
    return start, fields


def _with_associated_alpha(data: bytes, directory: int) -> bytes:
    """Declare the colours as multiplied by alpha already, or libtiff multiplies them."""
    form = ("<" if data.startswith(b"II") else ">") + "HHLHH"
    loose, associated = (struct.pack(form, _EXTRA_SAMPLES, _SHORT, 1, i, 0) for i in (2, 1))
    return data[:directory] + data[directory:].replace(loose, associated, 1)


# PNG

_NOISY_CHUNKS = {b"iCCP"}
"""Chunks that change no pixel here, but let libpng write warnings when they are imperfect."""


def _read_png(data: bytes) -> ImageFile:
    orientation, kept, noisy, complete = 1, [data[:8]], False, False
    for kind, start, end in _png_chunks(data):
        if kind == b"eXIf":
            orientation = _orientation(data[start + 8 : end - 4])
        if kind in _NOISY_CHUNKS:
            noisy = True
        else:
            kept.append(data[start:end])
        complete = kind == b"IEND"
    if not complete:
        raise truncated("PNG", data)
    return ImageFile("PNG", data, orientation, b"".join(kept) if noisy else None)


def _png_chunks(data: bytes) -> Iterator[Tuple[bytes, int, int]]:
    """Yield (name, start, end) of each chunk, length and checksum included, up to IEND."""
    position, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">L4s", data, position)
        end = position + 12 + length
        (checksum,) = struct.unpack_from(">L", data, end - 4)
        is_critical = kind[:1].isupper()
        if is_critical and zlib.crc32(memoryview(data)[position + 4 : end - 4]) != checksum:
            raise BadImageError(
                f"the PNG file is damaged: the checksum of its part {kind!r} is wrong"
            )
        yield kind, position, end
        position = end


# WebP


def _read_webp(data: bytes) -> ImageFile:
    (size,) = struct.unpack_from("<L", data, 4)
    end = size + 8
    if end > len(data):
        raise truncated("WebP", data)
    orientation, position = 1, 12
    while position + 8 <= end:
        kind, length = struct.unpack_from("<4sL", data, position)
        if kind == b"EXIF":
            orientation = _orientation(data[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    return ImageFile("WebP", data, orientation)


# GIF


def _read_gif(data: bytes) -> ImageFile:
    control: Optional[int] = None
    position = 13 + _palette_bytes(data[10])
    while data[position] == 0x21:
        if data[position + 1] == 0xF9:
            control = position + 3
        position = _after_sub_blocks(data, position + 2)
    if data[position] != 0x2C:
        raise BadImageError("the GIF file holds no image")
    _after_sub_blocks(data, position + 11 + _palette_bytes(data[position + 9]))
    if control is None or not data[control] & 1:
        return ImageFile("GIF", data)
    # A transparent pixel keeps the colour of its palette entry, as alpha is dropped elsewhere.
    opaque = data[:control] + bytes([data[control] & 0xFE]) + data[control + 1 :]
    return ImageFile("GIF", data, for_opencv=opaque)


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_sub_blocks(data: bytes, position: int) -> int:
    while data[position]:
        position += data[position] + 1
    return position + 1


# BMP


def _read_bmp(data: bytes) -> ImageFile:
    start, header = struct.unpack_from("<LL", data, 10)
    if header >= 40:
        width, height, _, bits, compression = struct.unpack_from("<llHHL", data, 18)
        is_plain = compression in (0, 3)
        if is_plain and start + (width * bits + 31) // 32 * 4 * abs(height) > len(data):
            raise truncated("BMP", data)
    return ImageFile("BMP", data)


# JPEG 2000


def _read_jpeg2000(data: bytes) -> ImageFile:
    if b"\xff\xd9" not in data:
        raise truncated("JPEG 2000", data)
    return ImageFile("JPEG 2000", data)


_FORMATS: Dict[str, Tuple[bytes, int, Callable[[bytes], ImageFile]]] = {
    "JPEG": (b"\xff\xd8\xff", 0, _read_jpeg),
    "PNG": (b"\x89PNG\r\n\x1a\n", 0, _read_png),
    "WebP": (b"WEBPVP8", 8, _read_webp),
    "GIF": (b"GIF8", 0, _read_gif),
    "BMP": (b"BM", 0, _read_bmp),
    "TIFF": (b"II*\0", 0, _read_tiff),
    "JPEG 2000": (b"\0\0\0\x0cjP  ", 0, _read_jpeg2000),
    "TIFF of big-endian order": (b"MM\0*", 0, _read_tiff),
}
"""Name: (signature, where it stands, reader)."""

IMAGE_SUFFIXES: List[str] = [
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif",
]  # fmt: skip
"""Names of files that are taken for images, in lower case."""
