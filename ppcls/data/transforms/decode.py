"""From the bytes of an image file to an array of pixels."""

from __future__ import annotations

import importlib
import io
import os
import warnings
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any, Literal, Optional

import cv2
import numpy as np
from pydantic import Field

from ppcls.data.transforms import jpeg
from ppcls.data.transforms.base import Shape, Transform, choose, with_channel_axis
from ppcls.data.transforms.imagefile import MAX_PIXELS, ImageFile, incomplete_jpeg, inspect
from ppcls.errors import BadImageError, ConfigError
from ppcls.registry import register

_FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
"""OpenCV's flags for an image in full size, and in a half, a quarter, an eighth of it."""


_RGB: Optional[int] = getattr(cv2, "IMREAD_COLOR_RGB", None)
"""The flag of newer versions that saves swapping the channels."""


def _quieten() -> None:
    """Keep Pillow from warning of damaged EXIF, and OpenCV from writing what BadImageError tells,
    unless the user asks for its log.
    """
    # Once, and not around each call: filters belong to all threads.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")
    if "OPENCV_LOG_LEVEL" in os.environ:
        return
    logging: Any = getattr(cv2.utils, "logging", cv2)
    logging.setLogLevel(0)


_quieten()


@register("transform")
class DecodeImage(Transform):
    """Decode an image file to 8 bits a channel, upright, without transparency.

    JPEG (grey, colour, CMYK, YCCK), PNG (palette, grey, colour; 16 bits are scaled to 8), WebP,
    BMP, TIFF, GIF (first frame), JPEG 2000, PNM, and AVIF where the decoders have it. EXIF's
    orientation is applied, transparency dropped as it is (the colour below it shows). A file that
    is cut off is refused, and one that declares more pixels than `max_pixels` before memory is
    taken for them.

    Args:
        to_rgb: channels in the order red, green, blue; else blue, green, red as OpenCV has them.
        to_np: accepted for configurations of PaddleClas; images are arrays here in any case.
        channel_first: return channels x height x width. The ops that work on pixels then refuse the
            image.
        backend: ``cv2`` or ``pil`` (Pillow), the decoder. With the extra ``jpeg``, ``cv2`` reads
            JPEG by simplejpeg, which gives the same pixels in less time.
        channel_num: 3 for colour, 1 for grey (ITU-R BT.601 luma of the colours).
        max_pixels: how many pixels an image may have.
        scaled: read a JPEG in a half, a quarter or an eighth of its size (libjpeg's scaled DCT)
            where the RandCropImage after this op cuts out so large a part that it still has as many
            pixels as it is resized to. For training on large photos (see the page on performance);
            ``cv2`` alone.
    """

    def __init__(
        self,
        to_rgb: bool = True,
        to_np: bool = False,
        channel_first: bool = False,
        backend: str = "cv2",
        channel_num: Literal[1, 3] = 3,
        max_pixels: Annotated[int, Field(ge=1)] = MAX_PIXELS,
        scaled: bool = False,
    ) -> None:
        self.to_rgb = to_rgb
        self.to_np = to_np
        self.channel_first = channel_first
        self.backend = choose(backend, ["cv2", "pil"], "DecodeImage.backend")
        self.channel_num = channel_num
        self.max_pixels = max_pixels
        self.scaled = scaled
        if scaled and self.backend != "cv2":
            raise ConfigError("DecodeImage.scaled is for backend cv2; leave one of them out")

    def __call__(  # type: ignore[override]
        self, image: bytes, rng: Optional[np.random.Generator] = None
    ) -> np.ndarray:
        """Return height x width x channels, uint8.

        Raises:
            BadImageError: the bytes are not a complete image; the message says why.
        """
        return self.pixels(self.inspect(image))

    def inspect(self, data: bytes) -> ImageFile:
        """Return what a file says of itself.

        Raises:
            BadImageError: it is no image, is not complete, or has too many pixels.
        """
        return inspect(data, self.max_pixels)

    def pixels(self, file: ImageFile, most: float = 1.0) -> np.ndarray:
        """Return height x width x channels, uint8, of a file that was inspected.

        Args:
            file: the file.
            most: the largest factor by which both sides may be smaller.

        Raises:
            BadImageError: it cannot be decoded.
        """
        reduction = max(factor for factor in _FLAGS if factor <= max(1.0, most))
        return self._finished(_decoded(file, self.backend, reduction if file.jpeg else 1))

    def adopt(self, image: np.ndarray, rng: Optional[np.random.Generator] = None) -> np.ndarray:
        """Return an RGB or grey array, uint8, as if it came out of a file.

        Raises:
            BadImageError: the array is not height x width (x 1, 3 or 4) of uint8.
        """
        channels = image.shape[2] if image.ndim == 3 else 1
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or channels not in (1, 3, 4):
            raise BadImageError(
                f"an array must be height x width (x 1, 3 or 4) of uint8, "
                f"got {image.shape} of {image.dtype}"
            )
        if channels == 1:
            return self._finished(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))
        return self._finished(np.ascontiguousarray(image[:, :, :3]))

    def _finished(self, rgb: np.ndarray) -> np.ndarray:
        if self.channel_num == 1:
            rgb = with_channel_axis(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
        elif not self.to_rgb:
            rgb = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        return rgb.transpose(2, 0, 1) if self.channel_first else rgb

    def shape_after(self, shape: Shape) -> Shape:
        """Return an unknown size with the channels of the files."""
        return replace(
            shape, channels=self.channel_num, layout="chw" if self.channel_first else "hwc"
        )


def decode_rgb(data: bytes, backend: str = "cv2", max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return the image in a file's bytes: height x width x 3, uint8, RGB, upright.

    Raises:
        BadImageError: the bytes are not a complete image that can be decoded, or it declares more
            than `max_pixels`.
    """
    return _decoded(inspect(data, max_pixels), backend, 1)


def _decoded(file: ImageFile, backend: str, reduction: int) -> np.ndarray:
    image = None
    if backend == "cv2":
        image = _with_simplejpeg(file, reduction)
        image = _with_opencv(file, reduction) if image is None else image
    if image is None:
        image, reduction = _with_pillow(file), 1
    if image is None:
        raise BadImageError(
            f"the {file.format} file is damaged or of a kind that cannot be decoded"
        )
    if file.jpeg and jpeg.lacks_data(file.data, file.jpeg, image, reduction):
        raise incomplete_jpeg(file.data)
    return _upright(image, file.orientation)


@lru_cache(maxsize=1)
def _simplejpeg() -> Any:
    """Return the package of the extra `jpeg`, or None."""
    try:
        return importlib.import_module("simplejpeg")
    except Exception:  # built for another NumPy, it raises ValueError
        return None


def _with_simplejpeg(file: ImageFile, reduction: int) -> Optional[np.ndarray]:
    """Decode a JPEG by libjpeg-turbo alone: the same pixels as OpenCV's, which has the same library
    inside, without what OpenCV does around it. What it refuses, OpenCV may still know.
    """
    # For four inks it takes more than twice the memory of the result.
    if file.jpeg is None or file.jpeg.components not in (1, 3) or _simplejpeg() is None:
        return None
    # It is asked for a size, not for a factor, and for tiny images several factors give the same.
    if reduction > 1 and min(file.height, file.width) <= 8:
        return None
    height, width = (-(-side // reduction) for side in (file.height, file.width))
    least = {"min_height": height, "min_width": width} if reduction > 1 else {}
    try:
        image: np.ndarray = _simplejpeg().decode_jpeg(file.data, "RGB", **least)
    except (ValueError, RuntimeError, MemoryError):
        return None
    return image if image.shape == (height, width, 3) else None


def _with_opencv(file: ImageFile, reduction: int) -> Optional[np.ndarray]:
    color = _RGB if reduction == 1 and _RGB is not None else _FLAGS[reduction]
    flags = color | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(file.for_opencv or file.data, dtype=np.uint8), flags)
    except cv2.error:
        return None
    if image is None or color == _RGB:
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def _with_pillow(file: ImageFile) -> Optional[np.ndarray]:
    from PIL import Image, ImageOps

    data = jpeg.without_extras(file.data) if file.jpeg else file.data
    try:
        with Image.open(io.BytesIO(data), formats=list(file.pillow_formats)) as image:
            levels = ImageOps.exif_transpose(image) if file.format == "TIFF" else image
            return _pillow_rgb(levels)
    except BadImageError:
        raise
    except Exception:  # Pillow's readers raise almost anything on a broken file
        return None


def pixels_of_pillow(image: Any) -> np.ndarray:
    """Return an image of Pillow as a file with its content is decoded: height x width x 3, uint8,
    RGB, upright.

    Raises:
        BadImageError: its levels are not 8 or 16 bits deep.
        OSError: it was opened from a file that is damaged.
    """
    from PIL import ImageOps

    return _pillow_rgb(ImageOps.exif_transpose(image))


def _pillow_rgb(image: Any) -> np.ndarray:
    if image.mode[0] in "IF":
        return cv2.cvtColor(_high_bytes(np.asarray(image)), cv2.COLOR_GRAY2RGB)
    if image.mode == "P":
        # Palettes with transparency warn unless they pass through RGBA.
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def _high_bytes(levels: np.ndarray) -> np.ndarray:
    """Scale 16-bit levels to 8 bits; other numbers have no known white to scale by."""
    if levels.dtype.kind == "f" or levels.min() < 0 or levels.max() > 0xFFFF:
        raise BadImageError("its levels are not 8 or 16 bits deep; convert the image to 8 bits")
    return (levels >> 8).astype(np.uint8)


_TURNS = {3: cv2.ROTATE_180, 5: cv2.ROTATE_90_CLOCKWISE, 6: cv2.ROTATE_90_CLOCKWISE,
          7: cv2.ROTATE_90_COUNTERCLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}  # fmt: skip
_MIRRORS = {2: 1, 4: 0, 5: 1, 7: 1}


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Undo EXIF's orientation: turn first, then mirror."""
    if orientation in _TURNS:
        image = cv2.rotate(image, _TURNS[orientation])
    if orientation in _MIRRORS:
        image = cv2.flip(image, _MIRRORS[orientation])
    return image
