"""Stochastic weight averaging: the mean of the weights at the ends of the last epochs.

Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization",
arXiv:1803.05407. The running statistics of batch normalisation belong to none of the networks that
were averaged, so they are taken anew from images of training.
"""

from __future__ import annotations

import paddle
from paddle import nn

from ppcls.config import Config
from ppcls.engine.ema import AveragedWeights
from ppcls.engine.statistics import PreciseStatistics
from ppcls.optimizer.schedule import Schedule
from ppcls.optimizer.schedule.then_constant import ThenConstant


def first_averaged(start: float, epochs: int) -> int:
    """Return the number of the first epoch, counted from 0, after a fraction of all; the last one
    at the latest.
    """
    return max(0, min(round(start * epochs), epochs - 1))


def with_constant_end(config: Config, schedule: Schedule) -> Schedule:
    """Return the schedule with the constant rate of averaging at its end, if the section SWA has
    one.

    Raises:
        ConfigError: the schedule does not end early.
    """
    section = config.SWA
    if section is None or section.learning_rate is None:
        return schedule
    begin = first_averaged(section.start, schedule.epochs)
    with config.naming("SWA", "learning_rate"):
        return ThenConstant(schedule, section.learning_rate, begin, section.anneal_epochs)


class StochasticWeightAverage(AveragedWeights):
    """Keeps the mean of every floating-point entry of a state dict over the ends of epochs; until
    the first of those, the weights themselves.

    Args:
        model: what is trained.
        begin: how many epochs pass before the first whose end counts.
        steps_per_epoch: updates.
        statistics: takes those of the mean, as the mean of running statistics is none.
    """

    def __init__(
        self,
        model: nn.Layer,
        begin: int,
        steps_per_epoch: int,
        statistics: PreciseStatistics,
    ) -> None:
        super().__init__(model, statistics)
        self.begin, self.steps_per_epoch = begin, steps_per_epoch

    @paddle.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimiser update number `step` (counted from 1), if that was
        the last one of an epoch.
        """
        epochs, rest = divmod(step, self.steps_per_epoch)
        if rest:
            return
        count = max(1, epochs - self.begin)
        for name, value in self.model.state_dict().items():
            if paddle.is_floating_point(value):
                average = self.average[name]
                average.scale_(1 - 1 / count)
                average.add_(value.astype(average.dtype).scale(1 / count))
            else:
                paddle.assign(value, self.average[name])

    def _takes_statistics(self, epochs: int) -> bool:
        return epochs - self.begin > 1
