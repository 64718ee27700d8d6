"""Learning-rate schedules: pure functions of the global step, in plain Python.

`schedule.at(step)` depends on nothing but the step and the arguments. That is what makes a resumed
run identical to one that was never interrupted, and what allows a curve to be drawn without
training.

Where the boundaries lie. Training has `epochs * steps_per_epoch` steps, counted from 0, and begins
with a linear warm-up of `warmup_epoch` epochs (rounded to whole steps) from `warmup_start_lr` to
`learning_rate` (`Piecewise`: to `values[0]`), which the first step after the warm-up would have.

- `Piecewise`, `MultiStep` and `Step` count epochs from the start of training, warm-up included:
  `decay_epochs: [30, 60, 90]` changes the rate when epoch 30 (counted from 0) begins, with or
  without warm-up. (PaddleClas 2.x counts from the end of the warm-up; without one, no difference.)
- `Cosine` and `Linear` run from the end of the warm-up to the end of training. Their last value
  would be reached one step after the last one, so every step trains at a rate above it.

With `by_epoch` the unit is the epoch instead of the step: the rate is constant within each epoch,
warm-up included. The formulas are those of `paddle.optimizer.lr`.
"""

from __future__ import annotations

import bisect
import logging
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, List, Optional, Sequence

from pydantic import Field

from ppcls.errors import ConfigError
from ppcls.registry import Provided, register

_log = logging.getLogger("ppcls")

Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A learning rate, or an amount of epochs: finite and not negative."""

Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A number above zero."""


@dataclass(frozen=True)
class Span:
    """How long training takes, and how it begins.

    Raises:
        ConfigError: training ends before the warm-up, or is to begin at another epoch.
    """

    epochs: int
    steps_per_epoch: int
    warmup_epoch: float = 0
    warmup_start_lr: float = 0.0
    by_epoch: bool = False
    last_epoch: int = -1

    def __post_init__(self) -> None:
        if self.last_epoch != -1:
            raise ConfigError(
                f"lr.last_epoch: {self.last_epoch} is not possible, because the rate follows from "
                "the step alone; leave it out, and continue a run with --resume"
            )
        if self.warmup > 0 and self.warmup >= self.units:
            raise ConfigError(
                f"lr.warmup_epoch: the warm-up of {self.warmup_epoch:g} epochs does not end within "
                f"the {self.epochs} epochs of training; shorten it, or raise Global.epochs"
            )
        if self.by_epoch and self.warmup and self.warmup_start_lr == 0:
            _log.warning(
                "lr.warmup_start_lr: with by_epoch the whole first epoch trains at this rate, and "
                "it is 0; set it above 0"
            )

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

    def unit_of(self, step: int) -> int:
        """Return the epoch (`by_epoch`) or the step that the global step `step` belongs to."""
        return step // self.steps_per_epoch if self.by_epoch else step


class Schedule(ABC):
    """Base of all schedules: a linear warm-up to `peak`, then what `_value` says."""

    def __init__(self, peak: float, span: Span) -> None:
        self.peak = peak
        self.span = span

    def at(self, step: int) -> float:
        """Return the learning rate of the global step `step`, counted from 0.

        Steps after the end of training get the rate with which `_value` ends.
        """
        unit, warmup, start = self.span.unit_of(step), self.span.warmup, self.span.warmup_start_lr
        if unit < warmup:
            return start + (self.peak - start) * unit / warmup
        return self._value(unit)

    @abstractmethod
    def _value(self, unit: float) -> float:
        """Return the rate after the warm-up, `unit` epochs or steps from the start of training."""

    def _progress(self, unit: float) -> float:
        """Return the fraction, 0 to 1, that has passed of the time from warm-up to the end."""
        warmup = self.span.warmup
        return min(1.0, (unit - warmup) / (self.span.units - warmup))


