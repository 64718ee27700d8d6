"""Random changes of colour and shape, drawn from lists: AutoAugment, RandAugment, TrivialAugment.

Pillow computes the changes, as it does in the papers' code and in PaddleClas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Callable, Dict, List, Optional, Tuple

import numpy as np
from pydantic import Field

from ppcls.data.transforms.base import Shape, Transform, require_hwc, with_channel_axis
from ppcls.errors import ConfigError
from ppcls.registry import register

if TYPE_CHECKING:
    from PIL.Image import Image

Fill = Tuple[int, ...]
Change = Callable[["Image", float, Fill], "Image"]
"""Changes an image by an amount; pixels that come from outside of it get the colour."""

_GREY = [128, 128, 128]


def _affine(
    image: Image, row_x: Tuple[float, float, float], row_y: Tuple[float, float, float], fill: Fill
) -> Image:
    """Take each pixel (x, y) from where the rows say that it comes from."""
    from PIL import Image as pillow

    colour = fill if image.mode == "RGB" else fill[0]
    how = pillow.Transform.AFFINE
    return image.transform(
        image.size, how, (*row_x, *row_y), pillow.Resampling.BICUBIC, fillcolor=colour
    )


def _rotated(image: Image, degrees: float, fill: Fill) -> Image:
    return image.rotate(degrees, fillcolor=fill if image.mode == "RGB" else fill[0])


def _enhanced(name: str) -> Change:
    """Return a change by a factor, of which 1 leaves the image as it is."""

    def change(image: Image, factor: float, fill: Fill) -> Image:
        from PIL import ImageEnhance

        found: Image = getattr(ImageEnhance, name)(image).enhance(factor)
        return found

    return change


def _simple(name: str, convert: Optional[Callable[[float], Any]] = None) -> Change:
    """Return a change that ImageOps has, with the amount as its argument or without one."""

    def change(image: Image, amount: float, fill: Fill) -> Image:
        from PIL import ImageOps

        found: Image = getattr(ImageOps, name)(image, *([convert(amount)] if convert else []))
        return found

    return change


CHANGES: Dict[str, Change] = {
    "identity": lambda image, amount, fill: image,
    # The amount is the tangent of the angle.
    "shear x": lambda image, amount, fill: _affine(image, (1, amount, 0), (0, 1, 0), fill),
    "shear y": lambda image, amount, fill: _affine(image, (1, 0, 0), (amount, 1, 0), fill),
    # In pixels.
    "translate x": lambda image, amount, fill: _affine(image, (1, 0, amount), (0, 1, 0), fill),
    "translate y": lambda image, amount, fill: _affine(image, (1, 0, 0), (0, 1, amount), fill),
    "rotate": _rotated,
    "color": _enhanced("Color"),
    "contrast": _enhanced("Contrast"),
    "brightness": _enhanced("Brightness"),
    "sharpness": _enhanced("Sharpness"),
    # Bits that stay, 0 to 8; Pillow has no 0.
    "posterize": lambda image, amount, fill: (
        _simple("posterize", int)(image, amount, fill) if amount >= 1 else image.point(lambda _: 0)
    ),
    # Levels from this one on are inverted.
    "solarize": _simple("solarize", float),
    "autocontrast": _simple("autocontrast"),
    "equalize": _simple("equalize"),
    "invert": _simple("invert"),
}


@dataclass(frozen=True)
class _Choice:
    """One of the changes that are drawn from.

    Attributes:
        name: a key of `CHANGES`.
        amount: what it is done by at a level from 0 to 1.
        is_signed: whether the amount is negated every second time.
        base: what is added to the amount then.
        of_side: whether the amount is a fraction of the image's side.
    """

    name: str
    amount: Callable[[float], float] = lambda level: 0.0
    is_signed: bool = False
    base: float = 0.0
    of_side: bool = False

    def __call__(self, image: Image, level: float, fill: Fill, rng: np.random.Generator) -> Image:
        """Return the changed image."""
        amount = self.amount(level)
        if self.is_signed and rng.integers(2):
            amount = -amount
        if self.of_side:
            amount *= image.size[0 if self.name.endswith("x") else 1]
        return CHANGES[self.name](image, self.base + amount, fill)


def _by(most: float) -> Callable[[float], float]:
    return lambda level: most * level


_ENHANCEMENTS = ("color", "contrast", "sharpness", "brightness")
_PLAIN = ("autocontrast", "equalize", "invert")

_RAND_AUGMENT: Tuple[_Choice, ...] = (
    *(_Choice(name, _by(0.3), is_signed=True) for name in ("shear x", "shear y")),
    *(
        _Choice(name, _by(150 / 331), is_signed=True, of_side=True)
        for name in ("translate x", "translate y")
    ),
    _Choice("rotate", _by(30.0)),
    *(_Choice(name, _by(0.9), is_signed=True, base=1.0) for name in _ENHANCEMENTS),
    _Choice("posterize", lambda level: int(4 * level)),
    _Choice("solarize", _by(256.0)),
    *map(_Choice, _PLAIN),
)
"""As in PaddleClas: rotation one way only, and fewer bits and more solarisation at low levels."""

_TRIVIAL_AUGMENT: Tuple[_Choice, ...] = (
    _Choice("identity"),
    *(_Choice(name, _by(0.99), is_signed=True) for name in ("shear x", "shear y")),
    *(_Choice(name, _by(32.0), is_signed=True) for name in ("translate x", "translate y")),
    _Choice("rotate", _by(135.0), is_signed=True),
    *(_Choice(name, _by(0.99), is_signed=True, base=1.0) for name in _ENHANCEMENTS),
    _Choice("posterize", lambda level: 8 - round(6 * level)),
    _Choice("solarize", lambda level: 255.0 * (1 - level)),
    *map(_Choice, ("autocontrast", "equalize")),
)
"""The wide space of the paper, table 2."""

_AUTO_AUGMENT_CHANGES: Dict[str, _Choice] = {
    **{choice.name: choice for choice in _RAND_AUGMENT},
    "rotate": _Choice("rotate", _by(30.0)),
    "posterize": _Choice("posterize", lambda level: round(8 - 4 * level)),
    "solarize": _Choice("solarize", lambda level: 256.0 * (1 - level)),
}

_AUTO_AUGMENT = (
    "0.4 posterize 8, 0.6 rotate 9",
    "0.6 solarize 5, 0.6 autocontrast 5",
    "0.8 equalize 8, 0.6 equalize 3",
    "0.6 posterize 7, 0.6 posterize 6",
    "0.4 equalize 7, 0.2 solarize 4",
    "0.4 equalize 4, 0.8 rotate 8",
    "0.6 solarize 3, 0.6 equalize 7",
    "0.8 posterize 5, 1.0 equalize 2",
    "0.2 rotate 3, 0.6 solarize 8",
    "0.6 equalize 8, 0.4 posterize 6",
    "0.8 rotate 8, 0.4 color 0",
    "0.4 rotate 9, 0.6 equalize 2",
    "0.0 equalize 7, 0.8 equalize 8",
    "0.6 invert 4, 1.0 equalize 8",
    "0.6 color 4, 1.0 contrast 8",
    "0.8 rotate 8, 1.0 color 2",
    "0.8 color 8, 0.8 solarize 7",
    "0.4 sharpness 7, 0.6 invert 8",
    "0.6 shear_x 5, 1.0 equalize 9",
    "0.4 color 0, 0.6 equalize 3",
    "0.4 equalize 7, 0.2 solarize 4",
    "0.6 solarize 5, 0.6 autocontrast 5",
    "0.6 invert 4, 1.0 equalize 8",
    "0.6 color 4, 1.0 contrast 8",
    "0.8 equalize 8, 0.6 equalize 3",
)
"""ImageNet's policy, table 9 of the paper: pairs of probability, change and level from 0 to 9."""

