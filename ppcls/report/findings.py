"""What a report says, as plain data: pictures and words are added where it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

import numpy as np

from ppcls.data.dataset import ClassMap
from ppcls.report.calibration import Bin


@dataclass(frozen=True)
class Example:
    """An image, and what was said of it by a model that has not learnt from it.

    Attributes:
        split: "train" or "val".
        index: its number in the data set.
        image: what the data set calls it.
        label: the class that it is said to have.
        predicted: the most probable class.
        probability: of that class.
        label_probability: of the label.
        margin: the probability of the most probable class less that of the next one.
    """

    split: str
    index: int
    image: str
    label: int
    predicted: int
    probability: float
    label_probability: float
    margin: float

    @property
    def is_right(self) -> bool:
        """Whether the label is the most probable class."""
        return self.label == self.predicted


@dataclass(frozen=True)
class ConfusedPair:
    """How many images of one class were taken for another, with some of them."""

    label: int
    predicted: int
    images: int
    examples: List[Example]


@dataclass(frozen=True)
class DoubtfulLabel:
    """An image that probably is of the class `suggested`."""

    example: Example
    suggested: int
    suggested_probability: float


@dataclass(frozen=True)
class Twins:
    """Two images that show the same; see `Duplicate`."""

    first: Example
    second: Example
    cosine: float
    bits: int
    mirrored: bool

    @property
    def leaks(self) -> bool:
        """Whether the one was learnt from and the other judges."""
        return self.first.split != self.second.split

    @property
    def contradicts(self) -> bool:
        """Whether the two have different labels."""
        return self.first.label != self.second.label


@dataclass(frozen=True)
class SplitSize:
    """How many images of a set there are, how many were looked at, and which cannot be read."""

    images: int
    judged: int
    unreadable: List[str]


@dataclass
class Findings:
    """All that was found; what is empty has its reason in `empty`, by the section's name.

    Attributes:
        title: the name of the run.
        summary: what was trained with what, in words, by the keys of `ppcls.report.words`.
        records: of `train_log.jsonl`.
        class_map: the names of the classes.
        splits: how large the sets are, by "train" and "val".
        confusion: of val, int64 [classes, classes].
        classes: figures of each class; see `ppcls.report.class_table.class_records`.
        pairs: the most confused classes.
        mistakes: the wrong answers with the highest probability.
        hard: right answers with the lowest margin.
        right: right answers of various classes with a high margin.
        doubtful: labels that are probably wrong, by split.
        judges: the fraction of labels that what judges them agrees with, by split.
        twins: near duplicates.
        bins: calibration.
        calibration_error: the expected calibration error.
        augmented: the training image whose variants are shown.
        empty: why a section has nothing to show, by its name.
    """

    title: str
    class_map: ClassMap
    summary: Dict[str, str] = field(default_factory=dict)
    records: List[Dict[str, Any]] = field(default_factory=list)
    splits: Dict[str, SplitSize] = field(default_factory=dict)
    confusion: Optional[np.ndarray] = None
    classes: List[Dict[str, Any]] = field(default_factory=list)
    pairs: List[ConfusedPair] = field(default_factory=list)
    mistakes: List[Example] = field(default_factory=list)
    hard: List[Example] = field(default_factory=list)
    right: List[Example] = field(default_factory=list)
    doubtful: Dict[str, List[DoubtfulLabel]] = field(default_factory=dict)
    judges: Dict[str, float] = field(default_factory=dict)
    twins: List[Twins] = field(default_factory=list)
    bins: List[Bin] = field(default_factory=list)
    calibration_error: Optional[float] = None
    augmented: Optional[Example] = None
    empty: Dict[str, str] = field(default_factory=dict)

    def name(self, label: int) -> str:
        """Return the name of a class."""
        return self.class_map.names[label]
