"""Decoding against Pillow, an independent decoder, and refusal of what is no whole image."""

from __future__ import annotations

import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any, Callable

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from ppcls.data.transforms.decode import DecodeImage, decode_rgb
from ppcls.errors import BadImageError, ConfigError

Encode = Callable[..., bytes]
# pytest undoes the filter that decode.py sets for Pillow's warnings of damaged EXIF.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
BACKENDS = ["cv2", "pil"]


def pillow_rgb(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image)
        return np.asarray(
            (upright.convert("RGBA") if image.mode == "P" else upright).convert("RGB")
        )


def with_alpha(photo: np.ndarray) -> Image.Image:
    image = Image.fromarray(photo)
    alpha = np.random.default_rng(5).integers(0, 256, photo.shape[:2], dtype=np.uint8)
    image.putalpha(Image.fromarray(alpha))
    return image


def palette(photo: np.ndarray) -> Image.Image:
    return Image.fromarray(photo).quantize(16)


KINDS = {
    "jpeg": lambda e, p: e(p, "JPEG", quality=95),
    "jpeg progressive": lambda e, p: e(p, "JPEG", quality=95, progressive=True),
    "jpeg grey": lambda e, p: e(Image.fromarray(p).convert("L"), "JPEG", quality=95),
    "png": lambda e, p: e(p, "PNG"),
    "png grey": lambda e, p: e(Image.fromarray(p).convert("L"), "PNG"),
    "png 1 bit": lambda e, p: e(Image.fromarray(p).convert("1"), "PNG"),
    "png grey alpha": lambda e, p: e(with_alpha(p).convert("LA"), "PNG"),
    "png alpha": lambda e, p: e(with_alpha(p), "PNG"),
    "png palette": lambda e, p: e(palette(p), "PNG"),
    "png palette one transparent": lambda e, p: e(palette(p), "PNG", transparency=3),
    "png palette alphas": lambda e, p: e(palette(p), "PNG", transparency=bytes(range(0, 256, 16))),
    "png transparent colour": lambda e, p: e(p, "PNG", transparency=tuple(map(int, p[3, 3]))),
    "webp": lambda e, p: e(p, "WEBP", quality=90),
    "webp lossless": lambda e, p: e(p, "WEBP", lossless=True),
    "webp alpha": lambda e, p: e(with_alpha(p), "WEBP", lossless=True, exact=True),
    "webp animation": lambda e, p: e(
        p, "WEBP", lossless=True, save_all=True, append_images=[Image.fromarray(255 - p)]
    ),
    "bmp": lambda e, p: e(p, "BMP"),
    "bmp palette": lambda e, p: e(palette(p), "BMP"),
    "bmp 1 bit": lambda e, p: e(Image.fromarray(p).convert("1"), "BMP"),
    "gif": lambda e, p: e(palette(p), "GIF"),
    "gif transparent": lambda e, p: e(palette(p), "GIF", transparency=3),
    "gif animation": lambda e, p: e(
        palette(p), "GIF", save_all=True, append_images=[palette(255 - p)], duration=100
    ),
    "tiff": lambda e, p: e(p, "TIFF"),
    "tiff lzw": lambda e, p: e(p, "TIFF", compression="tiff_lzw"),
    "tiff grey": lambda e, p: e(Image.fromarray(p).convert("L"), "TIFF"),
    "tiff palette": lambda e, p: e(palette(p), "TIFF"),
    "tiff alpha": lambda e, p: e(with_alpha(p), "TIFF"),
    "ppm": lambda e, p: e(p, "PPM"),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_decodes_like_pillow(kind: str, backend: str, photo: np.ndarray, encode: Encode) -> None:
    data = KINDS[kind](encode, photo)
    np.testing.assert_array_equal(decode_rgb(data, backend), pillow_rgb(data))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
def test_decodes_jpegs_with_four_inks(
    transform: int, backend: str, photo: np.ndarray, encode: Encode
) -> None:
    inks = 255 - np.concatenate([photo, photo[::-1, ::-1, :1]], axis=2)
    image = Image.merge("CMYK", [Image.fromarray(ink) for ink in inks.transpose(2, 0, 1)])
    data = bytearray(encode(image, "JPEG", quality=98))
    adobe = data.index(b"Adobe")
    assert data[adobe + 11] == 0
    data[adobe + 11] = transform
    expected = pillow_rgb(bytes(data)).astype(int)
    assert expected.std() > 10
    difference = np.abs(decode_rgb(bytes(data), backend).astype(int) - expected)
    assert difference.max() <= 2  # the decoders round the product of ink and black differently


def deep(photo: np.ndarray, channels: int) -> np.ndarray:
    levels = photo.astype(np.uint16) * 257 - np.uint16(100) * (photo > 100)
    return levels[:, :, 0] if channels == 1 else levels


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_scales_16_bits_to_8(suffix: str, channels: int, backend: str, photo: np.ndarray) -> None:
    levels = deep(photo, channels)
    stored = levels if channels == 1 else levels[:, :, ::-1]
    data = cv2.imencode(suffix, stored)[1].tobytes()
    expected = (levels / 257).reshape(24, 32, channels)
    decoded = decode_rgb(data, backend).astype(float)
    assert np.abs(decoded - expected).max() <= 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_images_upright(
    orientation: int, form: str, backend: str, photo: np.ndarray, encode: Encode
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(photo, form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))
    decoded = decode_rgb(data, backend)
    assert decoded.shape == ((32, 24, 3) if orientation > 4 else (24, 32, 3))
    np.testing.assert_array_equal(decoded, pillow_rgb(data))


@pytest.mark.parametrize("backend", BACKENDS)
def test_damaged_exif_counts_as_upright(backend: str, photo: np.ndarray, encode: Encode) -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x01"):
        data = encode(photo, "JPEG", quality=95)
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
        np.testing.assert_array_equal(
            decode_rgb(data, backend), decode_rgb(encode(photo, "JPEG", quality=95), backend)
        )


TRUNCATED = ["jpeg", "jpeg progressive", "png", "webp", "webp lossless", "bmp", "tiff", "tiff lzw"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", [*TRUNCATED, "gif", "png palette"])
def test_refuses_a_file_cut_off_anywhere(
    kind: str, backend: str, photo: np.ndarray, encode: Encode
) -> None:
    data = KINDS[kind](encode, photo)
    end = len(data) - (1 if kind == "gif" else 0)  # the last byte of a GIF follows the image
    for length in {*range(0, 40), *range(40, end, 13), end - 1}:
        with pytest.raises(BadImageError):
            decode_rgb(data[:length], backend)


def test_names_the_reason_of_a_cut(photo: np.ndarray, encode: Encode) -> None:
    for kind in TRUNCATED:
        data = KINDS[kind](encode, photo)
        with pytest.raises(BadImageError, match=f"truncated.*{len(data) - 3} bytes"):
            decode_rgb(data[:-3])


def test_a_whole_thumbnail_does_not_hide_a_cut(photo: np.ndarray, encode: Encode) -> None:
    thumbnail = b"Exif\0\0" + encode(photo[:8, :8], "JPEG")
    data = encode(photo, "JPEG", quality=95)
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = data[:2] + segment + data[2:]
    decode_rgb(whole)
    with pytest.raises(BadImageError, match="truncated"):
        decode_rgb(whole[:-40])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_refuses_levels_of_unknown_range(
    kind: Any, backend: str, photo: np.ndarray, encode: Encode
) -> None:
    levels = (photo[:, :, 0].astype(np.float64) * 1e6).astype(kind)
    with pytest.raises(BadImageError, match="convert the image to 8 bits"):
        decode_rgb(encode(levels, "TIFF"), backend)


def _without_the_rest(data: bytes, kept: float) -> bytes:
    """A JPEG that lacks the end of its last scan, but not the marker behind it."""
    start = data.rfind(b"\xff\xda") + 14
    return data[: start + int(kept * (len(data) - start))] + b"\xff\xd9"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["jpeg", "jpeg progressive"])
def test_refuses_a_jpeg_that_ends_without_all_of_its_data(
    kind: str, backend: str, photo: np.ndarray, encode: Encode
) -> None:
    large = cv2.resize(photo, (320, 240))
    data = KINDS[kind](encode, large)
    decode_rgb(data, backend)
    scans = [found.start() for found in re.finditer(b"\xff\xda", data)]
    cuts = [data[:at] + b"\xff\xd9" for at in scans[1:]]
    cuts += [_without_the_rest(data, kept) for kept in (0, 0.3, 0.6)] if len(scans) == 1 else []
    for cut in cuts:
        with pytest.raises(BadImageError, match="data of the image is missing"):
            decode_rgb(cut, backend)


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}])
def test_a_background_of_one_colour_is_not_missing(
    level: int, options: Any, photo: np.ndarray, encode: Encode, capfd: Any
) -> None:
    plain = np.full((120, 130, 3), level, np.uint8)
    plain[:24, :32] = photo
    for picture in (plain, plain[:, :, 0]):
        for quality in (30, 95):
            decode_rgb(encode(picture, "JPEG", quality=quality, **options))
    assert capfd.readouterr().err == ""


