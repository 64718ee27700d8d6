"""A rate that falls when evaluation does not get better any more."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Dict, Literal, Mapping, Optional

from pydantic import Field

from ppcls.optimizer.schedule.base import Rate, Schedule
from ppcls.registry import Provided, register

_log = logging.getLogger("ppcls")

Count = Annotated[int, Field(ge=0)]
"""A number of evaluations."""


@register("schedule")
@dataclass(eq=False)
class ReduceOnPlateau(Schedule):
    """Multiply the rate by `factor` when more than `patience` evaluations in a row were no better.

    What counts is the metric that decides on the best model, in its direction. An evaluation is
    better than the best one before if it exceeds it by the fraction `threshold` of that, or by
    `threshold` itself (`threshold_mode: abs`). After a fall, `cooldown` evaluations do not count,
    nor do those of the warm-up.
    He et al. 2015, arXiv:1512.03385, divide by 10 "when the error plateaus".
    """

    learns_from_evaluation: ClassVar[bool] = True

    learning_rate: Rate
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patience: Count = 10
    threshold: Rate = 1e-4
    threshold_mode: Literal["rel", "abs"] = "rel"
    cooldown: Count = 0
    min_lr: Rate = 0.0
    warmup_epoch: Rate = 0
    warmup_start_lr: Rate = 0.0
    by_epoch: bool = False
    last_epoch: int = -1
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._best: Optional[float] = None
        self._falls, self._bad, self._resting = 0, 0, 0

    def _value(self, unit: float) -> float:
        return max(self.peak * self.factor**self._falls, min(self.min_lr, self.peak))

    def observe(self, value: float, higher_is_better: bool, step: int) -> None:
        """Take in the metric of an evaluation after so many steps; those that follow train at what
        follows from it. While the rate rises in the warm-up, evaluations do not count.
        """
        if step < round(self.warmup_epoch * self.steps_per_epoch):
            return
        if self._resting:
            self._resting -= 1
            return
        if self._is_better(value, higher_is_better):
            self._best, self._bad = value, 0
        else:
            self._bad += 1
        if self._bad > self.patience:
            before = self._value(0)
            self._falls, self._bad, self._resting = self._falls + 1, 0, self.cooldown
            if self._value(0) < before:
                told = (self.patience + 1, before, self._value(0))
                _log.info("no gain in %d evaluations: the rate falls from %g to %g", *told)

    def _is_better(self, value: float, higher_is_better: bool) -> bool:
        if self._best is None or math.isnan(value):
            return not math.isnan(value)
        least = self.threshold * (abs(self._best) if self.threshold_mode == "rel" else 1.0)
        gain = value - self._best if higher_is_better else self._best - value
        return gain > least

    def state(self) -> Dict[str, float]:
        """Return what was learnt from evaluations, as plain numbers."""
        counts = (("falls", self._falls), ("bad", self._bad), ("resting", self._resting))
        found = {key: float(count) for key, count in counts}
        return found if self._best is None else {**found, "best": self._best}

    def load_state(self, state: Mapping[str, float]) -> None:
        """Take back what `state` returned."""
        self._falls, self._bad, self._resting = (
            int(state.get(key, 0)) for key in ("falls", "bad", "resting")
        )
        self._best = state.get("best")
