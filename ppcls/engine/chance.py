"""A network that has lost what it knew: accuracy at chance after it was better."""

from __future__ import annotations

import logging
import math
from typing import Any, Mapping, Optional

import numpy as np

from ppcls.data.loader import DataLoader
from ppcls.engine.loggers.console import format_metric
from ppcls.labels import LabelKind

_log = logging.getLogger("ppcls")

METRIC = "top1"
EVALUATIONS = 2
"""How many in a row make a warning."""

_NEAR = 0.02
_BETTER = 0.10


class ChanceWatch:
    """Warns once when evaluations fall to what guessing would get, and names the likely cause.

    Attributes:
        chance: the accuracy of always naming the most frequent class; None watches nothing.
        keeps_statistics: whether batch normalisation keeps the statistics it came with.
    """

    def __init__(self, chance: Optional[float], keeps_statistics: bool = False) -> None:
        self.chance, self.keeps_statistics = chance, keeps_statistics
        self._best, self._epoch, self._in_a_row, self._warned = -math.inf, 0, 0, False

    def judge(
        self, metrics: Mapping[str, float], train: Mapping[str, float], epochs: int, peak: float
    ) -> None:
        """Take in an evaluation.

        Args:
            metrics: of the evaluation.
            train: the same of the training images in the epoch before.
            epochs: how many are done.
            peak: the highest learning rate of the run.
        """
        value = metrics.get(METRIC, math.nan)
        if self.chance is None or self._warned or math.isnan(value):
            return
        if value > self._best:
            self._best, self._epoch = value, epochs
        lost = value <= self.chance + _NEAR and self._best > self.chance + _BETTER
        self._in_a_row = self._in_a_row + 1 if lost else 0
        if self._in_a_row == EVALUATIONS:
            self._warned = True
            _log.warning("%s", self._message(value, train.get(METRIC, math.nan), peak))

    def _message(self, value: float, train: float, peak: float) -> str:
        assert self.chance is not None
        shown = {
            key: format_metric(METRIC, number)
            for key, number in (("now", value), ("best", self._best))
        }
        found = (
            f"the last {EVALUATIONS} evaluations are at chance ({METRIC} {shown['now']}), after "
            f"{shown['best']} in epoch {self._epoch}. "
        )
        if train > self.chance + 2 * _BETTER and not self.keeps_statistics:
            return (
                f"{found}In training it is {format_metric(METRIC, train)}, so the weights learn, "
                "and the running statistics of batch normalisation do not fit them: keep those "
                "that the weights came with (-o Arch.freeze_statistics=True), or take larger "
                "batches"
            )
        return (
            f"{found}The learning rate, {peak:g} at its highest, is probably too high: weights "
            f"that are trained already take a tenth (-o Optimizer.lr.learning_rate={peak / 10:g})"
        )


def chance_of(loader: Optional[DataLoader]) -> Optional[float]:
    """Return the accuracy of always naming the most frequent class; None where labels are not
    hard, or there are none.
    """
    if loader is None or loader.label_kind is not LabelKind.HARD:
        return None
    labels = loader.dataset.labels.values
    return float(np.bincount(labels).max() / len(labels))


def keeps_statistics(network: Any) -> bool:
    """Whether layers of a network are held in evaluation mode; plain layers cannot hold any."""
    return bool(getattr(network, "held_in_evaluation", ()))