@register("schedule")
class Constant(Schedule):
    """The same rate throughout, after the warm-up."""

    def __init__(  # noqa: PLR0913 - the signature is the schema
        self,
        learning_rate: Rate,
        warmup_epoch: Rate = 0,
        warmup_start_lr: Rate = 0.0,
        by_epoch: bool = False,
        last_epoch: int = -1,
        epochs: Provided[int] = 1,
        steps_per_epoch: Provided[int] = 1,
    ) -> None:
        span = Span(epochs, steps_per_epoch, warmup_epoch, warmup_start_lr, by_epoch, last_epoch)
        super().__init__(learning_rate, span)

    def _value(self, unit: float) -> float:
        return self.peak


@register("schedule")
class Cosine(Schedule):
    """Half a cosine: eta_min + (learning_rate - eta_min) (1 + cos(pi t / T)) / 2.

    t counts from the end of the warm-up, T is what then remains of training. Loshchilov and
    Hutter, "SGDR", 2017, without restarts.
    """

    def __init__(  # noqa: PLR0913 - the signature is the schema
        self,
        learning_rate: Rate,
        eta_min: Rate = 0.0,
        warmup_epoch: Rate = 0,
        warmup_start_lr: Rate = 0.0,
        by_epoch: bool = False,
        last_epoch: int = -1,
        epochs: Provided[int] = 1,
        steps_per_epoch: Provided[int] = 1,
    ) -> None:
        span = Span(epochs, steps_per_epoch, warmup_epoch, warmup_start_lr, by_epoch, last_epoch)
        super().__init__(learning_rate, span)
        self.eta_min = eta_min

    def _value(self, unit: float) -> float:
        wave = (1 + math.cos(math.pi * self._progress(unit))) / 2
        return self.eta_min + (self.peak - self.eta_min) * wave


@register("schedule")
class Linear(Schedule):
    """Polynomial decay, linear by default: (learning_rate - end_lr) (1 - t / T)^power + end_lr.

    t counts from the end of the warm-up, T is what then remains of training. `cycle` matters after
    the end of training only: it stretches T to the next multiple of itself instead of staying at
    `end_lr`.
    """

    def __init__(  # noqa: PLR0913 - the signature is the schema
        self,
        learning_rate: Rate,
        end_lr: Rate = 0.0,
        power: Factor = 1.0,
        cycle: bool = False,
        warmup_epoch: Rate = 0,
        warmup_start_lr: Rate = 0.0,
        by_epoch: bool = False,
        last_epoch: int = -1,
        epochs: Provided[int] = 1,
        steps_per_epoch: Provided[int] = 1,
    ) -> None:
        span = Span(epochs, steps_per_epoch, warmup_epoch, warmup_start_lr, by_epoch, last_epoch)
        super().__init__(learning_rate, span)
        self.end_lr, self.power, self.cycle = end_lr, power, cycle

    def _value(self, unit: float) -> float:
        return (self.peak - self.end_lr) * (1 - self._fraction(unit)) ** self.power + self.end_lr

    def _fraction(self, unit: float) -> float:
        if not self.cycle:
            return self._progress(unit)
        laps = (unit - self.span.warmup) / (self.span.units - self.span.warmup)
        return laps / max(1, math.ceil(laps))


