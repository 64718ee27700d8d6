"""Cutting a part out of an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, List, Optional, Tuple, Union

import numpy as np
from pydantic import Field

from ppcls.data.transforms.base import (
    Shape,
    Transform,
    at_stage,
    parse_number,
    width_and_height,
)
from ppcls.data.transforms.resize import Resizer
from ppcls.errors import BadImageError, ConfigError
from ppcls.registry import register

if TYPE_CHECKING:
    from ppcls.data.transforms.decode import DecodeImage
    from ppcls.data.transforms.imagefile import ImageFile


_STAGES = "RandCropImage.progress_size"


@register("transform")
class CropImage(Transform):
    """Cut the middle out.

    Args:
        size: one side of a square, or ``[width, height]``; pixels.

    Raises:
        ConfigError: the size is not positive, or larger than what the op before leaves.
    """

    def __init__(self, size: Union[int, List[int]]) -> None:
        self.size = size
        self._width, self._height = width_and_height(size, "CropImage.size")

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a view of the middle.

        Raises:
            BadImageError: the image is smaller than the crop.
        """
        height, width = image.shape[:2]
        if height < self._height or width < self._width:
            raise BadImageError(
                f"the image is {width} x {height} pixels (width x height) where CropImage cuts out "
                f"{self._width} x {self._height}; put ResizeImage before CropImage"
            )
        top, left = (height - self._height) // 2, (width - self._width) // 2
        return image[top : top + self._height, left : left + self._width]

    def shape_after(self, shape: Shape) -> Shape:
        """Return the size of the crop."""
        shape = super().shape_after(shape)
        too_wide = shape.width is not None and shape.width < self._width
        too_high = shape.height is not None and shape.height < self._height
        if too_wide or too_high or (shape.short or math.inf) < min(self._width, self._height):
            have = (
                f"{shape.width} x {shape.height}"
                if shape.width
                else f"{shape.short} on the shorter side"
            )
            raise ConfigError(
                f"CropImage cuts out {self._width} x {self._height} pixels, but the ops before it "
                f"leave {have}; make the crop smaller or ResizeImage larger"
            )
        return shape.sized(self._width, self._height)


