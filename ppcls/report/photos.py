"""Pictures inside a page: small, few, and read in no other way than by the toolkit's decoder."""

from __future__ import annotations

import base64
from typing import Dict, List, Mapping, Optional, Tuple

import cv2
import numpy as np

from ppcls.config import Config
from ppcls.data.dataset import Dataset
from ppcls.data.transforms import Pipeline
from ppcls.data.transforms.decode import decode_rgb
from ppcls.errors import ConfigError, DataError
from ppcls.registry import Part

SIDE = 112
"""The longest side of a picture in pixels."""

MOST_BYTES = 3_500_000
"""What all pictures of a page take together at most, as they stand in it."""

_QUALITY = 80
_SCALING = {"NormalizeImage", "ToCHWImage"}


class Photos:
    """Makes pictures of images, each once; what was made when the room is used up is None."""

    def __init__(self, datasets: Mapping[str, Dataset]) -> None:
        """Keep the sets by their names, "train" and "val"."""
        self._datasets = datasets
        self._made: Dict[Tuple[str, int], Optional[str]] = {}
        self._bytes = 0

    def photo(self, split: str, index: int) -> Optional[str]:
        """Return an image of a set as a data URI; None where it cannot be had."""
        key = (split, index)
        if key not in self._made:
            self._made[key] = self._photo(split, index)
        made = self._made[key]
        # The same picture twice stands in the page twice.
        return self._counted(made)

    def picture(self, pixels: np.ndarray) -> Optional[str]:
        """Return pixels, uint8 [height, width, 3 or 1], RGB, as a data URI."""
        return self._counted(_data_uri(pixels))

    def _photo(self, split: str, index: int) -> Optional[str]:
        try:
            return _data_uri(decode_rgb(self._datasets[split].read(index)))
        except (DataError, KeyError):
            return None

    def _counted(self, uri: Optional[str]) -> Optional[str]:
        if uri is None or self._bytes + len(uri) > MOST_BYTES:
            return None
        self._bytes += len(uri)
        return uri


def _data_uri(pixels: np.ndarray) -> str:
    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    code = cv2.COLOR_GRAY2BGR if small.ndim == 2 else cv2.COLOR_RGB2BGR
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    encoded = cv2.imencode(".jpg", cv2.cvtColor(small, code), options)[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def visible(ops: List[Part]) -> Pipeline:
    """Return transforms as far as people can see what they do: up to pixels of 8 bits.

    Raises:
        ConfigError: the list does not end in pixels even without `NormalizeImage`.
    """
    kept = [op for op in ops if op.name not in _SCALING]
    return Pipeline(kept, output_dtype="uint8", output_layout="hwc")


def variants(config: Config, dataset: Dataset, index: int, count: int) -> List[np.ndarray]:
    """Return what the transforms of training make of one image, differently each time.

    Args:
        config: with `DataLoader.Train`.
        dataset: the training set.
        index: of the image.
        count: how often.

    Raises:
        ConfigError: the transforms do not give pixels.
        DataError: the image cannot be read.
    """
    section = config.DataLoader.Train
    if section is None:
        raise ConfigError("the configuration has no DataLoader.Train")
    pipeline = visible(section.dataset.arguments["transform_ops"])
    data = dataset.read(index)
    return [pipeline(data, np.random.default_rng([0, number])) for number in range(count)]
