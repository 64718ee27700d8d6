"""Hiding parts of an image."""

from __future__ import annotations

import math
from typing import Annotated, List, Literal, Optional, Tuple, Union

import numpy as np
from pydantic import Field

from ppcls.data.transforms.base import Shape, Transform, parse_number, require_hwc
from ppcls.errors import ConfigError
from ppcls.registry import register


@register("transform")
class RandomErasing(Transform):
    """Fill a random rectangle (Zhong et al. 2017, arXiv:1708.04896).

    Args:
        EPSILON: how likely; PaddleClas' name.
        sl: smallest area, as a fraction of the image's.
        sh: largest area.
        r1: smallest height / width; the largest is its inverse.
        mean: what fills it in mode ``const``, a number for each channel.
        attempt: how many rectangles are drawn until one fits.
        use_log_aspect: draw the logarithm of the proportions uniformly, so that 1/2 is as likely as
            2.
        mode: ``const``; or normal noise of mean 0 and deviation 1, one for each channel (``rand``)
            or each value (``pixel``), for images that were normalised.

    Raises:
        ConfigError: a number is out of range, or noise is to go into levels of uint8.
    """

    is_random = True

    def __init__(
        self,
        EPSILON: Union[float, str] = 0.5,  # noqa: N803 - what recipes of PaddleClas write
        sl: Union[float, str] = 0.02,
        sh: Union[float, str] = 0.4,
        r1: Union[float, str] = 0.3,
        mean: Optional[List[float]] = None,
        attempt: Annotated[int, Field(ge=1)] = 100,
        use_log_aspect: bool = False,
        mode: Literal["const", "rand", "pixel"] = "const",
    ) -> None:
        self.EPSILON = parse_number(EPSILON, "RandomErasing.EPSILON")
        self.sl, self.sh = (
            parse_number(value, f"RandomErasing.{name}") for name, value in (("sl", sl), ("sh", sh))
        )
        self.r1 = parse_number(r1, "RandomErasing.r1")
        self.mean = [0.0, 0.0, 0.0] if mean is None else mean
        self.attempt, self.use_log_aspect, self.mode = attempt, use_log_aspect, mode
        if not (0 <= self.EPSILON <= 1 and 0 < self.sl <= self.sh < 1 and 0 < self.r1 <= 1):
            raise ConfigError(
                f"RandomErasing: EPSILON {self.EPSILON} must be 0 to 1, sl {self.sl} and sh "
                f"{self.sh} in order between 0 and 1, and r1 {self.r1} above 0 and at most 1"
            )

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image, or a copy with a filled rectangle."""
        if rng.random() >= self.EPSILON:
            return image
        found = self._rectangle(image.shape[0], image.shape[1], rng)
        if found is None:
            return image
        top, left, height, width = found
        erased = image.copy()
        erased[top : top + height, left : left + width] = self._filling(
            height, width, image.shape[2], rng
        )
        return erased

    def _rectangle(
        self, image_height: int, image_width: int, rng: np.random.Generator
    ) -> Optional[Tuple[int, int, int, int]]:
        """Draw top, left, height and width; None where none fits."""
        for _ in range(self.attempt):
            area = rng.uniform(self.sl, self.sh) * image_height * image_width
            ratio = self._ratio(rng)
            height = round(math.sqrt(area * ratio))
            width = round(math.sqrt(area / ratio))
            if 0 < height < image_height and 0 < width < image_width:
                top = int(rng.integers(image_height - height + 1))
                left = int(rng.integers(image_width - width + 1))
                return top, left, height, width
        return None

    def _ratio(self, rng: np.random.Generator) -> float:
        if self.use_log_aspect:
            return math.exp(rng.uniform(math.log(self.r1), -math.log(self.r1)))
        return float(rng.uniform(self.r1, 1 / self.r1))

    def _filling(
        self, height: int, width: int, channels: int, rng: np.random.Generator
    ) -> np.ndarray:
        if self.mode == "const":
            return np.asarray(self.mean, np.float32)[:channels]
        shape = (1, 1, channels) if self.mode == "rand" else (height, width, channels)
        return rng.standard_normal(shape, np.float32)

    def shape_after(self, shape: Shape) -> Shape:
        """Return the same shape.

        Raises:
            ConfigError: the channels stand first already, there are fewer numbers than channels, or
                noise is to go into levels.
        """
        if self.mode != "const" and shape.dtype == "uint8":
            raise ConfigError(
                f"RandomErasing.mode: {self.mode} fills with noise around 0, which levels of uint8 "
                "cannot hold; put it after NormalizeImage, or write mode: const"
            )
        if self.mode == "const" and len(self.mean) < shape.channels:
            raise ConfigError(
                f"RandomErasing.mean has {len(self.mean)} numbers, but the images have "
                f"{shape.channels} channels"
            )
        return require_hwc(self, shape)


@register("transform")
class Cutout(Transform):
    """Fill squares with 0 (DeVries and Taylor 2017, arXiv:1708.04552). Their centres are drawn
    anywhere in the image, so that a part of a square may lie outside. After NormalizeImage, 0 is
    the mean colour; before, it is black.

    Args:
        n_holes: how many squares.
        length: their side in pixels.
    """

    is_random = True

    def __init__(
        self,
        n_holes: Annotated[int, Field(ge=1)] = 1,
        length: Annotated[int, Field(ge=1)] = 112,
    ) -> None:
        self.n_holes, self.length = n_holes, length

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a copy with squares of 0."""
        found = image.copy()
        for _ in range(self.n_holes):
            rows, columns = (self._part(side, rng) for side in image.shape[:2])
            found[rows, columns] = 0
        return found

    def _part(self, side: int, rng: np.random.Generator) -> slice:
        start = int(rng.integers(side)) - self.length // 2
        return slice(max(0, start), max(0, start + self.length))


