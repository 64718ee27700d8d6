"""What all schedules have in common: the warm-up, and units of time."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, Dict, Mapping, Tuple

from pydantic import Field

from ppcls.errors import ConfigError

_log = logging.getLogger("ppcls")

Rate = Annotated[float, Field(ge=0)]
"""A learning rate, or an amount of epochs: finite and not negative."""

Factor = Annotated[float, Field(gt=0)]
"""A number above zero."""


class Schedule(ABC):
    """Base of all schedules: a linear warm-up to `peak`, then what `_value` says.

    A schedule is a dataclass whose fields are its arguments; all of them have those named here. A
    warm-up that does not end within training is shortened to half of it, with a warning.

    Raises:
        ConfigError: training is to begin at another epoch.
    """

    learns_from_evaluation: ClassVar[bool] = False
    """Whether the rate follows from evaluations as well as from the step."""

    lengths: ClassVar[Tuple[str, ...]] = ()
    """Arguments that count epochs, besides those of the warm-up; all others go with the epochs of
    training.
    """

    factors: ClassVar[Tuple[str, ...]] = ()
    """Arguments that the rate is multiplied by in each epoch or step."""

    rates: ClassVar[Tuple[str, ...]] = ("learning_rate",)
    """Arguments that the highest rate follows from."""

    learning_rate: Any
    warmup_epoch: float
    warmup_start_lr: float
    by_epoch: bool
    last_epoch: int
    epochs: int
    steps_per_epoch: int

    def __post_init__(self) -> None:
        if self.last_epoch != -1:
            raise ConfigError(
                f"lr.last_epoch: {self.last_epoch} is not possible, because the rate follows from "
                "the step alone; leave it out, and continue a run with --resume"
            )
        if self.warmup > 0 and self.warmup >= self.units:
            given, half = self.warmup_epoch, self.epochs / 2
            self.warmup_epoch = half // 1 if self.by_epoch else half
            _log.warning(
                "lr.warmup_epoch: a warm-up of %g epochs does not end within the %d epochs of "
                "training; it is shortened to %g",
                given,
                self.epochs,
                self.warmup_epoch,
            )
        if self.by_epoch and self.warmup and self.warmup_start_lr == 0:
            _log.warning(
                "lr.warmup_start_lr: with by_epoch the whole first epoch trains at this rate, and "
                "it is 0; set it above 0"
            )

    @property
    def peak(self) -> float:
        """The rate at the end of the warm-up."""
        return float(self.learning_rate)

    @property
    def highest(self) -> float:
        """The highest rate of the run."""
        return self.peak

    @property
    def units(self) -> int:
        """Length of training in epochs (`by_epoch`) or steps."""
        return self.epochs if self.by_epoch else self.epochs * self.steps_per_epoch

    @property
    def warmup(self) -> float:
        """Length of the warm-up in epochs (`by_epoch`) or whole steps."""
        return self.in_units(self.warmup_epoch)

    def in_units(self, epochs: float) -> float:
        """Convert epochs to the unit in which the rate changes."""
        return epochs if self.by_epoch else round(epochs * self.steps_per_epoch)

    def observe(self, value: float, higher_is_better: bool, step: int) -> None:  # noqa: B027
        """Take in the metric of an evaluation after so many steps; most schedules pass it over."""

    def state(self) -> Dict[str, float]:
        """Return what was learnt from evaluations, as plain numbers; mostly nothing."""
        return {}

    def load_state(self, state: Mapping[str, float]) -> None:  # noqa: B027
        """Take back what `state` returned."""

    def at(self, step: int) -> float:
        """Return the learning rate of the global step `step`, counted from 0.

        Steps after the end of training get the rate with which `_value` ends.
        """
        unit = step // self.steps_per_epoch if self.by_epoch else step
        if unit < self.warmup:
            start = self.warmup_start_lr
            return start + (self.peak - start) * unit / self.warmup
        return self._value(unit)

    @abstractmethod
    def _value(self, unit: float) -> float:
        """Return the rate after the warm-up, `unit` epochs or steps from the start of training."""

    def _progress(self, unit: float) -> float:
        """Return the fraction, 0 to 1, that has passed of the time from warm-up to the end."""
        return min(1.0, (unit - self.warmup) / max(1, self.units - self.warmup))
