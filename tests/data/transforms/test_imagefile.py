"""What containers tell: format, orientation, and the bytes that OpenCV gets."""

from __future__ import annotations

import struct
from typing import Callable

import numpy as np
import pytest
from PIL import Image

from ppcls.data.transforms.imagefile import inspect
from ppcls.errors import BadImageError

Encode = Callable[..., bytes]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF"])
def test_recognises_formats(form: str, photo: np.ndarray, encode: Encode) -> None:
    data = encode(Image.fromarray(photo).quantize(8) if form == "GIF" else photo, form)
    file = inspect(data)
    assert (file.format, file.orientation, file.data) == (form, 1, data)


def test_lets_unknown_formats_pass() -> None:
    assert inspect(b"P6 1 1 255 abc").format == "unknown"


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
