"""Changes of colour and shape, and the lists that AutoAugment, RandAugment and TrivialAugment draw
from. Pillow computes them, as it does in the papers' code and in PaddleClas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

Fill = Tuple[int, ...]
Change = Callable[["Image", float, Fill], "Image"]
"""Changes an image by an amount; pixels that come from outside of it get the colour."""

Drawn = Callable[["Image", float, Fill, np.random.Generator], "Image"]
"""Changes an image at a level, 0 to 1 or beyond; what is left open is drawn."""


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
    # Levels below the middle become lighter by this.
    "solarize add": lambda image, amount, fill: image.point(
        [min(255, level + int(amount)) if level < 128 else level for level in range(256)]
        * len(image.getbands())
    ),
}


@dataclass(frozen=True)
class Choice:
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


class _Square:
    """Fills a square around any pixel; half of its side grows with the level."""

    def __init__(self, most: float) -> None:
        self._most = most

    def __call__(self, image: Image, level: float, fill: Fill, rng: np.random.Generator) -> Image:
        """Return the changed image."""
        half = int(self._most * level)
        x, y = (int(rng.integers(side + 1)) for side in image.size)
        found = image.copy()
        colour = fill if image.mode == "RGB" else fill[0]
        found.paste(colour, (max(0, x - half), max(0, y - half), x + half, y + half))
        return found


def _by(most: float) -> Callable[[float], float]:
    return lambda level: most * level


_ENHANCEMENTS = ("color", "contrast", "sharpness", "brightness")
_PLAIN = ("autocontrast", "equalize", "invert")

RAND_AUGMENT: Tuple[Choice, ...] = (
    *(Choice(name, _by(0.3), is_signed=True) for name in ("shear x", "shear y")),
    *(
        Choice(name, _by(150 / 331), is_signed=True, of_side=True)
        for name in ("translate x", "translate y")
    ),
    Choice("rotate", _by(30.0)),
    *(Choice(name, _by(0.9), is_signed=True, base=1.0) for name in _ENHANCEMENTS),
    Choice("posterize", lambda level: int(4 * level)),
    Choice("solarize", _by(256.0)),
    *map(Choice, _PLAIN),
)
"""As in PaddleClas: rotation one way only, and fewer bits and more solarisation at low levels."""

RAND_AUGMENT_V2: Tuple[Drawn, ...] = (
    *(Choice(name, _by(0.3), is_signed=True) for name in ("shear x", "shear y")),
    *(Choice(name, _by(100.0), is_signed=True) for name in ("translate x", "translate y")),
    Choice("rotate", _by(30.0), is_signed=True),
    *(Choice(name, _by(1.8), base=0.1) for name in _ENHANCEMENTS),
    Choice("posterize", lambda level: min(8, int(4 * level))),
    Choice("solarize", lambda level: int(256 * level)),
    Choice("solarize add", _by(110.0)),
    *map(Choice, _PLAIN),
    _Square(40.0),
)
"""As EfficientNetV2 was trained, in PaddleClas' numbers."""

RAND_AUGMENT_V3: Tuple[Drawn, ...] = (
    *(choice for choice in RAND_AUGMENT if choice.name not in ("rotate", "posterize", "solarize")),
    Choice("rotate", _by(30.0), is_signed=True),
    Choice("posterize", lambda level: 8 - int(4 * level)),
    Choice("solarize", lambda level: 255.0 * (1 - level)),
)
"""Both ways of rotation, and more bits and less solarisation at low levels."""

TRIVIAL_AUGMENT: Tuple[Choice, ...] = (
    Choice("identity"),
    *(Choice(name, _by(0.99), is_signed=True) for name in ("shear x", "shear y")),
    *(Choice(name, _by(32.0), is_signed=True) for name in ("translate x", "translate y")),
    Choice("rotate", _by(135.0), is_signed=True),
    *(Choice(name, _by(0.99), is_signed=True, base=1.0) for name in _ENHANCEMENTS),
    Choice("posterize", lambda level: 8 - round(6 * level)),
    Choice("solarize", lambda level: 255.0 * (1 - level)),
    *map(Choice, ("autocontrast", "equalize")),
)
"""The wide space of the paper, table 2."""

AUG_MIX: Tuple[Choice, ...] = (
    *map(Choice, ("autocontrast", "equalize")),
    Choice("posterize", lambda level: 4 - int(4 * level)),
    Choice("rotate", lambda level: int(30 * level), is_signed=True),
    Choice("solarize", lambda level: 256 - int(256 * level)),
    *(Choice(name, _by(0.3), is_signed=True) for name in ("shear x", "shear y")),
    *(
        Choice(name, _by(1 / 3), is_signed=True, of_side=True)
        for name in ("translate x", "translate y")
    ),
)
"""What does not resemble the corruptions that the paper tests with, in its numbers."""

AUTO_AUGMENT_CHANGES: Dict[str, Choice] = {
    **{choice.name: choice for choice in RAND_AUGMENT},
    "rotate": Choice("rotate", _by(30.0)),
    "posterize": Choice("posterize", lambda level: round(8 - 4 * level)),
    "solarize": Choice("solarize", lambda level: 256.0 * (1 - level)),
}

AUTO_AUGMENT = (
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

TRIVIAL_LEVELS = 31
"""Of TrivialAugment."""
