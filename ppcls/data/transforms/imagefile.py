"""What image files say of themselves before they are decoded: format, size, completeness,
orientation.

Decoders differ in what they do with half a file (OpenCV fills the rest of a JPEG with grey and says
nothing) and with the orientation that cameras write; and they take the memory that a file claims to
need. So all that is read here before.

The containers are walked through here, after ISO/IEC 15948 (PNG), RFC 9649 (WebP) and GIF89a, since
Pillow says less: it stops at the first pixels, so that it finds neither a cut nor EXIF behind them
unless it decodes all (and some cuts of a GIF not even then), and it refuses a PNG for the wrong
checksum of a comment. The sizes of rarer formats are those that Pillow reads.
"""

from __future__ import annotations

import errno
import io
import re
import struct
import zlib
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from ppcls.data.transforms import jpeg
from ppcls.data.transforms.tiff import is_bounded, orientation_of, read_directory
from ppcls.errors import BadImageError
from ppcls.files import read_regular

MOST_BYTES = 1 << 30
"""How large an image file may be."""

MAX_PIXELS = 100_000_000
"""How many pixels an image may declare, unless the user says otherwise."""

_NOT_THE_IMAGE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

_OTHERS = ("PPM", "PCX", "SGI", "SUN", "TGA", "QOI")
"""Further formats as Pillow calls them; none runs programs or holds images of other formats."""


@dataclass(frozen=True)
class ImageFile:
    """An image file that is complete as far as its container tells.

    Attributes:
        format: its name, for people.
        data: all bytes.
        width, height: in pixels, before EXIF's orientation is applied.
        samples: numbers for each pixel, where a file may have more of them than colours.
        orientation: EXIF's, 1 to 8, where the decoder must be told.
        for_opencv: the bytes to give to OpenCV where a small change to the container makes it
            return what is wanted.
        pillow_formats: what Pillow may take it for.
        jpeg: the header of a JPEG.
    """

    format: str
    data: bytes
    width: int
    height: int
    samples: int = 1
    orientation: int = 1
    for_opencv: Optional[bytes] = None
    pillow_formats: Sequence[str] = ()
    jpeg: Optional[jpeg.Header] = None

    @property
    def upright(self) -> Tuple[int, int]:
        """Width and height in pixels after EXIF's orientation is applied."""
        turned = self.orientation >= 5
        return (self.height, self.width) if turned else (self.width, self.height)


def read_image_file(path: str) -> bytes:
    """Return the bytes of an image file.

    Raises:
        BadImageError: it cannot be read, for a reason that lies in this file.
        OSError: for another one.
    """
    try:
        return read_regular(path, MOST_BYTES)
    except FileNotFoundError:
        raise BadImageError("the file does not exist") from None
    except IsADirectoryError:
        raise BadImageError("this is a folder, not an image file") from None
    except ValueError:
        raise BadImageError("its name holds a NUL character, which no file's name can") from None
    except OSError as error:
        if error.errno in _NOT_THE_IMAGE:
            raise
        raise BadImageError(f"the file cannot be read: {error.strerror}") from None