@register("schedule")
class Step(Schedule):
    """Multiply the rate by `gamma` every `step_size` epochs, counted from the start of training."""

    def __init__(  # noqa: PLR0913 - the signature is the schema
        self,
        learning_rate: Rate,
        step_size: Factor,
        gamma: Factor = 0.1,
        warmup_epoch: Rate = 0,
        warmup_start_lr: Rate = 0.0,
        by_epoch: bool = False,
        last_epoch: int = -1,
        epochs: Provided[int] = 1,
        steps_per_epoch: Provided[int] = 1,
    ) -> None:
        span = Span(epochs, steps_per_epoch, warmup_epoch, warmup_start_lr, by_epoch, last_epoch)
        super().__init__(learning_rate, span)
        self.step_size, self.gamma = max(span.in_units(step_size), 1e-9), gamma

    def _value(self, unit: float) -> float:
        return float(self.peak * self.gamma ** (unit // self.step_size))


class _Stairs(Schedule):
    """Rates that hold until the next of `boundaries`, in epochs from the start of training."""

    def __init__(self, values: Sequence[float], boundaries: Sequence[float], span: Span) -> None:
        super().__init__(values[0], span)
        self.values = list(values)
        self.boundaries = [span.in_units(epoch) for epoch in boundaries]

    def _value(self, unit: float) -> float:
        return self.values[bisect.bisect_right(self.boundaries, unit)]


@register("schedule")
class Piecewise(_Stairs):
    """Train at `values[0]`, and from epoch `decay_epochs[i]` on at `values[i + 1]`.

    `learning_rate` is accepted because many PaddleClas files give it; `values` holds the rates.
    """

    def __init__(  # noqa: PLR0913 - the signature is the schema
        self,
        decay_epochs: List[Rate],
        values: List[Rate],
        learning_rate: Optional[Rate] = None,
        warmup_epoch: Rate = 0,
        warmup_start_lr: Rate = 0.0,
        by_epoch: bool = False,
        last_epoch: int = -1,
        epochs: Provided[int] = 1,
        steps_per_epoch: Provided[int] = 1,
    ) -> None:
        _check_ascending("decay_epochs", decay_epochs)
        if len(values) != len(decay_epochs) + 1:
            raise ConfigError(
                "lr.values needs one number more than lr.decay_epochs, the rate before the first "
                f"change: {len(decay_epochs)} epochs need {len(decay_epochs) + 1} values, "
                f"got {len(values)}"
            )
        if learning_rate is not None and learning_rate != values[0]:
            _log.warning(
                "lr.learning_rate: %g has no effect, since Piecewise takes its rates from values, "
                "which begin with %g",
                learning_rate,
                values[0],
            )
        span = Span(epochs, steps_per_epoch, warmup_epoch, warmup_start_lr, by_epoch, last_epoch)
        super().__init__(values, decay_epochs, span)


@register("schedule")
class MultiStep(_Stairs):
    """Multiply the rate by `gamma` at each of `decay_epochs`."""

    def __init__(  # noqa: PLR0913 - the signature is the schema
        self,
        learning_rate: Rate,
        decay_epochs: List[Rate],
        gamma: Factor = 0.1,
        warmup_epoch: Rate = 0,
        warmup_start_lr: Rate = 0.0,
        by_epoch: bool = False,
        last_epoch: int = -1,
        epochs: Provided[int] = 1,
        steps_per_epoch: Provided[int] = 1,
    ) -> None:
        _check_ascending("decay_epochs", decay_epochs)
        span = Span(epochs, steps_per_epoch, warmup_epoch, warmup_start_lr, by_epoch, last_epoch)
        super().__init__(_falling(learning_rate, gamma, decay_epochs), decay_epochs, span)


@register("schedule")
class MultiStepDecay(_Stairs):
    """`MultiStep` under PaddleClas' name, with its argument `milestones`."""

    def __init__(  # noqa: PLR0913 - the signature is the schema
        self,
        learning_rate: Rate,
        milestones: List[Rate],
        gamma: Factor = 0.1,
        warmup_epoch: Rate = 0,
        warmup_start_lr: Rate = 0.0,
        by_epoch: bool = False,
        last_epoch: int = -1,
        epochs: Provided[int] = 1,
        steps_per_epoch: Provided[int] = 1,
    ) -> None:
        _check_ascending("milestones", milestones)
        span = Span(epochs, steps_per_epoch, warmup_epoch, warmup_start_lr, by_epoch, last_epoch)
        super().__init__(_falling(learning_rate, gamma, milestones), milestones, span)


def _falling(rate: float, gamma: float, epochs: Sequence[float]) -> List[float]:
    """Return the rates before, between and after `epochs`, each of which multiplies by `gamma`."""
    return [rate * gamma**index for index in range(len(epochs) + 1)]


def _check_ascending(key: str, epochs: Sequence[float]) -> None:
    if any(later <= earlier for earlier, later in zip(epochs, epochs[1:])):
        raise ConfigError(
            f"lr.{key} must ascend, each epoch after the one before, got {list(epochs)}"
        )
