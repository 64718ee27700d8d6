"""Changes of colour."""

from __future__ import annotations

from typing import Annotated, Callable, Dict, List, Optional, Tuple, Union

import cv2
import numpy as np
from pydantic import Field

from ppcls.data.transforms.base import Shape, Transform, with_channel_axis
from ppcls.errors import ConfigError
from ppcls.registry import register

Amount = Union[float, List[float]]
_LEVELS = np.arange(256, dtype=np.float32)

_COLOUR_SPREADS = np.array([0.2175, 0.0188, 0.0045])
_COLOUR_COMPONENTS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
"""Eigenvalues and, as columns, eigenvectors of ImageNet's colours in RGB, black 0 and white 1: the
numbers that the authors' followers have used since fb.resnet.torch.
"""


@register("transform")
class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue by random amounts, in random order.

    An amount `x` draws a factor from ``[max(0, 1 - x), 1 + x]``, two numbers draw from that range;
    1 changes nothing. A hue `x` turns the colour circle by a fraction from ``[-x, x]``, at most
    half a turn. Grey images keep out of saturation and hue.

    Args:
        brightness: mixes with black.
        contrast: mixes with the mean grey of the image.
        saturation: mixes with the grey image.
        hue: fraction of a turn.
        p: probability that the op does anything.
        prob: another name of `p`, used by some releases of PaddleClas; wins where both are given.

    Raises:
        ConfigError: a range is negative or not in order, or the hue beyond 0.5.
    """

    is_random = True

    def __init__(
        self,
        brightness: Amount = 0.0,
        contrast: Amount = 0.0,
        saturation: Amount = 0.0,
        hue: Amount = 0.0,
        p: float = 1.0,
        prob: Optional[float] = None,
    ) -> None:
        self.brightness = _range(brightness, "brightness")
        self.contrast = _range(contrast, "contrast")
        self.saturation = _range(saturation, "saturation")
        self.hue = _hue_range(hue)
        self.p = self.prob = p if prob is None else prob

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the changed image, same size and type."""
        if rng.random() >= self.p:
            return image
        image = np.ascontiguousarray(image)
        for name in rng.permutation(list(_CHANGES)):
            change, neutral = _CHANGES[name]
            amount = rng.uniform(*getattr(self, name))
            if amount != neutral:
                image = change(image, amount)
        return image


@register("transform")
class PCALighting(Transform):
    """Add a colour along the principal components of ImageNet's colours (Krizhevsky et al. 2012,
    "ImageNet Classification with Deep Convolutional Neural Networks", section 4.1): as if the light
    had another colour and strength.

    Args:
        alphastd: standard deviation of the factors of the three components.

    Raises:
        ConfigError: the images are no levels, or grey.
    """

    is_random = True

    def __init__(self, alphastd: Annotated[float, Field(ge=0)] = 0.1) -> None:
        self.alphastd = alphastd

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image in another light, uint8."""
        factors = rng.normal(0.0, self.alphastd, 3) * _COLOUR_SPREADS
        added = 255 * (_COLOUR_COMPONENTS @ factors)
        tables = np.rint(np.clip(_LEVELS[:, np.newaxis] + added, 0, 255)).astype(np.uint8)
        return cv2.LUT(np.ascontiguousarray(image), tables[:, np.newaxis, :])

    def shape_after(self, shape: Shape) -> Shape:
        """Return the same shape."""
        if shape.dtype != "uint8" or shape.channels != 3:
            raise ConfigError(
                "PCALighting works on the levels of colour images (uint8); put it before "
                "NormalizeImage, and leave it out for grey ones"
            )
        return super().shape_after(shape)


def change_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply every level by `factor`; uint8 in, uint8 out."""
    return _through_table(image, _LEVELS * np.float32(factor))


def change_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply every level's distance from the mean grey of the image by `factor`."""
    mean = np.float32(int(_grey(image).mean() + 0.5))
    return _through_table(image, mean + np.float32(factor) * (_LEVELS - mean))


def change_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply every pixel's distance from its own grey by `factor`."""
    if image.shape[2] == 1:
        return image
    grey = cv2.cvtColor(_grey(image), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, factor, grey, 1 - factor, 0)


def change_hue(image: np.ndarray, turn: float) -> np.ndarray:
    """Turn the colour circle by the fraction `turn` of a full turn."""
    if image.shape[2] == 1:
        return image
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hsv[:, :, 0] += np.uint8(round(turn * 255) % 256)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


_CHANGES: Dict[str, Tuple[Callable[[np.ndarray, float], np.ndarray], float]] = {
    "brightness": (change_brightness, 1.0),
    "contrast": (change_contrast, 1.0),
    "saturation": (change_saturation, 1.0),
    "hue": (change_hue, 0.0),
}


def _through_table(image: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return with_channel_axis(cv2.LUT(image, np.clip(levels, 0, 255).astype(np.uint8)))


def _grey(image: np.ndarray) -> np.ndarray:
    return image if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def _range(amount: Amount, name: str) -> List[float]:
    low, high = _pair(amount, name, 1.0)
    if isinstance(amount, list):
        return _ordered([low, high], 0.0, float("inf"), name)
    return _ordered([max(0.0, low), high], 0.0, float("inf"), name)


def _hue_range(amount: Amount) -> List[float]:
    return _ordered(_pair(amount, "hue", 0.0), -0.5, 0.5, "hue")


def _pair(amount: Amount, name: str, centre: float) -> List[float]:
    if not isinstance(amount, list):
        return [centre - amount, centre + amount]
    if len(amount) != 2:
        raise ConfigError(
            f"ColorJitter.{name}: {amount} is not a range; write one number or [smallest, largest]"
        )
    return [float(bound) for bound in amount]


def _ordered(bounds: List[float], lowest: float, highest: float, name: str) -> List[float]:
    if not lowest <= bounds[0] <= bounds[1] <= highest:
        raise ConfigError(
            f"ColorJitter.{name}: the range {bounds} must be in order, "
            f"and within {lowest} to {highest}"
        )
    return bounds
