"""Metrics in which every class counts the same, however many images it has."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Dict, List, Mapping, Optional

import numpy as np
import paddle

from ppcls.errors import CheckpointError
from ppcls.labels import LabelKind, Labels
from ppcls.loss.outputs import Outputs, main_logits
from ppcls.metric.base import Metric
from ppcls.metric.confusion import figures_of_sums, mean_over, sums_by_class
from ppcls.registry import Provided, register

_SUMS = ("hits", "predicted", "support")


class PerClassMetric(Metric):
    """Counts, for each class, the images that were recognised, those that were taken for it, and
    those that there are, as integers on the device, so that the batch size changes nothing.

    A network that gives no numbers has recognised nothing.
    """

    key: ClassVar[str]
    """What `compute` calls the value."""

    def __init__(self, class_num: Provided[Optional[int]] = None) -> None:
        self._class_num = class_num
        self.reset()

    @property
    def names(self) -> List[str]:
        """The one name."""
        return [self.key]

    def reset(self) -> None:
        """Set all counts to zero."""
        self._sums = self._zeros(self._class_num or 0)

    def update(self, outputs: Outputs, labels: Labels) -> None:
        """Count the batch on the device; see `Metric.update`."""
        classes = main_logits(outputs).shape[1]
        if self._sums.shape[1] == 0:
            self._sums = self._zeros(classes)
        if len(labels):
            self._sums = self._sums + sums_by_class(outputs, labels)

    def compute(self) -> Dict[str, float]:
        """Return the value under its name."""
        return {self.key: self._value(*self._sums.numpy())}

    @abstractmethod
    def _value(self, hits: np.ndarray, predicted: np.ndarray, support: np.ndarray) -> float:
        """Return the value of these counts, int64 [classes] each."""

    def state(self) -> Dict[str, float]:
        """Return the counts of each class; those of several processes add up."""
        rows = zip(_SUMS, self._sums.tolist())
        return {f"{row}.{i}": float(n) for row, counts in rows for i, n in enumerate(counts)}

    def load_state(self, state: Mapping[str, float]) -> None:
        """Go on from what `state` returned; a `CheckpointError` says if it had other classes."""
        classes = self._class_num or len(state) // len(_SUMS)
        keys = [[f"{row}.{i}" for i in range(classes)] for row in _SUMS]
        if {key for row in keys for key in row} != state.keys():
            raise CheckpointError(
                f"the state of {type(self).__name__} needs {', '.join(_SUMS)} of {classes} "
                f"classes, {len(_SUMS) * classes} numbers; it has {len(state)}"
            )
        counts = [[int(state[key]) for key in row] for row in keys]
        self._sums = paddle.to_tensor(counts, dtype="int64").reshape([len(_SUMS), classes])

    def _zeros(self, classes: int) -> paddle.Tensor:
        return paddle.zeros([len(_SUMS), classes], dtype="int64")


@register("metric")
class F1(PerClassMetric):
    """The mean over all classes of F1, the harmonic mean of precision and recall (macro F1).

    A class that neither occurs nor is predicted is left out, as in scikit-learn's `f1_score`. Where
    images have any number of classes, those with a probability of 0.5 at least are predicted.
    """

    accepts = frozenset({LabelKind.HARD, LabelKind.MULTI_HOT})
    key = "f1"

    def _value(self, hits: np.ndarray, predicted: np.ndarray, support: np.ndarray) -> float:
        figures = figures_of_sums(hits, predicted, support)
        return mean_over(figures.f1, predicted + support > 0)


@register("metric")
class Precision(PerClassMetric):
    """The mean over all classes of precision, the fraction of the images taken for a class that
    have it. A class that no image was taken for counts 0, unless none has it either.

    Where images have any number of classes, those with a probability of 0.5 at least are taken.
    """

    accepts = frozenset({LabelKind.HARD, LabelKind.MULTI_HOT})
    key = "precision"

    def _value(self, hits: np.ndarray, predicted: np.ndarray, support: np.ndarray) -> float:
        figures = figures_of_sums(hits, predicted, support)
        return mean_over(figures.precision, predicted + support > 0)


@register("metric")
class Recall(PerClassMetric):
    """The mean over all classes of recall, the fraction of a class's images that is recognised: of
    one class for each image it is `BalancedAccuracy`. A class without images is left out.

    Where images have any number of classes, those with a probability of 0.5 at least are taken.
    """

    accepts = frozenset({LabelKind.HARD, LabelKind.MULTI_HOT})
    key = "recall"

    def _value(self, hits: np.ndarray, predicted: np.ndarray, support: np.ndarray) -> float:
        return mean_over(figures_of_sums(hits, predicted, support).recall, support > 0)


@register("metric")
class BalancedAccuracy(PerClassMetric):
    """The mean over all classes of recall, the fraction of a class's images that is recognised.

    A class without images is left out, as in scikit-learn's `balanced_accuracy_score`.
    """

    key = "balanced_accuracy"

    def _value(self, hits: np.ndarray, predicted: np.ndarray, support: np.ndarray) -> float:
        return mean_over(figures_of_sums(hits, predicted, support).recall, support > 0)
