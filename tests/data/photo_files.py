"""Small photos that differ."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np


def photo_of(text: str) -> bytes:
    """Return a PNG file of 8 x 8 pixels, another one for each text."""
    seed = int.from_bytes(
        hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big"
    )
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()
