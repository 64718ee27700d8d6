"""Below which score the answer is "unknown".

The rule: the smallest threshold at which the answered images are right as often as is wanted, with
no fewer than `LEAST` of them. Smallest, so that as many images as possible get an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

LEAST = 10
"""Images; of fewer, none says anything about a precision."""

NEVER = 1.0
"""The threshold of a class that is never answered."""


@dataclass(frozen=True)
class Cut:
    """A threshold, and the images whose score is not below it.

    Attributes:
        threshold: of the score.
        answered: how many images reach it.
        right: how many of these are right.
    """

    threshold: float
    answered: int
    right: int

    @property
    def precision(self) -> float:
        """The fraction of answers that are right."""
        return self.right / self.answered


@dataclass(frozen=True)
class Thresholds:
    """A threshold for all classes, and perhaps one for each.

    Attributes:
        overall: where the wanted precision is reached; else the cut with the highest one.
        reached: whether it is.
        by_class: one threshold for each class; None where the overall one is for all.
        never: classes that are never answered, since their precision is out of reach.
        unsure: classes that were predicted too seldom, and take the overall threshold.
    """

    overall: Cut
    reached: bool
    by_class: Optional[List[float]] = None
    never: Sequence[int] = ()
    unsure: Sequence[int] = ()


def cuts_of(scores: np.ndarray, right: np.ndarray) -> List[Cut]:
    """Return every way to cut between two different scores, the one with most answers first.

    Args:
        scores: of the most probable class of each image, float [n].
        right: whether it is the true one, bool [n].
    """
    order = np.argsort(-scores, kind="stable")
    sorted_scores, sums = scores[order], np.cumsum(right[order])
    found = [Cut(0.0, len(scores), int(sums[-1]))]
    for count in range(len(scores) - 1, LEAST - 1, -1):
        above, below = float(sorted_scores[count - 1]), float(sorted_scores[count])
        if above > below:
            # In the middle, so that rounding in another engine changes no answer.
            found.append(Cut((above + below) / 2, count, int(sums[count - 1])))
    return found


def smallest_cut(scores: np.ndarray, right: np.ndarray, precision: float) -> Tuple[Cut, bool]:
    """Return the cut of the rule, and True; or the one with the highest precision, and False."""
    cuts = cuts_of(scores, right)
    for cut in cuts:
        if cut.precision >= precision:
            return cut, True
    return max(cuts, key=lambda cut: cut.precision), False


def find_thresholds(
    scores: np.ndarray, predicted: np.ndarray, right: np.ndarray, precision: float, classes: int
) -> Thresholds:
    """Return the thresholds of the rule for each predicted class, and for all together.

    Args:
        scores: of the most probable class of each image, float [n].
        predicted: that class, int [n].
        right: whether it is the true one, bool [n].
        precision: what is wanted of the answers.
        classes: how many there are; 0 if each takes the overall threshold.
    """
    overall, reached = smallest_cut(scores, right, precision)
    if not classes:
        return Thresholds(overall, reached)
    by_class: Dict[int, float] = {}
    never = []
    for index in np.unique(predicted).tolist():
        mine = predicted == index
        if mine.sum() >= LEAST:
            cut, is_reached = smallest_cut(scores[mine], right[mine], precision)
            by_class[index] = cut.threshold if is_reached else NEVER
            never += [] if is_reached else [index]
    usual = overall.threshold if reached else NEVER
    listed = [by_class.get(index, usual) for index in range(classes)]
    unsure = [index for index in range(classes) if index not in by_class]
    return Thresholds(overall, reached, listed, never, unsure)
