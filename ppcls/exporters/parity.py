"""Whether a bundle gives the same answers as the network that it was made from.

The same preprocessed images go through the dynamic network and through the written bundle, and two
differences are measured. Both have to stay within `TOLERANCE`:

- *log-probabilities*: the largest difference of an image's log-probabilities, relative to their
  range in that image, which is the range of its logits (or to 1, if that is smaller). This is the
  accuracy of float32 in the scale that the network computes in. The dynamic side is log-softmax of
  its logits in float64.
- *probabilities*: the largest difference of a class's probability, relative to the sum of all,
  which is 1.

Confident networks hide differences: Paddle's softmax does not go below exp(-64), so
log-probabilities under `FLOOR` say nothing, and are left out. If that is more than half of an
image's, or all but one, the same program without softmax is written aside and its *logits* are
compared too, relative to the image's largest absolute logit.

Where images have any number of classes, the probability of each is the sigmoid of its logit, and
log-sigmoid takes the place of log-softmax. Engines approximate it to an absolute error, so that the
logarithm of a small one, below `SMALL`, says nothing; and one near 1 hides its logit. So logits are
compared in any case, relative to the largest of all images.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional

import numpy as np

from ppcls.errors import ExportError

TOLERANCE = 1e-5
FLOOR = -60.0
SMALL = 0.1
"""Of sigmoids: ONNX Runtime's are off by 1e-7, whatever they are."""

RANDOM_IMAGES = 9
"""One alone, then a batch of eight."""

DEFINITIONS = {
    "log_probability_difference": "the largest, relative to the range of the image's logits (or "
    "to 1)",
    "probability_difference": "the largest, relative to the sum of the image's probabilities, 1",
    "logit_difference": "the largest of the same program without softmax or sigmoid, relative to "
    "the image's largest absolute logit (or to 1); measured when an image is saturated, and where "
    "images have any number of classes, then relative to the largest of all images",
    "saturated_images": "images whose log-probabilities are mostly below the floor, or all but one",
    "log_probabilities_compared": f"the fraction that is above the floor of {FLOOR:g}; where "
    f"images have any number of classes, those of probabilities above {SMALL:g}",
}
"""What `Parity` measures, for readers of parity.json."""


@dataclass(frozen=True)
class Parity:
    """The differences between a bundle and its network, as the module's text defines them."""

    images: int
    kind_of_images: str
    log_probability_difference: float
    probability_difference: float
    logit_difference: Optional[float]
    top1_agreement: float
    saturated_images: int
    log_probabilities_compared: float
    tolerance: float = TOLERANCE

    @property
    def worst(self) -> float:
        """The largest of the differences; NaN if there is one."""
        found = [
            self.log_probability_difference,
            self.probability_difference,
            self.logit_difference or 0.0,
        ]
        return float(np.max(found))

    @property
    def passed(self) -> bool:
        """Whether every difference is within the tolerance."""
        return self.worst <= self.tolerance

    def describe(self) -> str:
        """Say by how much each of what was compared differs."""
        logits = self.logit_difference
        return (
            f"log-probabilities differ by {self.log_probability_difference:.1e}, probabilities by "
            f"{self.probability_difference:.1e}"
            + ("" if logits is None else f", logits by {logits:.1e}")
        )

    def sentence(self) -> str:
        """Say on what the comparison was made, and what it found."""
        return (
            f"{self.images} images ({self.kind_of_images}): {self.describe()} (allowed "
            f"{self.tolerance:.0e}); same top-1 on {self.top1_agreement:.0%}"
        )

    def to_dict(self) -> Dict[str, Any]:
        """Return plain values, as parity.json holds them."""
        return {"passed": self.passed, **asdict(self)}


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities, float64 [n, classes], of logits [n, classes]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    normalised: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalised


def log_sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities, float64, of logits of classes that do not exclude each other."""
    found: np.ndarray = -np.logaddexp(0, -logits.astype(np.float64))
    return found


def is_saturated(logits: np.ndarray) -> np.ndarray:
    """Return, bool [n], which images have too few comparable log-probabilities."""
    visible: np.ndarray = (log_softmax(logits) > FLOOR).sum(axis=1)
    return visible < max(2, logits.shape[1] / 2)


def _largest(difference: np.ndarray, scale: np.ndarray) -> float:
    """Return the largest absolute difference, [n, classes], relative to `scale`, [n], or to 1."""
    return float((np.abs(difference).max(axis=1) / np.maximum(scale, 1.0)).max())


def measure(
    logits: np.ndarray,
    probabilities: np.ndarray,
    kind_of_images: str,
    static_logits: Optional[np.ndarray] = None,
    multi_label: bool = False,
) -> Parity:
    """Compare a bundle's `probabilities` with the dynamic network's `logits`, both [n, classes].

    `static_logits` are those of the program without softmax, if any image is saturated, or of that
    without sigmoid, which has to be given with `multi_label`.

    Raises:
        ExportError: the shapes differ, or the dynamic network's own output is not finite.
    """
    if probabilities.shape != logits.shape:
        raise ExportError(
            f"the bundle gives an output of {probabilities.shape}, the network {logits.shape}"
        )
    if not np.isfinite(logits).all():
        raise ExportError(
            "the network's output is NaN or Inf, so its weights are unusable; was training stable?"
        )
    expected = log_sigmoid(logits) if multi_label else log_softmax(logits)
    visible = expected > (np.log(SMALL) if multi_label else FLOOR)
    with np.errstate(divide="ignore", invalid="ignore"):
        actual = np.log(probabilities.astype(np.float64))
    return Parity(
        images=len(logits),
        kind_of_images=kind_of_images,
        log_probability_difference=_largest(
            np.where(visible, actual - expected, 0.0), np.ptp(expected, axis=1)
        ),
        probability_difference=float(np.abs(probabilities - np.exp(expected)).max()),
        logit_difference=_logit_difference(static_logits, logits, multi_label),
        top1_agreement=float((probabilities.argmax(axis=1) == logits.argmax(axis=1)).mean()),
        saturated_images=0 if multi_label else int(is_saturated(logits).sum()),
        log_probabilities_compared=float(visible.mean()),
    )


def _logit_difference(
    static: Optional[np.ndarray], dynamic: np.ndarray, multi_label: bool
) -> Optional[float]:
    if static is None:
        return None
    largest = np.abs(dynamic).max(axis=1)
    # An image may have no class, and small logits, which are sums of values as large as others'.
    return _largest(
        static - dynamic, np.full_like(largest, largest.max()) if multi_label else largest
    )