_LEVELS = 31
"""Of TrivialAugment."""


class _Drawing(Transform):
    """What works on pixels by drawing changes from a list.

    Raises:
        ConfigError: the colour is not three levels.
    """

    is_random = True

    def __init__(self, fillcolor: Optional[List[int]] = None) -> None:
        self.fillcolor = _GREY if fillcolor is None else fillcolor
        if len(self.fillcolor) != 3 or not all(0 <= level <= 255 for level in self.fillcolor):
            name = type(self).__name__
            raise ConfigError(
                f"{name}.fillcolor: {self.fillcolor} is no colour; write three levels of 0 to 255"
            )

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the changed image, of the same shape, uint8."""
        from PIL import Image

        is_grey = image.shape[2] == 1
        pillow = Image.fromarray(np.ascontiguousarray(image[:, :, 0] if is_grey else image))
        return with_channel_axis(np.asarray(self.changed(pillow, rng)))

    def changed(self, image: Image, rng: np.random.Generator) -> Image:
        """Return the changed image."""
        raise NotImplementedError

    def shape_after(self, shape: Shape) -> Shape:
        """Return the same shape.

        Raises:
            ConfigError: the images are no levels in rows of pixels any more.
        """
        if shape.dtype != "uint8":
            name = type(self).__name__
            raise ConfigError(f"{name} works on levels of uint8; put it before NormalizeImage")
        return require_hwc(self, shape)


@register("transform")
class RandAugment(_Drawing):
    """Change an image in ways that are drawn from a list, one after the other (Cubuk et al. 2019,
    arXiv:1909.13719): shear, translation, rotation, colour, contrast, sharpness, brightness, fewer
    bits, solarisation, automatic contrast, equalised histogram, inversion.

    Args:
        num_layers: how many changes.
        magnitude: how strong, 0 to 10.
        fillcolor: of pixels that come from outside of the image, three levels; grey by default.
    """

    def __init__(
        self,
        num_layers: Annotated[int, Field(ge=1)] = 2,
        magnitude: Annotated[float, Field(ge=0, le=10)] = 5,
        fillcolor: Optional[List[int]] = None,
    ) -> None:
        super().__init__(fillcolor)
        self.num_layers, self.magnitude = num_layers, magnitude

    def changed(self, image: Image, rng: np.random.Generator) -> Image:
        """Return the changed image."""
        for _ in range(self.num_layers):
            choice = _RAND_AUGMENT[rng.integers(len(_RAND_AUGMENT))]
            image = choice(image, self.magnitude / 10, tuple(self.fillcolor), rng)
        return image


@register("transform")
class AutoAugment(_Drawing):
    """Change an image in two ways, a pair that was found for ImageNet (Cubuk et al. 2018,
    arXiv:1805.09501); one of 25 pairs is drawn, and each of its changes has a probability.

    Args:
        fillcolor: of pixels that come from outside of the image, three levels; grey by default.
    """

    def changed(self, image: Image, rng: np.random.Generator) -> Image:
        """Return the changed image."""
        for pair in _AUTO_AUGMENT[rng.integers(len(_AUTO_AUGMENT))].split(", "):
            probability, name, level = pair.split()
            if rng.random() < float(probability):
                choice = _AUTO_AUGMENT_CHANGES[name.replace("_", " ")]
                image = choice(image, int(level) / 9, tuple(self.fillcolor), rng)
        return image


@register("transform")
class TrivialAugment(_Drawing):
    """Change an image in one way, as strongly as chance has it (Müller and Hutter 2021,
    arXiv:2103.10158, the wide space): nothing to tune.

    Args:
        fillcolor: of pixels that come from outside of the image, three levels; grey by default.
    """

    def changed(self, image: Image, rng: np.random.Generator) -> Image:
        """Return the changed image."""
        choice = _TRIVIAL_AUGMENT[rng.integers(len(_TRIVIAL_AUGMENT))]
        level = rng.integers(_LEVELS) / (_LEVELS - 1)
        return choice(image, float(level), tuple(self.fillcolor), rng)
