"""What containers tell: format, orientation, and the bytes that OpenCV gets."""

from __future__ import annotations

import errno
import io
import struct
import time
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from PIL import Image

from ppcls.data.transforms import imagefile
from ppcls.data.transforms.imagefile import inspect, read_image_file
from ppcls.errors import BadImageError

Encode = Callable[..., bytes]
# pytest undoes the filter that decode.py sets for Pillow's warnings of damaged EXIF.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF"])
def test_recognises_formats(form: str, photo: np.ndarray, encode: Encode) -> None:
    data = encode(Image.fromarray(photo).quantize(8) if form == "GIF" else photo, form)
    file = inspect(data)
    assert (file.format, file.orientation, file.data) == (form, 1, data)


def test_asks_pillow_for_the_size_of_other_formats() -> None:
    file = inspect(b"P6 3 2 255 " + bytes(18))
    assert (file.format, file.width, file.height) == ("image", 3, 2)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "JPEG2000", "PPM"])
@pytest.mark.parametrize("lossless", [False, True])
def test_sizes_are_those_of_pillow(
    form: str, lossless: bool, photo: np.ndarray, encode: Encode
) -> None:
    picture = Image.fromarray(photo[:, :-3])
    picture = picture.quantize(8) if form == "GIF" else picture
    file = inspect(encode(picture, form, **({"lossless": lossless} if form == "WebP" else {})))
    assert (file.width, file.height) == picture.size


def test_sizes_of_webp_with_alpha_and_avif() -> None:
    extended = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x9b\x01\0\x0f\x27\0"
    assert (inspect(extended).width, inspect(extended).height) == (412, 10_000)
    box = b"\0\0\0\x14ispe\0\0\0\0" + struct.pack(">LL", 640, 480)
    file = inspect(b"\0\0\0\x1cftypavif" + bytes(20) + box + box.replace(b"\x02\x80", b"\0\x01"))
    assert (file.format, file.width, file.height) == ("AVIF", 640, 480)


def test_the_size_of_a_bitmap_with_the_oldest_header(encode: Encode) -> None:
    """The one of OS/2, which is 12 bytes long and has numbers of 16 bits."""
    rows = bytes(range(3 * 4)) * 2
    data = struct.pack("<2sLHHLLHHHH", b"BM", 26 + len(rows), 0, 0, 26, 12, 4, 2, 1, 24) + rows
    file = inspect(data)
    assert (file.format, file.width, file.height) == ("BMP", 4, 2)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (4, 2)


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b"\0\0\0\x0cjP  " + bytes(40), "JPEG 2000"),
        (b"\0\0\0\x0cjP  " + bytes(40) + b"\xff\xd9", "JPEG 2000"),
        (b"\0\0\0\x1cftypavif" + bytes(40), "AVIF or HEIF"),
        (b"BM" + bytes(10), "BMP"),
        (b"\x89PNG\r\n\x1a\n" + struct.pack(">L4s", 13, b"IHDR") + bytes(8), "PNG"),
    ],
)
def test_files_that_stop_before_their_image_are_truncated(data: bytes, form: str) -> None:
    words = f"the {form} file is truncated: it stops after {len(data)} bytes"
    with pytest.raises(BadImageError, match=words):
        inspect(data)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "BMP", "PPM"])
def test_refuses_more_pixels_than_wanted(form: str, photo: np.ndarray, encode: Encode) -> None:
    height, width = photo.shape[:2]
    inspect(encode(photo, form), height * width)
    with pytest.raises(BadImageError, match=f"{width} x {height} pixels.*max_pixels=100 accepts"):
        inspect(encode(photo, form), 100)


def test_a_tiff_without_strips_is_refused(photo: np.ndarray, encode: Encode) -> None:
    data = bytearray(encode(photo, "TIFF"))
    (start,) = struct.unpack_from("<L", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for row in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, row)[0] in (273, 279):
            struct.pack_into("<L", data, row + 4, 0)
    with pytest.raises(BadImageError, match="truncated"):
        inspect(bytes(data))


def test_a_tiff_whose_fields_all_claim_the_file_is_refused() -> None:
    entry = [struct.pack("<HHLL", 700 + i, 7, 200_000, 8) for i in range(20_000)]
    with pytest.raises(BadImageError, match="its fields overlap"):
        inspect(_exif(b"".join(entry), 20_000))


