"""What a data loader hands out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Protocol, Tuple, Union

import numpy as np

from ppcls.labels import Labels


@dataclass(frozen=True)
class BadImage:
    """An image that could not be read: its number in the data set, its name, its label, and why.

    The label is its class, or its row of numbers where labels are not hard.
    """

    index: int
    name: str
    label: Union[int, List[float]]
    reason: str


class BatchOp(Protocol):
    """What is done with the images of a batch: in the loader, or later where they are computed; see
    `ppcls.engine.device_ops`.
    """

    def __call__(self, images: np.ndarray, /) -> np.ndarray:
        """Return the images that come of an array."""


@dataclass(frozen=True)
class Batch:
    """Some images of a data set.

    Attributes:
        images: n x channels x height x width, of the data set's `transform.output_dtype`, or
            float32 where a batch transform computed with them. Where something is left to do:
            levels, uint8, n x height x width x channels.
        labels: n labels, as NumPy arrays.
        indices: int64, n: the images' numbers in the data set.
        number: the batch's number in its epoch, from 0; the parts of one batch that several
            processes take have the same.
        bad: the images of the batch that could not be read; they are missing above, so n may be 0.
        left: what is to be done with the images before a network takes them, one after the other.
    """

    images: np.ndarray
    labels: Labels
    indices: np.ndarray
    number: int
    bad: List[BadImage] = field(default_factory=list)
    left: Tuple[BatchOp, ...] = ()

    @property
    def size(self) -> Tuple[int, int]:
        """Height and width of the images in pixels."""
        height, width = self.images.shape[1:3] if self.left else self.images.shape[2:4]
        return height, width

    def __len__(self) -> int:
        return len(self.labels)