def inspect(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageFile:
    """Recognise the format, and check that the file goes on to its end and how large the image is.

    Raises:
        BadImageError: the file is empty, holds text or another format, stops before its end, or
            declares more than `max_pixels`.
    """
    if not data:
        raise BadImageError("the file is empty (0 bytes)")
    file = _recognised(data)
    # Four samples are what a pixel of colour takes with transparency.
    if file.width * file.height * max(1, file.samples / 4) > max_pixels:
        megapixels = file.width * file.height / 1e6
        many = f" of {file.samples} samples" if file.samples > 4 else ""
        raise BadImageError(
            f"the {file.format} file declares {file.width} x {file.height} pixels{many} "
            f"({megapixels:,.0f} million), more than DecodeImage.max_pixels={max_pixels} accepts"
        )
    return file


def _recognised(data: bytes) -> ImageFile:
    for name, (signature, at, reader) in _FORMATS.items():
        if data.startswith(signature, at):
            try:
                return reader(data)
            except (struct.error, IndexError):
                raise truncated(name, data) from None
    _refuse_text(data)
    return _read_others(data)


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
    header = jpeg.read_header(data)
    if header.end < 0:
        raise truncated("JPEG", data)
    if jpeg.is_too_short(header) or jpeg.lacks_scans(data, header):
        raise incomplete_jpeg(data)
    orientation = orientation_of(header.exif) if header.exif else 1
    return ImageFile(
        "JPEG", data, header.width, header.height, orientation=orientation, jpeg=header,
        pillow_formats=["JPEG"],
    )  # fmt: skip


def incomplete_jpeg(data: bytes) -> BadImageError:
    """Return the error for a JPEG that ends, but not with all of its pixels."""
    return BadImageError(
        f"the JPEG file is damaged: in its {len(data)} bytes, data of the image is missing"
    )


# TIFF

_EXTRA_SAMPLES, _SHORT = 338, 3
_OFFSETS_AND_LENGTHS = ((273, 279), (324, 325))
_SIZE, _TILE, _SAMPLES = (256, 257), (322, 323), 277


def _read_tiff(data: bytes) -> ImageFile:
    if not is_bounded(data):
        raise BadImageError("the TIFF file is damaged: its fields overlap many times")
    directory = read_directory(data)
    if directory.is_cut:
        raise truncated("TIFF", data)
    pieces = 0
    for offsets, lengths in _OFFSETS_AND_LENGTHS:
        starts, sizes = directory.values(offsets), directory.values(lengths)
        count = min(len(starts), len(sizes))
        if (starts[:count] > len(data) - sizes[:count]).any() or (sizes[:count] < 0).any():
            raise truncated("TIFF", data)
        pieces += len(starts)
    if not pieces:
        raise truncated("TIFF", data)
    width, height = (directory.number(tag, 0) for tag in _SIZE)
    tile = [directory.number(tag, 0) for tag in _TILE]
    # libtiff, which both decoders use, turns the image upright itself.
    has_loose_alpha = directory.values(_EXTRA_SAMPLES).tolist() == [2]
    for_opencv = _with_associated_alpha(data, directory.start) if has_loose_alpha else None
    return ImageFile(
        "TIFF", data, max(width, tile[0]), max(height, tile[1]), directory.number(_SAMPLES, 1),
        for_opencv=for_opencv, pillow_formats=["TIFF"],
    )  # fmt: skip


def _with_associated_alpha(data: bytes, directory: int) -> bytes:
    """Declare the colours as multiplied by alpha already, or libtiff multiplies them."""
    form = ("<" if data.startswith(b"II") else ">") + "HHLHH"
    loose, associated = (struct.pack(form, _EXTRA_SAMPLES, _SHORT, 1, i, 0) for i in (2, 1))
    return data[:directory] + data[directory:].replace(loose, associated, 1)


# PNG

_NOISY_CHUNKS = {b"iCCP"}
"""Chunks that change no pixel here, but let libpng write warnings when they are imperfect."""


def _read_png(data: bytes) -> ImageFile:
    orientation, kept, noisy = 1, [data[:8]], False
    width, height = struct.unpack_from(">LL", data, 16)
    for kind, start, end in _png_chunks(data):
        if kind == b"eXIf":
            orientation = orientation_of(data[start + 8 : end - 4])
        if kind in _NOISY_CHUNKS:
            noisy = True
        else:
            kept.append(data[start:end])
    return ImageFile(
        "PNG", data, width, height, orientation=orientation,
        for_opencv=b"".join(kept) if noisy else None, pillow_formats=["PNG"],
    )  # fmt: skip


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
            orientation = orientation_of(data[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    return ImageFile(
        "WebP", data, *_webp_size(data), orientation=orientation, pillow_formats=["WEBP"]
    )


def _webp_size(data: bytes) -> Tuple[int, int]:
    """Return width and height from the first chunk, which has one of three forms."""
    kind = data[12:16]
    if kind == b"VP8X":
        low, high, low_2, high_2 = struct.unpack_from("<HBHB", data, 24)
        return low + (high << 16) + 1, low_2 + (high_2 << 16) + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<L", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


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
    screen, frame = (
        struct.unpack_from("<HH", data, 6),
        struct.unpack_from("<HH", data, position + 5),
    )
    _after_sub_blocks(data, position + 11 + _palette_bytes(data[position + 9]))
    opaque = None
    if control is not None and data[control] & 1:
        # A transparent pixel keeps the colour of its palette entry, as alpha is dropped elsewhere.
        opaque = data[:control] + bytes([data[control] & 0xFE]) + data[control + 1 :]
    width, height = map(max, screen, frame)
    return ImageFile("GIF", data, width, height, for_opencv=opaque, pillow_formats=["GIF"])


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_sub_blocks(data: bytes, position: int) -> int:
    while data[position]:
        position += data[position] + 1
    return position + 1


# BMP


def _read_bmp(data: bytes) -> ImageFile:
    start, header = struct.unpack_from("<LL", data, 10)
    if header < 40:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height, _, bits, compression = struct.unpack_from("<llHHL", data, 18)
        is_plain = compression in (0, 3)
        if is_plain and start + (width * bits + 31) // 32 * 4 * abs(height) > len(data):
            raise truncated("BMP", data)
    return ImageFile("BMP", data, abs(width), abs(height), pillow_formats=["BMP"])


# JPEG 2000 and AVIF

_CODESTREAM = b"\xff\x4f\xff\x51"


def _read_jpeg2000(data: bytes) -> ImageFile:
    if b"\xff\xd9" not in data:
        raise truncated("JPEG 2000", data)
    start = data.find(_CODESTREAM)
    if start < 0:
        raise truncated("JPEG 2000", data)
    right, bottom, left, top = struct.unpack_from(">LLLL", data, start + 8)
    (samples,) = struct.unpack_from(">H", data, start + 40)
    size = (right - left, bottom - top)
    return ImageFile("JPEG 2000", data, *size, samples, pillow_formats=["JPEG2000"])


def _read_avif(data: bytes) -> ImageFile:
    sizes = [struct.unpack(">LL", match[1]) for match in _SPATIAL_EXTENTS.finditer(data)]
    if not sizes:
        raise truncated("AVIF or HEIF", data)
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return ImageFile("AVIF", data, width, height, pillow_formats=["AVIF"])


_SPATIAL_EXTENTS = re.compile(rb"\0\0\0\x14ispe\0\0\0\0(.{8})", re.DOTALL)


# Whatever else


def _read_others(data: bytes) -> ImageFile:
    """Ask Pillow for the size of an image whose format is not known here.

    Raises:
        BadImageError: Pillow does not know it either.
    """
    from PIL import Image

    Image.init()
    known = [name for name in _OTHERS if name in Image.OPEN]
    try:
        with Image.open(io.BytesIO(data), formats=known) as image:
            width, height = image.size
    except Exception:  # Pillow raises almost anything on a broken file
        raise BadImageError(
            f"the file is not an image that can be read; it starts with {data[:8]!r}"
        ) from None
    return ImageFile("image", data, width, height, pillow_formats=known)


_FORMATS: Dict[str, Tuple[bytes, int, Callable[[bytes], ImageFile]]] = {
    "JPEG": (b"\xff\xd8\xff", 0, _read_jpeg),
    "PNG": (b"\x89PNG\r\n\x1a\n", 0, _read_png),
    "WebP": (b"WEBPVP8", 8, _read_webp),
    "GIF": (b"GIF8", 0, _read_gif),
    "BMP": (b"BM", 0, _read_bmp),
    "TIFF": (b"II*\0", 0, _read_tiff),
    "JPEG 2000": (b"\0\0\0\x0cjP  ", 0, _read_jpeg2000),
    "JPEG 2000 without boxes": (_CODESTREAM, 0, _read_jpeg2000),
    "AVIF or HEIF": (b"ftyp", 4, _read_avif),
    "TIFF of big-endian order": (b"MM\0*", 0, _read_tiff),
    "BigTIFF": (b"II+\0", 0, _read_tiff),
    "BigTIFF of big-endian order": (b"MM\0+", 0, _read_tiff),
}
"""Name: (signature, where it stands, reader)."""

IMAGE_SUFFIXES: List[str] = [
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif",
]  # fmt: skip
"""Names of files that are taken for images, in lower case."""