@pytest.mark.parametrize("order", ["<", ">"])
def test_reads_orientation_of_both_byte_orders(
    order: str, photo: np.ndarray, encode: Encode
) -> None:
    directory = struct.pack(order + "HHHLHH", 1, 0x0112, 3, 1, 6, 0)
    exif = (b"II" if order == "<" else b"MM") + struct.pack(order + "HL", 42, 8) + directory
    segment = b"Exif\0\0" + exif + b"\0\0\0\0"
    data = encode(photo, "JPEG")
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    assert inspect(data).orientation == 6


def test_out_of_range_orientation_counts_as_upright(photo: np.ndarray, encode: Encode) -> None:
    exif = Image.Exif()
    exif[0x0112] = 9
    assert inspect(encode(photo, "JPEG", exif=exif)).orientation == 1


def test_drops_a_colour_profile_for_opencv_only(photo: np.ndarray, encode: Encode) -> None:
    data = encode(photo, "PNG", icc_profile=b"x" * 200)
    file = inspect(data)
    assert file.data == data and b"iCCP" in data
    assert file.for_opencv is not None and b"iCCP" not in file.for_opencv


def test_accepts_fill_bytes_between_jpeg_segments(photo: np.ndarray, encode: Encode) -> None:
    data = encode(photo, "JPEG")
    assert inspect(data[:2] + b"\xff\xff\xff" + data[2:]).format == "JPEG"


def test_refuses_containers_without_an_image() -> None:
    for data in (b"GIF89a" + b"\0" * 7 + b";", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xe0\0\x02"):
        with pytest.raises(BadImageError):
            inspect(data)


def test_damaged_fields_of_a_tiff_raise_nothing_else(photo: np.ndarray, encode: Encode) -> None:
    data = encode(photo[:2, :2], "TIFF")
    (start,) = struct.unpack_from("<L", data, 4)
    for at in range(start, len(data)):
        for value in [*range(14), 128, 255]:
            try:
                file = inspect(data[:at] + bytes([value]) + data[at + 1 :])
            except BadImageError as error:
                assert "truncated" in str(error) or "declares" in str(error)
                continue
            assert file.format == "TIFF" and file.orientation == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_declares_loose_alpha_as_associated(order: str) -> None:
    pixels = bytes(range(8))
    fields = [(256, 2), (257, 1), (258, 8), (259, 1), (262, 2), (273, 8), (277, 4), (278, 1)]
    fields += [(279, 8), (338, 2)]
    directory = b"".join(struct.pack(order + "HHLHH", tag, 3, 1, n, 0) for tag, n in fields)
    start = b"II*\0" if order == "<" else b"MM\0*"
    # The pixels look like the field that declares the alpha, and must not be taken for it.
    loose = struct.pack(order + "HHLHH", 338, 3, 1, 2, 0)
    data = start + struct.pack(order + "L", 8 + len(pixels + loose)) + pixels + loose
    data += struct.pack(order + "H", len(fields)) + directory + bytes(4)
    file = inspect(data)
    changed = [i for i, (a, b) in enumerate(zip(data, file.for_opencv or b"")) if a != b]
    assert changed == [len(data) - 4 - (4 if order == "<" else 3)]
    assert (
        file.for_opencv and file.for_opencv[changed[0]] == 1 and len(file.for_opencv) == len(data)
    )


def test_why_a_file_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for path, words in [
        ("none.jpg", "the file does not exist"),
        (".", "this is a folder, not an image file"),
        ("a\0b.jpg", "its name holds a NUL character"),
        ("file/b.jpg", "the file cannot be read: Not a directory"),
    ]:
        with pytest.raises(BadImageError, match=words):
            read_image_file(str(tmp_path / path))

    def fail(path: str, most: int) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(imagefile, "read_regular", fail)
    with pytest.raises(OSError, match="Too many open files"):  # no fault of the image
        read_image_file(str(tmp_path / "file"))


def _exif(entries: bytes, count: int) -> bytes:
    return b"II*\0" + struct.pack("<LH", 8, count) + entries + bytes(4)


def test_huge_values_of_exif_cost_little(photo: np.ndarray, encode: Encode) -> None:
    entry = [struct.pack("<HHLL", 1000 + i, 7, 0xFFFFFF, 0) for i in range(60_000)]
    upright = struct.pack("<HHLHH", 274, 3, 1, 6, 0)
    block = _exif(upright + b"".join(entry), 60_001) + bytes(1 << 24)
    data = encode(photo, "PNG")
    chunk = struct.pack(">L", len(block)) + b"eXIf" + block + bytes(4)
    began = time.perf_counter()
    file = inspect(data[:33] + chunk + data[33:])
    assert file.orientation == 6
    assert time.perf_counter() - began < 5