def test_the_limit_of_pixels_can_be_set(photo: np.ndarray, encode: Encode) -> None:
    data = encode(photo, "PNG")
    assert DecodeImage(max_pixels=photo.size // 3)(data).shape == photo.shape
    with pytest.raises(BadImageError, match="more than DecodeImage.max_pixels=9 accepts"):
        DecodeImage(max_pixels=9)(data)


def test_ignores_bytes_behind_the_end(photo: np.ndarray, encode: Encode) -> None:
    for kind in ("jpeg", "png", "webp", "gif"):
        data = KINDS[kind](encode, photo)
        np.testing.assert_array_equal(decode_rgb(data + b"trailing\0" * 9), decode_rgb(data))


def test_refuses_a_png_with_a_wrong_checksum(photo: np.ndarray, encode: Encode) -> None:
    data = bytearray(encode(photo, "PNG"))
    data[len(data) // 2] ^= 0x10
    with pytest.raises(BadImageError, match="checksum"):
        decode_rgb(bytes(data))


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b"\xef\xbb\xbf\n <?xml version='1.0'?><svg/>", "HTML or XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"just some words, not an image at all", "not an image"),
        (b"\0" * 2000, "not an image"),
        (bytes(range(256)) * 4, "not an image"),
    ],
)
def test_says_what_a_file_is_instead(data: bytes, reason: str) -> None:
    with pytest.raises(BadImageError, match=reason):
        decode_rgb(data)


