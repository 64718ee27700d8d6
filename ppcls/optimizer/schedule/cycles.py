"""Rates that rise and fall."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Optional, Tuple

from pydantic import Field

from ppcls.errors import ConfigError
from ppcls.optimizer.schedule.base import Factor, Rate, Schedule
from ppcls.registry import Provided, register


@register("schedule")
@dataclass(eq=False)
class Cyclic(Schedule):
    """Rise from `learning_rate` to `max_learning_rate` and fall again, over and over.

    Smith 2015, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186: `mode`
    leaves the height of the triangles as it is (triangular), halves it after each (triangular2),
    or multiplies it by `exp_gamma` at every step, or epoch with `by_epoch` (exp_range). The lengths
    are epochs; `step_size_down` is as long as `step_size_up` where it is left out.

    Raises:
        ConfigError: it would not rise, or would rise for less than a step.
    """

    lengths: ClassVar[Tuple[str, ...]] = ("step_size_up", "step_size_down")
    factors: ClassVar[Tuple[str, ...]] = ("exp_gamma",)
    rates: ClassVar[Tuple[str, ...]] = ("learning_rate", "max_learning_rate")

    learning_rate: Rate
    max_learning_rate: Rate
    step_size_up: Factor
    step_size_down: Optional[Factor] = None
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    exp_gamma: Factor = 1.0
    warmup_epoch: Rate = 0
    warmup_start_lr: Rate = 0.0
    by_epoch: bool = False
    last_epoch: int = -1
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_learning_rate < self.learning_rate:
            raise ConfigError(
                f"lr.max_learning_rate: {self.max_learning_rate:g} is below learning_rate, "
                f"{self.learning_rate:g}, from which the rate rises"
            )
        down = self.step_size_up if self.step_size_down is None else self.step_size_down
        self._up, self._down = self.in_units(self.step_size_up), self.in_units(down)
        if min(self._up, self._down) < 1:
            unit = "epoch" if self.by_epoch else "update"
            raise ConfigError(
                f"lr.step_size_up is {self.step_size_up:g} epochs and step_size_down {down:g}; "
                f"each must be at least one {unit}"
            )
        if self.step_size_up > self.epochs:
            raise ConfigError(
                f"lr.step_size_up: {self.step_size_up:g} is more than the {self.epochs} epochs of "
                "training; it counts epochs, not steps"
            )

    @property
    def highest(self) -> float:
        """The tip of the first triangle."""
        return float(self.max_learning_rate)

    def _value(self, unit: float) -> float:
        time, length = unit - self.warmup, self._up + self._down
        place = time % length
        height = place / self._up if place <= self._up else (length - place) / self._down
        scales = {
            "triangular": 1.0,
            "triangular2": 0.5 ** (time // length),
            "exp_range": self.exp_gamma**time,
        }
        rise = (self.max_learning_rate - self.peak) * height
        return float(self.peak + rise * scales[self.mode])


@register("schedule")
@dataclass(eq=False)
class OneCycle(Schedule):
    """Rise to `learning_rate` once, and fall to `end_lr` at the last step.

    Smith and Topin 2017, "Super-Convergence", arXiv:1708.07120: the rate begins at
    `learning_rate` / `divide_factor` and is highest after the fraction `phase_pct` of the time that
    follows the warm-up. Both ways are halves of a cosine, or lines.
    """

    learning_rate: Rate
    divide_factor: Factor = 25.0
    end_lr: Rate = 0.0001
    phase_pct: Annotated[float, Field(gt=0, lt=1)] = 0.3
    anneal_strategy: Literal["cos", "linear"] = "cos"
    warmup_epoch: Rate = 0
    warmup_start_lr: Rate = 0.0
    by_epoch: bool = False
    last_epoch: int = -1
    epochs: Provided[int] = 1
    steps_per_epoch: Provided[int] = 1

    @property
    def peak(self) -> float:
        """The rate at the end of the warm-up, from which it rises."""
        return float(self.learning_rate) / self.divide_factor

    @property
    def highest(self) -> float:
        """The rate at the top."""
        return max(float(self.learning_rate), self.peak)

    def _value(self, unit: float) -> float:
        last = max(1.0, self.units - self.warmup - 1)
        # The highest rate belongs to a step of its own, as the first and the last do.
        top = max(self.phase_pct * (self.units - self.warmup) - 1, 1e-9)
        time = min(unit - self.warmup, last)
        if time <= top:
            return self._between(self.peak, float(self.learning_rate), time / top)
        passed = (time - top) / max(last - top, 1e-9)
        return self._between(float(self.learning_rate), self.end_lr, passed)

    def _between(self, start: float, end: float, passed: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * passed
        return end + (start - end) * (1 + math.cos(math.pi * passed)) / 2
