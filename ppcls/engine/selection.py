"""Which evaluation was the best, and when there is no use in going on."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Optional

from ppcls.engine.checkpoint import TrainState

_log = logging.getLogger("ppcls")


@dataclass(frozen=True)
class ModelSelection:
    """Keeps the best value of a metric in a run's state, and stops early.

    Attributes:
        metric: the name of the metric that decides.
        higher_is_better: which way it gets better.
        patience: stop after so many evaluations without a gain; None never stops.
        min_delta: what a gain must exceed to count for `patience`.
        start_margin: by how much the value after 0 epochs must be better than a later one to stay
            the best; of the same value, the later one is the best if this is above 0.
    """

    metric: str
    higher_is_better: bool = True
    patience: Optional[int] = None
    min_delta: float = 0.0
    start_margin: float = 0.0

    def judge(self, state: TrainState, value: float, epochs: int) -> bool:
        """Take in the value after so many epochs; return whether it is the best.

        NaN is never the best, and anything else beats nothing.
        """
        is_start = state.best_value is not None and state.best_epoch == 0
        gain = self._gain(value, state.best_value)
        is_best = gain + self.start_margin * is_start > 0
        if is_best and gain <= 0:
            _log.info(
                "%s: the start is not better by Global.start_margin (%g), so this takes its place",
                self.metric,
                self.start_margin,
            )
            # Patience begins anew with what is the best now.
            state.reference, state.evaluations_without_gain = None, 0
        if is_best:
            state.best_value, state.best_epoch = value, epochs
        if self._gain(value, state.reference) > self.min_delta:
            state.reference, state.evaluations_without_gain = value, 0
        else:
            state.evaluations_without_gain += 1
        return is_best

    def is_better(self, value: float, other: float) -> bool:
        """Whether a value is better than another one; NaN never is, and anything is than NaN."""
        return self._gain(value, None if math.isnan(other) else other) > 0

    def stop_early(self, state: TrainState) -> None:
        """Finish the run when its patience is at an end."""
        if self.patience and state.evaluations_without_gain >= self.patience:
            _log.info(
                "early stop: %s has not improved for %d evaluations", self.metric, self.patience
            )
            state.finished = True

    def _gain(self, value: float, best: Optional[float]) -> float:
        """Return by how much `value` is better than `best`."""
        if math.isnan(value) or best is None:
            return -math.inf if math.isnan(value) else math.inf
        return value - best if self.higher_is_better else best - value
