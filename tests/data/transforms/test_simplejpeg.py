"""JPEG by the extra `jpeg`: the pixels, and the refusals, are those of OpenCV."""

from __future__ import annotations

import io
from typing import Any, Dict, Iterator, Optional

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ppcls.data.transforms import decode
from ppcls.data.transforms.decode import DecodeImage
from ppcls.errors import BadImageError

pytest.importorskip("simplejpeg", reason="the extra jpeg is not installed")

SUBSAMPLINGS = {"444": 0, "422": 1, "420": 2}


def photo(width: int, height: int) -> np.ndarray:
    """Smooth colours with noise on them."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = np.stack([np.sin(x / 9 + 1), np.cos(y / 7), np.sin((x + y) / 11)], axis=2)
    noise = np.random.default_rng(0).normal(0, 12, waves.shape)
    return np.clip(127 + 90 * waves + noise, 0, 255).astype(np.uint8)


def encoded(image: np.ndarray, mode: str = "RGB", **options: Any) -> bytes:
    written = io.BytesIO()
    Image.fromarray(image).convert(mode).save(written, "JPEG", **options)
    return written.getvalue()


def read(data: bytes, by_simplejpeg: bool, most: float = 1.0) -> Any:
    """Return the pixels, or why there are none."""
    found = decode._simplejpeg if by_simplejpeg else lambda: None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "_simplejpeg", found)
        reader = DecodeImage(scaled=most > 1)
        try:
            return reader.pixels(reader.inspect(data), most)
        except BadImageError as error:
            return str(error)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dict[str, int]]:
    """How often OpenCV decodes."""
    count, usual = {"opencv": 0}, decode._with_opencv

    def counted(file: Any, reduction: int) -> Optional[np.ndarray]:
        count["opencv"] += 1
        return usual(file, reduction)

    monkeypatch.setattr(decode, "_with_opencv", counted)
    yield count


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(64, 48), (301, 199), (17, 130)])
@pytest.mark.parametrize("subsampling", sorted(SUBSAMPLINGS))
@pytest.mark.parametrize("progressive", [False, True])
def test_pixels_are_the_same(
    progressive: bool, subsampling: str, size: Any, reduction: int, calls: Dict[str, int]
) -> None:
    form = {"subsampling": SUBSAMPLINGS[subsampling], "progressive": progressive}
    data = encoded(photo(*size), quality=80, **form)
    found = read(data, True, reduction)
    assert calls["opencv"] == 0
    assert np.array_equal(found, read(data, False, reduction))


@pytest.mark.parametrize("name", ["440", "411"])
def test_rare_subsamplings_are_the_same(name: str, calls: Dict[str, int]) -> None:
    factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{name}", None)
    if factor is None:
        pytest.skip("this OpenCV writes no such files")
    flags = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor, cv2.IMWRITE_JPEG_RST_INTERVAL, 3]
    data = bytes(cv2.imencode(".jpg", photo(90, 70), flags)[1])
    found = read(data, True)
    assert calls["opencv"] == 0 and np.array_equal(found, read(data, False))


@pytest.mark.parametrize("reduction", [1, 2, 8])
@pytest.mark.parametrize(("mode", "by_opencv"), [("L", 0), ("CMYK", 1)])
def test_grey_is_the_same_and_four_inks_are_left_to_opencv(
    mode: str, by_opencv: int, reduction: int, calls: Dict[str, int]
) -> None:
    data = encoded(photo(90, 70), mode)
    found = read(data, True, reduction)
    assert calls["opencv"] == by_opencv and found.ndim == 3
    assert np.array_equal(found, read(data, False, reduction))


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (6, 5), (8, 40)])
@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
def test_tiny_images_are_the_same(size: Any, reduction: int) -> None:
    data = encoded(photo(*size))
    assert np.array_equal(read(data, True, reduction), read(data, False, reduction))


def test_what_it_refuses_is_asked_of_opencv(calls: Dict[str, int]) -> None:
    data = encoded(photo(80, 80))
    # Bytes that belong to nothing, for which libjpeg only warns.
    spoilt = data[:-2] + b"\xff\xd0\x12\x34" + data[-2:]
    found = read(spoilt, True)
    assert calls["opencv"] == 1
    assert np.array_equal(found, read(spoilt, False)) and found.shape == (80, 80, 3)


@pytest.mark.parametrize("error", [ImportError, ValueError])
def test_a_package_that_cannot_be_imported_is_left_out(
    error: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(name: str) -> Any:
        raise error(name)

    monkeypatch.setattr(decode.importlib, "import_module", failing)
    assert decode._simplejpeg.__wrapped__() is None


@pytest.mark.parametrize("reduction", [1, 4])
@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 10**6), value=st.integers(0, 255), cut=st.booleans())
def test_damage_is_answered_the_same(reduction: int, place: int, value: int, cut: bool) -> None:
    data = bytearray(encoded(photo(70, 50)))
    place %= len(data)
    data = data[:place] if cut else data[:place] + bytes([value]) + data[place + 1 :]
    one, other = (read(bytes(data), by, reduction) for by in (True, False))
    assert one == other if isinstance(one, str) else np.array_equal(one, other)
