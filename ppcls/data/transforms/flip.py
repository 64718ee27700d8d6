"""Mirroring."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from ppcls.data.transforms.base import Transform, with_channel_axis
from ppcls.registry import register


@register("transform")
class RandFlipImage(Transform):
    """Mirror every second image, by chance.

    Args:
        flip_code: 1 swaps left and right, 0 top and bottom, -1 both.
    """

    is_random = True

    def __init__(self, flip_code: Literal[1, 0, -1] = 1) -> None:
        self.flip_code = flip_code

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image or its mirror image."""
        if rng.integers(2) == 0:
            return image
        return with_channel_axis(cv2.flip(image, self.flip_code))
