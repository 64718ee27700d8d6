"""What is tried, one after the other, until the accuracy is kept: rows of a table for each format.

The first row of each is fastest, to make and to run, and the next ones cost more of either. For
EfficientNetLite0 with a new last layer, the hardest network that was tried, OpenVINO found the same
class as in float32 for 90, 93 and 93 % of 500 images after the first three rows of "onnx_int8".
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Protocol

import numpy as np


class Batches(Protocol):
    """What gives the calibration images, as often as it is asked, each as a batch of one."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[np.ndarray]: ...


class Attempt(NamedTuple):
    """A way to quantise."""

    name: str
    """As reports call it."""
    percentile: Optional[float] = None
    """How much of the values that were seen is kept, in per cent; None keeps all (ONNX only)."""
    float_ends: bool = False
    """Whether the first and the last layer with weights stay in float32 (ONNX only)."""
    float_depthwise: bool = False
    """Whether depthwise convolutions do, which have wide ranges (OpenVINO only: ONNX Runtime then
    rounds what comes before them ahead of its activation, which costs more than it gives).
    """
    asymmetric: bool = False
    """Whether the ranges of activations need not be symmetric around 0 (OpenVINO only)."""


class Writer(Protocol):
    """Writes an INT8 network."""

    def __call__(
        self, source: Path, folder: Path, batches: Batches, attempt: Attempt
    ) -> List[Path]:
        """Quantise the ONNX file `source` into a folder; return the files.

        Raises:
            ExportError: it cannot be done.
        """


ATTEMPTS: Dict[str, List[Attempt]] = {
    "onnx_int8": [
        Attempt("min-max"),
        Attempt("min-max, first and last layer in float32", float_ends=True),
        Attempt("99.999th percentile", percentile=99.999),
        Attempt(
            "99.999th percentile, first and last layer in float32",
            percentile=99.999,
            float_ends=True,
        ),
    ],
    "openvino_int8": [
        Attempt("symmetric"),
        Attempt("asymmetric activations", asymmetric=True),
        Attempt(
            "asymmetric activations, depthwise layers in float32",
            asymmetric=True,
            float_depthwise=True,
        ),
    ],
}
"""Format -> what is tried."""
