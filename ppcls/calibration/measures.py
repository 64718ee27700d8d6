"""How well scores mean what they say, on images with known classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Sequence, Tuple, Union

import numpy as np

from ppcls.calibration.temperature import log_loss_of
from ppcls.inference.calibrated import tempered

BINS = 15
DEFINITIONS = {
    "ece": f"expected calibration error of the most probable class, {BINS} bins of equal width; "
    "before and after",
    "log_loss": "mean of -log(score of the true class); before and after",
    "coverage": "the fraction of images that get an answer",
    "precision": "the fraction of answers that are right, with its exact 95% interval",
}
"""What is written into a bundle, for its readers."""


@dataclass(frozen=True)
class Measured:
    """A bundle's scores and answers on some images, before and after calibration.

    Attributes:
        images: how many.
        top1: the fraction that is right, which calibration does not change.
        ece: expected calibration error, before and after.
        log_loss: before and after.
        answered: images whose answer is not "unknown".
        right: answers that are right.
    """

    images: int
    top1: float
    ece: Tuple[float, float]
    log_loss: Tuple[float, float]
    answered: int
    right: int

    @property
    def coverage(self) -> float:
        """The fraction of images that get an answer."""
        return self.answered / self.images

    @property
    def precision(self) -> float:
        """The fraction of answers that are right; NaN without answers."""
        return self.right / self.answered if self.answered else float("nan")

    @property
    def interval(self) -> Tuple[float, float]:
        """Clopper and Pearson's 95 % interval of the precision."""
        from scipy.stats import binomtest

        if not self.answered:
            return 0.0, 1.0
        found = binomtest(self.right, self.answered).proportion_ci(0.95)
        return float(found.low), float(found.high)

    def to_dict(self) -> Dict[str, Any]:
        """Return plain values, as `inference.yml` holds them."""
        return {
            "images": self.images,
            "top1": self.top1,
            "ece": list(self.ece),
            "log_loss": list(self.log_loss),
            "coverage": self.coverage,
            "precision": self.precision,
            "precision_interval": list(self.interval),
        }


def measure_calibration(
    probabilities: np.ndarray,
    classes: np.ndarray,
    temperature: float,
    thresholds: Union[float, Sequence[float]],
) -> Measured:
    """Measure probabilities, float [n, classes], by the true `classes`, int64 [n], before and after
    a temperature, and the answers above thresholds, one for all classes or one for each.
    """
    after = tempered(probabilities, temperature)
    predicted = probabilities.argmax(axis=1)
    scores, right = after.max(axis=1), predicted == classes
    needed = np.broadcast_to(thresholds, after.shape[1:])[predicted]
    answered = scores >= needed
    return Measured(
        len(classes),
        float(right.mean()),
        (
            calibration_error(probabilities.max(axis=1), right),
            calibration_error(scores, right),
        ),
        (log_loss_of(probabilities, classes), log_loss_of(after, classes)),
        int(answered.sum()),
        int((right & answered).sum()),
    )


def calibration_error(confidences: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Return the expected calibration error: |accuracy - mean confidence| in bins of equal width,
    weighted by their images (M. P. Naeini et al., AAAI 2015, as Guo et al. use it). Bins hold their
    upper end.

    Args:
        confidences: scores of the most probable class, float [n] between 0 and 1.
        right: whether it is the true one, bool [n].
        bins: how many.
    """
    places = np.clip(np.ceil(confidences * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(places, right.astype(float) - confidences, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))
