"""Rates that fall, by steps or evenly, once."""

from __future__ import annotations

import bisect
import logging
import math
from dataclasses import dataclass
from typing import ClassVar, List, Optional, Sequence, Tuple

from ppcls.errors import ConfigError
from ppcls.optimizer.schedule.base import Factor, Rate, Schedule
from ppcls.registry import Provided, register

_log = logging.getLogger("ppcls")


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

    lengths: ClassVar[Tuple[str, ...]] = ("step_size",)

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

    lengths: ClassVar[Tuple[str, ...]] = ("decay_epochs",)
    rates: ClassVar[Tuple[str, ...]] = ("values", "learning_rate")

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

    lengths: ClassVar[Tuple[str, ...]] = ("decay_epochs",)

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

    lengths: ClassVar[Tuple[str, ...]] = ("milestones",)

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


@register("schedule")
@dataclass(eq=False)
class Exponential(Schedule):
    """Multiply the rate by `gamma` in each epoch after the warm-up, a little at every step."""

    factors: ClassVar[Tuple[str, ...]] = ("gamma",)

    learning_rate: Rate
    gamma: Factor
    warmup_epoch: Rate = 0
    warmup_start_lr: Rate = 0.0
    by_epoch: bool = False
    last_epoch: int = -1
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def _value(self, unit: float) -> float:
        return float(self.peak * self.gamma ** ((unit - self.warmup) / self.in_units(1)))
