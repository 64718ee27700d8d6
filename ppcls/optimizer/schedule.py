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
from typing import Annotated, Any, List, Optional, Sequence

from pydantic import Field

from ppcls.errors import ConfigError
from ppcls.registry import Provided, register

_log = logging.getLogger("ppcls")

Rate = Annotated[float, Field(ge=0)]
"""A learning rate, or an amount of epochs: finite and not negative."""

Factor = Annotated[float, Field(gt=0)]
"""A number above zero."""


class Schedule(ABC):
    """Base of all schedules: a linear warm-up to `peak`, then what `_value` says.

    A schedule is a dataclass whose fields are its arguments; all of them have those named here.

    Raises:
        ConfigError: training ends before the warm-up, or is to begin at another epoch.
    """

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
            raise ConfigError(
                f"lr.warmup_epoch: the warm-up of {self.warmup_epoch:g} epochs does not end within "
                f"the {self.epochs} epochs of training; raise Global.epochs, or shorten it: "
                "-o Optimizer.lr.warmup_epoch=0"
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


@register("schedule")
@dataclass(eq=False)
class Constant(Schedule):
    """The same rate throughout, after the warm-up."""

    learning_rate: Rate
    warmup_epoch: Rate = 0
    warmup_start_lr: Rate = 0.0
    by_epoch: bool = False
    last_epoch: int = -1
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def _value(self, unit: float) -> float:
        return self.peak


@register("schedule")
@dataclass(eq=False)
class Cosine(Schedule):
    """Half a cosine: eta_min + (learning_rate - eta_min) (1 + cos(pi t / T)) / 2.

    t counts from the end of the warm-up, T is what then remains of training. Loshchilov and
    Hutter, "SGDR", 2017, without restarts.
    """

    learning_rate: Rate
    eta_min: Rate = 0.0
    warmup_epoch: Rate = 0
    warmup_start_lr: Rate = 0.0
    by_epoch: bool = False
    last_epoch: int = -1
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def _value(self, unit: float) -> float:
        wave = (1 + math.cos(math.pi * self._progress(unit))) / 2
        return self.eta_min + (self.peak - self.eta_min) * wave


@register("schedule")
@dataclass(eq=False)
class Linear(Schedule):
    """Polynomial decay, linear by default: (learning_rate - end_lr) (1 - t / T)^power + end_lr.

    t counts from the end of the warm-up, T is what then remains of training. `cycle` matters after
    the end of training only: it stretches T to the next multiple of itself instead of staying at
    `end_lr`.
    """

    learning_rate: Rate
    end_lr: Rate = 0.0
    power: Factor = 1.0
    cycle: bool = False
    warmup_epoch: Rate = 0
    warmup_start_lr: Rate = 0.0
    by_epoch: bool = False
    last_epoch: int = -1
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def _value(self, unit: float) -> float:
        return (self.peak - self.end_lr) * (1 - self._fraction(unit)) ** self.power + self.end_lr

    def _fraction(self, unit: float) -> float:
        if not self.cycle:
            return self._progress(unit)
        laps = (unit - self.warmup) / max(1, self.units - self.warmup)
        return laps / max(1, math.ceil(laps))


@register("schedule")
@dataclass(eq=False)
class Step(Schedule):
    """Multiply the rate by `gamma` every `step_size` epochs, counted from the start of training."""

    learning_rate: Rate
    step_size: Factor
    gamma: Factor = 0.1
    warmup_epoch: Rate = 0
    warmup_start_lr: Rate = 0.0
    by_epoch: bool = False
    last_epoch: int = -1
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def _value(self, unit: float) -> float:
        size = max(self.in_units(self.step_size), 1e-9)
        return float(self.peak * self.gamma ** (unit // size))


class _Stairs(Schedule):
    """Rates that hold until the next boundary; `_climb` says which."""

    def _climb(self, key: str, rates: Sequence[float]) -> None:
        """Train at `rates[0]`, and at `rates[i + 1]` from the i-th epoch of the argument `key` on,
        counted from the start of training.

        Raises:
            ConfigError: the epochs do not ascend.
        """
        epochs = getattr(self, key)
        if any(later <= earlier for earlier, later in zip(epochs, epochs[1:])):
            raise ConfigError(
                f"lr.{key} must ascend, each epoch after the one before, got {epochs}"
            )
        self._rates, self._boundaries = rates, [self.in_units(epoch) for epoch in epochs]

    @property
    def peak(self) -> float:
        """The first rate."""
        return self._rates[0]

    def _value(self, unit: float) -> float:
        return self._rates[bisect.bisect_right(self._boundaries, unit)]


@register("schedule")
@dataclass(eq=False)
class Piecewise(_Stairs):
    """Train at `values[0]`, and from epoch `decay_epochs[i]` on at `values[i + 1]`.

    `learning_rate` is accepted because many PaddleClas files give it; `values` holds the rates.
    """

    decay_epochs: List[Rate]
    values: List[Rate]
    learning_rate: Optional[Rate] = None
    warmup_epoch: Rate = 0
    warmup_start_lr: Rate = 0.0
    by_epoch: bool = False
    last_epoch: int = -1
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def __post_init__(self) -> None:
        self._climb("decay_epochs", self.values)
        if len(self.values) != len(self.decay_epochs) + 1:
            raise ConfigError(
                "lr.values needs one number more than lr.decay_epochs, the rate before the first "
                f"change: {len(self.decay_epochs)} epochs need {len(self.decay_epochs) + 1} "
                f"values, got {len(self.values)}"
            )
        if self.learning_rate not in (None, self.peak):
            _log.warning(
                "lr.learning_rate: %g has no effect, since Piecewise takes its rates from values, "
                "which begin with %g",
                self.learning_rate,
                self.peak,
            )
        super().__post_init__()


@register("schedule")
@dataclass(eq=False)
class MultiStep(_Stairs):
    """Multiply the rate by `gamma` at each of `decay_epochs`."""

    learning_rate: Rate
    decay_epochs: List[Rate]
    gamma: Factor = 0.1
    warmup_epoch: Rate = 0
    warmup_start_lr: Rate = 0.0
    by_epoch: bool = False
    last_epoch: int = -1
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def __post_init__(self) -> None:
        self._climb("decay_epochs", _falling(self.learning_rate, self.gamma, self.decay_epochs))
        super().__post_init__()


@register("schedule")
@dataclass(eq=False)
class MultiStepDecay(_Stairs):
    """`MultiStep` under PaddleClas' name, with its argument `milestones`."""

    learning_rate: Rate
    milestones: List[Rate]
    gamma: Factor = 0.1
    warmup_epoch: Rate = 0
    warmup_start_lr: Rate = 0.0
    by_epoch: bool = False
    last_epoch: int = -1
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def __post_init__(self) -> None:
        self._climb("milestones", _falling(self.learning_rate, self.gamma, self.milestones))
        super().__post_init__()


def _falling(rate: float, gamma: float, epochs: Sequence[float]) -> List[float]:
    """Return the rates before, between and after `epochs`, each of which multiplies by `gamma`."""
    return [rate * gamma**index for index in range(len(epochs) + 1)]