@register("transform")
class CropImageAtRatio(Transform):
    """Cut out the middle square of size / (size + pad) of the shorter side, and resize it: one
    interpolation where ResizeImage and CropImage would need a larger image (EfficientNet's
    evaluation).

    Args:
        size: the side of the result in pixels.
        pad: what would be cut off if the shorter side became size + pad pixels.
        interpolation: as for ResizeImage.
        backend: ``cv2`` or ``pil``.

    Raises:
        ConfigError: a word is unknown.
    """

    def __init__(
        self,
        size: Annotated[int, Field(ge=1)],
        pad: Annotated[int, Field(ge=0)],
        interpolation: str = "bilinear",
        backend: str = "cv2",
    ) -> None:
        self.size, self.pad = size, pad
        self._resize = Resizer(interpolation, backend, "CropImageAtRatio")
        self.interpolation = self._resize.interpolation
        self.backend = self._resize.backend

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the middle, size x size."""
        height, width = image.shape[:2]
        side = max(1, min(height, width) * self.size // (self.size + self.pad))
        top, left = (height - side) // 2, (width - side) // 2
        part = image[top : top + side, left : left + side]
        return self._resize(part, (self.size, self.size), rng)

    def shape_after(self, shape: Shape) -> Shape:
        """Return a square."""
        return super().shape_after(shape).sized(self.size, self.size)


@register("transform")
class RandCropImage(Transform):
    """Cut out a random part of random size and proportions, and resize it (Szegedy et al. 2015,
    arXiv:1409.4842).

    The part's area is a fraction of the image's, drawn uniformly from `scale`; its width / height
    is drawn from `ratio`. Where such a part would not fit, the area is lowered to the largest that
    fits.

    Args:
        size: one side of a square, or ``[width, height]``; pixels of the result.
        scale: smallest and largest fraction of the area; by default 0.08 and 1.
        ratio: smallest and largest width / height; by default 3/4 and 4/3.
        interpolation: as for ResizeImage.
        use_log_aspect: draw the logarithm of the proportions uniformly, so that 1/2 is as likely as
            2.
        backend: ``cv2`` or ``pil``.
        progress_size: sizes instead of `size`, each for an equal part of the epochs (progressive
            learning: Tan and Le 2021, arXiv:2104.00298).

    Raises:
        ConfigError: a range is not two positive numbers in order, or a word is unknown.
    """

    is_random = True

    def __init__(
        self,
        size: Union[int, List[int]],
        scale: Optional[List[Union[float, str]]] = None,
        ratio: Optional[List[Union[float, str]]] = None,
        interpolation: Optional[str] = None,
        use_log_aspect: bool = False,
        backend: str = "cv2",
        progress_size: Optional[List[Union[int, List[int]]]] = None,
    ) -> None:
        self.size, self.progress_size = size, progress_size
        self.scale = _positive_range(scale or [0.08, 1.0], "RandCropImage.scale")
        self.ratio = _positive_range(ratio or [3 / 4, 4 / 3], "RandCropImage.ratio")
        self.use_log_aspect = use_log_aspect
        self._resize = Resizer(interpolation, backend, "RandCropImage")
        self.interpolation = self._resize.interpolation
        self.backend = self._resize.backend
        self._wanted = width_and_height(size, "RandCropImage.size")
        if progress_size is not None:
            self._stages = [width_and_height(one, _STAGES) for one in progress_size]
            if not progress_size:
                raise ConfigError(f"{_STAGES} is empty; write a size for each stage of training")
            self._wanted = self._stages[0]

    def at(self, progress: float) -> RandCropImage:
        """Return the op with the size of a stage of training."""
        if self.progress_size is None or len(self.progress_size) == 1:
            return self
        return self.changed_to(_wanted=at_stage(self._stages, progress))

    def in_size(self, width: int, height: int) -> RandCropImage:
        """Return the op with another size of the result."""
        return self.changed_to(_wanted=(width, height))

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a random part in the wanted size."""
        left, top, width, height = self.window(image.shape[1], image.shape[0], rng)
        return self._resize(image[top : top + height, left : left + width], self._wanted, rng)

    def of_file(self, file: ImageFile, decode: DecodeImage, rng: np.random.Generator) -> np.ndarray:
        """Return the same of a file, which is read in a smaller size where the part is large.

        Raises:
            BadImageError: it cannot be decoded.
        """
        width, height = file.upright
        left, top, across, down = self.window(width, height, rng)
        image = decode.pixels(file, min(across / self._wanted[0], down / self._wanted[1]))
        # The last pixel of a smaller size covers fewer of the file's where these are no multiple;
        # in a file that is turned, the part is off by less than a pixel then.
        factor = round(width / image.shape[1])
        part = image[
            round(top / factor) : round((top + down) / factor),
            round(left / factor) : round((left + across) / factor),
        ]
        return self._resize(part, self._wanted, rng)

    def window(
        self, image_width: int, image_height: int, rng: np.random.Generator
    ) -> Tuple[int, int, int, int]:
        """Draw the part of an image to cut out: (left, top, width, height) in pixels."""
        ratio = self._draw_ratio(rng)
        proportions = image_width / image_height
        largest = min(proportions / ratio, ratio / proportions)
        smallest, most = (min(bound, largest) for bound in self.scale)
        fraction = rng.uniform(smallest, most)
        side = math.sqrt(image_width * image_height * fraction)
        width = _whole(side * math.sqrt(ratio), image_width)
        height = _whole(side / math.sqrt(ratio), image_height)
        left = int(rng.integers(image_width - width + 1))
        top = int(rng.integers(image_height - height + 1))
        return left, top, width, height

    def _draw_ratio(self, rng: np.random.Generator) -> float:
        low, high = self.ratio
        if self.use_log_aspect:
            return math.exp(rng.uniform(math.log(low), math.log(high)))
        return rng.uniform(low, high)

    def shape_after(self, shape: Shape) -> Shape:
        """Return the wanted size."""
        return super().shape_after(shape).sized(*self._wanted)


def _whole(pixels: float, most: int) -> int:
    """Round down, but not for what floating-point arithmetic lost; at least 1, at most `most`."""
    return min(max(int(pixels + 1e-6), 1), most)


def _positive_range(bounds: List[Union[float, str]], what: str) -> List[float]:
    numbers = [parse_number(bound, what) for bound in bounds]
    if len(numbers) != 2 or not 0 < numbers[0] <= numbers[1]:
        raise ConfigError(
            f"{what}: {bounds} is not a range; write [smallest, largest], both above 0"
        )
    return numbers