def test_random_damage_raises_nothing_else(photo: np.ndarray, encode: Encode) -> None:
    rng = np.random.default_rng(3)
    for kind, write in KINDS.items():
        data = write(encode, photo)
        for _ in range(10):
            damaged = bytearray(data)
            damaged[rng.integers(4, len(data))] ^= int(rng.integers(1, 256))
            try:
                image = decode_rgb(bytes(damaged))
            except BadImageError:
                continue
            assert image.ndim == 3 and image.dtype == np.uint8, kind


def test_is_quiet_about_bad_files(
    photo: np.ndarray, encode: Encode, tmp_path: Path, run_python: Callable[..., Any]
) -> None:
    (tmp_path / "cut.jpg").write_bytes(encode(photo, "JPEG")[:-60])
    (tmp_path / "cut.png").write_bytes(encode(photo, "PNG")[:-60])
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x0f\x01"
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    jpeg = encode(photo, "JPEG")
    (tmp_path / "exif.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    (tmp_path / "profile.png").write_bytes(encode(photo, "PNG", icc_profile=b"x" * 200))
    code = """if True:
        import sys
        from pathlib import Path
        from ppcls.data.transforms.decode import decode_rgb
        from ppcls.errors import BadImageError
        for path in sorted(Path(sys.argv[1]).iterdir()):
            try:
                decode_rgb(path.read_bytes())
            except BadImageError as error:
                print(path.name, error)
    """
    result = run_python("-c", code, tmp_path)
    assert result.stderr == ""
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["cut.jpg", "cut.png"]


def test_arguments(photo: np.ndarray, encode: Encode) -> None:
    data = encode(photo, "PNG")
    np.testing.assert_array_equal(DecodeImage()(data), photo)
    np.testing.assert_array_equal(DecodeImage(to_rgb=False)(data), photo[:, :, ::-1])
    np.testing.assert_array_equal(DecodeImage(channel_first=True)(data), photo.transpose(2, 0, 1))
    grey = DecodeImage(channel_num=1)(data)
    assert grey.shape == (24, 32, 1)
    pillow = np.asarray(Image.fromarray(photo).convert("L")).astype(int)
    assert np.abs(grey[:, :, 0] - pillow).max() <= 1
    with pytest.raises(ConfigError, match="Did you mean 'pil'"):
        DecodeImage(backend="pill")


def test_grey_files_keep_their_levels(photo: np.ndarray, encode: Encode) -> None:
    data = encode(photo[:, :, 0], "PNG")
    np.testing.assert_array_equal(DecodeImage(channel_num=1)(data)[:, :, 0], photo[:, :, 0])


def test_adopts_arrays(photo: np.ndarray) -> None:
    decode = DecodeImage()
    np.testing.assert_array_equal(decode.adopt(photo), photo)
    np.testing.assert_array_equal(decode.adopt(np.dstack([photo, photo[:, :, 0]])), photo)
    for grey in (photo[:, :, 0], photo[:, :, :1]):
        np.testing.assert_array_equal(decode.adopt(grey), np.repeat(photo[:, :, :1], 3, axis=2))
        np.testing.assert_array_equal(DecodeImage(channel_num=1).adopt(grey), photo[:, :, :1])
    for wrong in (photo.astype(np.float32), photo[:, :, :2], photo[None]):
        with pytest.raises(BadImageError, match="uint8"):
            decode.adopt(wrong)


def test_survives_chunks_in_any_number(photo: np.ndarray, encode: Encode) -> None:
    data = encode(photo, "PNG")
    text = b"tEXtComment\0made for a test"
    chunk = struct.pack(">L", len(text) - 4) + text + struct.pack(">L", zlib.crc32(text))
    np.testing.assert_array_equal(decode_rgb(data[:33] + chunk * 50 + data[33:]), photo)
