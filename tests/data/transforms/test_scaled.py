"""Large JPEG files are read in the size that a random crop needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import cv2
import numpy as np
import pytest
from PIL import Image

from ppcls.data.transforms import Pipeline, decode
from ppcls.errors import BadImageError, ConfigError


def pipeline(scaled: bool, size: int = 64, scale: Optional[List[float]] = None) -> Pipeline:
    crop: Dict[str, Any] = {"size": size, "scale": scale or [0.3, 1.0], "backend": "pil",
                            "interpolation": "bilinear"}  # fmt: skip
    ops = [{"DecodeImage": {"scaled": scaled}}, {"RandCropImage": crop}, {"RandFlipImage": None}]
    return Pipeline(ops, output_dtype="uint8")


def scene(width: int, height: int) -> np.ndarray:
    """Smooth colours with edges, all different in each corner."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [np.sin(x / 90 + 1), np.cos(y / 70), np.sin((x + y) / 110)]
    image = np.stack([127 + 90 * wave for wave in waves], axis=2).astype(np.uint8)
    cv2.circle(image, (width // 3, height // 4), height // 5, (250, 30, 60), -1)
    return image


def jpeg_of(image: np.ndarray, quality: int = 95) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return bytes(data)


@pytest.mark.parametrize("size", [(1600, 1200), (1201, 1603), (801, 600)])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_what_is_seen_stays_the_same(
    size: Tuple[int, int], orientation: int, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(scene(*size)).save(path, quality=95, exif=exif)
    data = path.read_bytes()
    for seed in range(8):
        whole, scaled = (
            pipeline(flag)(data, np.random.default_rng(seed)).astype(int) for flag in (False, True)
        )
        difference = abs(whole - scaled)
        # Of a turned photo whose sides are no multiples of eight, it is off by less than a pixel.
        is_off = orientation != 1 and size[0] % 8
        assert difference.mean() < (8 if is_off else 2.5), seed
        assert np.percentile(difference, 95) < (16 if is_off else 6), seed


def test_the_size_is_that_of_the_part(monkeypatch: pytest.MonkeyPatch) -> None:
    data, flags = jpeg_of(scene(1600, 1200)), []
    real: Callable[..., Any] = cv2.imdecode
    monkeypatch.setattr(decode, "_simplejpeg", lambda: None)
    monkeypatch.setattr(cv2, "imdecode", lambda *given: flags.append(given[1]) or real(*given))
    for scale in ([1.0, 1.0], [0.01, 0.01]):
        pipeline(True, 64, scale)(data, np.random.default_rng(0))
    pipeline(True, 500, [1.0, 1.0])(data, np.random.default_rng(0))
    plain = cv2.IMREAD_IGNORE_ORIENTATION
    # Parts of about 1,400 pixels for 64, of 140 for 64, and of about 1,300 for 500.
    expected = [cv2.IMREAD_REDUCED_COLOR_8, cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_COLOR_2]
    assert flags == [flag | plain for flag in expected]


def test_other_formats_are_read_in_full_size() -> None:
    done, data = cv2.imencode(".png", scene(640, 480))
    whole, scaled = (
        pipeline(flag)(bytes(data), np.random.default_rng(3)) for flag in (False, True)
    )
    assert done and np.array_equal(whole, scaled)


def test_arrays_are_cut_as_ever() -> None:
    image = scene(640, 480)
    whole, scaled = (pipeline(flag)(image, np.random.default_rng(3)) for flag in (False, True))
    assert np.array_equal(whole, scaled)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_files_that_stop_early_are_refused(kept: float) -> None:
    data = jpeg_of(scene(1600, 1200))
    cut = data[: int(len(data) * kept)] + b"\xff\xd9"
    with pytest.raises(BadImageError, match="data of the image is missing"):
        pipeline(True, 64, [1.0, 1.0])(cut, np.random.default_rng(0))


def test_plain_backgrounds_are_not_taken_for_missing_data() -> None:
    image = scene(1600, 1200)
    image[700:] = 200
    pipeline(True, 64, [1.0, 1.0])(jpeg_of(image), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ([{"DecodeImage": {"scaled": True}}], "must be the next op"),
        ([{"DecodeImage": {"scaled": True}}, {"ResizeImage": {"size": 8}}], "must be the next op"),
        ([{"DecodeImage": {"scaled": True, "backend": "pil"}}], "is for backend cv2"),
    ],
)
def test_where_it_makes_no_sense(ops: List[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Pipeline(ops)
