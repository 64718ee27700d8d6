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

SUBSAMPLINGS: Dict[str, int] = {
    name[-3:]: getattr(cv2, name)
    for name in dir(cv2)
    if name.startswith("IMWRITE_JPEG_SAMPLING_FACTOR_")
}


def photo(width: int, height: int) -> np.ndarray:
    """Smooth colours with noise on them."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = np.stack([np.sin(x / 9 + 1), np.cos(y / 7), np.sin((x + y) / 11)], axis=2)
    noise = np.random.default_rng(0).normal(0, 12, waves.shape)
    return np.clip(127 + 90 * waves + noise, 0, 255).astype(np.uint8)


def encoded(image: np.ndarray, *flags: int) -> bytes:
    done, data = cv2.imencode(".jpg", image, flags)
    assert done
    return bytes(data)


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
def test_pixels_are_the_same(
    subsampling: str, size: Any, reduction: int, calls: Dict[str, int]
) -> None:
    factor = cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SUBSAMPLINGS[subsampling]
    for more in ((), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 3)):
        data = encoded(photo(*size), *factor, *more, cv2.IMWRITE_JPEG_QUALITY, 80)
        found = read(data, True, reduction)
        assert calls["opencv"] == 0
        assert np.array_equal(found, read(data, False, reduction))
        calls["opencv"] = 0


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_are_the_same(mode: str) -> None:
    written = io.BytesIO()
    Image.fromarray(photo(90, 70)).convert(mode).save(written, "JPEG")
    found = read(written.getvalue(), True)
    assert found.shape == (70, 90, 3)
    assert np.array_equal(found, read(written.getvalue(), False))


def test_what_it_refuses_is_asked_of_opencv(calls: Dict[str, int]) -> None:
    data = encoded(photo(80, 80))
    # Bytes that belong to nothing, for which libjpeg only warns.
    spoilt = data[:-2] + b"\x12\x34" + data[-2:]
    found = read(spoilt, True)
    assert np.array_equal(found, read(spoilt, False)) and found.shape == (80, 80, 3)


@pytest.mark.parametrize("reduction", [1, 4])
@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 10**6), value=st.integers(0, 255), cut=st.booleans())
def test_damage_is_answered_the_same(reduction: int, place: int, value: int, cut: bool) -> None:
    data = bytearray(encoded(photo(70, 50)))
    place %= len(data)
    data = data[:place] if cut else data[:place] + bytes([value]) + data[place + 1 :]
    one, other = (read(bytes(data), by, reduction) for by in (True, False))
    assert one == other if isinstance(one, str) else np.array_equal(one, other)