_GRIDS = (0, 16, 32, 44, 56)
"""Sides of HideAndSeek's squares in pixels; with 0, nothing is hidden."""


@register("transform")
class HideAndSeek(Transform):
    """Divide the image into squares of 16, 32, 44 or 56 pixels, or not at all, and fill every
    second one with 0, by chance (Kumar Singh and Lee 2017, arXiv:1704.04232).
    """

    is_random = True

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image, or a copy with squares of 0."""
        side = _GRIDS[rng.integers(len(_GRIDS))]
        if side == 0:
            return image
        height, width = image.shape[:2]
        hidden = rng.random((-(-height // side), -(-width // side))) < 0.5
        mask = np.repeat(np.repeat(hidden, side, axis=0), side, axis=1)[:height, :width]
        found = image.copy()
        found[mask] = 0
        return found


@register("transform")
class GridMask(Transform):
    """Fill a grid with 0 (Chen et al. 2020, arXiv:2001.04086): bars in both directions, or the
    squares between them, at a distance, a place and an angle that are drawn for each image.

    As in the paper, it is the more likely the longer training lasts: `prob` times the fraction of
    the epochs that is over. So the first epoch sees whole images.

    Args:
        d1: smallest distance from one bar to the next, in pixels.
        d2: the largest distance is one less.
        rotate: the angle is a whole number of degrees below this.
        ratio: width of the bars, as a fraction of the distance.
        mode: 0 fills the bars, which leaves (1 - ratio)^2 of the image; 1 fills the squares between
            them.
        prob: how likely it is at the end of training.

    Raises:
        ConfigError: no distance lies between d1 and d2.
    """

    is_random = True

    def __init__(
        self,
        d1: Annotated[int, Field(ge=2)] = 96,
        d2: Annotated[int, Field(ge=3)] = 224,
        rotate: Annotated[int, Field(ge=1, le=360)] = 1,
        ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        mode: Literal[0, 1] = 0,
        prob: Annotated[float, Field(ge=0, le=1)] = 1.0,
    ) -> None:
        self.d1, self.d2, self.rotate, self.ratio = d1, d2, rotate, ratio
        self.mode, self.prob = mode, prob
        self._probability = prob
        if d1 >= d2:
            raise ConfigError(f"GridMask: d1 is {d1} and d2 {d2}; d2 must be larger")

    def at(self, progress: float) -> GridMask:
        """Return the op with the probability of a stage of training."""
        return self.changed_to(_probability=self.prob * progress)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image, or a copy with a grid of 0."""
        if rng.random() >= self._probability:
            return image
        found = image.copy()
        found[self._hidden(image.shape[0], image.shape[1], rng)] = 0
        return found

    def _hidden(self, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
        """Draw which pixels are filled."""
        distance = int(rng.integers(self.d1, self.d2))
        bar = min(max(1, int(distance * self.ratio + 0.5)), distance - 1)
        places, angle = rng.integers(distance, size=2), math.radians(rng.integers(self.rotate))
        y = np.arange(height)[:, np.newaxis] - (height - 1) / 2
        x = np.arange(width) - (width - 1) / 2
        along = x * math.cos(angle) + y * math.sin(angle) + places[0]
        across = y * math.cos(angle) - x * math.sin(angle) + places[1]
        bars = (along % distance < bar) | (across % distance < bar)
        return bars if self.mode == 0 else ~bars
