"""Which class is taken for which, counted on the device, and what follows of it for each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import paddle
import paddle.nn.functional as F

from ppcls.labels import LabelKind, Labels
from ppcls.loss.outputs import Outputs, main_logits


def decided(logits: paddle.Tensor) -> paddle.Tensor:
    """Return the class with the highest logit, the lower one of equals, int64 [n].

    Rows with nan have none: their number is that of the classes, which no class has.
    """
    is_nan = paddle.isnan(logits).any(axis=1)
    none = paddle.full([logits.shape[0]], logits.shape[1], dtype="int64")
    return paddle.where(is_nan, none, logits.argmax(axis=1).astype("int64"))


class ConfusionCounts:
    """How often an image of one class was taken for each class: int64 [classes, classes + 1].

    The last column counts images for which the network gave no numbers. Sums stay on the device.
    """

    def __init__(self, class_num: int) -> None:
        self._class_num = class_num
        self._counts = paddle.zeros([class_num, class_num + 1], dtype="int64")

    def update(self, outputs: Outputs, labels: Labels) -> None:
        """Count one batch of hard labels; nothing waits for the device."""
        logits = main_logits(outputs).detach()
        if logits.shape[0]:
            rows = F.one_hot(labels.values, self._class_num)
            columns = F.one_hot(decided(logits), self._class_num + 1)
            # Sums of ones are exact in float32, up to 16 million images a batch.
            seen = paddle.matmul(rows, columns, transpose_x=True)
            self._counts = self._counts + seen.astype("int64")

    def read(self) -> np.ndarray:
        """Return the counts, a row for each class; this waits for the device."""
        return self._counts.numpy()


@dataclass(frozen=True, eq=False)
class ClassFigures:
    """Precision, recall, F1 and the number of images of each class; 0 where there is nothing to
    divide by, as scikit-learn's `precision_recall_fscore_support` has it with `zero_division=0`.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def class_figures(confusion: np.ndarray) -> ClassFigures:
    """Return the figures of each class.

    Args:
        confusion: counts, a row for each class, and a column for each class at least.
    """
    hits = np.diagonal(confusion)
    return figures_of_sums(hits, confusion[:, : len(confusion)].sum(0), confusion.sum(1))


def figures_of_sums(hits: np.ndarray, predicted: np.ndarray, support: np.ndarray) -> ClassFigures:
    """Return the figures of each class from how many of its images were recognised, how many were
    taken for it, and how many there are.
    """
    return ClassFigures(
        precision=_ratio(hits, predicted),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, predicted + support),
        support=support,
    )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


def mean_over(values: np.ndarray, counted: np.ndarray) -> float:
    """Return the mean of the values where `counted` is set; nan where it is nowhere."""
    return float(values[counted].mean()) if counted.any() else float("nan")


def sums_by_class(outputs: Outputs, labels: Labels) -> paddle.Tensor:
    """Return, of one batch, each class's hits, images taken for it, and images: int64 [3, classes].

    Nothing waits for the device.
    """
    logits = main_logits(outputs).detach()
    classes = logits.shape[1]
    if labels.kind is LabelKind.MULTI_HOT:
        own, taken = labels.values, present(logits).astype("float32")
    else:
        own = F.one_hot(labels.values, classes)
        taken = F.one_hot(decided(logits), classes + 1)[:, :classes]
    return paddle.stack([(own * taken).sum(0), taken.sum(0), own.sum(0)]).astype("int64")


def present(logits: paddle.Tensor) -> paddle.Tensor:
    """Return which classes an image has, each a question of its own, bool [n, classes]: those with
    a probability of 0.5 at least. nan is none.
    """
    return logits >= 0
