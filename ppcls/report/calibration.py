"""Whether a network is right as often as it says: reliability, for a diagram (Guo et al., "On
Calibration of Modern Neural Networks", ICML 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List

import numpy as np

from ppcls.calibration.measures import BINS


@dataclass(frozen=True)
class Bin:
    """The images whose most probable class has a probability above `lower`, up to `upper`.

    Attributes:
        lower: where the bin begins.
        upper: where it ends.
        images: how many there are.
        confidence: their mean probability; 0 without images.
        accuracy: the fraction that is right; 0 without images.
    """

    lower: float
    upper: float
    images: int
    confidence: float
    accuracy: float


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> List[Bin]:
    """Return bins of equal width from 0 to 1.

    Args:
        probabilities: float [n, classes].
        labels: int64 [n].
        bins: how many.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for i in range(bins):
        inside = place == i
        count = int(inside.sum())
        means = (confidence[inside].mean(), right[inside].mean()) if count else (0.0, 0.0)
        found.append(Bin(i / bins, (i + 1) / bins, count, float(means[0]), float(means[1])))
    return found
