"""The end of a list of transforms, done for many images at once."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np

from ppcls.data.transforms.base import Shape, Transform
from ppcls.data.transforms.normalize import NormalizeImage, ToCHWImage
from ppcls.registry import is_built_in


class Finish:
    """NormalizeImage and ToCHWImage of many images: to the bit what the ops make of each of them.

    Attributes:
        table: what becomes of each level, float32 [256, channels].
        added: how many channels of zeros follow.
    """

    def __init__(self, table: np.ndarray, added: int = 0) -> None:
        self.table = table
        self.added = added
        self._columns = [np.ascontiguousarray(column) for column in table.T]

    @property
    def channels(self) -> int:
        """How many channels the levels have."""
        return int(self.table.shape[1])

    def __call__(self, levels: np.ndarray, out: Optional[np.ndarray] = None) -> np.ndarray:
        """Return what a network reads: float32 [n, channels + added, h, w].

        Args:
            levels: uint8 [n, h, w, channels], contiguous.
            out: where to write the result.
        """
        count, height, width, channels = levels.shape
        if out is None:
            out = np.empty((count, channels + self.added, height, width), np.float32)
        if height and width:
            for image, result in zip(levels, out):
                # OpenCV writes each channel where it belongs, and nothing is moved afterwards.
                for plane, column, place in zip(cv2.split(image), self._columns, result):
                    cv2.LUT(plane, column, place)
        if self.added:
            out[:, channels:] = 0
        return out


def finish_of(ops: Sequence[Transform], shapes: Sequence[Shape]) -> Tuple[int, Optional[Finish]]:
    """Return how many ops come before the end that can be done for many images at once, and that
    end; where there is none, all ops and None.

    Args:
        ops: the list after DecodeImage.
        shapes: what is known of the images before each op.
    """
    # Not what extends them: that may compute something else.
    ends = (NormalizeImage, ToCHWImage)
    first = next((i for i in range(len(ops), 0, -1) if type(ops[i - 1]) not in ends), 0)
    if not all(map(_says_its_type, ops[:first])):
        return len(ops), None
    tail: List[Transform] = list(ops[first:])
    normalizing = [op for op in tail if isinstance(op, NormalizeImage)]
    before = shapes[first] if first < len(shapes) else None
    if len(tail) - len(normalizing) != 1 or len(normalizing) > 1 or before is None:
        return len(ops), None
    if (before.layout, before.dtype) != ("hwc", "uint8"):
        return len(ops), None
    if normalizing:
        return first, Finish(normalizing[0].table, normalizing[0].added(before.channels))
    levels = np.arange(256, dtype=np.float32)
    return first, Finish(np.repeat(levels[:, np.newaxis], before.channels, axis=1))


def _says_its_type(op: Transform) -> bool:
    """Whether what is known of an op's result is what the op says: one of a user's own that says
    nothing may give anything.
    """
    kind = type(op)
    return is_built_in(kind) or kind.shape_after is not Transform.shape_after
