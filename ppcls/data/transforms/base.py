"""What every transform of one image has in common."""

from __future__ import annotations

import re
from copy import copy
from dataclasses import dataclass, replace
from typing import Iterable, List, Optional, Sequence, Tuple, TypeVar, Union

import numpy as np

from ppcls.errors import ConfigError, did_you_mean

T = TypeVar("T")
Op = TypeVar("Op", bound="Transform")

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_FRACTION = re.compile(rf"\s*({_NUMBER})\s*(?:/\s*({_NUMBER})\s*)?")


@dataclass(frozen=True)
class Shape:
    """What is known before any image is read of the images that leave an op.

    `height` and `width` are None while they differ from image to image; `short` is the shorter side
    where only that is fixed. `layout` is ``"hwc"`` or ``"chw"``, `dtype` ``"uint8"`` or
    ``"float32"``.
    """

    channels: int = 3
    height: Optional[int] = None
    width: Optional[int] = None
    short: Optional[int] = None
    layout: str = "hwc"
    dtype: str = "uint8"

    def sized(self, width: int, height: int) -> Shape:
        """Return the shape with both sides fixed."""
        return replace(self, width=width, height=height, short=min(width, height))


class Transform:
    """Base of the ops. A subclass keeps every argument, resolved, as an attribute of the same name.

    The bundle written at export reads those attributes, so that serving repeats what training did.
    """

    is_random: bool = False
    """Whether the op draws from `rng`; such ops have no place in an exported bundle."""

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the transformed image."""
        raise NotImplementedError

    def at(self, progress: float) -> Transform:
        """Return the op as it is at a stage of training: itself, unless it changes on the way.

        Args:
            progress: the fraction of the epochs that is over, 0 to 1.
        """
        return self

    def in_size(self, width: int, height: int) -> Transform:
        """Return the op for images of another size in pixels: itself, unless it settles that."""
        return self

    def changed_to(self: Op, **private: object) -> Op:
        """Return a copy with other private attributes, for `at`; its arguments stay."""
        found = copy(self)
        vars(found).update(private)
        return found

    def shape_after(self, shape: Shape) -> Shape:
        """Return what is known of the images after this op.

        Raises:
            ConfigError: the op cannot work on images of this shape.
        """
        return require_hwc(self, shape)


def at_stage(values: Sequence[T], progress: float) -> T:
    """Return the value of a stage of training: each of them lasts for an equal part of it.

    Args:
        values: one for each stage.
        progress: the fraction of the epochs that is over, 0 to 1.
    """
    # The fraction of an epoch's number may be a little below the border of its stage.
    return values[min(len(values) - 1, int(progress * len(values) + 1e-9))]


def require_hwc(op: object, shape: Shape) -> Shape:
    """Return `shape` if its channels stand last.

    Raises:
        ConfigError: the channels stand first already.
    """
    if shape.layout != "hwc":
        name = type(op).__name__
        raise ConfigError(
            f"{name} works on height x width x channels, but the channels stand first by then; "
            f"put {name} before ToCHWImage, and leave DecodeImage.channel_first false"
        )
    return shape


def choose(word: str, accepted: Iterable[str], what: str) -> str:
    """Return `word` in lower case if it is one of `accepted`.

    Raises:
        ConfigError: it is not; the message lists the accepted words.
    """
    lower, words = word.lower(), list(accepted)
    if lower not in words:
        raise ConfigError(
            f"{what}: '{word}' is unknown.{did_you_mean(word, words)} Accepted: {', '.join(words)}"
        )
    return lower


def parse_number(value: Union[float, str], what: str) -> float:
    """Return a number written as a number or as text such as ``1.0/255.0``.

    Raises:
        ConfigError: the text is neither a number nor one number divided by another.
    """
    if not isinstance(value, str):
        return float(value)
    match = _FRACTION.fullmatch(value)
    if not match or (match[2] and float(match[2]) == 0):
        raise ConfigError(
            f"{what}: '{value}' is not a number; write one as 0.0039, 1e-3 or 1.0/255.0"
        )
    return float(match[1]) / float(match[2] or 1)


def width_and_height(size: Union[int, List[int]], what: str) -> Tuple[int, int]:
    """Return (width, height) of a size written as one side of a square or as ``[width, height]``.

    Raises:
        ConfigError: a side is not positive, or the list has not two numbers.
    """
    sides = [size, size] if isinstance(size, int) else list(size)
    if len(sides) != 2 or min(sides) < 1:
        raise ConfigError(
            f"{what}: {size} is not a size; write one positive number or [width, height]"
        )
    return sides[0], sides[1]


def with_channel_axis(image: np.ndarray) -> np.ndarray:
    """Return height x width x 1 for the height x width that OpenCV makes of grey images."""
    return image if image.ndim == 3 else image[:, :, np.newaxis]
