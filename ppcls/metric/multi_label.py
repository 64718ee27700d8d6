"""Metrics for images that have any number of classes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Dict, List, Literal, Mapping, Optional

import numpy as np
import paddle

from ppcls.errors import CheckpointError
from ppcls.labels import LabelKind, Labels
from ppcls.loss.outputs import Outputs, main_logits
from ppcls.metric.base import Metric
from ppcls.metric.confusion import present
from ppcls.registry import register

_COUNTS = ("images", "answers", "wrong", "exact")


class AnswerCounts(Metric):
    """Counts wrong answers, one for each image and class, and images without any, as integers on
    the device, so that the batch size changes nothing.

    A class is taken for present where its probability is 0.5 at least. Where a network gives no
    numbers, all of an image's answers are wrong.
    """

    accepts = frozenset({LabelKind.MULTI_HOT})
    key: ClassVar[str]
    """What `compute` calls the value."""

    def __init__(self) -> None:
        self.reset()

    @property
    def names(self) -> List[str]:
        """The one name."""
        return [self.key]

    def reset(self) -> None:
        """Set all counts to zero."""
        self._images = self._answers = 0
        self._counts = paddle.zeros([2], dtype="int64")

    def update(self, outputs: Outputs, labels: Labels) -> None:
        """Count the batch on the device; see `Metric.update`."""
        logits = main_logits(outputs).detach()
        if logits.shape[0] == 0:
            return
        wrong = (present(logits).astype("float32") != labels.values) | paddle.isnan(logits)
        of_image = wrong.astype("int64").sum(axis=1)
        self._counts += paddle.stack([of_image.sum(), (of_image == 0).astype("int64").sum()])
        self._images += logits.shape[0]
        self._answers += logits.shape[0] * logits.shape[1]

    def compute(self) -> Dict[str, float]:
        """Return the value under its name."""
        if not self._images:
            return {self.key: float("nan")}
        wrong, exact = self._counts.tolist()
        return {self.key: self._value(wrong / self._answers, exact / self._images)}

    @abstractmethod
    def _value(self, wrong: float, exact: float) -> float:
        """Return the value of the fractions of answers that are wrong and of exact images."""

    def state(self) -> Dict[str, Any]:
        """Return all counts; those of several processes add up."""
        found = [self._images, self._answers, *self._counts.tolist()]
        return dict(zip(_COUNTS, map(float, found)))

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; a `CheckpointError` says if it was another metric's."""
        if sorted(state) != sorted(_COUNTS):
            raise CheckpointError(
                f"the state of {type(self).__name__} needs {', '.join(_COUNTS)}; it has "
                f"{', '.join(state) or 'nothing'}"
            )
        self._images, self._answers = int(state["images"]), int(state["answers"])
        counts = [int(state["wrong"]), int(state["exact"])]
        self._counts = paddle.to_tensor(counts, dtype="int64")


@register("metric")
class HammingDistance(AnswerCounts):
    """The fraction of answers that are wrong, one for each image and class (scikit-learn's
    `hamming_loss`); the lower, the better.
    """

    key = "hamming_distance"

    def higher_is_better(self, name: str) -> bool:
        """It is a distance."""
        return False

    def _value(self, wrong: float, exact: float) -> float:
        return wrong


@register("metric")
class AccuracyScore(AnswerCounts):
    """The fraction of right answers, one for each image and class; or, with `base: sample`, of
    images of which all answers are right (scikit-learn's `accuracy_score`).

    Args:
        base: what is counted: "label" or "sample", as in PaddleClas.
    """

    key = "accuracy_score"

    def __init__(self, base: Literal["label", "sample"] = "label") -> None:
        super().__init__()
        self.base = base

    def _value(self, wrong: float, exact: float) -> float:
        return exact if self.base == "sample" else 1 - wrong


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of an array; those of several processes are put below each other."""

    values: np.ndarray

    def __add__(self, other: _Rows) -> _Rows:
        parts = [rows.values for rows in (self, other) if rows.values.size]
        return _Rows(np.concatenate(parts)) if parts else self


@register("metric")
class MultiLabelMAP(Metric):
    """The mean over all classes of average precision: how well a class's images stand before the
    others when all are sorted by its probability (scikit-learn's `average_precision_score`).

    A class that no image has is left out. Where a network gives no numbers it is 0. All scores are
    kept until the end, images x classes x 5 bytes, so it is for evaluation only.
    """

    accepts = frozenset({LabelKind.MULTI_HOT})
    in_training = False

    def __init__(self) -> None:
        self.reset()

    @property
    def names(self) -> List[str]:
        """The one name."""
        return ["map"]

    def reset(self) -> None:
        """Forget all scores."""
        self._scores: List[np.ndarray] = []
        self._labels: List[np.ndarray] = []

    def update(self, outputs: Outputs, labels: Labels) -> None:
        """Keep the batch's logits and labels; see `Metric.update`."""
        logits = main_logits(outputs).detach()
        if logits.shape[0]:
            self._scores.append(logits.astype("float32").numpy())
            self._labels.append(labels.values.numpy().astype(bool))

    def compute(self) -> Dict[str, float]:
        """Return the mean over the classes that an image has; nan without any."""
        from sklearn.metrics import average_precision_score

        scores, labels = _joined(self._scores), _joined(self._labels)
        if scores is None or labels is None or not labels.any():
            return {"map": float("nan")}
        if np.isnan(scores).any():
            return {"map": 0.0}
        scores = np.nan_to_num(scores)  # the largest number in the place of infinity
        found = [
            average_precision_score(labels[:, i], scores[:, i])
            for i in np.flatnonzero(labels.any(axis=0))
        ]
        return {"map": float(np.mean(found))}

    def state(self) -> Dict[str, Any]:
        """Return all scores and labels; rows of several processes add up."""
        both = {"scores": self._scores, "labels": self._labels}
        empty = np.zeros((0, 0), np.float32)
        found = {key: _joined(rows) for key, rows in both.items()}
        return {key: _Rows(empty if rows is None else rows) for key, rows in found.items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; a `CheckpointError` says if it was another metric's."""
        if sorted(state) != ["labels", "scores"]:
            raise CheckpointError(
                f"the state of MultiLabelMAP has scores and labels, this has {', '.join(state)}"
            )
        rows = {key: [state[key].values] if state[key].values.size else [] for key in state}
        self._scores, self._labels = rows["scores"], rows["labels"]


def _joined(parts: List[np.ndarray]) -> Optional[np.ndarray]:
    return np.concatenate(parts) if parts else None
