"""How much accuracy a change of precision costs, measured on the same images before and after.

Most images are right both times or wrong both times and say nothing about the change. What counts
are the images that are *lost* (right before, wrong after) and *gained*; the drop in accuracy is
(lost - gained) / images. Its confidence interval is the one that Bonett and Price give for paired
proportions: Wald's, with one image added to both counts and two to their sum, so that it stays
honest for few images (D. G. Bonett, R. M. Price: Adjusted Wald Confidence Interval for a Difference
of Binomial Proportions Based on Paired Data, J. Educ. Behav. Stat. 37(4), 2012).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

import numpy as np

CONFIDENCE = 0.95
_Z = 1.959963984540054
"""The normal distribution's quantile for it, both sides."""

DEFINITIONS = {
    "drop": "top1_before - top1_after, on the same images",
    "interval": f"of the drop, {CONFIDENCE:.0%}, for paired proportions after Bonett and Price",
    "lost": "images that were right before and are wrong after",
    "gained": "images that were wrong before and are right after",
    "agreement": "the fraction of images whose most probable class stays the same",
    "speed": "median time for one image after, divided by the one before, taken in turns",
}
"""What is written into a bundle, for its readers."""


@dataclass(frozen=True)
class Change:
    """Accuracy before and after, as fractions of `images`; see the module's text."""

    images: int
    top1_before: float
    top1_after: float
    top5_before: float
    top5_after: float
    agreement: float
    lost: int
    gained: int

    @property
    def drop(self) -> float:
        """By how much the accuracy falls; negative where it rises."""
        return (self.lost - self.gained) / self.images

    @property
    def interval(self) -> Tuple[float, float]:
        """Between what the drop is on all images of this kind, with `CONFIDENCE`."""
        n = self.images + 2
        lost, gained = (self.lost + 1) / n, (self.gained + 1) / n
        centre = lost - gained
        margin = _Z * math.sqrt((lost + gained - centre**2) / n)
        return max(-1.0, centre - margin), min(1.0, centre + margin)

    def images_needed(self, most: float) -> Optional[int]:
        """Return about how many images would prove that the drop is at most `most`, if the drop
        and the fraction of changed images stay as they are; None where no number would.
        """
        n = self.images + 2
        changed = (self.lost + self.gained + 2) / n
        room = most - self.drop
        if room <= 0:
            return None
        return math.ceil((_Z / room) ** 2 * (changed - self.drop**2))

    def to_dict(self) -> Dict[str, Any]:
        """Return plain values."""
        return {**vars(self), "drop": self.drop, "interval": list(self.interval)}


def change_of(before: np.ndarray, after: np.ndarray, classes: np.ndarray) -> Change:
    """Compare probabilities before and after, both [n, classes], by the true `classes`, [n]."""
    right_before, right_after = (found.argmax(axis=1) == classes for found in (before, after))
    return Change(
        images=len(classes),
        top1_before=float(right_before.mean()),
        top1_after=float(right_after.mean()),
        top5_before=_top5(before, classes),
        top5_after=_top5(after, classes),
        agreement=float((before.argmax(axis=1) == after.argmax(axis=1)).mean()),
        lost=int((right_before & ~right_after).sum()),
        gained=int((~right_before & right_after).sum()),
    )


def _top5(probabilities: np.ndarray, classes: np.ndarray) -> float:
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    return float((best == classes[:, None]).any(axis=1).mean())
