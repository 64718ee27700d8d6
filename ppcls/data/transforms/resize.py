"""Change of size."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Optional, Tuple, Union

import cv2
import numpy as np

from ppcls.data.transforms.base import Shape, Transform, choose, width_and_height, with_channel_axis
from ppcls.errors import ConfigError
from ppcls.registry import register

_CV2_FILTERS: Dict[str, int] = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}
_PIL_FILTERS = ("nearest", "bilinear", "bicubic", "box", "lanczos", "hamming")
_RANDOM = ("bilinear", "bicubic")
_DEFAULT = {"cv2": "bilinear", "pil": "bicubic"}


class Resizer:
    """Resizes an image with OpenCV, or with Pillow, which alone smooths before it shrinks."""

    def __init__(self, interpolation: Optional[str], backend: str, what: str) -> None:
        """Check the words of the configuration.

        Raises:
            ConfigError: the backend is unknown, or has no such interpolation.
        """
        self.backend = choose(backend, _DEFAULT, f"{what}.backend")
        accepted = [*(_CV2_FILTERS if self.backend == "cv2" else _PIL_FILTERS), "random"]
        self.interpolation = choose(
            interpolation or _DEFAULT[self.backend],
            accepted,
            f"{what}.interpolation for backend {self.backend}",
        )

    def __call__(
        self, image: np.ndarray, size: Tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        """Return `image` (height x width x channels, uint8) in `size`, which is (width, height)."""
        word = self.interpolation
        if word == "random":
            word = _RANDOM[rng.integers(len(_RANDOM))]
        if self.backend == "pil":
            return with_channel_axis(_resize_with_pillow(image, size, word))
        return with_channel_axis(cv2.resize(image, size, interpolation=_CV2_FILTERS[word]))


def _resize_with_pillow(image: np.ndarray, size: Tuple[int, int], word: str) -> np.ndarray:
    from PIL import Image

    grey = image.shape[2] == 1
    pillow = Image.fromarray(np.ascontiguousarray(image[:, :, 0] if grey else image))
    return np.asarray(pillow.resize(size, getattr(Image, word.upper())))


@register("transform")
class ResizeImage(Transform):
    """Resize to `size`, or so that the shorter side is `resize_short` and the proportions stay.

    Args:
        size: one side of a square, or ``[width, height]``; pixels.
        resize_short: the shorter side in pixels; wins over `size`. The longer side is rounded to a
            whole pixel.
        interpolation: ``nearest``, ``bilinear``, ``area``, ``bicubic``, ``lanczos`` or ``random``
            (bilinear or bicubic); Pillow also has ``box`` and ``hamming`` but no ``area``. By
            default bilinear, with Pillow bicubic.
        backend: ``cv2`` or ``pil``.
        return_numpy: accepted for configurations of PaddleClas; images are arrays here in any case.

    Raises:
        ConfigError: neither size is given, or a word is unknown.
    """

    def __init__(
        self,
        size: Optional[Union[int, List[int]]] = None,
        resize_short: Optional[int] = None,
        interpolation: Optional[str] = None,
        backend: str = "cv2",
        return_numpy: bool = True,
    ) -> None:
        if resize_short is not None and resize_short <= 0:
            resize_short = None
        if resize_short is None and size is None:
            raise ConfigError("ResizeImage needs resize_short (pixels of the shorter side) or size")
        self.resize_short = resize_short
        self.size = size
        self._resize = Resizer(interpolation, backend, "ResizeImage")
        self.interpolation = self._resize.interpolation
        self.backend = self._resize.backend
        self.return_numpy = return_numpy
        self.is_random = self.interpolation == "random"
        self._wanted = (
            None if size is None or resize_short else width_and_height(size, "ResizeImage.size")
        )

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the resized image."""
        height, width = image.shape[:2]
        wanted = self._wanted or proportional_size(width, height, self.resize_short or 0)
        return image if wanted == (width, height) else self._resize(image, wanted, rng)

    def in_size(self, width: int, height: int) -> ResizeImage:
        """Return the op with another size of the result, where that is fixed."""
        return self.changed_to(_wanted=(width, height)) if self._wanted else self

    def shape_after(self, shape: Shape) -> Shape:
        """Return the fixed size, or the fixed shorter side."""
        shape = super().shape_after(shape)
        if self._wanted:
            return shape.sized(*self._wanted)
        if shape.height and shape.width:
            return shape.sized(
                *proportional_size(shape.width, shape.height, self.resize_short or 0)
            )
        return replace(shape, short=self.resize_short)


def proportional_size(width: int, height: int, short: int) -> Tuple[int, int]:
    """Return (width, height), scaled so that the shorter side is `short`; rounds half to even."""
    factor = short / min(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))
