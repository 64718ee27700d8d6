"""Small real images and data sets that the tests of ppcls.data share."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Callable, Dict, List

import cv2
import numpy as np
import pytest
from PIL import Image

from ppcls.registry import parse

Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A smooth colourful image, 24 x 32 x 3, uint8, RGB."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    low, high = smooth.min(), smooth.max()
    return ((smooth - low) * (255 / (high - low))).astype(np.uint8)


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Return the bytes of a file that Pillow writes of an image or an array."""

    def write(image: Any, form: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        image.save(buffer, form, **options)
        return buffer.getvalue()

    return write


@pytest.fixture()
def rng() -> np.random.Generator:
    """A generator in a known state."""
    return np.random.default_rng(1)


@pytest.fixture(scope="session")
def build() -> Callable[..., Any]:
    """Build a part as YAML would: ``build("transform", {"CropImage": {"size": 8}})``."""

    def build_part(kind: str, value: Any, **provided: Any) -> Any:
        return parse(kind, value).build(**provided)

    return build_part


@pytest.fixture(scope="session")
def parts() -> Callable[..., List[Any]]:
    """Check a list of transforms as YAML would."""
    return lambda *values: [parse("transform", value) for value in values]


@pytest.fixture()
def image_files(tmp_path: Path) -> Callable[[Dict[str, int]], Path]:
    """Write PNG files, 12 x 10 pixels of one grey level each, and return their folder."""

    def write(levels: Dict[str, int]) -> Path:
        for name, level in levels.items():
            path = tmp_path / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (10, 12), level).save(path, "PNG")
        return tmp_path / "images"

    return write
