"""In which form an exported network takes its images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Literal, Optional, Tuple

import numpy as np

from ppcls.data.transforms import Pipeline
from ppcls.errors import ExportError
from ppcls.exporters import OPSET

Layout = Literal["chw", "hwc"]
LAYOUTS: Tuple[Layout, ...] = ("hwc", "chw")


@dataclass(frozen=True)
class Levels:
    """Images as levels of uint8, which the network normalises: ``(level * scale - mean) / std``.

    `layout` is "hwc", as decoders give images, or "chw"; `mean` and `std` have a number for each
    channel.
    """

    layout: Layout
    scale: float
    mean: Tuple[float, ...]
    std: Tuple[float, ...]

    def factor_and_shift(self) -> Tuple[np.ndarray, np.ndarray]:
        """Return float32 [1, c, 1, 1] twice: the normalised level is ``level * factor + shift``."""
        mean, std = np.array(self.mean), np.array(self.std)
        both = [
            value.astype(np.float32).reshape(1, -1, 1, 1)
            for value in (self.scale / std, -mean / std)
        ]
        return both[0], both[1]

    def normalised(self, levels: np.ndarray) -> np.ndarray:
        """Return float32 [n, c, h, w] of levels, uint8 [n, h, w, c] or [n, c, h, w]."""
        first = levels.transpose(0, 3, 1, 2) if self.layout == "hwc" else levels
        mean, std = (
            np.array(value, np.float32).reshape(1, -1, 1, 1) for value in (self.mean, self.std)
        )
        found: np.ndarray = (first.astype(np.float32) * np.float32(self.scale) - mean) / std
        return found

    def levels_of(self, images: np.ndarray) -> np.ndarray:
        """Return the levels, uint8 in the layout, that were normalised to float32 [n, c, h, w].

        Raises:
            ExportError: no levels give these images.
        """
        mean, std = (np.array(value).reshape(1, -1, 1, 1) for value in (self.mean, self.std))
        exact = np.rint((images * std + mean) / self.scale)
        levels = np.clip(exact, 0, 255).astype(np.uint8)
        found = levels.transpose(0, 2, 3, 1) if self.layout == "hwc" else levels
        if not np.allclose(self.normalised(found), images, rtol=0, atol=1e-5):
            raise ExportError(
                "the images for the parity check are not what the Eval transforms give, so the "
                "levels of uint8 that they come from are unknown"
            )
        return np.ascontiguousarray(found)


@dataclass(frozen=True)
class Form:
    """How a network is written beside its layers.

    Attributes:
        batch: how many images it takes at once; None is any number.
        levels: set where it takes levels of uint8 instead of normalised float32 [n, c, h, w].
        opset: the version of ONNX' operators, for the formats that are made with them.
        multi_label: whether images have any number of classes, so that the probability of each is
            the sigmoid of its logit; else they are the softmax of all.
    """

    batch: Optional[int] = None
    levels: Optional[Levels] = None
    opset: int = OPSET
    multi_label: bool = False

    def shape(self, image: Tuple[int, int, int]) -> Tuple[int, ...]:
        """Return the shape of one image as the network takes it; `image` is (c, h, w)."""
        channels, height, width = image
        if self.levels and self.levels.layout == "hwc":
            return height, width, channels
        return image

    @property
    def dtype(self) -> Literal["float32", "uint8"]:
        """The type of the network's input."""
        return "uint8" if self.levels else "float32"

    @property
    def layout(self) -> Layout:
        """The order of the dimensions of an image."""
        return self.levels.layout if self.levels else "chw"

    def taken(self, images: np.ndarray) -> np.ndarray:
        """Return normalised images, float32 [n, c, h, w], as the network takes them."""
        return self.levels.levels_of(images) if self.levels else images


PLAIN = Form()
"""Any number of normalised images, float32 [n, c, h, w]."""


@dataclass(frozen=True)
class ExportOptions:
    """How a network is written.

    Attributes:
        model_name: what the bundle calls it; None is what PaddleX calls it, else its own name.
        dynamic_batch: let it take any number of images at once; else it takes one.
        uint8: let it take levels of uint8 in this layout and normalise them itself.
        opset: the version of ONNX' operators, for the formats that are made with them.
    """

    model_name: Optional[str] = None
    dynamic_batch: bool = True
    uint8: Optional[Layout] = None
    opset: int = OPSET

    def form(self, transform: Pipeline, multi_label: bool = False) -> Form:
        """Return how the network takes what `transform` gives, and gives its probabilities.

        Raises:
            ExportError: it cannot take over the normalisation.
        """
        levels = levels_of_pipeline(transform, self.uint8) if self.uint8 else None
        return Form(None if self.dynamic_batch else 1, levels, self.opset, multi_label)


AS_IS = ExportOptions()
"""The defaults."""


def levels_of_pipeline(transform: Pipeline, layout: Layout) -> Levels:
    """Return the normalisation with which preprocessing ends, for a network that does it itself.

    Raises:
        ExportError: it does not end so, or the normalisation rounds or adds a channel.
    """
    names = [next(iter(op)) for op in transform.spec()]
    last = [name for name in names if name != "ToCHWImage"][-1]
    if last != "NormalizeImage" or names.count(last) != 1:
        raise ExportError(
            "--uint8 puts the normalisation into the network, but the Eval transforms do not end "
            f"with one NormalizeImage: {' > '.join(names)}"
        )
    found = next(op[last] for op in transform.spec() if last in op)
    if found["output_fp16"] or len(found["mean"]) != transform.channels:
        raise ExportError(
            "--uint8 puts the normalisation into the network, which neither rounds to float16 nor "
            "adds a channel; leave out NormalizeImage.output_fp16 and channel_num: 4"
        )
    return Levels(layout, found["scale"], tuple(found["mean"]), tuple(found["std"]))


def without_normalisation(spec: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return the preprocessing of a network that normalises itself: it ends with levels of uint8,
    whose order `Bundle.input.layout` says.
    """
    ended = ("NormalizeImage", "ToCHWImage")
    kept = [op for op in spec[1:] if next(iter(op)) not in ended]
    return [{"DecodeImage": {**spec[0]["DecodeImage"], "channel_first": False}}, *kept]
