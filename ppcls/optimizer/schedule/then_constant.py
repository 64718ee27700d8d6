"""A schedule that ends early, in one rate."""

from __future__ import annotations

from ppcls.errors import ConfigError
from ppcls.optimizer.schedule.base import Schedule


class ThenConstant(Schedule):
    """Another schedule at first, then the same rate to the end, which averages of weights want
    (Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization",
    arXiv:1803.05407).

    Args:
        first: the other schedule, as long as all of training; its warm-up is the only one.
        learning_rate: the rate at the end.
        begin: the number of the epoch, counted from 0, with which that begins.
        anneal_epochs: over how many epochs the rate changes to it, evenly.

    Raises:
        ConfigError: the first schedule follows evaluations, which do not end early.
    """

    def __init__(
        self, first: Schedule, learning_rate: float, begin: int, anneal_epochs: float = 0.0
    ) -> None:
        if first.learns_from_evaluation:
            raise ConfigError(
                f"{type(first).__name__} follows evaluations, so nobody knows where it stands when "
                "the constant rate begins; take a schedule of the steps alone, such as Cosine"
            )
        self.first, self.learning_rate, self.anneal_epochs = first, learning_rate, anneal_epochs
        self.epochs, self.steps_per_epoch = first.epochs, first.steps_per_epoch
        self.warmup_epoch, self.warmup_start_lr = first.warmup_epoch, first.warmup_start_lr
        self.by_epoch, self.last_epoch = False, first.last_epoch
        self._begin = begin * first.steps_per_epoch

    @property
    def highest(self) -> float:
        """The highest rate of the run."""
        return max(self.first.highest, self.peak)

    def at(self, step: int) -> float:
        """Return the learning rate of the global step `step`, counted from 0."""
        return self.first.at(step) if step < self._begin else self._value(step)

    def _value(self, unit: float) -> float:
        length = self.anneal_epochs * self.steps_per_epoch
        passed = min(1.0, (unit - self._begin) / length) if length else 1.0
        before = self.first.at(max(0, self._begin - 1))
        return before + (self.peak - before) * passed
