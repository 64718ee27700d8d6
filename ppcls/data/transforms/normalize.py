"""From levels of uint8 to the floating-point numbers that a network reads."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Union

import cv2
import numpy as np

from ppcls.data.transforms.base import Shape, Transform, choose, parse_number, with_channel_axis
from ppcls.errors import ConfigError
from ppcls.registry import register

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@register("transform")
class NormalizeImage(Transform):
    """Compute ``(image * scale - mean) / std`` for each channel.

    Args:
        scale: a number, or text such as ``1.0/255.0``; by default 1/255.
        mean: one number a channel, after scaling; by default ImageNet's.
        std: one number a channel; by default ImageNet's.
        order: where the channels stand: ``chw`` (first), or ``hwc``, which PaddleClas writes as
            ``''`` (last).
        output_fp16: round the result to half precision.
        channel_num: 4 adds a fourth channel of zeros to three; otherwise it must fit the images.

    Raises:
        ConfigError: the order is not the images', the numbers do not fit the channels, or a std is
            0.
    """

    def __init__(
        self,
        scale: Optional[Union[float, str]] = None,
        mean: Optional[List[float]] = None,
        std: Optional[List[float]] = None,
        order: Optional[str] = "chw",
        output_fp16: bool = False,
        channel_num: int = 3,
    ) -> None:
        self.scale = 1.0 / 255.0 if scale is None else parse_number(scale, "NormalizeImage.scale")
        self.mean = list(IMAGENET_MEAN) if mean is None else [float(value) for value in mean]
        self.std = list(IMAGENET_STD) if std is None else [float(value) for value in std]
        self.order = choose(order or "", ["chw", "hwc", ""], "NormalizeImage.order")
        self.output_fp16 = output_fp16
        self.channel_num = channel_num
        if len(self.mean) != len(self.std) or 0 in self.std:
            raise ConfigError(
                f"NormalizeImage: mean {self.mean} and std {self.std} must be equally long, "
                "and no std 0"
            )
        # There are 256 levels of uint8: look results up instead of computing each pixel's.
        levels = np.arange(256, dtype=np.float32).reshape(1, 256, 1)
        self._table = self._compute(levels, axis=2)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return float32 in the layout of `image`."""
        if image.dtype == np.uint8 and self.order != "chw":
            result = with_channel_axis(cv2.LUT(image, self._table))
        else:
            result = self._compute(image.astype(np.float32), axis=self._axis)
        if self.output_fp16:
            result = result.astype(np.float16).astype(np.float32)
        return self._padded(result) if self._pads(image.shape[self._axis]) else result

    @property
    def _axis(self) -> int:
        return 0 if self.order == "chw" else 2

    def _compute(self, values: np.ndarray, axis: int) -> np.ndarray:
        shape = [1] * values.ndim
        shape[axis] = len(self.mean)
        mean, std = (
            np.array(numbers, dtype=np.float32).reshape(shape) for numbers in (self.mean, self.std)
        )
        return (values * np.float32(self.scale) - mean) / std

    @property
    def table(self) -> np.ndarray:
        """What becomes of each level: float32 [256, channels]."""
        found = self._table.reshape(256, -1)
        return found.astype(np.float16).astype(np.float32) if self.output_fp16 else found

    def added(self, channels: int) -> int:
        """Return how many channels of zeros follow those of an image."""
        return int(self._pads(channels))

    def _pads(self, channels: int) -> bool:
        return self.channel_num == 4 and channels == 3

    def _padded(self, image: np.ndarray) -> np.ndarray:
        widths = [(0, 0)] * 3
        widths[self._axis] = (0, 1)
        return np.pad(image, widths)

    def shape_after(self, shape: Shape) -> Shape:
        """Return the same shape in float32, with the added channel if there is one."""
        layout = self.order or "hwc"
        if layout != shape.layout:
            raise ConfigError(
                f"NormalizeImage.order is '{self.order}', but the images are {shape.layout} there; "
                f"write order: {shape.layout if shape.layout == 'chw' else chr(39) * 2}"
            )
        if len(self.mean) != shape.channels:
            raise ConfigError(
                f"NormalizeImage has {len(self.mean)} means and stds, but the images have "
                f"{shape.channels} channel{'s' * (shape.channels > 1)}; write one a channel, as "
                f"mean: {[0.5] * shape.channels}, std: {[0.5] * shape.channels}"
            )
        channels = 4 if self._pads(shape.channels) else shape.channels
        return replace(shape, channels=channels, dtype="float32")


@register("transform")
class ToCHWImage(Transform):
    """Move the channels to the front: from height x width x channels to channels first."""

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a view with the channels first."""
        return image.transpose(2, 0, 1)

    def shape_after(self, shape: Shape) -> Shape:
        """Return the shape with the channels first."""
        return replace(super().shape_after(shape), layout="chw")
